//! Undoing the compression of a request that is too large for memory: from file to file, by portions.
//!
//! ```text
//!  file --last step undone--> (step file --next step--> step file ...) --first step--> into
//! ```
//!
//! One step runs at a time, in two windows of 64 KiB and what its codec needs: 256 KiB, for zstd the window
//! of its frame (2^[`ZSTD_WINDOW_LOG_MAX`](crate::data::compressor::ZSTD_WINDOW_LOG_MAX) bytes at most), for
//! lzma2 [`LZMA_MEMORY_BYTES_MAX`](crate::data::compressor::LZMA_MEMORY_BYTES_MAX). What needs more is taken
//! for undecodable, and so goes to quarantine.

use std::io::{self, BufRead, Read};

use super::keeper::{Kept, unreadable};
use super::long_job::{
    COPY_BYTES, Go, Host, Opened, PORTION_BYTES, Pause, UNDECODABLE, fits, open, wait_for, write,
};
use crate::data::compressor::Compressor;
use crate::data::{Buffered, ReadAt};
use crate::limits;
use crate::link::receiver::FileKey;
use crate::spool::{Disk, Fatal};
use crate::wire::bytes::Reader;
use crate::wire::compressed::{Compressed, Step};
use crate::wire::request::Head;

/// Numbers of the files between two steps; receivers count theirs from 0.
const STEP_FILES: [u32; 2] = [u32::MAX - 1, u32::MAX - 2];
/// Head and steps of a compressed request are shorter.
const STEPS_BYTES_MAX: usize = 64;

/// Undoes the compression of the request in `file`, into `into`, and shows that.
///
/// # Errors
/// The disk failed.
pub(super) fn run<D: Disk>(
    host: &mut impl Host<D>,
    file: FileKey,
    into: FileKey,
) -> Result<Option<Kept>, Fatal> {
    let undone = undo(host, file, into);
    let (keeper, spool) = host.parts();
    for number in STEP_FILES {
        keeper.discard(spool, FileKey { number, ..file })?;
    }
    match undone? {
        Some(Kept::Silent) => {
            keeper.discard(spool, file)?;
            keeper.show(spool, into).map(Some)
        }
        other => {
            keeper.discard(spool, into)?;
            Ok(other)
        }
    }
}

/// [`Kept::Silent`]: all of it is in `into`.
fn undo<D: Disk>(
    host: &mut impl Host<D>,
    file: FileKey,
    into: FileKey,
) -> Result<Option<Kept>, Fatal> {
    let Some(Opened { reader, .. }) = open(host, file)? else { return Ok(UNDECODABLE) };
    let Some((steps, mut offset)) = read_steps(&reader)? else { return Ok(UNDECODABLE) };
    let max_bytes = host.parts().0.max_frame_bytes;
    if steps.iter().any(|step| step.stated_bytes > max_bytes) {
        return Ok(UNDECODABLE);
    }
    let (own, most) = (reader.len(), most_bytes(&steps, &reader));
    let room = wait_for(host, |host| Ok(fits(host.parts().1, own, most)))?;
    if !matches!(room, Some(Kept::Silent)) {
        return Ok(room);
    }
    let mut from = file;
    // Without a step there is one copy; else the steps are undone from the last to the first.
    for left in (0..steps.len().max(1)).rev() {
        let number = STEP_FILES.get(left % 2).copied().unwrap_or(into.number);
        let to = if left == 0 { into } else { FileKey { number, ..file } };
        let kept = undo_step(host, steps.get(left).copied(), (from, offset), to)?;
        if !matches!(kept, Some(Kept::Silent)) {
            return Ok(kept);
        }
        (from, offset) = (to, 0);
    }
    Ok(Some(Kept::Silent))
}

/// Bytes that lie beside the request in `reader` at one time, at most: what a step reads and what it writes.
fn most_bytes(steps: &[Step], reader: &impl ReadAt) -> u64 {
    let stated = |index: usize| steps.get(index).map_or(0, |step| u64::from(step.stated_bytes));
    // The last step reads the request itself; without a step all of it is copied.
    let most = (0..steps.len()).map(|index| stated(index) + stated(index + 1)).max();
    most.unwrap_or_else(|| reader.len())
}

/// What [`Compressed`] has as steps, and where the bytes of the last one begin.
type Steps = (heapless::Vec<Step, { limits::WRAPPERS_MAX }>, u64);

