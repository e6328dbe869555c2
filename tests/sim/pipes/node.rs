//! The node whose pipes are played: its spool, its statements and its worker as in the program, without their threads.
//!
//! ```text
//!  goods --> spool calls --> SpoolThread::step --> Spool
//!  statements --> the task that owns the pipes --> acts: what each sends, played by the plant
//!                                        desk <--> Worker::step
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use penstock::config::{self, Config, Input, Role};
use penstock::data::{OriginId, Precision, Sequence};
use penstock::keep::spool_thread::SpoolThread;
use penstock::node::{Act, Played};
use penstock::ops::board::Board;
use penstock::ops::clock::EpochMillis;
use penstock::pipe::{Answer, Desired, Store};
use penstock::sink::air_gap::{Filtered, Named, Runs, Sampling};
use penstock::spool::{
    Arrival, Entry, FileList, Kind, NewEntry, NewFileEntry, Outcome, Reader, SealedFile, SimDisk,
    Source, Spool,
};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::task::{self, LocalSet};
use tokio::time;

use super::goods::{Goods, tablet_of};
use super::model::Def;
use crate::outer::small_spool;
use crate::plug::Plug;
use crate::worker::Worker;

/// What a pipe of the node sends.
pub(crate) type PipeFeed = Sampling<Filtered<Named<Runs<SimDisk>>>>;

/// Before the names of consumers that are pipes.
const CONSUMER_PREFIX: &str = "pipe.";
/// Turns of the node's tasks that one step is.
const TURNS: usize = 4;

pub(crate) struct Node {
    pub(crate) plug: Plug,
    up: Option<Up>,
    pub(crate) origin: Option<OriginId>,
    seed: u64,
}

/// What a crash takes.
struct Up {
    thread: SpoolThread<SimDisk>,
    played: Played<SimDisk>,
    observer: Reader<SimDisk>,
    taking: Vec<(u64, oneshot::Receiver<Taken>)>,
    asked: Option<oneshot::Receiver<Vec<Answer>>>,
    worker: Worker,
    /// Time that its tasks have not seen yet.
    behind: Duration,
    tasks: LocalSet,
    runtime: Runtime,
}

/// The sequence of what was taken in; none without room.
type Taken = Option<u64>;

/// A pipe as its record says, and how far its place has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) tag: u16,
    pub(crate) runs: bool,
    pub(crate) border: u64,
}

/// What a start finds.
pub(crate) struct Found {
    /// Positions of the consumers, by pipe.
    pub(crate) positions: BTreeMap<String, u64>,
    /// Goods by sequence, of all entries that are there.
    pub(crate) entries: BTreeMap<u64, u64>,
}

/// What became of a statement.
pub(crate) enum Said {
    Nothing,
    Answer(Answer),
}

impl Node {
    pub(crate) fn new(seed: u64) -> Self {
        Self { plug: Plug::new(seed), up: None, origin: None, seed }
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.up.is_some()
    }

    /// Starts it, which has to succeed unless the disk fails.
    pub(crate) fn open(&mut self, now: Instant, wall: EpochMillis, seed: u64) -> Option<Found> {
        match self.start(now, wall, seed) {
            Ok((up, positions)) if !self.plug.is_down() => {
                self.up = Some(up);
                Some(Found { positions, entries: self.observe() })
            }
            Ok(_) => {
                self.plug.crash();
                None
            }
            Err(error) => {
                assert!(self.plug.has_struck(), "seed {}: it does not start: {error}", self.seed);
                self.plug.crash();
                None
            }
        }
    }

