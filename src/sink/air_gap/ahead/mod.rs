//! Tablets that go before the answers to earlier ones: several to a request, over several connections.
//!
//! ```text
//!  Feed --tablet-- by its device --> Batch --ripe--> Connection (a task each) ===call===> a node
//!       --other--- waits until all of them are answered, and goes the ordinary way          |
//!       <------ settled up to the first that is not answered ------ Outcome <----reply------+
//! ```
//!
//! - A device's tablets take one connection, which has one request under way: so the order of each series is kept.
//! - What is on its way lies in the buffers, one to a connection: when they are full, nothing more is read.
//! - Here nothing but the good case is dealt with. Whatever else happens, all that is not answered is taken back
//!   ([`Feed::go_back`]), and the tablets of the request that failed go the ordinary way, one by one, with its pauses, messages
//!   and dead letters. Some tablets may go a second time then, the same ones in the same order, as after a restart.

mod batch;
mod connection;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;

use self::batch::{Batch, Put};
use self::connection::{Common, Job, Outcome, carry};
use super::feed::Feed;
use super::frame_buffer::{BuildError, FrameBuffer};
use super::line::until;
use super::settings::Packing;
use super::{AirGapSettings, AirGapSink, OwnTrouble};
use crate::config::GateOrder;
use crate::data::{Precision, Sequence};
use crate::limits::{AHEAD_CONNECTIONS, AHEAD_TURN, STOP_GRACE, ahead_bytes_max};
use crate::link::backoff::Random;
use crate::link::sender::Frame;
use crate::ops::clock;
use crate::spool::{EntryHeader, Kind};
use crate::statement::ThriftSink;

/// How a sink sends ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AheadPlan {
    /// Requests that may be under way at the same time, over a connection each: at least 1.
    pub connections: usize,
    /// How tablets are put together; none for a request each.
    pub batch: Option<Batching>,
}

/// When a request of several tablets leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// Once its first tablet has waited so long; none for no limit.
    pub max_delay: Option<Duration>,
    /// Once it has so many bytes. All requests that are under way share what a single one may have in memory.
    pub bytes: usize,
}

impl AheadPlan {
    /// What the attributes of a thrift sink say; none for one tablet after the other.
    pub fn of(sink: &ThriftSink) -> Option<Self> {
        let connections = if sink.is_asynchronous { AHEAD_CONNECTIONS } else { 1 };
        let batch = sink.batch.map(|batch| Batching {
            max_delay: batch.max_delay,
            bytes: usize::try_from(batch.bytes).unwrap_or(usize::MAX),
        });
        (connections > 1 || batch.is_some()).then_some(Self { connections, batch })
    }
}

/// What is on its way.
#[derive(Debug)]
pub(super) struct Ahead {
    plan: AheadPlan,
    /// Bytes of a request of several tablets; none for a request each.
    bytes_max: Option<usize>,
    common: Arc<Common>,
    packing: Packing,
    /// What requests are compressed in, one after the other.
    packing_memory: (Vec<u8>, Vec<u8>),
    order: GateOrder,
    random: Random,
    slots: Vec<Slot>,
    outcomes: mpsc::Receiver<Outcome>,
    tasks: JoinSet<()>,
    /// Entries up to this one go the ordinary way.
    alone_to: Sequence,
    /// The frame of the handshake, and the unit of times that it tells.
    handshake: Option<(Precision, Arc<[u8]>)>,
}

/// A connection, as its sink sees it.
#[derive(Debug)]
struct Slot {
    jobs: mpsc::Sender<Job>,
    /// None while its request is under way.
    buffer: Option<FrameBuffer>,
    /// The tablets in it.
    batch: Option<Batch>,
    /// Bytes of the frame under way.
    frame_bytes: u64,
}

/// What came of reading the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filled {
    /// There is more.
    More,
    /// There is nothing more yet.
    Drained,
    /// The next tablet waits for this connection.
    Blocked(usize),
    /// The next entry goes the ordinary way.
    Ordinary,
}

impl Ahead {
    /// Nothing is under way, and no connection made.
    pub(super) fn new(plan: AheadPlan, settings: &AirGapSettings, seed: u64) -> Self {
        let room = ahead_bytes_max(plan.connections);
        let common = Common {
            nodes: settings.node_urls.clone(),
            envelope: settings.envelope,
            handshake_timeout: settings.handshake_timeout,
            rates: Mutex::new(settings.rates.clone()),
        };
        let (_, outcomes) = mpsc::channel(1);
        Self {
            plan,
            bytes_max: plan.batch.map(|batch| batch.bytes.min(room)),
            common: Arc::new(common),
            packing: settings.packing.clone(),
            packing_memory: (Vec::new(), Vec::new()),
            order: settings.gate_order,
            random: Random::new(seed),
            slots: Vec::new(),
            outcomes,
            tasks: JoinSet::new(),
            alone_to: Sequence(0),
            handshake: None,
        }
    }

