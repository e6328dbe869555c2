//! One schedule: two nodes, the gate between them, a stock peer beside, and whatever happens to them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use penstock::ops::clock::{self, EpochMillis};
use penstock::spool::{Fault, Settings, WhenFull};

use crate::inbox::has_worked;
use crate::inner::Inner;
use crate::line::{DISTURBANCES, End, Line};
use crate::outer::{Outer, large_spool, small_spool};
use crate::plug::Plug;
use crate::random::Random;
use crate::record::LANE_UNITS;
use crate::stock::Lane;
use crate::time::Time;
use crate::units::Unit;
use crate::voice::Did;
use crate::worker::Ear;

/// Steps in which anything may happen.
const WILD_STEPS: u64 = 300;
/// The same where nothing but a disk goes wrong; the rest of the run comes after them.
const QUIET_STEPS: u64 = 100;
/// Steps and virtual time after that in which everything has to arrive.
const CALM_STEPS: u64 = 200_000;
const CALM_TIME: Duration = Duration::from_secs(12 * 3600);
/// One schedule of so many with a stock peer has a request that is too long for memory: it takes as long as fifty others.
const LONG_ONE_IN: u64 = 240;

pub(crate) struct World {
    random: Random,
    seed: u64,
    time: Time,
    now: Instant,
    inner: Inner,
    outer: Outer,
    lanes: Vec<Lane>,
    lines: Vec<Line>,
    units: HashMap<u64, Unit>,
    /// Units that the inner node may still take in.
    supply: Vec<Unit>,
    /// The only thing that goes wrong, if anything does, is a call of a disk.
    quiet: bool,
}

/// One of the two nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Inner,
    Outer,
}

/// A call of a disk that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FailingCall {
    pub(crate) side: Side,
    /// Calls of that disk before it, from its very first one.
    pub(crate) index: u64,
    pub(crate) fault: Fault,
    /// All later ones fail, too, until the node is started anew.
    pub(crate) lasts: bool,
}

impl World {
    pub(crate) fn new(seed: u64, start: Instant, trace: bool) -> Self {
        let mut random = Random::new(seed);
        let kind = random.below(4);
        Self::of_kind(seed, kind, random, (start, trace))
    }

    /// Both senders and nothing that goes wrong, but for one call.
    pub(crate) fn quiet(seed: u64, start: Instant, failing: Option<FailingCall>) -> Self {
        let mut world = Self::of_kind(seed, 1, Random::new(seed), (start, false));
        world.quiet = true;
        if let Some(FailingCall { side, index, fault, lasts }) = failing {
            world.plug(side).arm(index, fault, lasts);
        }
        world
    }

    const fn plug(&mut self, side: Side) -> &mut Plug {
        match side {
            Side::Inner => &mut self.inner.plug,
            Side::Outer => &mut self.outer.plug,
        }
    }

    /// Calls that a disk was asked for so far.
    pub(crate) fn calls(&mut self, side: Side) -> u64 {
        self.plug(side).disk.calls().all
    }

    fn of_kind(seed: u64, kind: u64, mut random: Random, (start, trace): (Instant, bool)) -> Self {
        let units_of = |lane: u64, most: u64, random: &mut Random| {
            let first = lane * LANE_UNITS;
            let count = random.between(1, most);
            (first..first + count).map(|number| Unit::new(number, random)).collect::<Vec<_>>()
        };
        let mut supply: Vec<_> = match kind {
            0 => Vec::new(),
            _ => (0..random.between(1, 14))
                .map(|number| Unit::of_one_source(number, &mut random))
                .collect(),
        };
        let mut lanes: Vec<_> = match kind {
            0 => (1..=random.between(1, 3)).map(|lane| units_of(lane, 8, &mut random)).collect(),
            1 => vec![units_of(1, 6, &mut random)],
            _ => Vec::new(),
        };
        let has_long = !lanes.is_empty() && random.once_in(LONG_ONE_IN);
        if let Some(unit) =
            lanes.first_mut().and_then(|units| units.last_mut()).filter(|_| has_long)
        {
            *unit = Unit::long(unit.number, &mut random);
        }
        let outer_spool = if has_long { large_spool() } else { small_spool() };
        let units = supply.iter().chain(lanes.iter().flatten());
        let units = units.map(|unit| (unit.number, unit.clone())).collect();
        supply.reverse();
        let inner = Inner::new(seed ^ 1, tight(&small_spool(), &mut random), &mut random);
        let mut outer = Outer::new(seed ^ 2, outer_spool);
        outer.record.overtakes = inner.fresh_share.is_some();
        Self {
            inner,
            outer,
            lanes: lanes.iter().map(|units| Lane::new(units, start, &mut random)).collect(),
            lines: Vec::new(),
            random,
            seed,
            time: Time::new(start, trace),
            now: start,
            units,
            supply,
            quiet: false,
        }
    }

