//! From a spool entry to the requests that carry it.
//!
//! ```text
//!  entry                          frames
//!  tablet                         its payload, as it lies there
//!  any other request              the same, and its trailer
//!  request kept in a file         the file's bytes are the payload; and its trailer, unless it is a tablet
//!  TsFile                         4 4 4 ..  5     (from the inbox, or came by a type 5)
//!                                 4 4 4 ..  9     (came by a type 9 with one name)
//!  mods and TsFile                8 8 8 ..  9     mods first
//!  schema snapshot                101 ..  102       and a trailer behind the seal
//!  configuration snapshot         201 ..  202       and a trailer behind the seal
//! ```
//!
//! A TsFile goes by the name `P1-<origin>-<sequence>-<name>`, so that every later node knows it again;
//! one that has such a name keeps it. A mods file is called as its TsFile with its own ending, as
//! loaders look for it there. Files of snapshots keep their names, which mean something to stock
//! receivers (a role's file is named after the user). What has its identity neither in a plan node id nor in a name has
//! it in a trailer ([`crate::wire::trailer`]).

use thiserror::Error;

use super::feed::{StoredFile, StoredFiles};
use crate::data::identity::Ascii;
use crate::data::{Identity, ReadAt};
use crate::limits;
use crate::link::sender::{Delivery, FileLengths};
use crate::spool::{EntryHeader, FileCheck};
use crate::wire::bytes::Writer;
use crate::wire::piece::PieceHead;
use crate::wire::request::{Head, RequestType};
use crate::wire::seal::{self, DATABASE_PREFIX, SealedFile};
use crate::wire::trailer::TRAILER_BYTES;

/// An identity behind a request.
pub(super) type Trailer = Ascii<TRAILER_BYTES>;

/// Endings of names that are never cut off.
const ENDING_BYTES: usize = ".tsfile".len();

/// An entry, ready to be sent as often as it takes.
#[derive(Debug)]
pub(super) enum Transfer<F> {
    /// The spool has the payload.
    Stored {
        /// Bytes of the payload.
        payload_bytes: usize,
        /// Its CRC-32.
        crc: u32,
        /// What ends the frame, unless it is a tablet.
        trailer: Trailer,
    },
    /// A file is the payload; the same ends its frame.
    Request(NamedFile<F>, Trailer),
    /// Files in pieces, and their seal.
    Files(Box<Files<F>>),
}

/// Files and what is said of them.
#[derive(Debug)]
pub(super) struct Files<F> {
    piece_type: RequestType,
    seal_type: RequestType,
    present: Vec<NamedFile<F>>,
    /// Absent ones too, in the order of the seal.
    sealed: Vec<(Option<String>, u64)>,
    parameters: Vec<(String, Option<String>)>,
    /// Behind the seal.
    trailer: Option<Trailer>,
}

/// A file under the name that crosses.
#[derive(Debug)]
pub(super) struct NamedFile<F> {
    name: String,
    bytes: u64,
    hash: [u8; 32],
    pub(super) file: F,
}

impl<F> NamedFile<F> {
    /// Compares it with what was taken in, from its first byte on.
    pub(super) fn check(&self) -> FileCheck {
        FileCheck::new(self.bytes, self.hash)
    }
}

/// Why an entry can never be sent. It is put aside for a person.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Unsendable {
    /// There is nothing in it.
    #[error("the entry has no file")]
    Empty,
    /// More files than a seal names.
    #[error("{count} files, a seal names at most {}", limits::SEAL_FILES_MAX)]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// A request that no frame can hold.
    #[error("a request of {bytes} bytes, a frame holds less than 2 GiB")]
    TooLong {
        /// How many there are.
        bytes: u64,
    },
}

impl<F: ReadAt> Transfer<F> {
    /// For a tablet or an opaque request.
    pub(super) fn stored(header: &EntryHeader) -> Self {
        let payload_bytes = usize::try_from(header.payload_bytes).unwrap_or(usize::MAX);
        let trailer = header.identity.plan_node_id();
        Self::Stored { payload_bytes, crc: header.payload_crc, trailer }
    }

