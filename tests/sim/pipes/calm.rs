//! No more faults: everything has to arrive.

use std::time::Duration;

use super::Plant;
use super::acts::Playing;
use super::book::{Asked, Life, Wanted};
use crate::line::Line;

/// Steps and virtual time in which everything has to arrive.
const CALM_STEPS: u64 = 100_000;
const CALM_TIME: Duration = Duration::from_secs(12 * 3600);

impl Plant {
    /// No more faults: everything has to arrive, after one start more.
    pub(super) fn calm(&mut self) {
        self.tell(format_args!("no more faults"));
        self.start_again();
        self.lines.iter_mut().for_each(Line::calm);
        self.rest_all();
        self.send_again();
        self.rest_all();
        self.check_end();
    }

    /// Until nothing happens any more.
    fn rest_all(&mut self) {
        let end = self.now + CALM_TIME;
        for _ in 0..CALM_STEPS {
            let worked = self.work();
            if !worked && self.is_done() {
                return;
            }
            if !worked {
                self.pass(Duration::from_millis(200));
                self.skip();
            }
            assert!(self.now < end, "it takes too long");
        }
        panic!("it never comes to rest");
    }

    /// Everybody does what there is to do. Returns whether there was anything.
    fn work(&mut self) -> bool {
        self.take();
        self.run();
        assert!(!self.turn(), "the disk is sound");
        self.run();
        let mut worked = self.node.work();
        for index in (0..self.acts.len()).rev() {
            worked |= self.act(index);
        }
        for index in (0..self.far.connections()).rev() {
            worked |= self.serve(index);
        }
        self.forget_ended();
        worked
    }

    /// Pipes that have ended by themselves are no more.
    pub(super) fn forget_ended(&mut self) {
        if self.book.lives.values().any(|life| life.is_ending) {
            self.book.forget_ended(&self.node.kept());
        }
    }

    fn is_done(&self) -> bool {
        let last = self.last();
        let running = self.book.lives.iter().filter(|(_, life)| life.runs);
        self.supply.is_empty()
            && self.node.taking().is_empty()
            && self.book.asked.is_none()
            && running.into_iter().all(|(pipe, life)| {
                let mut acts = self.acts.iter().filter(|act| act.pipe == *pipe);
                let is_at_end =
                    |act: &Playing| act.voice.load.position().0 > last && act.leave.is_some();
                !life.is_ending && life.audited > last && acts.next().is_some_and(is_at_end)
            })
    }

    /// What was skipped is sent after all: it was put where it can be.
    fn send_again(&mut self) {
        let skipped = self.book.lives.iter().filter(|(_, life)| life.runs);
        let skipped = skipped.filter_map(|(pipe, life)| {
            let all = life.skipped.union(&life.unsure);
            let (first, last) = (all.clone().min()?, all.max()?);
            let (text, after) =
                (format!("replay pipe {pipe} from {first} to {last}"), Some(life.clone()));
            let (wanted, again) = (Wanted::Either, (*first..=*last).collect());
            Some(Asked { pipe: pipe.clone(), text, after, wanted, known_below: 0, again })
        });
        let skipped: Vec<_> = skipped.collect();
        for asked in skipped {
            if self.random.once_in(2) {
                // What is under way when the node ends is sent, too.
                self.ask_for(asked.clone());
                let turns = self.random.below(40);
                let _works_on = (0..turns).all(|_| self.work());
                self.start_again();
                self.rest_all();
            }
            self.ask_for(asked);
            self.rest_all();
        }
    }

    fn start_again(&mut self) {
        self.crash();
        self.node.plug.heal();
        self.node.plug.make_room();
        self.reopen();
    }

    fn check_end(&mut self) {
        assert_eq!(self.known.len(), self.goods.len(), "everything was taken in, once");
        for (pipe, life) in &self.book.lives {
            assert!(!(life.def.is_snapshot() && life.runs), "{pipe} should have ended");
            let skipped = life.skipped.union(&life.unsure);
            let skipped = skipped.filter(|_| life.runs && !life.def.is_sampled());
            for sequence in skipped {
                let owes = self.owes(life, *sequence);
                assert!(!owes, "entry {sequence}, skipped by {pipe}, cannot be sent any more");
            }
        }
        self.start_again();
    }

    /// Whether the pipe wants this entry, and its far side has nothing of it.
    fn owes(&self, life: &Life, sequence: u64) -> bool {
        let Some(number) = self.known.get(&sequence) else { return false };
        let wanted = life.def.wants(&self.goods[number], sequence, life.border);
        wanted.is_some() && !self.far.has(life.id, sequence)
    }
}
