//! Two nodes that send to each other whatever they take in, a stock peer at each, and whatever happens to them.
//!
//! ```text
//!  stock peer --> node 0 ===== line =====> node 1 <-- stock peer
//!                        <==== line ======
//! ```
//!
//! Everything arrives at both nodes, once: what a node's record sees twice panics there. And it ends: each entry is
//! sent once, but for what is repeated after a failure.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use penstock::config::NodeUrls;
use penstock::ops::clock::{self, EpochMillis};
use penstock::sink::air_gap::{AirGapSettings, Envelope};
use penstock::spool::Fault;

use crate::line::{DISTURBANCES, Line};
use crate::outer::{Outer, small_spool};
use crate::random::Random;
use crate::record::LANE_UNITS;
use crate::runs::RunMode;
use crate::stock::Lane;
use crate::time::Time;
use crate::units::{Content, Unit};
use crate::voice::Did;
use crate::worker::Ear;

/// Steps in which anything may happen.
const WILD_STEPS: u64 = 400;
/// Steps and virtual time after that in which everything has to come to rest.
const CALM_STEPS: u64 = 200_000;
const CALM_TIME: Duration = Duration::from_secs(12 * 3600);

pub(crate) struct Ring {
    random: Random,
    time: Time,
    now: Instant,
    /// Two.
    nodes: Vec<Outer>,
    lanes: [Lane; 2],
    lines: Vec<Line>,
    /// The node at the far end of each line.
    ends: Vec<usize>,
    units: HashMap<u64, Unit>,
}

impl Ring {
    pub(crate) fn new(seed: u64, start: Instant, trace: bool) -> Self {
        let mut random = Random::new(seed);
        let units = [1, 2].map(|lane| {
            let first = lane * LANE_UNITS;
            let numbers = first..first + random.between(1, 6);
            numbers.map(|number| Unit::of_one_source(number, &mut random)).collect::<Vec<_>>()
        });
        let mut node = |seed| {
            let sink = sink(&mut random);
            Outer::new(seed, small_spool()).with_pipe(sink, RunMode::any(&mut random))
        };
        let nodes = vec![node(seed ^ 1), node(seed ^ 2)];
        let all = units.iter().flatten().map(|unit| (unit.number, unit.clone())).collect();
        Self {
            lanes: units.map(|units| Lane::new(&units, start, &mut random)),
            random,
            time: Time::new(start, trace),
            now: start,
            nodes,
            lines: Vec::new(),
            ends: Vec::new(),
            units: all,
        }
    }