/// `None` if they make no sense.
fn read_steps(reader: &impl ReadAt) -> Result<Option<Steps>, Fatal> {
    let mut head = [0; STEPS_BYTES_MAX];
    let read = reader.read_at(0, &mut head).map_err(unreadable)?;
    let body = head.get(Head::BYTES..read).unwrap_or_default();
    let request = Compressed::read(&mut Reader::at(body, Head::BYTES));
    Ok(request.ok().map(|request| (request.steps, (read - request.bytes.len()) as u64)))
}

/// Undoes a step of the bytes that begin at a place in a file; without a step they are copied.
fn undo_step<D: Disk>(
    host: &mut impl Host<D>,
    step: Option<Step>,
    (from, offset): (FileKey, u64),
    to: FileKey,
) -> Result<Option<Kept>, Fatal> {
    let Some(Opened { reader, .. }) = open(host, from)? else { return Ok(UNDECODABLE) };
    let mut input = Buffered::new(reader, offset, COPY_BYTES);
    let copied = match step {
        None => copy(host, &mut input, to)?,
        Some(step) => match undone(step, &mut input) {
            Ok(mut undone) => copy(host, &mut undone, to)?,
            Err(error) => Err(error),
        },
    };
    match copied {
        Ok(kept) => Ok(kept),
        Err(error) if input.has_failed() => Err(unreadable(error)),
        Err(error) => {
            log::warn!("event=not_undone step={step:?} error=\"{error}\"");
            Ok(UNDECODABLE)
        }
    }
}

fn undone(step: Step, input: &mut impl BufRead) -> io::Result<impl Read> {
    let compressor = Compressor::from_id(step.id).ok_or(io::ErrorKind::Unsupported)?;
    compressor.reader(input, u64::from(step.stated_bytes))
}

/// What came of a copy; the error is that of the bytes that are read.
type Copied = io::Result<Option<Kept>>;