    /// Starts the tasks, if there are none.
    fn begin(&mut self) {
        if !self.slots.is_empty() {
            return;
        }
        let (tell, outcomes) = mpsc::channel(self.plan.connections);
        self.outcomes = outcomes;
        for slot in 0..self.plan.connections {
            let (jobs, wanted) = mpsc::channel(1);
            let buffer = Some(FrameBuffer::new(self.common.envelope, self.packing.clone()));
            self.slots.push(Slot { jobs, buffer, batch: None, frame_bytes: 0 });
            self.tasks.spawn(carry(slot, Arc::clone(&self.common), wanted, tell.clone()));
        }
    }

    /// Forgets whatever is on its way, and ends all connections.
    fn give_up(&mut self) {
        self.tasks.abort_all();
        self.tasks = JoinSet::new();
        self.slots.clear();
    }

    /// Whether something was read that is not answered.
    fn is_busy(&self) -> bool {
        self.slots.iter().any(|slot| slot.batch.is_some())
    }

    fn is_under_way(&self) -> bool {
        self.slots.iter().any(|slot| slot.buffer.is_none())
    }

    /// The first entry that is not answered.
    fn pending(&self) -> Option<Sequence> {
        self.slots.iter().filter_map(|slot| Some(slot.batch?.first)).min()
    }

    /// Which connection a tablet takes.
    fn slot_of(&self, header: &EntryHeader) -> usize {
        usize::try_from(header.device).unwrap_or(0) % self.slots.len().max(1)
    }

    /// When the next request that is not under way leaves; none if it waits for more.
    fn ripe_at(&self) -> Option<Instant> {
        self.slots.iter().filter_map(|slot| self.ripe(slot)).min()
    }

    fn ripe(&self, slot: &Slot) -> Option<Instant> {
        let (buffer, batch) = (slot.buffer.as_ref()?, slot.batch?);
        match self.plan.batch.zip(self.bytes_max) {
            Some((plan, most)) if buffer.payload_bytes() < most => {
                batch.since.checked_add(plan.max_delay?)
            }
            Some(_) | None => Some(batch.since),
        }
    }

    /// Whether the request of a connection leaves now that the feed has given so much.
    fn is_due(&self, index: usize, filled: Filled, now: Instant) -> bool {
        let Some(slot) = self.slots.get(index) else { return false };
        let waits = slot.buffer.is_some() && slot.batch.is_some();
        let is_waited_for = matches!(filled, Filled::Ordinary) || filled == Filled::Blocked(index);
        waits && (is_waited_for || self.ripe(slot).is_some_and(|at| at <= now))
    }

    /// Sends the request of a connection; says how many bytes that are.
    fn launch(&mut self, index: usize, gate: usize) -> Result<u64, BuildError> {
        let (is_batch, node) = (self.bytes_max.is_some(), self.node_of(index, gate));
        let Some((_, handshake)) = &self.handshake else { return Ok(0) };
        let Some(slot) = self.slots.get_mut(index) else { return Ok(0) };
        let (Some(mut buffer), Some(batch)) = (slot.buffer.take(), slot.batch) else {
            return Ok(0);
        };
        buffer.swap_packing_memory(&mut self.packing_memory);
        let finished = batch.finish(&mut buffer, is_batch);
        buffer.swap_packing_memory(&mut self.packing_memory);
        slot.frame_bytes = finished?;
        let job = Job { buffer, handshake: Arc::clone(handshake), node };
        // It has room, as nothing is under way. If its task is gone, no answer comes, and all is taken back.
        let sent = slot.jobs.try_send(job);
        debug_assert!(sent.is_ok(), "a connection has one request at a time");
        Ok(slot.frame_bytes)
    }

    /// The node that a connection tries first; `gate` is where the sink has the one of its own.
    fn node_of(&mut self, index: usize, gate: usize) -> usize {
        match self.order {
            GateOrder::RoundRobin => gate + index,
            GateOrder::Random => self.random.below(self.common.nodes.len().max(1)),
            GateOrder::Priority => 0,
        }
    }

    /// Nothing is on its way: keeps no memory for it.
    fn rest(&mut self) {
        self.slots.iter_mut().filter_map(|slot| slot.buffer.as_mut()).for_each(FrameBuffer::rest);
        self.packing_memory = (Vec::new(), Vec::new());
    }
}

impl<F: Feed> AirGapSink<F> {
    /// Sends tablets ahead for as long as nothing else is to be done.
    pub(super) async fn go_ahead(&mut self) {
        let sender = &self.line.sender;
        let is_well = sender.is_free() && sender.is_connected() && sender.trouble().is_none();
        let is_held = self.drained || self.current.is_some() || self.held.is_some();
        if !is_well || is_held || sender.is_of_old_node() {
            return;
        }
        let Some(mut ahead) = self.ahead.take() else { return };
        ahead.begin();
        self.drive(&mut ahead).await;
        if ahead.is_busy() {
            ahead.give_up();
            self.feed.go_back();
        }
        ahead.rest();
        self.ahead = Some(ahead);
    }