    /// Plays the schedule to its end; a broken rule panics.
    pub(crate) fn play(&mut self) {
        self.hear_log();
        self.reopen();
        let steps = if self.quiet { QUIET_STEPS } else { WILD_STEPS };
        for _ in 0..steps {
            self.step();
            self.now += Duration::from_millis(self.random.below(20));
            match self.random.below(100) {
                0 => self.now += Duration::from_secs(self.random.below(70)),
                1..5 => self.skip(),
                _ => {}
            }
        }
        self.calm();
        self.check_end();
    }

    fn tell(&self, what: std::fmt::Arguments<'_>) {
        self.time.tell(self.now, what);
    }

    fn wall(&self) -> EpochMillis {
        self.time.wall(self.now)
    }

    /// Goes to the next moment for which somebody waits.
    fn skip(&mut self) {
        let waits = [self.inner.timeout(), self.outer.timeout()];
        let lanes = self.lanes.iter().map(Lane::timeout);
        if let Some(at) = waits.into_iter().chain(lanes).flatten().min() {
            self.now = self.now.max(at);
        }
    }

    fn step(&mut self) {
        match self.random.below(if self.quiet { 950 } else { 1000 }) {
            0..80 => self.take_in(),
            80..120 => self.sync_inner(),
            120..135 => self.maintain_inner(),
            135..150 => {
                self.inner.work();
            }
            150..210 => {
                self.step_inbox();
            }
            210..400 => {
                let pipe = self.random.below(self.inner.pipes() as u64);
                self.step_inner(usize::try_from(pipe).unwrap_or_default());
            }
            400..650 => {
                let count = self.outer.connections() as u64;
                let index = usize::try_from(self.random.below(count)).unwrap_or_default();
                self.serve(index);
            }
            650..800 => {
                self.turn_outer();
            }
            800..870 => {
                self.land();
            }
            870..950 => {
                self.step_lanes();
            }
            950..980 => self.disturb_gate(),
            980..995 => self.disturb_disk(),
            _ => self.pull_plug(),
        }
        self.end_what_failed();
        self.hear_log();
    }

    /// The clocks show the present time, and the log may say that values may come a second time.
    fn hear_log(&mut self) {
        clock::play(Some(self.now));
        if !Ear::heard().is_empty() {
            self.tell(format_args!("the log excuses the pipe"));
            self.outer.record.is_excused = true;
        }
    }

    fn reopen(&mut self) {
        for _ in 0..10 {
            if !self.inner.is_up() {
                self.tell(format_args!("the inner node starts"));
                let seed = self.random.bits();
                self.inner.open(self.now, self.wall(), seed);
                let lost = self.inner.lost.drain(..);
                self.supply.extend(lost.filter_map(|unit| self.units.get(&unit).cloned()));
            }
            if !self.outer.is_up() {
                self.tell(format_args!("the outer node starts"));
                self.outer.open(self.now, self.wall(), &self.units);
            }
        }
        assert!(self.inner.is_up() && self.outer.is_up(), "a node does not start");
    }

    /// A node whose disk has gone down goes down, too, and both are up again.
    fn end_what_failed(&mut self) {
        if self.inner.plug.is_down() {
            self.crash_inner();
        }
        if self.outer.plug.is_down() {
            self.crash_outer();
        }
        if !self.inner.is_up() || !self.outer.is_up() {
            self.reopen();
        }
    }

    fn crash_inner(&mut self) {
        self.tell(format_args!("the inner node crashes"));
        self.inner.crash(&mut self.lines, &mut self.random);
        if self.random.once_in(3) {
            let call = self.random.below(60);
            self.inner.plug.arm(call, Fault::Io, true);
        }
    }

    fn crash_outer(&mut self) {
        self.tell(format_args!("the outer node crashes"));
        self.outer.crash(&mut self.lines, &mut self.random);
        if self.random.once_in(3) {
            let call = self.random.below(60);
            self.outer.plug.arm(call, Fault::Io, true);
        }
    }

