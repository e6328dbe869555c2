//! Is a file a complete `TsFile`? Judged by its two ends, without reading the data between them.
//!
//! ```text
//!  0            "TsFile"                                        checked
//!  6            version, 3 or 4                                 checked
//!  7            data zone                                       its first marker
//!  separator    0x02                                            checked, where the block says it stands
//!               metadata zone: series, index nodes              offsets into it
//!  size-10-n    metadata block, n bytes                         every field of it
//!  size-10      n, i32                                          checked
//!  size-6       "TsFile"                                        checked
//!
//!  metadata block
//!    version 3  root                                    | separator offset i64 | bloom filter
//!    version 4  tables: count, (name, root) each |
//!               schemas: count, (name, schema) each     | separator offset i64 | bloom filter | properties
//!    root       count, (key, offset i64) each, end i64, kind 0 or 1
//! ```
//!
//! Defined by `TsFileIOWriter`, `TsFileMetadata` and `MetadataIndexNode` of the `TsFile` library. A file that
//! was cut off, not finished, mixed up or overwritten at an end is found; a flipped bit in the data is not
//! (hashes are there for that). Takes one window of memory and time that grows with the metadata block only,
//! which is limited: whoever sends the file chooses its length, and nobody else is answered meanwhile.

use super::window::{TsFileError, Window, within};
use crate::data::ReadAt;
use crate::limits;

const MAGIC: &[u8; 6] = b"TsFile";
/// Magic and version.
pub(super) const HEAD_BYTES: u64 = 7;
/// Metadata size and magic.
const TAIL_BYTES: u64 = 10;
/// Head, separator, a block of one byte, tail.
const FILE_BYTES_MIN: u64 = HEAD_BYTES + 1 + 1 + TAIL_BYTES;
/// Marker that ends the data zone.
const SEPARATOR: u8 = 2;

/// What the check learned of a sound file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// 3, which stock 1.3 and 2.0 read, or 4, which only 2.0 does.
    pub version: u8,
    /// Offset of the separator between data and metadata, in bytes.
    pub separator: u64,
    /// Bytes of the metadata block.
    pub metadata_bytes: u64,
    /// Roots of device indexes: one in version 3, one for each table in version 4.
    pub roots: u32,
    /// Table schemas; a file that has some belongs to the table model.
    pub schemas: u32,
    /// Where they begin, with their count; nothing in version 3.
    pub schemas_start: u64,
    /// Bytes of them and of their count.
    pub schemas_bytes: u64,
    /// Where the bytes of the bloom filter begin.
    pub bloom: u64,
    /// Bytes of the bloom filter; none if it has no bit, or is left out.
    pub bloom_bytes: u32,
}

/// Checks both ends of a file.
///
/// # Errors
/// [`TsFileError`], which says what is wrong and where; [`TsFileError::Read`] says nothing about the file.
pub fn check<R: ReadAt + ?Sized>(file: &R) -> Result<Summary, TsFileError> {
    let bytes = file.len();
    if bytes < FILE_BYTES_MIN {
        return Err(TsFileError::Short { bytes, min: FILE_BYTES_MIN });
    }
    let mut head = Window::new(file, 0, bytes);
    check_magic(&mut head)?;
    let version = head.u8("version")?;
    within("version", HEAD_BYTES - 1, version.into(), 3, 4)?;

    check_magic(&mut Window::new(file, bytes - MAGIC.len() as u64, bytes))?;

    let end = bytes - TAIL_BYTES;
    let room = bytes.saturating_sub(FILE_BYTES_MIN - 1).min(limits::TSFILE_BLOCK_BYTES_MAX);
    let room = i32::try_from(room).unwrap_or(i32::MAX);
    let size = Window::new(file, end, bytes).i32("metadata size", 1, room)?;
    let metadata_bytes = u64::try_from(size).unwrap_or_default();
    let mut block = Block {
        window: Window::new(file, end - metadata_bytes, end),
        start: end - metadata_bytes,
        first_child: u64::MAX,
    };
    let roots = if version == 3 {
        block.root()?;
        1
    } else {
        block.tables()?
    };
    let schemas_start = block.window.offset();
    let schemas = if version == 3 { 0 } else { block.schemas()? };
    let schemas_bytes = block.window.offset() - schemas_start;
    let separator = block.separator()?;
    let (bloom, bloom_bytes) = block.bloom_filter(version)?;
    if version == 4 {
        block.properties()?;
    }
    block.window.finish()?;
    check_data_zone(file, separator)?;
    Ok(Summary {
        version,
        separator,
        metadata_bytes,
        roots,
        schemas,
        schemas_start,
        schemas_bytes,
        bloom,
        bloom_bytes,
    })
}

