//! `spool verify` and `spool export`: the bytes of entries and of their files.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{CliError, Ending};
use crate::data::{ReadAt, Sequence};
use crate::ops::human::{Bytes, Line};
use crate::spool::{Entry, FileList, Kind, ReadError, Reader, RealDisk};

/// Reads everything: entries by their checksums, files by their hashes.
pub(super) fn verify(
    reader: &mut Reader<RealDisk>,
    out: &mut impl Write,
) -> Result<Ending, CliError> {
    let (mut entries, mut files, mut bytes, mut flaws) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut payload = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        entries += 1;
        bytes += u64::from(entry.header.payload_bytes);
        if entry.header.kind != Kind::File {
            continue;
        }
        read_payload(reader, &entry, &mut payload)?;
        let sequence = entry.header.sequence;
        let Some(list) = FileList::parse(&payload) else {
            flaws += 1;
            writeln!(out, "entry {sequence}: its list of files cannot be read")?;
            continue;
        };
        for (index, file) in list.files().enumerate().filter(|(_, file)| file.name.is_some()) {
            files += 1;
            bytes += file.bytes;
            if let Some(flaw) = flaw_of(reader, &entry, &list, index, &file.hash)? {
                flaws += 1;
                let name = Line(file.name.unwrap_or_default());
                writeln!(out, "entry {sequence}, {name}: {flaw}")?;
            }
        }
    }
    flaws += reader.corrupt_entries();
    writeln!(out, "{entries} entries, {files} files, {} read", Bytes(bytes))?;
    if reader.corrupt_entries() > 0 {
        writeln!(out, "{} entries are flawed and were stepped over", reader.corrupt_entries())?;
    }
    if flaws > 0 {
        return Err(CliError::Flaws(flaws));
    }
    writeln!(out, "no flaws")?;
    Ok(Ending::Done)
}

/// What is wrong with a file; none if it is what its entry says, or was released with it meanwhile.
fn flaw_of(
    reader: &Reader<RealDisk>,
    entry: &Entry,
    list: &FileList<'_>,
    index: usize,
    hash: &[u8; 32],
) -> Result<Option<String>, CliError> {
    let file = match reader.open_file(entry, list, index) {
        Ok(file) => file,
        Err(ReadError::File { .. }) if reader.is_gone(entry)? => return Ok(None),
        Err(error) => return Ok(Some(error.to_string())),
    };
    let mut hasher = blake3::Hasher::new();
    copy(&file, &mut |bytes| {
        hasher.update(bytes);
        Ok(())
    })?;
    let found = hasher.finalize();
    Ok((found.as_bytes() != hash).then(|| format!("its blake3 is {}", found.to_hex())))
}

/// Writes the entries `first` to `last` into `dir`; nothing that is there is written over.
pub(super) fn export(
    reader: &mut Reader<RealDisk>,
    first: u64,
    last: u64,
    dir: &Path,
    out: &mut impl Write,
) -> Result<Ending, CliError> {
    let unwritable = |path: &Path| {
        let path = path.to_owned();
        move |cause| CliError::Unreadable { path, cause }
    };
    fs::create_dir_all(dir).map_err(unwritable(dir))?;
    reader.seek(Sequence(first));
    let (mut payload, mut written) = (Vec::new(), 0_u64);
    while let Some(entry) = reader.next_entry()? {
        let sequence = entry.header.sequence;
        if sequence.0 > last {
            break;
        }
        read_payload(reader, &entry, &mut payload)?;
        let list = FileList::parse(&payload).filter(|_| entry.header.kind == Kind::File);
        let Some(list) = list else {
            let path = dir.join(format!("{:020}.request", sequence.0));
            create(&path)
                .and_then(|mut file| file.write_all(&payload))
                .map_err(unwritable(&path))?;
            writeln!(out, "{}", path.display())?;
            written += 1;
            continue;
        };
        for (index, listed) in list.files().enumerate() {
            let Some(name) = listed.name else { continue };
            let source = match reader.open_file(&entry, &list, index) {
                Err(ReadError::File { .. }) if reader.is_gone(&entry)? => {
                    writeln!(out, "entry {sequence} was released meanwhile")?;
                    break;
                }
                source => source?,
            };
            let path = dir.join(file_name(sequence, index, name));
            let mut target = create(&path).map_err(unwritable(&path))?;
            copy(&source, &mut |bytes| target.write_all(bytes)).map_err(unwritable(&path))?;
            writeln!(out, "{}", path.display())?;
            written += 1;
        }
    }
    if written == 0 {
        return Err(CliError::NoEntry(Sequence(first)));
    }
    writeln!(out, "{written} files written")?;
    Ok(Ending::Done)
}

/// Never more than one component, whatever the source called it.
fn file_name(sequence: Sequence, index: usize, name: &str) -> PathBuf {
    let name = name.replace(['/', '\\', '\0'], "_");
    PathBuf::from(format!("{:020}-{index}-{name}", sequence.0))
}

fn create(path: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).open(path)
}

/// All bytes of a payload, into a buffer that is used again.
pub(super) fn read_payload(
    reader: &Reader<RealDisk>,
    entry: &Entry,
    into: &mut Vec<u8>,
) -> Result<(), CliError> {
    into.clear();
    into.resize(usize::try_from(entry.header.payload_bytes).unwrap_or(0), 0);
    let read = reader.read_payload(entry, 0, into)?;
    into.truncate(read);
    Ok(())
}

/// Hands all bytes of `file` to `take`, a buffer at a time.
fn copy(file: &impl ReadAt, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = vec![0; COPY_BYTES];
    let mut offset = 0;
    while offset < file.len() {
        let count = file.read_at(offset, &mut buffer)?;
        let bytes = buffer.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        take(bytes)?;
        offset += bytes.len() as u64;
    }
    Ok(())
}

const COPY_BYTES: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_within_its_directory() {
        let name = file_name(Sequence(7), 0, "../../etc/passwd");
        assert_eq!(name, Path::new("00000000000000000007-0-.._.._etc_passwd"));
    }
}
