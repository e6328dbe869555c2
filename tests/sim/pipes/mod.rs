//! Pipes under statements: one node whose spool fills, people who create, stop, start, alter, skip, replay and drop
//! pipes at random, the gates behind them, and whatever happens to all of it.
//!
//! ```text
//!  goods --> node.rs: Spool, Pipes, worker --> acts ===== lines =====> far.rs: checks what comes
//!            ^                                                          by model.rs, the naive pipe
//!  ask.rs: statements <--> book.rs: what was answered, and what each pipe owes
//! ```
//!
//! What must never happen: an entry that a pipe wants is missing at its far side though the pipe is behind it; something
//! comes that it does not ask for, or otherwise, or out of order; a pipe is not as it was answered, whatever crashed;
//! one sends that was stopped or dropped; an answered entry is gone that somebody needs, or anybody may yet need.

mod acts;
mod ask;
mod book;
mod calm;
mod far;
mod goods;
mod model;
mod node;
mod pattern;

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use penstock::ops::clock::{self, EpochMillis};
use penstock::spool::Fault;

use self::acts::Playing;
use self::book::{Asked, Book, Books};
use self::far::{Entries, Far};
use self::goods::Goods;
use self::model::Def;
use self::node::{Found, Node};
use crate::line::{DISTURBANCES, Line};
use crate::random::Random;
use crate::time::Time;

/// Steps in which anything may happen.
const WILD_STEPS: u64 = 600;
const GOODS_MAX: u64 = 24;

pub(crate) struct Plant {
    random: Random,
    time: Time,
    now: Instant,
    node: Node,
    far: Far,
    lines: Vec<Line>,
    acts: Vec<Playing>,
    runs: u64,
    book: Book,
    defs: Vec<Def>,
    goods: HashMap<u64, Goods>,
    /// Goods that the node may still take in.
    supply: Vec<u64>,
    /// Goods by sequence, of all that was durable.
    known: BTreeMap<u64, u64>,
    /// Sequences that were answered.
    answered: Vec<u64>,
}

impl Plant {
    pub(crate) fn new(seed: u64, start: Instant, trace: bool) -> Self {
        let mut random = Random::new(seed);
        let count = random.between(1, GOODS_MAX);
        let goods = (1..=count).map(|number| (number, Goods::new(number, &mut random)));
        Self {
            goods: goods.collect(),
            random,
            time: Time::new(start, trace),
            now: start,
            node: Node::new(seed ^ 1),
            far: Far::default(),
            lines: Vec::new(),
            acts: Vec::new(),
            runs: 0,
            book: Book::default(),
            defs: Vec::new(),
            supply: (1..=count).rev().collect(),
            known: BTreeMap::new(),
            answered: Vec::new(),
        }
    }

    /// Plays the schedule to its end; a broken rule panics.
    pub(crate) fn play(&mut self) {
        clock::play(Some(self.now));
        self.reopen();
        for _ in 0..WILD_STEPS {
            self.step();
            let more = Duration::from_millis(self.random.below(20));
            self.pass(more);
            match self.random.below(100) {
                0 => {
                    let more = Duration::from_secs(self.random.below(70));
                    self.pass(more);
                }
                1..5 => self.skip(),
                _ => {}
            }
        }
        self.calm();
    }

    fn tell(&self, what: std::fmt::Arguments<'_>) {
        self.time.tell(self.now, what);
    }

    fn wall(&self) -> EpochMillis {
        self.time.wall(self.now)
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        clock::play(Some(self.now));
        self.node.pass(time);
    }

    /// Goes to the next moment for which somebody waits.
    fn skip(&mut self) {
        let waits = self.acts.iter().filter_map(|act| act.voice.sender.poll_timeout());
        if let Some(at) = waits.min() {
            self.pass(at.saturating_duration_since(self.now));
        }
    }

    fn step(&mut self) {
        match self.random.below(1000) {
            0..60 => self.take(),
            60..110 => self.ask(),
            110..350 => self.run(),
            350..500 => {
                self.turn();
            }
            500..700 => {
                let act = self.random.below(self.acts.len() as u64);
                self.act(usize::try_from(act).expect("few"));
            }
            700..880 => {
                let index = self.random.below(self.far.connections() as u64);
                self.serve(usize::try_from(index).expect("few"));
            }
            880..930 => {
                self.node.work();
            }
            930..970 => self.disturb_gate(),
            970..994 => self.disturb_disk(),
            _ => self.crash(),
        }
        self.end_what_failed();
    }