    /// For an entry of files.
    pub(super) fn of_files(identity: Identity, stored: StoredFiles<F>) -> Result<Self, Unsendable> {
        let present = stored.files.iter().filter(|file| file.file.is_some()).count();
        if present == 0 {
            return Err(Unsendable::Empty);
        }
        if stored.files.len() > limits::SEAL_FILES_MAX {
            return Err(Unsendable::TooMany { count: stored.files.len() });
        }
        let several = present > 1;
        let seal = i16::try_from(stored.request_type).ok().and_then(RequestType::from_code);
        let (piece_type, seal_type) = match (stored.request_type, seal) {
            (_, Some(RequestType::SchemaSnapshotSeal)) => {
                (RequestType::SchemaSnapshotPiece, RequestType::SchemaSnapshotSeal)
            }
            (_, Some(RequestType::ConfigSnapshotSeal)) => {
                (RequestType::ConfigSnapshotPiece, RequestType::ConfigSnapshotSeal)
            }
            (0, _) | (_, Some(RequestType::TsFileSeal | RequestType::TsFileSealWithMod))
                if several =>
            {
                (RequestType::TsFilePieceWithMod, RequestType::TsFileSealWithMod)
            }
            (_, Some(RequestType::TsFileSealWithMod)) => {
                (RequestType::TsFilePiece, RequestType::TsFileSealWithMod)
            }
            (0, _) | (_, Some(RequestType::TsFileSeal)) => {
                (RequestType::TsFilePiece, RequestType::TsFileSeal)
            }
            _ => return Self::of_request(identity, stored),
        };
        let files = Files::new(piece_type, seal_type, identity, stored);
        Ok(Self::Files(Box::new(files)))
    }

    fn of_request(identity: Identity, stored: StoredFiles<F>) -> Result<Self, Unsendable> {
        let found = stored.files.into_iter().find_map(|stored| {
            let StoredFile { name, bytes, hash, file } = stored;
            file.map(|file| NamedFile { name: name.unwrap_or_default(), bytes, hash, file })
        });
        let request = found.ok_or(Unsendable::Empty)?;
        match i32::try_from(request.bytes.saturating_add(TRAILER_BYTES as u64)) {
            Ok(_) => Ok(Self::Request(request, identity.plan_node_id())),
            Err(_) => Err(Unsendable::TooLong { bytes: request.bytes }),
        }
    }

    /// What the machine has to carry.
    pub(super) fn delivery(&self) -> Delivery {
        match self {
            Self::Stored { .. } | Self::Request(..) => Delivery::Whole,
            Self::Files(files) => {
                let lengths: FileLengths =
                    files.present.iter().take(limits::SEAL_FILES_MAX).map(|f| f.bytes).collect();
                Delivery::Files(lengths)
            }
        }
    }

    /// Name and length of the largest file, for people.
    pub(super) fn shown(&self) -> Option<(&str, u64)> {
        let Self::Files(files) = self else { return None };
        let total = files.present.iter().map(|file| file.bytes).sum();
        files.present.last().map(|file| (file.name.as_str(), total))
    }

    /// The TsFile, which has to be whole before it is sent.
    pub(super) fn ts_file(&self) -> Option<&F> {
        match self {
            Self::Files(files) if files.holds_ts_file() => files.present.last().map(|f| &f.file),
            Self::Files(_) | Self::Request(..) | Self::Stored { .. } => None,
        }
    }
}