    fn take_in(&mut self) {
        let wall = self.wall();
        let Some(unit) = self.supply.last() else { return };
        let taken = self.inner.take_in(unit, wall, &mut self.random);
        self.tell(format_args!("the inner node takes unit {} in: {taken:?}", unit.number));
        match taken {
            Ok(true) => drop(self.supply.pop()),
            Ok(false) => {}
            Err(_) => {
                self.supply.pop();
                self.crash_inner();
            }
        }
    }

    fn sync_inner(&mut self) {
        if self.inner.sync().is_err() {
            self.crash_inner();
        }
    }

    fn maintain_inner(&mut self) {
        if self.inner.maintain(self.now).is_err() {
            self.crash_inner();
        }
    }

    fn step_inbox(&mut self) -> bool {
        match self.inner.step_inbox(self.now, self.wall()) {
            Ok(step) => {
                if let Some(step) = &step {
                    self.tell(format_args!("inbox: {step:?}"));
                }
                step.is_some_and(|step| has_worked(&step))
            }
            Err(error) => {
                self.tell(format_args!("inbox: {error}"));
                self.crash_inner();
                self.end_what_failed();
                true
            }
        }
    }

    /// Lets each pipe do something.
    fn step_pipes(&mut self) -> bool {
        (0..self.inner.pipes()).fold(false, |worked, pipe| worked | self.step_inner(pipe))
    }

    fn step_inner(&mut self, pipe: usize) -> bool {
        let did = self.inner.step(pipe, self.now, &mut self.lines, &mut self.random, &self.outer);
        if self.time.is_told && (did != Did::Nothing) {
            self.tell(format_args!("pipe {pipe}: {did:?}, {}", self.inner.show()));
        }
        if did == Did::Connect {
            match self.random.below(12) {
                0 => self.inner.refused(pipe, self.now),
                // Nobody ever answers.
                1 => {}
                _ => match self.dial() {
                    Some(line) => self.inner.connected(pipe, line, self.now),
                    None => self.inner.refused(pipe, self.now),
                },
            }
        }
        did != Did::Nothing
    }

    fn dial(&mut self) -> Option<usize> {
        let line = self.lines.len();
        self.lines.push(Line::new());
        let accepted = self.outer.accept(line, self.now, &mut self.lines, &mut self.random);
        self.tell(format_args!("line {line} stands: {accepted}"));
        accepted.then_some(line)
    }

    fn serve(&mut self, index: usize) -> bool {
        let worked = self.outer.serve(index, self.now, &mut self.lines, &mut self.random);
        if worked {
            self.tell(format_args!("outer: connection {index} works"));
        }
        worked
    }

    fn turn_outer(&mut self) -> bool {
        match self.outer.turn(self.now, self.wall(), &self.units, &mut self.lines) {
            Ok(worked) => {
                if worked {
                    let known = self.outer.record.entries.len();
                    self.tell(format_args!("outer: a turn, {known} entries are durable"));
                }
                worked
            }
            Err(error) => {
                self.tell(format_args!("outer: {error}"));
                self.crash_outer();
                self.end_what_failed();
                true
            }
        }
    }

    fn land(&mut self) -> bool {
        let worked = self.outer.land(self.now, self.wall());
        if worked {
            self.tell(format_args!("outer: landing works"));
        }
        worked
    }

    fn step_lanes(&mut self) -> bool {
        let mut worked = false;
        for index in 0..self.lanes.len() {
            if self.lanes[index].wants_line(self.now, &self.lines) {
                self.dial_for(index);
                worked = true;
            }
            let (lines, random) = (&mut self.lines, &mut self.random);
            let stepped = self.lanes[index].step(self.now, lines, random, &self.outer, &self.units);
            if stepped {
                self.tell(format_args!("stock {index}: works"));
            }
            worked |= stepped;
        }
        worked
    }

    fn dial_for(&mut self, lane: usize) {
        let is_refused = self.random.once_in(8);
        match if is_refused { None } else { self.dial() } {
            Some(line) => self.lanes[lane].connected(line, self.now),
            None => self.lanes[lane].refused(self.now),
        }
    }

