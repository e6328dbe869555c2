//! The node's identity: 128 random bits, made at first start, kept twice in `<data_dir>/origin`.
//!
//! ```text
//!  00112233445566778899aabbccddeeff 1a2b3c4d\n     id, CRC-32 of its 32 digits
//!  00112233445566778899aabbccddeeff 1a2b3c4d\n     again
//! ```

use std::io::{self, IoSlice};
use std::path::Path;

use crate::data::OriginId;
use crate::spool::{Disk, DiskFile, Fatal, OpenMode, SpoolError, read_full_at, write_all_at};

const PATH: &str = "origin";
const TEMPORARY: &str = "origin.new";
const LINE_BYTES: usize = 42;

/// Reads the identity; `None` if the node has none yet.
pub(super) fn load<D: Disk>(disk: &D) -> Result<Option<OriginId>, SpoolError> {
    let path = Path::new(PATH);
    let file = match disk.open(path, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Fatal::at("open", path)(error).into()),
    };
    let mut text = [0; 2 * LINE_BYTES];
    let count = read_full_at(&file, 0, &mut text).map_err(Fatal::at("read", path))?;
    let found = text.get(..count).unwrap_or_default().chunks(LINE_BYTES).find_map(parse);
    found.map(Some).ok_or_else(|| SpoolError::Identity { path: path.to_path_buf() })
}

/// Makes a new identity, durable on return.
pub(super) fn make<D: Disk>(disk: &D) -> Result<OriginId, Fatal> {
    let path = Path::new(PATH);
    let mut id = OriginId([0; 16]);
    disk.entropy(&mut id.0).map_err(Fatal::at("get random bytes for", path))?;
    store(disk, id).map_err(Fatal::at("write", path))?;
    Ok(id)
}

fn store<D: Disk>(disk: &D, id: OriginId) -> io::Result<()> {
    let digits = id.text();
    let line = format!("{digits} {:08x}\n", crc32fast::hash(digits.as_bytes()));
    let file = disk.open(Path::new(TEMPORARY), OpenMode::Create)?;
    let lines = &mut [IoSlice::new(line.as_bytes()), IoSlice::new(line.as_bytes())];
    write_all_at(&file, 0, lines)?;
    file.sync_data()?;
    disk.rename(Path::new(TEMPORARY), Path::new(PATH))?;
    disk.sync_dir(Path::new("."))
}

fn parse(line: &[u8]) -> Option<OriginId> {
    let (digits, rest) = line.split_at_checked(32)?;
    let crc = std::str::from_utf8(rest.get(1..9)?).ok()?;
    (u32::from_str_radix(crc, 16).ok()? == crc32fast::hash(digits))
        .then(|| OriginId::parse(digits))?
}
