//! Takes the trailer off a request that lies in a file.
//!
//! ```text
//!  | request                        | trailer |       as it came
//!    read through for hash and CRC,   read for
//!    a portion at a time              whose it is
//!  | request                        |                 cut back: no byte is written twice, no room is needed
//! ```
//!
//! What the trailer said stays with the open file, so that a job that was left finds it when it is run again. Until it
//! is sealed the file belongs to nobody: after a crash it is gone, and the peer sends all of it again.

use std::io;

use super::keeper::{Kept, unreadable};
use super::long_job::{COPY_BYTES, Go, Host, PORTION_BYTES, Pause, UNDECODABLE, broken};
use crate::data::{Identity, ReadAt};
use crate::link::receiver::FileKey;
use crate::spool::{Disk, Fatal};
use crate::wire::trailer;

/// What is known of a request whose trailer was taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trimmed {
    /// What the trailer said.
    pub(super) identity: Identity,
    /// CRC-32 of what is left.
    pub(super) crc: u32,
}

/// Takes the trailer off a file, if it has one; `reader` has all its bytes. [`Kept::Silent`]: there is none any more.
/// `None`: the job was left, and the file is as it was.
pub(super) fn run<D: Disk>(
    host: &mut impl Host<D>,
    key: FileKey,
    reader: &impl ReadAt,
) -> Result<Option<Kept>, Fatal> {
    let (bytes, identity) = trailer::find(reader).map_err(broken)?;
    let Some(identity) = identity else { return Ok(Some(Kept::Silent)) };
    let Some((hash, crc)) = read_through(host, reader, bytes)? else { return Ok(None) };
    let (keeper, spool) = host.parts();
    let Some(file) = keeper.find_mut(key) else { return Ok(UNDECODABLE) };
    file.trim(spool, bytes, hash, Trimmed { identity, crc }).map(Some)
}

/// Hash and CRC of the first `bytes`. `None`: the job was left.
fn read_through<D: Disk>(
    host: &mut impl Host<D>,
    reader: &impl ReadAt,
    bytes: u64,
) -> Result<Option<(blake3::Hasher, u32)>, Fatal> {
    let (mut hash, mut crc) = (blake3::Hasher::new(), crc32fast::Hasher::new());
    let mut buffer = vec![0; COPY_BYTES];
    let (mut at, mut portion) = (0, 0);
    while at < bytes {
        let window = usize::try_from(bytes - at).unwrap_or(COPY_BYTES).min(COPY_BYTES);
        let window = buffer.get_mut(..window).unwrap_or_default();
        let read = match reader.read_at(at, window).map_err(unreadable)? {
            0 => return Err(unreadable(io::ErrorKind::UnexpectedEof.into())),
            count => window.get(..count).unwrap_or_default(),
        };
        hash.update(read);
        crc.update(read);
        at += read.len() as u64;
        portion += read.len();
        if portion >= PORTION_BYTES {
            portion = 0;
            if host.pause(Pause::Portion)? == Go::Away {
                return Ok(None);
            }
        }
    }
    Ok(Some((hash, crc.finalize())))
}
