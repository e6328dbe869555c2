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
//! which is limited, and goes step by step where others wait: whoever sends the file chooses its length.

use super::window::{TsFileError, Window, within};
use crate::data::ReadAt;
use crate::limits::{self, MIB};

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

/// Checks both ends of a file in one go.
///
/// # Errors
/// [`TsFileError`], which says what is wrong and where; [`TsFileError::Read`] says nothing about the file.
pub fn check<R: ReadAt + ?Sized>(file: &R) -> Result<Summary, TsFileError> {
    let mut check = Check::new(file)?;
    loop {
        if let Some(summary) = check.step(file)? {
            return Ok(summary);
        }
    }
}

/// A check that waits for its next step; nothing of the file is held but where it stands.
#[derive(Debug)]
pub struct Check {
    /// What was learned so far.
    summary: Summary,
    /// Where the block begins: everything that it points to lies before.
    start: u64,
    /// Where it ends.
    end: u64,
    /// Where the check stands.
    at: u64,
    /// Smallest offset that a root points to.
    first_child: u64,
    /// What is still to be read, the next on top.
    items: heapless::Vec<Item, ITEMS_MAX>,
}

/// Items that lie upon one another at most: end, properties, ends, schemas, tables, entries, child, texts.
const ITEMS_MAX: usize = 8;
/// Bytes of the block that one step reads, but for one field more: a few milliseconds.
const STEP_BYTES: u64 = MIB as u64;

/// A thing of the block.
#[derive(Debug, Clone, Copy)]
enum Item {
    /// How many tables there are, and then so many of them: name and root each.
    TableCount,
    Tables(u32),
    /// A device index node: its entries' offsets ascend, and lie before its end and the block.
    Node,
    /// So many entries, with offsets of at least so much.
    Entries(u32, u64),
    /// The offset of an entry, behind which there are so many more.
    Child(u32, u64),
    /// So many short texts.
    Texts(u32, &'static str),
    SchemaCount,
    Schemas(u32),
    Columns(u32),
    /// So many short of pairs of long texts, and the category of the column behind them.
    ColumnProperties(u32),
    /// Separator offset and bloom filter.
    Ends,
    /// Properties of version 4; early writers have none, not even their count.
    PropertyCount,
    /// The end of the block.
    End,
}

impl Check {
    /// Checks all but the metadata block.
    ///
    /// # Errors
    /// As [`check`].
    pub fn new<R: ReadAt + ?Sized>(file: &R) -> Result<Self, TsFileError> {
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
        let items: &[Item] = if version == 3 {
            &[Item::End, Item::Ends, Item::Node]
        } else {
            &[Item::End, Item::PropertyCount, Item::Ends, Item::SchemaCount, Item::TableCount]
        };
        let start = end - metadata_bytes;
        Ok(Self {
            summary: Summary {
                version,
                separator: 0,
                metadata_bytes,
                roots: 1,
                schemas: 0,
                schemas_start: start,
                schemas_bytes: 0,
                bloom: 0,
                bloom_bytes: 0,
            },
            start,
            end,
            at: start,
            first_child: u64::MAX,
            items: items.iter().copied().collect(),
        })
    }

    /// Checks some more of the file that it was begun with: what was learned, once that is all.
    ///
    /// # Errors
    /// As [`check`]; then it is over.
    pub fn step<R: ReadAt + ?Sized>(&mut self, file: &R) -> Result<Option<Summary>, TsFileError> {
        let mut window = Window::new(file, self.at, self.end);
        let until = self.at.saturating_add(STEP_BYTES);
        while let Some(item) = self.items.pop() {
            self.read(item, &mut window, until)?;
            if window.offset() >= until {
                self.at = window.offset();
                return Ok(None);
            }
        }
        check_data_zone(file, self.summary.separator)?;
        Ok(Some(self.summary))
    }

    /// Puts what is to be read next on top. By the form of a block there is room; were there none, the file would not be
    /// called sound.
    fn push(&mut self, item: Item) -> Result<(), TsFileError> {
        let offset = self.at;
        self.items.push(item).or_else(|_| {
            let most = i128::try_from(ITEMS_MAX).unwrap_or_default();
            within("depth of the metadata block", offset, most + 1, 0, most)
        })
    }