impl<F> Files<F> {
    fn new(
        piece_type: RequestType,
        seal_type: RequestType,
        identity: Identity,
        stored: StoredFiles<F>,
    ) -> Self {
        let of_ts_file = seal_type != RequestType::SchemaSnapshotSeal
            && seal_type != RequestType::ConfigSnapshotSeal;
        let names: Vec<_> = stored.files.iter().map(|file| file.name.clone()).collect();
        let ts_file = names.last().cloned().flatten().unwrap_or_default();
        let wire_name = |name: &str| match name.strip_prefix(ts_file.as_str()) {
            _ if !of_ts_file => name.to_owned(),
            Some(ending) if !ts_file.is_empty() => {
                format!("{}{ending}", identified(identity, &ts_file))
            }
            _ => identified(identity, name),
        };
        let parameters = stored.parameters.into_iter().map(|(key, value)| {
            match key.strip_prefix(DATABASE_PREFIX) {
                Some(name) if of_ts_file => {
                    (format!("{DATABASE_PREFIX}{}", wire_name(name)), value)
                }
                _ => (key, value),
            }
        });
        let parameters = parameters.collect();
        let mut sealed = Vec::with_capacity(names.len());
        let mut present = Vec::with_capacity(names.len());
        for StoredFile { name, bytes, hash, file } in stored.files {
            let name = name.as_deref().map(wire_name);
            sealed.push((name.clone(), bytes));
            if let Some(file) = file {
                present.push(NamedFile { name: name.unwrap_or_default(), bytes, hash, file });
            }
        }
        let trailer = (!of_ts_file).then(|| identity.plan_node_id());
        Self { piece_type, seal_type, present, sealed, parameters, trailer }
    }

    fn holds_ts_file(&self) -> bool {
        matches!(self.seal_type, RequestType::TsFileSeal | RequestType::TsFileSealWithMod)
    }

    /// The file with this index, and its name on the wire.
    pub(super) fn file(&self, index: usize) -> Option<&NamedFile<F>> {
        self.present.get(index)
    }

    /// Writes the head of a piece, version and type included.
    pub(super) fn write_head(
        &self,
        index: usize,
        start: u64,
        bytes: usize,
        writer: &mut Writer<'_>,
    ) {
        let Some(named) = self.present.get(index) else { return };
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        PieceHead::new(self.piece_type, &named.name, start, bytes).write(writer);
    }

    /// Writes the whole seal, version and type included.
    pub(super) fn write_seal(&self, writer: &mut Writer<'_>) {
        Head::of(self.seal_type).write(writer);
        if let (RequestType::TsFileSeal, Some(file)) = (self.seal_type, self.present.last()) {
            return seal::write_v1(writer, &file.name, file.bytes);
        }
        let files: Vec<_> = self
            .sealed
            .iter()
            .map(|(name, bytes)| SealedFile { name: name.as_deref(), bytes: *bytes })
            .collect();
        let parameters: Vec<_> =
            self.parameters.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
        seal::write_v2(writer, &files, &parameters);
        writer.put(self.trailer.as_ref().map_or(&[], |trailer| trailer.as_bytes()));
    }
}

