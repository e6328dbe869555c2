//! Payload of a file entry.
//!
//! ```text
//!  offset  bytes
//!       0      2  version, 1
//!       2      2  request type: of the seal (5, 9, 102, 202), or of the request that the file holds, or 0: inbox
//!       4      2  count of files
//!       6      2  count of parameters
//!       8      .  files, each:
//!                   0   2  flags: 1 there is a file (else an optional one that is absent), 2 adopted from the inbox
//!                   2   2  bytes of the name
//!                   4   4  reserved, 0
//!                   8   8  bytes of the file
//!                  16  32  blake3 of the file
//!                  48   .  name
//!       .      .  parameters, each: key bytes u32, value bytes u32 (2^32-1: null), key, value
//! ```

use crate::limits::{NAME_BYTES_MAX, SEAL_FILES_MAX, SEAL_PARAMETERS_MAX};
use crate::spool::fields::Take;
use crate::spool::{Misuse, NewFileEntry};

const VERSION: u16 = 1;
const PRESENT: u16 = 1;
const ADOPTED: u16 = 2;
const NULL: u32 = u32::MAX;

/// The files of one file entry, with what is needed to pass them on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileList<'a> {
    /// Type of the seal with which the files came (5, 9, 102, 202); 2 and others: the file holds one whole request of
    /// that type; 0: from the inbox.
    pub request_type: u16,
    file_count: u16,
    parameter_count: u16,
    files: &'a [u8],
    parameters: &'a [u8],
}

/// One file of a [`FileList`], in the order of the seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedFile<'a> {
    /// Its name at the source; `None`: the seal names an optional file that is absent.
    pub name: Option<&'a str>,
    /// Its length.
    pub bytes: u64,
    /// Its hash (blake3).
    pub hash: [u8; 32],
    pub(super) adopted: bool,
}

impl<'a> FileList<'a> {
    /// Parses the payload of a file entry; `None` if it is not one.
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        let mut take = Take::new(payload);
        if take.u16()? != VERSION {
            return None;
        }
        let (request_type, file_count, parameter_count) = (take.u16()?, take.u16()?, take.u16()?);
        if usize::from(file_count) > SEAL_FILES_MAX
            || usize::from(parameter_count) > SEAL_PARAMETERS_MAX
        {
            return None;
        }
        let files = take.rest();
        for _ in 0..file_count {
            next_file(&mut take)?;
        }
        let parameters = take.rest();
        for _ in 0..parameter_count {
            next_parameter(&mut take)?;
        }
        take.rest().is_empty().then_some(Self {
            request_type,
            file_count,
            parameter_count,
            files,
            parameters,
        })
    }

    /// The files.
    pub fn files(&self) -> impl Iterator<Item = ListedFile<'a>> + use<'a> {
        let mut take = Take::new(self.files);
        (0..self.file_count).map_while(move |_| next_file(&mut take))
    }

    /// Parameters of the seal: key and value, which may be null.
    pub fn parameters(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + use<'a> {
        let mut take = Take::new(self.parameters);
        (0..self.parameter_count).map_while(move |_| next_parameter(&mut take))
    }
}

fn next_file<'a>(take: &mut Take<'a>) -> Option<ListedFile<'a>> {
    let (flags, name_bytes, _reserved) = (take.u16()?, take.u16()?, take.u32()?);
    let (bytes, hash) = (take.u64()?, take.array()?);
    let name = std::str::from_utf8(take.bytes(usize::from(name_bytes))?).ok()?;
    let name = (flags & PRESENT != 0).then_some(name);
    Some(ListedFile { name, bytes, hash, adopted: flags & ADOPTED != 0 })
}

fn next_parameter<'a>(take: &mut Take<'a>) -> Option<(&'a str, Option<&'a str>)> {
    let (key_bytes, value_bytes) = (take.u32()?, take.u32()?);
    let key = std::str::from_utf8(take.bytes(usize::try_from(key_bytes).ok()?)?).ok()?;
    if value_bytes == NULL {
        return Some((key, None));
    }
    let value = std::str::from_utf8(take.bytes(usize::try_from(value_bytes).ok()?)?).ok()?;
    Some((key, Some(value)))
}