/// Copies all that `from` gives to a new file.
fn copy<D: Disk>(
    host: &mut impl Host<D>,
    from: &mut impl Read,
    to: FileKey,
) -> Result<Copied, Fatal> {
    // What a run before this one has left.
    let (keeper, spool) = host.parts();
    keeper.discard(spool, to)?;
    let mut buffer = vec![0; COPY_BYTES];
    let mut portion = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(Ok(Some(Kept::Silent))),
            Ok(read) => read,
            Err(error) => return Ok(Err(error)),
        };
        let written = write(host, to, buffer.get(..read).unwrap_or_default())?;
        if !matches!(written, Some(Kept::Silent)) {
            return Ok(Ok(written));
        }
        portion += read;
        if portion >= PORTION_BYTES {
            portion = 0;
            if host.pause(Pause::Portion)? == Go::Away {
                return Ok(Ok(None));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keep::keeper::Keeper;
    use crate::link::receiver::Outcome;
    use crate::spool::{Fault, LinkId, Settings, SimDisk, Spool};
    use crate::wire::compressed::compress;

    const FILE: FileKey = FileKey { link: LinkId(1), number: 1 };
    const INTO: FileKey = FileKey { link: LinkId(1), number: 2 };

    struct Alone {
        disk: SimDisk,
        keeper: Keeper,
        spool: Spool<SimDisk>,
    }

    impl Host<SimDisk> for Alone {
        fn parts(&mut self) -> (&mut Keeper, &mut Spool<SimDisk>) {
            (&mut self.keeper, &mut self.spool)
        }

        fn pause(&mut self, _: Pause) -> Result<Go, Fatal> {
            Ok(Go::On)
        }
    }

    impl Alone {
        /// With a file that holds this type 300.
        fn with(body: &[u8]) -> Self {
            Self::with_room(body, Settings::default())
        }

        fn with_room(body: &[u8], settings: Settings) -> Self {
            let disk = SimDisk::new(1, 1 << 30);
            let now = crate::ops::clock::now();
            let (spool, _) = Spool::open(disk.clone(), settings, now, 0).unwrap();
            let mut alone = Self { disk, keeper: Keeper::new(4 << 20), spool };
            let payload = [&[1, 1, 44], body].concat();
            alone.keeper.write(&mut alone.spool, FILE, &payload).unwrap();
            alone
        }

        fn bytes(&mut self, key: FileKey) -> Vec<u8> {
            let reader = open(self, key).unwrap().unwrap().reader;
            let mut bytes = Vec::new();
            Buffered::new(reader, 0, 1000).read_to_end(&mut bytes).unwrap();
            bytes
        }
    }

    fn compressed(steps: &[Compressor], payload: &[u8]) -> Vec<u8> {
        let (mut out, mut spare) = (Vec::new(), Vec::new());
        compress(steps, payload, &mut out, &mut spare).unwrap();
        out
    }

    fn payload() -> Vec<u8> {
        (0_u32..300_000).flat_map(|at| (at.wrapping_mul(at) >> 9).to_le_bytes()).collect()
    }

    #[test]
    fn every_chain_of_steps_is_undone_and_leaves_one_file() {
        let payload = payload();
        for last in Compressor::ALL {
            let chain = [Compressor::Zstd, Compressor::Lz4, Compressor::Gzip, last];
            for steps in [&chain[4..], &chain[3..], &chain[2..], &chain] {
                let mut alone = Alone::with(&compressed(steps, &payload));
                let kept = run(&mut alone, FILE, INTO).unwrap();
                let bytes = payload.len() as u64;
                assert!(
                    matches!(kept, Some(Kept::Done(Outcome::Unwrapped { file: INTO, bytes: got, .. })) if got == bytes),
                    "{steps:?}: {kept:?}"
                );
                assert!(alone.bytes(INTO) == payload, "{steps:?}");
                assert_eq!(alone.keeper.open_files(), 1, "{steps:?}");
            }
        }
    }

    #[test]
    fn what_makes_no_sense_stays_as_it_came() {
        let steps = [Compressor::Snappy, Compressor::Zstd];
        let whole = compressed(&steps, &payload());
        let stated = |bytes: u32| {
            let mut body = whole.clone();
            body[2..6].copy_from_slice(&bytes.to_be_bytes());
            body
        };
        // Cut off, another size, a size above the limit, an unknown method, too many steps.
        let flawed = [
            whole[..whole.len() - 1].to_vec(),
            stated(1_200_001),
            stated((4 << 20) + 1),
            [&[1, 9, 0, 0, 0, 1], &[7; 100][..]].concat(),
            vec![5; 100],
        ];
        for body in flawed {
            let mut alone = Alone::with(&body);
            let kept = run(&mut alone, FILE, INTO).unwrap();
            assert!(matches!(kept, Some(Kept::Done(Outcome::Undecodable))), "{kept:?}");
            assert_eq!(alone.keeper.open_files(), 1);
            assert_eq!(alone.bytes(FILE).len(), body.len() + 3);
        }
    }

    #[test]
    fn what_never_fits_beside_its_steps_is_given_up_before_anything_is_written() {
        let body = compressed(&[Compressor::Lz4, Compressor::Zstd], &payload());
        let undone = payload().len() as u64;
        let run_with = |max_bytes| {
            let settings = Settings { max_bytes, segment_bytes: 64 << 10, ..Settings::default() };
            let mut alone = Alone::with_room(&body, settings);
            let before = alone.disk.calls().writes;
            let kept = run(&mut alone, FILE, INTO).unwrap().unwrap();
            (kept, alone.disk.calls().writes - before)
        };
        let Kept::Done(Outcome::NeverFits { needed, limit }) = run_with(2 * undone).0 else {
            panic!("it fits");
        };
        assert!(needed > 2 * undone && limit < 2 * undone, "{needed}, {limit}");
        assert_eq!(run_with(2 * undone).1, 0, "others have the room");
        let enough = needed + (64 << 10);
        assert!(matches!(run_with(enough - 1).0, Kept::Done(Outcome::NeverFits { .. })));
        assert!(matches!(run_with(enough).0, Kept::Done(Outcome::Unwrapped { .. })));
    }

    #[test]
    fn a_disk_that_cannot_read_is_not_the_senders_fault() {
        let body = compressed(&[Compressor::Gzip], &payload());
        let mut failures = 0;
        for call in 0..8 {
            let mut alone = Alone::with(&body);
            alone.disk.schedule(call, Fault::Io, false);
            match run(&mut alone, FILE, INTO) {
                Err(_) => failures += 1,
                Ok(kept) => assert!(
                    matches!(kept, Some(Kept::Done(Outcome::Unwrapped { .. }))),
                    "call {call}: {kept:?}"
                ),
            }
        }
        assert!(failures >= 6, "{failures}");
    }
}