    fn read<R: ReadAt + ?Sized>(
        &mut self,
        item: Item,
        window: &mut Window<'_, R>,
        until: u64,
    ) -> Result<(), TsFileError> {
        match item {
            Item::TableCount => {
                self.summary.roots = window.count("table count", 1 + 10)?;
                self.push(Item::Tables(self.summary.roots))?;
            }
            Item::Tables(0) | Item::Texts(0, _) | Item::Schemas(0) | Item::Columns(0) => {}
            Item::Tables(left) => {
                window.skip_text("table name")?;
                self.push(Item::Tables(left - 1))?;
                self.push(Item::Node)?;
            }
            Item::Node => {
                let count = window.count("index entry count", 9)?;
                // The smallest file has its separator right after the head.
                self.push(Item::Entries(count, HEAD_BYTES + 1))?;
            }
            Item::Entries(left, least) => self.entry(left, least, window)?,
            Item::Child(left, least) => {
                let child = window.position("index entry", least, self.start - 1)?;
                self.first_child = self.first_child.min(child);
                self.push(Item::Entries(left, child + 1))?;
            }
            Item::Texts(mut left, what) => {
                while left > 0 && window.offset() < until {
                    window.skip_text(what)?;
                    left -= 1;
                }
                self.push(Item::Texts(left, what))?;
            }
            Item::SchemaCount => {
                self.summary.schemas_start = window.offset();
                self.summary.schemas = window.count("schema count", 2)?;
                self.push(Item::Schemas(self.summary.schemas))?;
            }
            Item::Schemas(left) => {
                window.skip_text("schema name")?;
                self.push(Item::Schemas(left - 1))?;
                self.push(Item::Columns(window.count("column count", 15)?))?;
            }
            Item::Columns(left) => {
                window.skip_long_text("column name")?;
                window.skip(3, "column type, encoding and compressor")?;
                let properties = window.i32("column property count", 0, i32::MAX)?;
                self.push(Item::Columns(left - 1))?;
                self.push(Item::ColumnProperties(u32::try_from(properties).unwrap_or_default()))?;
            }
            Item::ColumnProperties(0) => drop(window.i32("column category", 0, 3)?),
            Item::ColumnProperties(left) => {
                window.skip_long_text("column property")?;
                window.skip_long_text("column property")?;
                self.push(Item::ColumnProperties(left - 1))?;
            }
            Item::Ends => self.ends(window)?,
            Item::PropertyCount if window.left() == 0 => {}
            Item::PropertyCount => {
                // The count is a zig-zag number.
                let offset = window.offset();
                let count = window.var("property count")?;
                within("property count", offset, (count % 2).into(), 0, 0)?;
                // Key and value.
                self.push(Item::Texts(count, "property"))?;
            }
            Item::End => window.finish()?,
        }
        Ok(())
    }

    /// The next of so many entries of a node, or its end.
    fn entry<R: ReadAt + ?Sized>(
        &mut self,
        left: u32,
        least: u64,
        window: &mut Window<'_, R>,
    ) -> Result<(), TsFileError> {
        let Some(left) = left.checked_sub(1) else {
            window.position("index end", least, self.start)?;
            let offset = window.offset();
            let kind = window.u8("index node type")?;
            return within("index node type", offset, kind.into(), 0, 1);
        };
        self.push(Item::Child(left, least))?;
        // A device: a path in version 3, its segments in version 4.
        if self.summary.version == 3 {
            return window.skip_text("device");
        }
        let segments = window.count("device segment count", 1)?;
        self.push(Item::Texts(segments, "device segment"))
    }

    /// The separator lies before everything that the roots point to. Trailing zero bytes of the filter are left out, so
    /// it may be shorter than its bits say.
    fn ends<R: ReadAt + ?Sized>(&mut self, window: &mut Window<'_, R>) -> Result<(), TsFileError> {
        let summary = &mut self.summary;
        if summary.version == 3 {
            summary.schemas_start = window.offset();
        }
        summary.schemas_bytes = window.offset() - summary.schemas_start;
        let most = self.first_child.min(self.start) - 1;
        summary.separator = window.position("separator offset", HEAD_BYTES, most)?;

        let offset = window.offset();
        let bytes = window.count("bloom filter length", 1)?;
        (summary.bloom, summary.bloom_bytes) = (window.offset(), bytes);
        window.skip(bytes.into(), "bloom filter")?;
        if summary.version == 4 && bytes == 0 {
            return Ok(());
        }
        let bits = window.var("bloom filter size")?;
        within("bloom filter length", offset, bytes.into(), 0, bits.div_ceil(8).into())?;
        window.var("bloom filter hash count")?;
        Ok(())
    }
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

/// A file that says that it has a last block of several MiB, and no data. For tests of those who look at it in steps.
#[cfg(test)]
pub(crate) fn with_long_block() -> Vec<u8> {
    // A node of version 3 with many devices, whose children stand one behind the other.
    let count = 200_000_u32;
    let mut block = Vec::new();
    crate::tsfile::encoding::bits::put_var(count.into(), &mut block);
    for device in 0..u64::from(count) {
        block.extend_from_slice(b"\x14root.a.dxy");
        block.extend_from_slice(&(9 + device).to_be_bytes());
    }
    let zone = 9 + u64::from(count);
    block.extend_from_slice(&(zone).to_be_bytes());
    block.extend_from_slice(&[0]);
    block.extend_from_slice(&7_u64.to_be_bytes());
    block.extend_from_slice(&[0, 0, 0]);
    let mut file = b"TsFile\x03\x02".to_vec();
    file.resize(usize::try_from(zone).expect("small"), 0);
    file.extend_from_slice(&block);
    file.extend_from_slice(&u32::try_from(block.len()).expect("small").to_be_bytes());
    file.extend_from_slice(MAGIC);
    file
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
    fn what_finds_no_room_is_no_sound_file() {
        let mut check = Check::new(V3).expect("both ends are sound");
        let room = ITEMS_MAX - check.items.len();
        for _ in 0..room {
            check.push(Item::Ends).expect("there is room");
        }
        let error = check.push(Item::Node).expect_err("there is none").to_string();
        assert!(error.starts_with("depth of the metadata block at byte"), "{error}");
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
    fn a_long_block_is_checked_in_steps() {
        let file = with_long_block();
        let block = usize::try_from(check(&file[..]).expect("sound").metadata_bytes);
        let block = block.expect("small");
        let mut check = Check::new(&file[..]).expect("sound ends");
        let mut steps = 1;
        let summary = loop {
            if let Some(summary) = check.step(&file[..]).expect("sound") {
                break summary;
            }
            steps += 1;
        };
        assert!(steps > 2);
        assert_eq!(steps, block / MIB + 1);
        assert_eq!((summary.separator, summary.roots), (7, 1));
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