fn check_magic<R: ReadAt + ?Sized>(window: &mut Window<'_, R>) -> Result<(), TsFileError> {
    let offset = window.offset();
    match window.array("magic")? {
        got if got == *MAGIC => Ok(()),
        got => Err(TsFileError::Magic { offset, got }),
    }
}

/// The separator stands where the block says, and the data zone begins with a chunk group, a plan range,
/// or its end.
fn check_data_zone<R: ReadAt + ?Sized>(file: &R, separator: u64) -> Result<(), TsFileError> {
    let marker = Window::new(file, separator, separator + 1).u8("separator")?;
    let legal = i128::from(SEPARATOR);
    within("separator", separator, marker.into(), legal, legal)?;
    let first = Window::new(file, HEAD_BYTES, separator + 1).u8("first marker")?;
    let is_legal = matches!(first, 0 | 4) || (first == SEPARATOR && separator == HEAD_BYTES);
    if is_legal {
        return Ok(());
    }
    Err(TsFileError::Value {
        what: "first marker",
        offset: HEAD_BYTES,
        min: 0,
        max: 0,
        got: first.into(),
    })
}

struct Block<'f, R: ?Sized> {
    window: Window<'f, R>,
    /// Where the block begins: everything that it points to lies before.
    start: u64,
    /// Smallest offset that a root points to.
    first_child: u64,
}