/// The name in identity form, short enough for a file system with the endings of mods files. Another identity in it
/// is part of the name: somebody put a file that was on its way once into the inbox.
fn identified(identity: Identity, name: &str) -> String {
    if Identity::parse_file_name(name.as_bytes()).is_some_and(|(named, _)| named == identity) {
        return name.to_owned();
    }
    let prefix = identity.file_prefix();
    let room = limits::FILE_NAME_BYTES_MAX
        .saturating_sub(prefix.as_bytes().len())
        .saturating_sub(ENDING_BYTES);
    // What tells files apart stands at the end of stock names.
    let mut from = name.len().saturating_sub(room);
    while !name.is_char_boundary(from) {
        from += 1;
    }
    format!("{prefix}{}", name.get(from..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{OriginId, Sequence};
    use crate::link::sender::Frame;

    const PREFIX: &str = "P1-07070707070707070707070707070707-00000000000000000042-";
    const PIECE: &[u8] = include_bytes!("../../../tests/golden/iotdb-1.3.3/002-4-tsfile-piece.bin");
    const SEAL: &[u8] = include_bytes!("../../../tests/golden/iotdb-1.3.3/003-5-tsfile-seal.bin");
    const MODS_PIECE: &[u8] =
        include_bytes!("../../../tests/golden/iotdb-1.3.3/013-8-mods-piece.bin");
    const MODS_TS_PIECE: &[u8] =
        include_bytes!("../../../tests/golden/iotdb-1.3.3/014-8-tsfile-piece-with-mod.bin");
    const MODS_SEAL: &[u8] =
        include_bytes!("../../../tests/golden/iotdb-1.3.3/015-9-seal-with-mod.bin");
    const SCHEMA_PIECE: &[u8] =
        include_bytes!("../../../tests/golden/iotdb-1.3.3/040-101-schema-snapshot-piece.bin");
    const TAG_PIECE: &[u8] =
        include_bytes!("../../../tests/golden/iotdb-1.3.3/041-101-schema-taglog-piece.bin");
    const SCHEMA_SEAL: &[u8] =
        include_bytes!("../../../tests/golden/iotdb-1.3.3/042-102-schema-snapshot-seal.bin");

    fn identity() -> Identity {
        Identity { origin: OriginId([7; 16]), sequence: Sequence(42) }
    }

    type Bytes = &'static [u8];

    fn file(name: &str, bytes: Bytes) -> StoredFile<Bytes> {
        let (name, hash) = (Some(name.to_owned()), *blake3::hash(bytes).as_bytes());
        StoredFile { name, bytes: bytes.len() as u64, hash, file: Some(bytes) }
    }

    fn files_of(
        request_type: u16,
        files: Vec<StoredFile<Bytes>>,
        parameters: &[(&str, Option<&str>)],
    ) -> Files<Bytes> {
        let parameters = parameters
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.map(str::to_owned)))
            .collect();
        let stored = StoredFiles { request_type, files, parameters };
        match Transfer::of_files(identity(), stored) {
            Ok(Transfer::Files(files)) => *files,
            other => panic!("{other:?}"),
        }
    }

    /// The payload of a whole piece, or of the seal.
    fn payload(files: &Files<Bytes>, frame: Frame) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::into_vec(&mut out, 1 << 20);
        if let Frame::Piece { file, start, bytes } = frame {
            files.write_head(file, start, bytes, &mut writer);
            let from = usize::try_from(start).unwrap();
            writer.put(&files.file(file).unwrap().file[from..from + bytes]);
        } else {
            files.write_seal(&mut writer);
        }
        writer.finish().unwrap();
        out
    }

    fn whole(files: &Files<Bytes>, file: usize) -> Vec<u8> {
        let bytes = <[u8]>::len(files.file(file).unwrap().file);
        payload(files, Frame::Piece { file, start: 0, bytes })
    }

    /// Takes bytes apart by hand.
    struct Plain<'a>(&'a [u8]);

    impl<'a> Plain<'a> {
        fn take(&mut self, count: usize) -> &'a [u8] {
            let (taken, rest) = self.0.split_at(count);
            self.0 = rest;
            taken
        }

        fn int(&mut self, bytes: usize) -> i64 {
            self.take(bytes).iter().fold(0, |sum, byte| sum << 8 | i64::from(*byte))
        }

        fn text(&mut self) -> String {
            let count = usize::try_from(self.int(4)).unwrap();
            String::from_utf8(self.take(count).to_vec()).unwrap()
        }
    }

    /// Type, name, start and content of a captured or built piece.
    fn piece_fields(payload: &[u8]) -> (i64, String, i64, &[u8]) {
        let mut plain = Plain(payload);
        assert_eq!(plain.int(1), 1);
        let (code, name, start) = (plain.int(2), plain.text(), plain.int(8));
        let count = usize::try_from(plain.int(4)).unwrap();
        let content = plain.take(count);
        assert!(plain.0.is_empty());
        (code, name, start, content)
    }

    /// Type, names, lengths and the rest of a seal with lists.
    fn seal_fields(payload: &[u8]) -> (i64, Vec<String>, Vec<i64>, &[u8]) {
        let mut plain = Plain(payload);
        assert_eq!(plain.int(1), 1);
        let code = plain.int(2);
        let names = (0..plain.int(4)).map(|_| plain.text()).collect();
        let lengths = (0..plain.int(4)).map(|_| plain.int(8)).collect();
        (code, names, lengths, plain.0)
    }

    #[test]
    fn ts_file_goes_as_captured_but_for_its_name() {
        let (code, name, start, content) = piece_fields(&PIECE[16..]);
        let files = files_of(5, vec![file(&name, content)], &[]);
        assert_eq!(
            piece_fields(&whole(&files, 0)),
            (code, format!("{PREFIX}{name}"), start, content)
        );
        let mut theirs = Plain(&SEAL[16..]);
        let seal = payload(&files, Frame::Seal);
        let mut ours = Plain(&seal);
        assert_eq!(ours.take(3), theirs.take(3));
        assert_eq!(ours.text(), format!("{PREFIX}{}", theirs.text()));
        assert_eq!(ours.0, theirs.0);
    }

    #[test]
    fn mods_and_ts_file_go_as_captured_but_for_their_names() {
        let (mods_code, mods_name, _, mods) = piece_fields(&MODS_PIECE[16..]);
        let (code, name, _, content) = piece_fields(&MODS_TS_PIECE[16..]);
        let files = files_of(9, vec![file(&mods_name, mods), file(&name, content)], &[]);
        let with = |name: &str| format!("{PREFIX}{name}");
        assert_eq!(piece_fields(&whole(&files, 0)), (mods_code, with(&mods_name), 0, mods));
        assert_eq!(piece_fields(&whole(&files, 1)), (code, with(&name), 0, content));
        let (seal_code, names, lengths, rest) = seal_fields(&MODS_SEAL[16..]);
        let names = names.iter().map(|name| with(name)).collect();
        let ours = payload(&files, Frame::Seal);
        assert_eq!(seal_fields(&ours), (seal_code, names, lengths, rest));
    }

    #[test]
    fn snapshot_goes_exactly_as_captured_and_its_seal_says_whose_it_is() {
        let (_, tree_name, _, tree) = piece_fields(&SCHEMA_PIECE[16..]);
        let (_, tag_name, _, tag) = piece_fields(&TAG_PIECE[16..]);
        let seal = crate::wire::request::Request::decode(&SCHEMA_SEAL[16..]).unwrap();
        let crate::wire::request::Request::Seal(seal) = seal else { panic!("{seal:?}") };
        let parameters: Vec<_> = seal.parameters.unwrap().iter().collect();
        let stored = vec![file(&tree_name, tree), file(&tag_name, tag)];
        let files = files_of(102, stored, &parameters);
        assert_eq!(whole(&files, 0), &SCHEMA_PIECE[16..]);
        assert_eq!(whole(&files, 1), &TAG_PIECE[16..]);
        let (seal, trailer) = (&SCHEMA_SEAL[16..], identity().plan_node_id());
        assert_eq!(payload(&files, Frame::Seal), [seal, trailer.as_bytes()].concat());
    }

    #[test]
    fn pieces_say_where_they_begin() {
        let files = files_of(0, vec![file("x.tsfile", b"0123456789")], &[]);
        let ours = payload(&files, Frame::Piece { file: 0, start: 4, bytes: 3 });
        assert_eq!(piece_fields(&ours), (4, format!("{PREFIX}x.tsfile"), 4, &b"456"[..]));
    }

    #[test]
    fn requests_follow_from_the_seal_and_the_number_of_files() {
        let codes = |request_type, count: usize| {
            let all = [("x.tsfile.mods", &b"mods"[..]), ("x.tsfile", b"ts")];
            let stored = all[2 - count..].iter().map(|(name, bytes)| file(name, bytes)).collect();
            let files = files_of(request_type, stored, &[]);
            let code = |payload: &[u8]| i16::from_be_bytes([payload[1], payload[2]]);
            (code(&whole(&files, 0)), code(&payload(&files, Frame::Seal)))
        };
        assert_eq!(codes(0, 1), (4, 5));
        assert_eq!(codes(0, 2), (8, 9));
        assert_eq!(codes(5, 1), (4, 5));
        assert_eq!(codes(9, 1), (4, 9));
        assert_eq!(codes(9, 2), (8, 9));
        assert_eq!(codes(102, 2), (101, 102));
        assert_eq!(codes(202, 1), (201, 202));
    }

    #[test]
    fn database_of_a_ts_file_follows_its_new_name() {
        let parameters = [("DATABASE_NAME_x.tsfile", Some("db1")), ("other", None)];
        let files = files_of(9, vec![file("x.tsfile", b"ts")], &parameters);
        let ours = payload(&files, Frame::Seal);
        let (_, names, lengths, rest) = seal_fields(&ours);
        assert_eq!((names, lengths), (vec![format!("{PREFIX}x.tsfile")], vec![2]));
        let mut rest = Plain(rest);
        assert_eq!(rest.int(4), 2);
        assert_eq!(rest.text(), format!("DATABASE_NAME_{PREFIX}x.tsfile"));
        assert_eq!((rest.text(), rest.text()), ("db1".to_owned(), "other".to_owned()));
        assert_eq!(rest.0, [0xff; 4], "null");
    }

    #[test]
    fn name_with_its_identity_is_never_rewritten_and_another_identity_is_a_part_of_the_name() {
        let named = |name: &str| {
            let mods = format!("{name}.mods2");
            let files = files_of(9, vec![file(&mods, b"m"), file(name, b"t")], &[]);
            (piece_fields(&whole(&files, 0)).1, piece_fields(&whole(&files, 1)).1)
        };
        let own = format!("{PREFIX}x.tsfile");
        assert_eq!(named(&own), (format!("{own}.mods2"), own));
        let other = "P1-00112233445566778899aabbccddeeff-00000000000000000007-x.tsfile";
        assert_eq!(named(other), (format!("{PREFIX}{other}.mods2"), format!("{PREFIX}{other}")));
    }

    #[test]
    fn long_names_keep_their_end_and_stay_a_pair() {
        let name = format!("{}-1-0-0.tsfile", "\u{4e2d}".repeat(80));
        let mods = format!("{name}.mods2");
        let files = files_of(0, vec![file(&mods, b"m"), file(&name, b"t")], &[]);
        let (ours, ours_mods) =
            (piece_fields(&whole(&files, 1)).1, piece_fields(&whole(&files, 0)).1);
        assert!(ours.starts_with(PREFIX) && ours.ends_with("-1-0-0.tsfile"), "{ours}");
        assert_eq!(ours_mods, format!("{ours}.mods2"));
        assert!(ours_mods.len() <= limits::FILE_NAME_BYTES_MAX);
    }

    #[test]
    fn absent_files_are_named_as_such_and_not_sent() {
        let absent = StoredFile { name: None, bytes: 0, hash: [0; 32], file: None };
        let files = files_of(102, vec![file("mtree.snapshot", b"tree"), absent], &[]);
        assert!(files.file(1).is_none());
        let ours = payload(&files, Frame::Seal);
        let expected = b"\x01\0\x66\0\0\0\x02\0\0\0\x0emtree.snapshot\xff\xff\xff\xff\
            \0\0\0\x02\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\0";
        assert_eq!(ours, [&expected[..], identity().plan_node_id().as_bytes()].concat());
    }

    #[test]
    fn request_in_a_file_is_sent_whole_and_nothing_is_an_error() {
        let request = |files| {
            let stored = StoredFiles { request_type: 2, files, parameters: Vec::new() };
            Transfer::<Bytes>::of_files(identity(), stored)
        };
        let transfer = request(vec![file("", b"\x01\0\x02")]).unwrap();
        assert!(
            matches!(&transfer, Transfer::Request(request, _) if request.file == b"\x01\0\x02")
        );
        assert_eq!(transfer.delivery(), Delivery::Whole);
        assert_eq!(request(Vec::new()).unwrap_err(), Unsendable::Empty);
        let many = (0..9).map(|_| file("a", b"")).collect();
        assert_eq!(request(many).unwrap_err(), Unsendable::TooMany { count: 9 });
    }
}