    fn take(&mut self) {
        let Some(number) = self.supply.pop() else { return };
        self.tell(format_args!("goods {number} come: {:?}", self.goods[&number]));
        let wall = self.wall();
        self.node.take(number, &self.goods[&number], wall);
    }

    fn last(&self) -> u64 {
        self.known.keys().next_back().copied().unwrap_or(0)
    }

    fn ask(&mut self) {
        if self.book.asked.is_some() {
            return;
        }
        self.forget_ended();
        let last = self.last();
        if let Some(asked) = ask::any(&mut self.book, &mut self.defs, last, &mut self.random) {
            self.ask_for(asked);
        }
    }

    fn ask_for(&mut self, asked: Asked) {
        self.tell(format_args!("{}", asked.text));
        self.node.ask(&asked.text);
        if let Some(after) = &asked.after {
            self.far.allow_again(after.id, asked.again.iter().copied());
        }
        self.book.ask(asked);
    }

    fn turn(&mut self) -> bool {
        let (now, wall) = (self.now, self.wall());
        if let Err(error) = self.node.turn(now, wall) {
            self.tell(format_args!("the spool: {error}"));
            self.crash();
            return true;
        }
        self.known.extend(self.node.observe());
        false
    }

    fn serve(&mut self, index: usize) -> bool {
        let Self { far, lines, random, goods, known, node, .. } = self;
        let Some(origin) = node.origin else { return false };
        far.serve(index, lines, random, &Entries { goods, known, origin })
    }

    fn disturb_gate(&mut self) {
        let Some(index) = Line::any_alive(&self.lines, &mut self.random) else { return };
        let what = self.random.below(DISTURBANCES + 1);
        self.tell(format_args!("the gate disturbs line {index}: {what}"));
        let line = &mut self.lines[index];
        match what {
            0..DISTURBANCES => line.disturb(what, &mut self.random),
            _ => line.wrong = Some(0xff),
        }
    }

    fn disturb_disk(&mut self) {
        let (call, what) = (self.random.below(60), self.random.below(8));
        self.tell(format_args!("the disk is disturbed: {what}"));
        let plug = &mut self.node.plug;
        match what {
            0..3 => plug.arm(call, Fault::Io, true),
            3 => plug.arm(call, Fault::Io, false),
            4 => plug.arm(call, Fault::Short, self.random.once_in(2)),
            5 => plug.arm(call, Fault::NoSpace, self.random.once_in(2)),
            _ => {
                plug.make_room();
                plug.heal();
            }
        }
    }

    fn crash(&mut self) {
        self.tell(format_args!("the node crashes"));
        if self.node.is_up() {
            self.audit();
        }
        for line in self.acts.drain(..).filter_map(|act| act.voice.line) {
            self.lines[line].drop_sender(&mut self.random);
        }
        let lost = self.node.taking();
        self.node.crash();
        self.supply.extend(lost);
        if self.random.once_in(4) {
            let call = self.random.below(60);
            self.node.plug.arm(call, Fault::Io, true);
        }
    }

    fn end_what_failed(&mut self) {
        if self.node.plug.is_down() {
            self.crash();
        }
        if !self.node.is_up() {
            self.reopen();
        }
    }

    fn reopen(&mut self) {
        let found = (0..10).find_map(|_| {
            let (now, wall, seed) = (self.now, self.time.wall(self.now), self.random.bits());
            self.node.open(now, wall, seed)
        });
        let Some(Found { positions, entries }) = found else { panic!("it does not start") };
        self.tell(format_args!("the node starts: {positions:?}, entries {entries:?}"));
        let needed = self.book.needed_from(&positions);
        for sequence in self.answered.iter().filter(|sequence| **sequence >= needed) {
            assert!(entries.contains_key(sequence), "entry {sequence} was answered, and is gone");
        }
        self.known.extend(entries);
        let is_known = |number: &u64| self.known.values().any(|known| known == number);
        self.supply.retain(|number| !is_known(number));
        let kept = self.node.kept();
        let Self { book, far, goods, known, .. } = self;
        let books = Books { far, goods, known };
        for (pipe, position) in positions {
            if let Some(def) = book.lives.get(&pipe).map(|life| life.def.clone()) {
                book.audit(&pipe, &def, position, &books);
            }
        }
        self.book.resolve(&kept);
    }
}