impl<R: ReadAt + ?Sized> Block<'_, R> {
    /// Tables of version 4: each has a name and a root.
    fn tables(&mut self) -> Result<u32, TsFileError> {
        let count = self.window.count("table count", 1 + 10)?;
        for _ in 0..count {
            self.window.skip_text("table name")?;
            self.node(4)?;
        }
        Ok(count)
    }

    fn root(&mut self) -> Result<(), TsFileError> {
        self.node(3)
    }

    /// A device index node: its children's offsets ascend, and lie before its end and the block.
    fn node(&mut self, version: u8) -> Result<(), TsFileError> {
        let count = self.window.count("index entry count", 9)?;
        // The smallest file has its separator right after the head.
        let mut least = HEAD_BYTES + 1;
        for _ in 0..count {
            self.device(version)?;
            let child = self.window.position("index entry", least, self.start - 1)?;
            self.first_child = self.first_child.min(child);
            least = child + 1;
        }
        self.window.position("index end", least, self.start)?;
        let offset = self.window.offset();
        let kind = self.window.u8("index node type")?;
        within("index node type", offset, kind.into(), 0, 1)
    }

    /// A device: a path in version 3, its segments in version 4.
    fn device(&mut self, version: u8) -> Result<(), TsFileError> {
        if version == 3 {
            return self.window.skip_text("device");
        }
        for _ in 0..self.window.count("device segment count", 1)? {
            self.window.skip_text("device segment")?;
        }
        Ok(())
    }

    fn schemas(&mut self) -> Result<u32, TsFileError> {
        let count = self.window.count("schema count", 2)?;
        for _ in 0..count {
            self.window.skip_text("schema name")?;
            for _ in 0..self.window.count("column count", 15)? {
                self.column()?;
            }
        }
        Ok(count)
    }

    fn column(&mut self) -> Result<(), TsFileError> {
        self.window.skip_long_text("column name")?;
        self.window.skip(3, "column type, encoding and compressor")?;
        for _ in 0..self.window.i32("column property count", 0, i32::MAX)? {
            self.window.skip_long_text("column property")?;
            self.window.skip_long_text("column property")?;
        }
        self.window.i32("column category", 0, 3)?;
        Ok(())
    }

    /// Offset of the separator: before everything that the roots point to.
    fn separator(&mut self) -> Result<u64, TsFileError> {
        let most = self.first_child.min(self.start) - 1;
        self.window.position("separator offset", HEAD_BYTES, most)
    }

    /// Trailing zero bytes of the filter are left out, so it may be shorter than its bits say.
    fn bloom_filter(&mut self, version: u8) -> Result<(u64, u32), TsFileError> {
        let offset = self.window.offset();
        let bytes = self.window.count("bloom filter length", 1)?;
        let start = self.window.offset();
        self.window.skip(bytes.into(), "bloom filter")?;
        if version == 4 && bytes == 0 {
            return Ok((start, bytes));
        }
        let bits = self.window.var("bloom filter size")?;
        within("bloom filter length", offset, bytes.into(), 0, bits.div_ceil(8).into())?;
        self.window.var("bloom filter hash count")?;
        Ok((start, bytes))
    }

    /// Properties of version 4; early writers have none, not even their count.
    fn properties(&mut self) -> Result<(), TsFileError> {
        if self.window.left() == 0 {
            return Ok(());
        }
        // The count is a zig-zag number.
        let offset = self.window.offset();
        let count = self.window.var("property count")?;
        within("property count", offset, (count % 2).into(), 0, 0)?;
        for _ in 0..count / 2 {
            self.window.skip_text("property key")?;
            self.window.skip_text("property value")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const V3: &[u8] = include_bytes!("../../tests/samples/v3_tiny.tsfile");
    const V4: &[u8] = include_bytes!("../../tests/samples/v4_tiny.tsfile");
    const TABLE: &[u8] = include_bytes!("../../tests/samples/py_table.tsfile");

    fn checked(bytes: &[u8]) -> String {
        check(bytes).map_or_else(|error| error.to_string(), |_| "sound".to_owned())
    }

    /// `bytes` with `patch` at `offset`.
    fn patched(bytes: &[u8], offset: usize, patch: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        bytes[offset..offset + patch.len()].copy_from_slice(patch);
        bytes
    }

    #[test]
    fn sound_files_of_all_writers_are_taken() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).expect("samples") {
            let path = entry.expect("entry").path();
            if path.extension().is_some_and(|extension| extension == "tsfile") {
                let bytes = std::fs::read(&path).expect("readable");
                assert_eq!(checked(&bytes), "sound", "{}", path.display());
                count += 1;
            }
        }
        assert!(count >= 14);
    }

    #[test]
    fn both_versions_and_models_are_told_apart() {
        let v3 = check(V3).expect("sound");
        assert_eq!((v3.version, v3.roots, v3.schemas), (3, 1, 0));
        assert_eq!(V3[usize::try_from(v3.separator).expect("small")], SEPARATOR);
        assert_eq!(
            check(V4).map(|file| (file.version, file.roots, file.schemas)).ok(),
            Some((4, 1, 0))
        );
        assert_eq!(check(TABLE).map(|file| (file.version, file.schemas)).ok(), Some((4, 1)));
    }

    #[test]
    fn a_file_that_is_cut_off_anywhere_is_found() {
        for file in [V3, V4, TABLE] {
            for end in 0..file.len() {
                assert_ne!(checked(&file[..end]), "sound", "{end}");
            }
            let continued = [file, &[0]].concat();
            assert!(checked(&continued).starts_with("expected \"TsFile\" at byte"));
        }
        assert_eq!(checked(&V3[..18]), "file has 18 bytes, at least 19 expected");
    }

    #[test]
    fn each_end_is_compared() {
        assert_eq!(
            checked(&patched(V3, 0, b"tsFile")),
            "expected \"TsFile\" at byte 0, got \"tsFile\""
        );
        assert_eq!(checked(&patched(V3, 6, &[5])), "version at byte 6: expected 3 to 4, got 5");
        assert_eq!(
            checked(&patched(V3, V3.len() - 1, b"E")),
            format!("expected \"TsFile\" at byte {}, got \"TsFilE\"", V3.len() - 6)
        );
        assert_eq!(
            checked(&patched(V3, 7, &[1])),
            "first marker at byte 7: expected 0 to 0, got 1"
        );
    }

    #[test]
    fn a_metadata_size_that_is_off_by_one_is_found() {
        for file in [V3, V4, TABLE] {
            let metadata_bytes = check(file).expect("sound").metadata_bytes;
            for size in [0, metadata_bytes - 1, metadata_bytes + 1, file.len() as u64 - 17, 1 << 31]
            {
                let size = u32::try_from(size).expect("small").to_be_bytes();
                assert_ne!(checked(&patched(file, file.len() - 10, &size)), "sound", "{size:?}");
            }
        }
    }

    /// Zeros that lie nowhere, and a tail.
    struct Vast(u64, [u8; 10]);

    impl ReadAt for Vast {
        fn len(&self) -> u64 {
            self.0
        }

        fn read_at(&self, offset: u64, into: &mut [u8]) -> std::io::Result<usize> {
            let count = into.len().min(usize::try_from(self.0 - offset).unwrap_or(usize::MAX));
            for (at, byte) in (offset..).zip(into.iter_mut().take(count)) {
                let tail = (at + 10).checked_sub(self.0).and_then(|at| usize::try_from(at).ok());
                let head = usize::try_from(at).ok().and_then(|at| b"TsFile\x04".get(at));
                *byte = head.copied().unwrap_or_else(|| tail.map_or(0, |at| self.1[at]));
            }
            Ok(count)
        }
    }

    #[test]
    fn a_block_that_takes_long_to_read_is_not_read() {
        let size = u32::try_from(limits::TSFILE_BLOCK_BYTES_MAX + 1).expect("small");
        let mut tail = *b"....TsFile";
        tail[..4].copy_from_slice(&size.to_be_bytes());
        let error = check(&Vast(1 << 31, tail)).expect_err("too long").to_string();
        assert!(
            error.starts_with("metadata size at byte") && error.contains("67108864"),
            "{error}"
        );
    }

    #[test]
    fn offsets_point_where_they_should() {
        let separator = check(V3).expect("sound").separator;
        let place = V3
            .windows(8)
            .position(|window| window == separator.to_be_bytes())
            .expect("the block names the separator");
        for wrong in [separator - 2, separator + 1, 0, 6, u64::MAX, V3.len() as u64] {
            assert_ne!(checked(&patched(V3, place, &wrong.to_be_bytes())), "sound", "{wrong}");
        }
        assert_ne!(
            checked(&patched(V3, usize::try_from(separator).expect("small"), &[0])),
            "sound"
        );
        // The root's end stands right before its type and the separator's offset.
        let end = V3.len() as u64;
        assert_ne!(checked(&patched(V3, place - 9, &end.to_be_bytes())), "sound");
        assert_ne!(checked(&patched(V3, place - 1, &[2])), "sound");
        // And before that the only child's offset.
        assert_ne!(checked(&patched(V3, place - 17, &end.to_be_bytes())), "sound");
        assert_ne!(checked(&patched(V3, place - 17, &separator.to_be_bytes())), "sound");
    }

    #[test]
    fn zeros_over_the_tail_or_the_block_are_found() {
        for file in [V3, V4, TABLE] {
            let block = usize::try_from(check(file).expect("sound").metadata_bytes).expect("small");
            let start = file.len() - 10 - block;
            assert_ne!(checked(&patched(file, start, &vec![0; block])), "sound");
            assert_ne!(checked(&patched(file, file.len() - 10, &[0; 10])), "sound");
        }
    }

    proptest! {
        #[test]
        fn no_flipped_byte_panics(
            file in proptest::sample::select(vec![V3, V4, TABLE]),
            place in any::<proptest::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let _outcome = check(&patched(file, place.index(file.len()), &[byte])[..]);
        }

        #[test]
        fn no_block_panics(
            version in 3_u8..=4,
            block in proptest::collection::vec(any::<u8>(), 1..200),
        ) {
            let size = u32::try_from(block.len()).expect("small").to_be_bytes();
            let file = [&b"TsFile"[..], &[version, 2], &block, &size, b"TsFile"].concat();
            let _outcome = check(&file[..]);
        }
    }
}
