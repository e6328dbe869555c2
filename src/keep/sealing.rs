//! Seals files that have come whole.
//!
//! ```text
//!  seal --> both ends of its TsFile --sound--> an entry
//!                                   --flawed-> quarantine, with what belongs to it
//! ```
//!
//! What those ends hold is a few KiB, and looked at on the spot. But whoever sends a file chooses how long its last block
//! is, so that behind the first MiB the others have their turns: the rest is a job.

use super::keeper::{Keeper, Kept, decode, file_refused, unreadable};
use super::long_job::{Go, Host, Pause, wait_for};
use crate::limits;
use crate::link::receiver::{FileKey, Provenance};
use crate::spool::{Arrival, Disk, DiskFile, Fatal, FileReader, Spool};
use crate::tsfile::TsFileError;
use crate::tsfile::tail::Check;
use crate::wire::request::RequestType;

/// Payload of a seal that may wait for its job, one for each connection; those of stock peers have a few hundred bytes.
const WAITING_BYTES_MAX: usize = 4 * limits::KIB;

/// Whose files are sealed, in the order of the seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Whose.
    pub from: Provenance,
    /// Its files; `None`: an optional one that is absent.
    pub files: heapless::Vec<Option<FileKey>, { limits::SEAL_FILES_MAX }>,
}

/// A seal that waits until its file was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealing {
    /// What is sealed.
    pub sealed: Sealed,
    /// The seal.
    payload: Box<[u8]>,
}

/// What of a `TsFile`'s ends was seen.
enum Ends<F> {
    Sound,
    Flawed(String),
    Unseen { name: String, file: FileReader<F>, check: Box<Check> },
}

/// Seals files. The job that does, if looking at them takes long.
///
/// # Errors
/// The disk failed.
pub(super) fn seal<D: Disk>(
    keeper: &mut Keeper,
    spool: &mut Spool<D>,
    sealed: &Sealed,
    payload: &[u8],
    arrival: Arrival,
) -> Result<Result<Kept, Sealing>, Fatal> {
    let mut ends = Ends::of(keeper, spool, sealed, payload)?.step()?;
    while matches!(ends, Ends::Unseen { .. }) {
        if payload.len() <= WAITING_BYTES_MAX {
            return Ok(Err(Sealing { sealed: sealed.clone(), payload: payload.into() }));
        }
        ends = ends.step()?;
    }
    keeper.seal(spool, sealed, payload, ends.flaw(), arrival).map(Ok)
}

impl Sealing {
    /// Looks at the file, and seals it. `None`: the job was left.
    pub(super) fn run<D: Disk>(
        &self,
        host: &mut impl Host<D>,
        arrival: Arrival,
    ) -> Result<Option<Kept>, Fatal> {
        let Self { sealed, payload } = self;
        let (keeper, spool) = host.parts();
        let mut ends = Ends::of(keeper, spool, sealed, payload)?.step()?;
        while matches!(ends, Ends::Unseen { .. }) {
            if host.pause(Pause::Portion)? == Go::Away {
                return Ok(None);
            }
            ends = ends.step()?;
        }
        wait_for(host, |host| {
            let (keeper, spool) = host.parts();
            keeper.seal(spool, sealed, payload, ends.flaw(), arrival)
        })
    }
}

impl<F: DiskFile> Ends<F> {
    /// Those of the last file, if the seal is one of a `TsFile`; nothing is wrong with others.
    fn of<D: Disk<File = F>>(
        keeper: &Keeper,
        spool: &Spool<D>,
        sealed: &Sealed,
        payload: &[u8],
    ) -> Result<Self, Fatal> {
        let is_ts_file =
            |kind| matches!(kind, RequestType::TsFileSeal | RequestType::TsFileSealWithMod);
        let Some(seal) = decode(payload).filter(|seal| is_ts_file(seal.request_type)) else {
            return Ok(Self::Sound);
        };
        let last = sealed.files.last().copied().flatten();
        let Some(last) = last.and_then(|key| keeper.find(key)) else { return Ok(Self::Sound) };
        let file = match spool.partial_reader(last.partial) {
            Ok(file) => file,
            Err(error) => return file_refused(error).map(|_| Self::Sound),
        };
        let name = seal.ts_file().and_then(|file| file.name).unwrap_or_default();
        match Check::new(&file) {
            Ok(check) => Ok(Self::Unseen { name: name.to_owned(), file, check: Box::new(check) }),
            Err(flaw) => Self::flawed(name, flaw),
        }
    }

    fn step(self) -> Result<Self, Fatal> {
        let Self::Unseen { name, file, mut check } = self else { return Ok(self) };
        match check.step(&file) {
            Ok(None) => Ok(Self::Unseen { name, file, check }),
            Ok(Some(_)) => Ok(Self::Sound),
            Err(flaw) => Self::flawed(&name, flaw),
        }
    }

    fn flawed(name: &str, flaw: TsFileError) -> Result<Self, Fatal> {
        if let TsFileError::Read { source, .. } = flaw {
            return Err(unreadable(source));
        }
        Ok(Self::Flawed(format!("{name}: {flaw}")))
    }

    fn flaw(&self) -> Option<&str> {
        match self {
            Self::Flawed(why) => Some(why),
            Self::Sound | Self::Unseen { .. } => None,
        }
    }
}