    fn disturb_gate(&mut self) {
        let Some(index) = Line::any_alive(&self.lines, &mut self.random) else { return };
        let pipe = self.inner.pipe_on(index);
        let can_tell = pipe.is_some_and(|pipe| self.inner.can_tell_unasked(pipe));
        let what = self.random.below(DISTURBANCES + 3);
        self.tell(format_args!("the gate disturbs line {index}: {what}"));
        let line = &mut self.lines[index];
        match what.checked_sub(DISTURBANCES) {
            None => line.disturb(what, &mut self.random),
            // At any other time nobody could tell it from an answer.
            Some(0) if can_tell => line.answer_unasked(0x00),
            Some(1) if pipe.is_some() => line.double = true,
            Some(2) => line.wrong = Some(u8::try_from(self.random.between(1, 255)).unwrap_or(0xff)),
            _ => {}
        }
    }

    fn disturb_disk(&mut self) {
        let call = self.random.below(80);
        let what = self.random.below(8);
        let plug = if self.random.once_in(2) { &mut self.inner.plug } else { &mut self.outer.plug };
        match what {
            0..3 => plug.arm(call, Fault::Io, true),
            3 => plug.arm(call, Fault::Io, false),
            4 => plug.arm(call, Fault::Short, self.random.once_in(2)),
            5 => plug.arm(call, Fault::NoSpace, self.random.once_in(2)),
            6 => plug.fill(self.random.below(20_000)),
            _ => {
                plug.make_room();
                plug.heal();
            }
        }
        self.tell(format_args!("a disk is disturbed: {what}"));
    }

    fn pull_plug(&mut self) {
        match self.random.below(3) {
            0 => self.crash_inner(),
            1 => self.crash_outer(),
            _ => {
                self.crash_inner();
                self.crash_outer();
            }
        }
    }

    /// No more faults: everything has to arrive.
    fn calm(&mut self) {
        self.tell(format_args!("no more faults"));
        for plug in [&mut self.inner.plug, &mut self.outer.plug] {
            plug.heal();
            plug.make_room();
        }
        self.lines.iter_mut().for_each(Line::calm);
        let end = self.now + CALM_TIME;
        for _ in 0..CALM_STEPS {
            self.take_in();
            self.sync_inner();
            let mut worked = self.step_inbox() | self.step_pipes() | self.step_lanes();
            for index in (0..self.outer.connections()).rev() {
                worked |= self.serve(index);
            }
            worked |= self.turn_outer() | self.land() | self.inner.work();
            self.hear_log();
            if !worked && self.is_done() {
                return;
            }
            if !worked {
                self.maintain_inner();
                self.now += Duration::from_millis(200);
                self.skip();
            }
            assert!(self.now < end, "it takes too long: {}", self.inner.show());
        }
        panic!("it never comes to rest: {}", self.inner.show());
    }

    fn is_done(&self) -> bool {
        self.supply.is_empty()
            && self.inner.is_done()
            && self.lanes.iter().all(Lane::is_done)
            && self.outer.has_landed_all()
    }

    fn check_end(&mut self) {
        self.outer.check_landed(&self.units);
        self.inner.check_inbox();
        let Self { inner, outer, .. } = self;
        for (sequence, sent) in &inner.durable {
            if inner.has_dropped(*sequence) {
                continue;
            }
            let is_there = outer.record.has_all_of(sent, sent.identity);
            assert!(is_there, "entry {sequence} of the inner node is missing");
        }
        for unit in outer.record.by_unit.keys() {
            assert!(outer.has_landed(*unit), "unit {unit} has not landed");
        }
        // Once more: what is there is durable.
        self.crash_inner();
        self.crash_outer();
        self.inner.plug.heal();
        self.outer.plug.heal();
        self.reopen();
        let open = self.lines.iter().filter(|line| line.receiver == End::Open).count();
        assert_eq!(open, 0, "seed {}: a dead node has connections", self.seed);
    }
}

/// A spool that is now and then full of what has not crossed yet; then new data waits, or takes the place of the
/// oldest.
fn tight(settings: &Settings, random: &mut Random) -> Settings {
    let is_tight = random.once_in(4);
    let segments = if is_tight { random.between(3, 5) } else { 128 };
    let drops = is_tight && random.once_in(2);
    let when_full = if drops { WhenFull::DropOldest } else { WhenFull::Block };
    Settings { max_bytes: segments * settings.segment_bytes, when_full, ..settings.clone() }
}