    /// Returns when nothing is on its way and the feed has nothing to send ahead, or when something went wrong.
    async fn drive(&mut self, ahead: &mut Ahead) {
        loop {
            let filled = self.fill(ahead);
            if !self.launch(ahead, filled) || !ahead.is_busy() {
                return;
            }
            if filled == Filled::More {
                yield_now().await;
                continue;
            }
            let (feed, line, ripe) = (&mut self.feed, &mut self.line, ahead.ripe_at());
            let may_come = filled == Filled::Drained;
            let outcome = tokio::select! {
                biased;
                () = line.ordered_to_stop() => return self.end(ahead).await,
                outcome = ahead.outcomes.recv() => outcome,
                () = until(ripe), if ripe.is_some() => continue,
                () = feed.changed(), if may_come => continue,
            };
            if !outcome.is_some_and(|outcome| self.settle(ahead, outcome)) {
                return;
            }
        }
    }

    /// Reads tablets into the requests that are not under way.
    fn fill(&mut self, ahead: &mut Ahead) -> Filled {
        for _ in 0..AHEAD_TURN {
            let header = match self.feed.next_entry() {
                Ok(Some(header)) => header,
                Ok(None) => return Filled::Drained,
                // Which comes to light once more, and is told then.
                Err(_) => return Filled::Ordinary,
            };
            if !self.goes_ahead(&header, ahead) {
                return Filled::Ordinary;
            }
            let index = ahead.slot_of(&header);
            let Some(slot) = ahead.slots.get_mut(index) else { return Filled::Ordinary };
            let Some(buffer) = &mut slot.buffer else { return Filled::Blocked(index) };
            let (feed, of) = (&mut self.feed, (&header, clock::now()));
            let read = |into: &mut [u8]| feed.read_payload(into);
            match Batch::put(&mut slot.batch, buffer, of, ahead.bytes_max, read) {
                Ok(Put::Done) => self.feed.go_ahead(&header),
                Ok(Put::Full) => return Filled::Blocked(index),
                Ok(Put::Unfit) | Err(_) => {
                    ahead.alone_to = header.sequence;
                    return Filled::Ordinary;
                }
            }
        }
        Filled::More
    }

    fn goes_ahead(&self, header: &EntryHeader, ahead: &Ahead) -> bool {
        header.kind == Kind::Tablet
            && header.device != 0
            && header.sequence > ahead.alone_to
            && header.precision.unwrap_or(self.settings.precision) == self.precision
            && self.feed.may_go_ahead()
    }

    /// Sends what is due. False if a request cannot be built.
    fn launch(&mut self, ahead: &mut Ahead, filled: Filled) -> bool {
        let now = clock::now();
        for index in 0..ahead.slots.len() {
            if !ahead.is_due(index, filled, now) {
                continue;
            }
            let launched = self.greet_in(ahead).map_err(|error| error.to_string());
            let gate = self.line.sender.gate();
            match launched.and_then(|()| ahead.launch(index, gate).map_err(|e| e.to_string())) {
                Ok(bytes) => self.row.sent(bytes),
                Err(why) => {
                    self.take_back(ahead, index, &why);
                    return false;
                }
            }
        }
        true
    }

    /// Builds the handshake that connections need now.
    fn greet_in(&mut self, ahead: &mut Ahead) -> Result<(), OwnTrouble> {
        if ahead.handshake.as_ref().is_some_and(|(precision, _)| *precision == self.precision) {
            return Ok(());
        }
        // It lies in the buffer of frames that go the ordinary way, of which none is under way.
        self.prepared = None;
        self.outgoing().prepare(Frame::HandshakeV2)?;
        ahead.handshake = Some((self.precision, Arc::from(self.buffer.frame())));
        Ok(())
    }

    /// A request was answered, or never will be: false.
    fn settle(&mut self, ahead: &mut Ahead, outcome: Outcome) -> bool {
        let Outcome { slot: index, buffer, result } = outcome;
        if let Err(why) = result {
            self.take_back(ahead, index, &why);
            return false;
        }
        let Some(slot) = ahead.slots.get_mut(index) else { return false };
        (slot.buffer, slot.batch) = (Some(buffer), None);
        self.row.accepted(slot.frame_bytes, clock::now());
        self.recover();
        self.feed.settle(ahead.pending());
        true
    }

    /// The tablets of this request go the ordinary way.
    fn take_back(&self, ahead: &mut Ahead, index: usize, why: &str) {
        let failed = ahead.slots.get(index).and_then(|slot| slot.batch);
        if let Some(Batch { first, last, .. }) = failed {
            log::info!("event=taken_back pipe={} entries={first}-{last} why=\"{why}\"", self.pipe);
            ahead.alone_to = ahead.alone_to.max(last);
        }
    }

    /// The order to stop has come: what is under way keeps a while for its answers.
    async fn end(&mut self, ahead: &mut Ahead) {
        let answered = async {
            let mut goes_on = true;
            while goes_on && ahead.is_under_way() {
                let outcome = ahead.outcomes.recv().await;
                goes_on = outcome.is_some_and(|outcome| self.settle(ahead, outcome));
            }
        };
        // Whatever is late comes once more after the next start.
        let _is_late = timeout(STOP_GRACE, answered).await.is_err();
        self.line.stop();
    }
}
