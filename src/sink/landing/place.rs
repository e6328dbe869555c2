//! Whether the landing directory is where it was: a mount that is away is not replaced by its mount point.
//!
//! ```text
//!  landing-dir          in the data directory    <32 hex> apart /mnt/nas/landing
//!  .penstock.lock       in the landing directory <32 hex>
//! ```
//!
//! What lands below a mount point disappears as soon as the mount is back, and the ledger is in two pieces. So the
//! directory has a number, which the node remembers, and whether it lay `apart`: on another file system than the data
//! directory and the root.
//!
//! | there is | and it lay apart | |
//! |---|---|---|
//! | the number, or nothing is remembered of this path | | it is used |
//! | no such number | no | somebody removed or emptied it: it is used, and gets the number |
//! | the same, on a file system apart | yes | another file system was mounted there: the same |
//! | the same, beside the data directory or the root | yes | the mount is away: nothing lands before it is back, or `landing-dir` was removed |

use std::io::{self, IoSlice};
use std::path::Path;

use super::error::LandingError;
use crate::spool::{Disk, DiskFile, LOCK, OpenMode, read_full_at, write_all_at};

/// Where the node remembers the directory, in the data directory.
pub(super) const MEMORY: &str = "landing-dir";
const MEMORY_NEW: &str = "landing-dir.new";
/// More than the memory of the longest path.
const MEMORY_BYTES_MAX: usize = 8 * 1024;
/// A number as text.
const NUMBER_BYTES: usize = 32;
const APART: &str = "apart";
const BESIDE: &str = "beside";

/// What is remembered.
#[derive(Debug, PartialEq, Eq)]
struct Memory {
    number: String,
    is_apart: bool,
    dir: String,
}

/// Whether files may land in `dir`, which need not exist yet.
///
/// # Errors
/// [`LandingError::Away`], or what the disk says.
pub fn check_dir<D: Disk>(disk: &D, dir: &Path) -> Result<(), LandingError> {
    let dir = &std::path::absolute(dir).map_err(LandingError::disk("find", dir))?;
    let memory = recall(disk)?.filter(|memory| memory.is_apart && memory.dir == text_of(dir));
    let Some(memory) = memory else { return Ok(()) };
    let number = number_in(disk, dir).map_err(LandingError::disk("look at the lock of", dir))?;
    let is_here = number.is_some_and(|number| number == memory.number)
        || is_apart(disk, dir).map_err(LandingError::disk("look at", dir))?;
    if is_here { Ok(()) } else { Err(LandingError::Away { dir: dir.to_owned() }) }
}

/// Gives the directory, which was checked and is locked, a number if it has none, and remembers it.
pub(super) fn settle<D: Disk>(disk: &D, dir: &Path) -> Result<(), LandingError> {
    let known = recall(disk)?;
    let found = number_in(disk, dir).map_err(LandingError::disk("look at the lock of", dir))?;
    let number = if let Some(number) = found {
        number
    } else {
        let number = new_number(disk).map_err(LandingError::disk("make a number for", dir))?;
        give(disk, dir, &number).map_err(LandingError::disk("write the lock of", dir))?;
        number
    };
    let is_apart = is_apart(disk, dir).map_err(LandingError::disk("look at", dir))?;
    let memory = Memory { number, is_apart, dir: text_of(dir) };
    if known.as_ref() == Some(&memory) {
        return Ok(());
    }
    if let Some(known) = known.filter(|known| known.number != memory.number) {
        log::warn!(
            "event=landing_dir_is_new dir={:?} number={} before={} was_in={:?}",
            memory.dir,
            memory.number,
            known.number,
            known.dir
        );
    }
    remember(disk, &memory).map_err(LandingError::disk("write", MEMORY))
}

/// Whether a directory, or what it is to be made in, lies on another file system than the data directory and the root.
fn is_apart<D: Disk>(disk: &D, dir: &Path) -> io::Result<bool> {
    let mut device = None;
    for place in dir.ancestors() {
        match disk.device(place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => {
                device = found?;
                break;
            }
        }
    }
    let Some(device) = device else { return Ok(false) };
    let beside = [disk.device(Path::new("."))?, disk.device(Path::new("/"))?];
    Ok(!beside.contains(&Some(device)))
}

/// The number in a directory's lock; `None` if there is no lock or no number in it.
fn number_in<D: Disk>(disk: &D, dir: &Path) -> io::Result<Option<String>> {
    let Some(text) = read(disk, &dir.join(LOCK), NUMBER_BYTES)? else { return Ok(None) };
    let is_number = text.len() == NUMBER_BYTES && text.bytes().all(|b| b.is_ascii_hexdigit());
    Ok(is_number.then_some(text))
}

fn new_number<D: Disk>(disk: &D) -> io::Result<String> {
    let mut bytes = [0; NUMBER_BYTES / 2];
    disk.entropy(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

fn give<D: Disk>(disk: &D, dir: &Path, number: &str) -> io::Result<()> {
    let path = dir.join(LOCK);
    // The lock stays whose it is: it is not another file.
    let file = match disk.open(&path, OpenMode::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            disk.open(&path, OpenMode::Create)?
        }
        opened => opened?,
    };
    write_all_at(&file, 0, &mut [IoSlice::new(number.as_bytes()), IoSlice::new(b"\n")])?;
    file.sync_data()?;
    disk.sync_dir(dir)
}

fn recall<D: Disk>(disk: &D) -> Result<Option<Memory>, LandingError> {
    let text = read(disk, Path::new(MEMORY), MEMORY_BYTES_MAX);
    let text = text.map_err(LandingError::disk("read", MEMORY))?;
    Ok(text.as_deref().and_then(Memory::parse))
}

fn remember<D: Disk>(disk: &D, memory: &Memory) -> io::Result<()> {
    let Memory { number, is_apart, dir } = memory;
    let place = if *is_apart { APART } else { BESIDE };
    let text = format!("{number} {place} {dir}\n");
    let file = disk.open(Path::new(MEMORY_NEW), OpenMode::Create)?;
    write_all_at(&file, 0, &mut [IoSlice::new(text.as_bytes())])?;
    file.sync_data()?;
    disk.rename(Path::new(MEMORY_NEW), Path::new(MEMORY))?;
    disk.sync_dir(Path::new("."))
}

impl Memory {
    /// `None`: then nothing is remembered.
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.strip_suffix('\n')?.splitn(3, ' ');
        let (number, place, dir) = (words.next()?, words.next()?, words.next()?);
        let is_apart = place == APART;
        Some(Self { number: number.to_owned(), is_apart, dir: dir.to_owned() })
    }
}

/// The first bytes of a file as text; `None` if there is no such file, or they are none.
fn read<D: Disk>(disk: &D, path: &Path, bytes_max: usize) -> io::Result<Option<String>> {
    let file = match disk.open(path, OpenMode::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = vec![0; bytes_max];
    let count = read_full_at(&file, 0, &mut bytes)?;
    bytes.truncate(count);
    Ok(String::from_utf8(bytes).ok())
}

fn text_of(dir: &Path) -> String {
    dir.display().to_string()
}