    fn start(
        &mut self,
        now: Instant,
        wall: EpochMillis,
        seed: u64,
    ) -> Result<(Up, BTreeMap<String, u64>), String> {
        let disk = self.plug.disk.clone();
        let (spool, recovery) = Spool::open(disk.clone(), small_spool(), now, wall.0)
            .map_err(|error| error.to_string())?;
        assert_eq!(
            (recovery.corrupt_entries, recovery.cursors_lost),
            (0, 0),
            "a crash makes no flaws"
        );
        let origin = spool.origin();
        assert_eq!(*self.origin.get_or_insert(origin), origin, "it has a new identity");
        let of_pipe = |(_, name, cursor): (_, &str, &penstock::spool::Cursor)| {
            let pipe = name.strip_prefix(CONSUMER_PREFIX)?;
            Some((pipe.to_owned(), cursor.position.0))
        };
        let positions = spool.consumers().filter_map(of_pipe).collect();
        let observer = spool.reader(spool.reader(Sequence(1)).oldest());
        let ahead = spool.reader(Sequence(0));
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let (runtime, tasks) = (runtime.expect("a runtime"), LocalSet::new());
        let board = Arc::new(Board::new(Role::Sender, "inner", now));
        let started =
            tasks.block_on(&runtime, async { Played::start(config(), disk, spool, &board, seed) });
        let (played, thread) = started.map_err(|error| error.to_string())?;
        let (taking, behind) = (Vec::new(), Duration::ZERO);
        let (asked, worker) =
            (None, Worker::new(played.desk().clone(), self.plug.disk.clone(), ahead));
        let up = Up { thread, played, observer, taking, asked, worker, behind, tasks, runtime };
        Ok((up, positions))
    }

    /// The power goes, or the process.
    pub(crate) fn crash(&mut self) {
        self.up = None;
        self.plug.crash();
    }

    /// Entries that are durable since this was last asked.
    pub(crate) fn observe(&mut self) -> BTreeMap<u64, u64> {
        let mut entries = BTreeMap::new();
        let Some(up) = &mut self.up else { return entries };
        self.plug.undisturbed(|_| {
            while let Some(entry) = up.observer.next_entry().expect("the spool is read") {
                entries.insert(entry.header.sequence.0, number_of(&up.observer, &entry));
            }
        });
        entries
    }

    /// The pipes that are kept on the disk, but for those that were dropped.
    pub(crate) fn kept(&mut self) -> BTreeMap<String, Kept> {
        let opened = self.plug.undisturbed(Store::look).expect("records are read");
        assert_eq!(opened.damaged, [], "a record is damaged");
        let live = opened.pipes.into_iter().filter(penstock::pipe::Pipe::is_live);
        let kept = live.map(|pipe| {
            let runs = pipe.desired == Desired::Running;
            assert!(runs || pipe.desired == Desired::Stopped, "{:?}", pipe.desired);
            let tag = Def::tag_in(&format!("{:?}", pipe.definition.sink));
            (pipe.name.as_str().to_owned(), Kept { tag, runs, border: pipe.border.0 })
        });
        kept.collect()
    }

    /// Begins to take something in.
    pub(crate) fn take(&mut self, number: u64, goods: &Goods, wall: EpochMillis) {
        let Some(up) = &mut self.up else { return };
        let (reply, taken) = oneshot::channel();
        up.taking.push((number, taken));
        let (spool, goods) = (up.played.spool().clone(), goods.clone());
        up.tasks.spawn_local(async move {
            let taken = spool.call(move |spool| append(spool, number, &goods, wall)).await;
            // Nobody hears it after a crash.
            let _unheard = taken.map(|taken| reply.send(taken)).is_err();
        });
    }

    /// What was taken in and answered since, or could not be taken.
    pub(crate) fn taken(&mut self) -> Vec<(u64, Taken)> {
        let Some(up) = &mut self.up else { return Vec::new() };
        let mut all = Vec::new();
        up.taking.retain_mut(|(number, taken)| match taken.try_recv() {
            Ok(taken) => {
                all.push((*number, taken));
                false
            }
            Err(TryRecvError::Empty) => true,
            Err(TryRecvError::Closed) => panic!("goods {number}: nobody takes them in"),
        });
        all
    }

    /// What is being taken in.
    pub(crate) fn taking(&self) -> Vec<u64> {
        let taking = self.up.iter().flat_map(|up| &up.taking);
        taking.map(|(number, _)| *number).collect()
    }

    /// Asks for a statement. One at a time.
    pub(crate) fn ask(&mut self, text: &str) {
        let Some(up) = &mut self.up else { return };
        assert!(up.asked.is_none(), "one at a time");
        up.asked = Some(up.played.ask(text).expect("nobody else asks"));
    }

    /// What the statement was answered with.
    pub(crate) fn said(&mut self) -> Said {
        let Some(up) = &mut self.up else { return Said::Nothing };
        match up.asked.as_mut().map(oneshot::Receiver::try_recv) {
            None | Some(Err(TryRecvError::Empty)) => Said::Nothing,
            Some(Err(TryRecvError::Closed)) => panic!("nobody answers statements any more"),
            Some(Ok(mut answers)) => {
                up.asked = None;
                Said::Answer(answers.pop().expect("an answer"))
            }
        }
    }

