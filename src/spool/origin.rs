//! The node's identity: 128 random bits, made at first start, kept twice in `<data_dir>/origin`.
//!
//! ```text
//!  00112233445566778899aabbccddeeff 1a2b3c4d\n     id, CRC-32 of its 32 digits
//!  00112233445566778899aabbccddeeff 1a2b3c4d\n     again
//!  0123456789abcdef 5e6f7a8b\n                     mark of this file, CRC-32 of its 16 digits; not on every disk
//! ```
//!
//! A copy of the data directory goes on from where the copy was taken: it would give sequences a second time that its
//! receiver knows, which would take new data for repetitions. But the copy of this file has another mark
//! ([`DiskFile::mark`]) than the one that stands in it. What is not seen is an older state under the same mark: a
//! snapshot of a whole machine that is gone back to, or a backup that is written into the file that is there.

use std::io::{self, IoSlice};
use std::path::Path;

use crate::data::{Identity, OriginId};
use crate::spool::{Disk, DiskFile, Fatal, OpenMode, SpoolError, read_full_at, write_all_at};

const PATH: &str = "origin";
const TEMPORARY: &str = "origin.new";
const LINE_BYTES: usize = 42;

const MARK_BYTES: usize = 26;

/// An identity as found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) id: OriginId,
    pub(super) marked: Marked,
}

/// Whether the file is the one that was written with its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marked {
    /// It is, or this disk has no marks.
    Same,
    /// It does not say.
    No,
    /// It is a copy.
    Other,
}

/// Reads the identity; `None` if the node has none yet.
pub(super) fn load<D: Disk>(disk: &D) -> Result<Option<Found>, SpoolError> {
    let path = Path::new(PATH);
    let file = match disk.open(path, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Fatal::at("open", path)(error).into()),
    };
    let mut text = [0; 2 * LINE_BYTES + MARK_BYTES];
    let count = read_full_at(&file, 0, &mut text).map_err(Fatal::at("read", path))?;
    let text = text.get(..count).unwrap_or_default();
    let damaged = || SpoolError::Identity { path: path.to_path_buf() };
    let id = text.chunks(LINE_BYTES).take(2).find_map(parse).ok_or_else(damaged)?;
    let noted = text.get(2 * LINE_BYTES..).and_then(parse_mark);
    let marked = match (noted, file.mark().map_err(Fatal::at("look at", path))?) {
        (_, None) => Marked::Same,
        (None, Some(_)) => Marked::No,
        (Some(noted), Some(mark)) if noted == mark => Marked::Same,
        (Some(_), Some(_)) => Marked::Other,
    };
    Ok(Some(Found { id, marked }))
}

/// Makes a new identity, durable on return.
pub(super) fn make<D: Disk>(disk: &D) -> Result<OriginId, Fatal> {
    let path = Path::new(PATH);
    let mut id = OriginId([0; 16]);
    disk.entropy(&mut id.0).map_err(Fatal::at("get random bytes for", path))?;
    keep(disk, id)?;
    Ok(id)
}

/// Writes an identity into a new file, with the mark of that; durable on return.
pub(super) fn keep<D: Disk>(disk: &D, id: OriginId) -> Result<(), Fatal> {
    store(disk, id).map_err(Fatal::at("write", Path::new(PATH)))
}

fn store<D: Disk>(disk: &D, id: OriginId) -> io::Result<()> {
    let digits = id.text();
    let line = format!("{digits} {:08x}\n", crc32fast::hash(digits.as_bytes()));
    let file = disk.open(Path::new(TEMPORARY), OpenMode::Create)?;
    let mark = file.mark()?.map_or_else(String::new, |mark| {
        let digits = format!("{mark:016x}");
        format!("{digits} {:08x}\n", crc32fast::hash(digits.as_bytes()))
    });
    let lines = [line.as_bytes(), line.as_bytes(), mark.as_bytes()];
    write_all_at(&file, 0, &mut lines.map(IoSlice::new))?;
    file.sync_data()?;
    disk.rename(Path::new(TEMPORARY), Path::new(PATH))?;
    disk.sync_dir(Path::new("."))
}

fn parse(line: &[u8]) -> Option<OriginId> {
    OriginId::parse(checked(line, 32)?)
}

fn parse_mark(line: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(checked(line, 16)?).ok()?;
    u64::from_str_radix(digits, 16).ok()
}

/// The first `count` digits of a line, if its checksum is theirs.
fn checked(line: &[u8], count: usize) -> Option<&[u8]> {
    let (digits, rest) = line.split_at_checked(count)?;
    let crc = std::str::from_utf8(rest.get(1..9)?).ok()?;
    (u32::from_str_radix(crc, 16).ok()? == crc32fast::hash(digits)).then_some(digits)
}

/// Whether something comes back that a filter cut out of an entry of this node: all of it is here.
pub(super) fn is_part_of_own(identity: Identity, own: OriginId, next: u64) -> bool {
    identity.sequence.0 < next && identity.origin.is_of_parts_of(own)
}