    /// Plays the schedule to its end; a broken rule panics.
    pub(crate) fn play(&mut self) {
        self.hear_log();
        self.reopen();
        for _ in 0..WILD_STEPS {
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
        for node in 0..2 {
            self.crash(node);
        }
        self.nodes.iter_mut().for_each(|node| node.plug.heal());
        self.reopen();
        self.check_end();
    }

    fn tell(&self, what: std::fmt::Arguments<'_>) {
        self.time.tell(self.now, what);
    }

    fn wall(&self) -> EpochMillis {
        self.time.wall(self.now)
    }

    fn skip(&mut self) {
        let nodes = self.nodes.iter().map(Outer::timeout);
        let lanes = self.lanes.iter().map(Lane::timeout);
        if let Some(at) = nodes.chain(lanes).flatten().min() {
            self.now = self.now.max(at);
        }
    }

    fn step(&mut self) {
        let node = usize::from(self.random.once_in(2));
        match self.random.below(1000) {
            0..250 => {
                self.step_pipe(node);
            }
            250..550 => {
                let count = self.nodes[node].connections() as u64;
                let index = usize::try_from(self.random.below(count)).unwrap_or_default();
                self.serve(node, index);
            }
            550..720 => {
                self.turn(node);
            }
            720..750 => {
                self.nodes[node].work();
            }
            750..850 => {
                self.land(node);
            }
            850..950 => {
                self.step_lane(node);
            }
            950..980 => self.disturb_gate(),
            980..995 => self.disturb_disk(node),
            _ => self.crash(node),
        }
        self.end_what_failed();
        self.hear_log();
    }

    /// The clocks show the present time, and the log may say that values may come a second time.
    fn hear_log(&mut self) {
        clock::play(Some(self.now));
        if !Ear::heard().is_empty() {
            self.tell(format_args!("the log excuses the pipes"));
            self.nodes.iter_mut().for_each(|node| node.record.is_excused = true);
        }
    }

    fn reopen(&mut self) {
        let wall = self.wall();
        for node in &mut self.nodes {
            let mut tries = 10;
            while !node.is_up() {
                assert!(tries > 0, "a node does not start");
                tries -= 1;
                node.open(self.now, wall, &self.units);
            }
        }
    }

    fn end_what_failed(&mut self) {
        for node in 0..2 {
            if self.nodes[node].plug.is_down() {
                self.crash(node);
            }
        }
        if self.nodes.iter().any(|node| !node.is_up()) {
            self.reopen();
        }
    }

    fn crash(&mut self, node: usize) {
        self.tell(format_args!("node {node} crashes"));
        let Self { nodes, lines, random, .. } = self;
        nodes[node].crash(lines, random);
        if random.once_in(3) {
            let call = random.below(60);
            nodes[node].plug.arm(call, Fault::Io, true);
        }
    }

    fn step_pipe(&mut self, node: usize) -> bool {
        let Self { nodes, lines, random, now, .. } = self;
        let [one, other] = nodes.as_mut_slice() else { panic!("two nodes") };
        let (near, far) = if node == 0 { (one, &*other) } else { (other, &*one) };
        let did = near.step_pipe(*now, lines, random, far);
        if did == Did::Connect {
            let is_refused = self.random.once_in(8);
            let line = if is_refused { None } else { self.dial(1 - node) };
            if let Some(pipe) = self.nodes[node].pipe_mut() {
                pipe.voice.dialled(line, self.now);
            }
        }
        did != Did::Nothing
    }

    fn dial(&mut self, to: usize) -> Option<usize> {
        let line = self.lines.len();
        self.lines.push(Line::new());
        self.ends.push(to);
        let accepted = self.nodes[to].accept(line, self.now, &mut self.lines, &mut self.random);
        self.tell(format_args!("line {line} to node {to} stands: {accepted}"));
        accepted.then_some(line)
    }

    fn serve(&mut self, node: usize, index: usize) -> bool {
        self.nodes[node].serve(index, self.now, &mut self.lines, &mut self.random)
    }

    fn turn(&mut self, node: usize) -> bool {
        let wall = self.wall();
        let turned = self.nodes[node].turn(self.now, wall, &self.units, &mut self.lines);
        if let Err(error) = &turned {
            self.tell(format_args!("node {node}: {error}"));
            self.crash(node);
            self.end_what_failed();
        }
        turned.unwrap_or(true)
    }

    fn land(&mut self, node: usize) -> bool {
        let wall = self.wall();
        self.nodes[node].land(self.now, wall)
    }

    fn step_lane(&mut self, node: usize) -> bool {
        if self.lanes[node].wants_line(self.now, &self.lines) {
            let is_refused = self.random.once_in(8);
            match if is_refused { None } else { self.dial(node) } {
                Some(line) => self.lanes[node].connected(line, self.now),
                None => self.lanes[node].refused(self.now),
            }
            return true;
        }
        let Self { nodes, lanes, lines, random, units, now, .. } = self;
        lanes[node].step(*now, lines, random, &nodes[node], units)
    }

    fn disturb_gate(&mut self) {
        let Some(index) = Line::any_alive(&self.lines, &mut self.random) else { return };
        let what = self.random.below(DISTURBANCES);
        self.tell(format_args!("the gate disturbs line {index}: {what}"));
        self.lines[index].disturb(what, &mut self.random);
    }

    fn disturb_disk(&mut self, node: usize) {
        let Self { nodes, random, .. } = self;
        let (plug, call) = (&mut nodes[node].plug, random.below(80));
        match random.below(7) {
            0..3 => plug.arm(call, Fault::Io, true),
            3 => plug.arm(call, Fault::Io, false),
            4 => plug.arm(call, Fault::Short, random.once_in(2)),
            5 => plug.arm(call, Fault::NoSpace, random.once_in(2)),
            _ => plug.heal(),
        }
    }

    /// No more faults: everything has to arrive, and then to be still.
    fn calm(&mut self) {
        self.tell(format_args!("no more faults"));
        self.nodes.iter_mut().for_each(|node| node.plug.heal());
        self.lines.iter_mut().for_each(Line::calm);
        let end = self.now + CALM_TIME;
        for _ in 0..CALM_STEPS {
            let worked = self.work(0) | self.work(1);
            self.hear_log();
            if !worked && self.is_done() {
                return;
            }
            if !worked {
                self.now += Duration::from_millis(200);
                self.skip();
            }
            assert!(self.now < end, "it takes too long");
        }
        panic!("it never comes to rest");
    }

    /// Everything of a node and its stock peer does what it can.
    fn work(&mut self, node: usize) -> bool {
        let mut worked = self.step_lane(node) | self.step_pipe(node);
        for index in (0..self.nodes[node].connections()).rev() {
            worked |= self.serve(node, index);
        }
        worked | self.turn(node) | self.land(node) | self.nodes[node].work()
    }

    fn is_done(&self) -> bool {
        let is_still = |node: &Outer| node.has_sent_all() && node.has_landed_all();
        self.nodes.iter().all(is_still) && self.lanes.iter().all(Lane::is_done)
    }

    /// Both nodes have everything, once.
    fn check_end(&mut self) {
        for node in &mut self.nodes {
            node.check_landed(&self.units);
            for unit in self.units.values() {
                let is_sound = !matches!(unit.content, Content::Flawed(_));
                let number = unit.number;
                let is_there = node.record.by_unit.contains_key(&number);
                assert_eq!(is_there, is_sound, "unit {number} is there");
                assert_eq!(node.has_landed(number), is_sound, "unit {number} has landed");
            }
            let units: usize = node.record.entries.values().map(|seen| seen.units.len()).sum();
            let is_once = units == node.record.by_unit.len();
            assert!(is_once || node.record.is_excused, "{units} units are in the entries");
        }
    }
}

fn sink(random: &mut Random) -> AirGapSettings {
    let gate = NodeUrls::parse("127.0.0.1:9780").expect("an address");
    let mut sink = AirGapSettings::new(gate, "ring");
    sink.piece_bytes = usize::try_from(random.between(50, 400)).unwrap_or(100);
    sink.seal_timeout = Duration::from_secs(120);
    sink.envelope = Envelope::Frames { wrapped: random.once_in(4) };
    sink
}