    /// Lets its tasks work. Returns pipes that were started.
    pub(crate) fn run(&mut self) -> Vec<Act<SimDisk>> {
        let Some(up) = &mut self.up else { return Vec::new() };
        let behind = std::mem::take(&mut up.behind);
        let work = async {
            if !behind.is_zero() {
                time::advance(behind).await;
            }
            for _ in 0..TURNS {
                task::yield_now().await;
            }
        };
        up.tasks.block_on(&up.runtime, work);
        std::iter::from_fn(|| up.played.next_act()).collect()
    }

    /// Time passes for its tasks, too.
    pub(crate) fn pass(&mut self, time: Duration) {
        if let Some(up) = &mut self.up {
            up.behind += time;
        }
    }

    /// A turn of the spool's thread. `Err`: the disk failed.
    pub(crate) fn turn(&mut self, now: Instant, wall: EpochMillis) -> Result<(), String> {
        let Some(up) = &mut self.up else { return Ok(()) };
        up.thread.step(now, wall).map_err(|error| error.to_string())
    }

    /// A step of the worker. Returns whether there was one.
    pub(crate) fn work(&mut self) -> bool {
        self.up.as_mut().is_some_and(|up| up.worker.step())
    }

    /// Whether something is to be sent once more.
    pub(crate) fn replays(&self, pipe: &str) -> bool {
        let file = format!("pipes/{pipe}.replay");
        self.plug.disk.contents(Path::new(&file)).is_some()
    }
}

/// That of a node which has no stanzas.
fn config() -> &'static Config {
    static CONFIG: OnceLock<Config> = OnceLock::new();
    CONFIG.get_or_init(|| {
        let input = Input {
            role: Role::Sender,
            file: None,
            sets: &[],
            data_dir: Some(Path::new("/data")),
            state_directory: None,
            host_name: "inner",
            properties: None,
        };
        config::read(input).0
    })
}

/// Puts goods into the spool; none if there is no room, or the disk fails, which the spool's thread finds out.
fn append(spool: &mut Spool<SimDisk>, number: u64, goods: &Goods, wall: EpochMillis) -> Taken {
    let arrival = Arrival { wall_ms: wall.0, trusted: true };
    let (bytes, precision) = (goods.bytes(), Some(Precision::Ms));
    let (source, hops, time_range) = (Source::Own, 0, goods.times());
    let outcome = match goods {
        Goods::Tablet(_) => {
            let payload = &bytes;
            let kind = Kind::Tablet;
            spool.append(NewEntry { kind, source, hops, precision, time_range, payload }, arrival)
        }
        Goods::File(_) => {
            let partial = spool.create_partial().ok()?;
            if spool.write_partial(partial, 0, &bytes).is_err() {
                // What is left a start removes.
                let _left = spool.discard_partial(partial).is_err();
                return None;
            }
            let name = format!("f{number}.tsfile");
            let file = SealedFile {
                name: Some(&name),
                partial: Some(partial),
                bytes: bytes.len() as u64,
                hash: *blake3::hash(&bytes).as_bytes(),
            };
            let entry = NewFileEntry {
                source,
                hops,
                precision,
                time_range,
                request_type: 0,
                request_crc: None,
                files: &[file],
                parameters: &[],
            };
            let sealed = spool.seal(entry, arrival);
            if sealed.is_err() {
                let _left = spool.discard_partial(partial).is_err();
            }
            sealed
        }
    };
    match outcome {
        Ok(Outcome::Appended(sequence)) => Some(sequence.0),
        Ok(other) => panic!("an own entry: {other:?}"),
        Err(_) => None,
    }
}

/// Which goods an entry is.
fn number_of(reader: &Reader<SimDisk>, entry: &Entry) -> u64 {
    let mut payload = vec![0; entry.header.payload_bytes as usize];
    reader.read_payload(entry, 0, &mut payload).expect("a payload is read");
    if entry.header.kind == Kind::Tablet {
        return tablet_of(&payload).0.number();
    }
    let list = FileList::parse(&payload).expect("a list of files");
    let name = list.files().next().and_then(|file| file.name).expect("a name");
    let digits = name.strip_prefix('f').and_then(|name| name.strip_suffix(".tsfile"));
    digits.and_then(|digits| digits.parse().ok()).expect("a file of ours")
}