/// Writes the payload of a file entry; `adopted` tells which of its files keep their name in the store.
pub(super) fn encode(
    entry: &NewFileEntry<'_>,
    adopted: impl Fn(usize) -> bool,
    into: &mut Vec<u8>,
) -> Result<(), Misuse> {
    into.clear();
    into.extend(VERSION.to_le_bytes());
    into.extend(entry.request_type.to_le_bytes());
    into.extend(count(entry.files.len(), "files of a seal", SEAL_FILES_MAX)?.to_le_bytes());
    let parameters = entry.parameters.len();
    into.extend(count(parameters, "parameters of a seal", SEAL_PARAMETERS_MAX)?.to_le_bytes());
    for (index, file) in entry.files.iter().enumerate() {
        let name = text(file.name.unwrap_or_default())?;
        let present = if file.name.is_some() { PRESENT } else { 0 };
        let flags = present | if adopted(index) { ADOPTED } else { 0 };
        into.extend(flags.to_le_bytes());
        into.extend(u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
        into.extend([0; 4]);
        into.extend(file.bytes.to_le_bytes());
        into.extend(file.hash);
        into.extend(name.bytes());
    }
    for (key, value) in entry.parameters {
        let bytes = |text: &str| u32::try_from(text.len()).unwrap_or(NULL).to_le_bytes();
        into.extend(bytes(text(key)?));
        into.extend(value.map(text).transpose()?.map_or(NULL.to_le_bytes(), bytes));
        into.extend(key.bytes());
        into.extend(value.unwrap_or_default().bytes());
    }
    Ok(())
}

fn count(count: usize, what: &'static str, max: usize) -> Result<u16, Misuse> {
    let small = u16::try_from(count).ok().filter(|_| count <= max);
    small.ok_or(Misuse::TooMany { what, max })
}

/// A name, key or value as long as the wire allows.
fn text(text: &str) -> Result<&str, Misuse> {
    if text.len() > NAME_BYTES_MAX { Err(Misuse::Name(text.to_owned())) } else { Ok(text) }
}

const _: () = assert!(NAME_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(
    SEAL_FILES_MAX * (48 + NAME_BYTES_MAX) + SEAL_PARAMETERS_MAX * (8 + 2 * NAME_BYTES_MAX)
        < crate::limits::ENTRY_BYTES_MAX,
    "a file entry fits into an entry"
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::{SealedFile, Source};

    fn encoded() -> Vec<u8> {
        let file = |name, bytes| SealedFile { name, partial: None, bytes, hash: [7; 32] };
        let entry = NewFileEntry {
            source: Source::Own,
            hops: 0,
            precision: None,
            time_range: None,
            request_type: 102,
            files: &[file(Some("mtree"), 10), file(None, 0), file(Some("x.tsfile"), 1 << 40)],
            request_crc: None,
            parameters: &[("Database", None), ("Type", Some("1,2")), ("tree", Some(""))],
        };
        let mut payload = vec![1];
        encode(&entry, |index| index == 2, &mut payload).unwrap();
        payload
    }

    #[test]
    fn a_list_reads_back_as_written() {
        let payload = encoded();
        let list = FileList::parse(&payload).unwrap();
        assert_eq!(list.request_type, 102);
        let files: Vec<_> =
            list.files().map(|file| (file.name, file.bytes, file.adopted)).collect();
        let expected =
            [(Some("mtree"), 10, false), (None, 0, false), (Some("x.tsfile"), 1 << 40, true)];
        assert_eq!(files, expected);
        assert!(list.files().all(|file| file.hash == [7; 32]));
        let parameters: Vec<_> = list.parameters().collect();
        assert_eq!(parameters, [("Database", None), ("Type", Some("1,2")), ("tree", Some(""))]);
    }

    #[test]
    fn short_and_long_lists_are_none() {
        let mut payload = encoded();
        for bytes in 0..payload.len() {
            assert_eq!(FileList::parse(&payload[..bytes]), None, "{bytes}");
        }
        payload.push(0);
        assert_eq!(FileList::parse(&payload), None);
    }
}
