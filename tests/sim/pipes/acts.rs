//! Statements are carried out, and pipes send.

use std::time::Duration;

use penstock::limits::STOP_GRACE;
use penstock::link::sender::Event;
use penstock::node::{Act, Leave};
use penstock::pipe::Answer;
use penstock::spool::SimDisk;

use super::Plant;
use super::book::{Books, Wanted};
use super::far::Sender;
use super::model::Def;
use super::node::{PipeFeed, Said};
use crate::line::Line;
use crate::voice::{Did, Voice};
use crate::worker::Ear;

/// A pipe that was started.
pub(super) struct Playing {
    pub(super) pipe: String,
    pub(super) voice: Voice<PipeFeed>,
    /// None once it has ended.
    pub(super) leave: Option<Leave>,
    is_told: bool,
    sender: Sender,
}

impl Plant {
    /// The node's tasks work.
    pub(super) fn run(&mut self) {
        for act in self.node.run() {
            self.begin(act);
        }
        self.hear_log();
        self.audit();
        let gone = |act: &Playing| act.leave.as_ref().is_none_or(Leave::is_given_up);
        for act in &self.acts {
            if gone(act)
                && let Some(line) = act.voice.line
            {
                self.lines[line].drop_sender(&mut self.random);
            }
        }
        self.acts.retain(|act| !gone(act));
        for (number, taken) in self.node.taken() {
            self.tell(format_args!("goods {number} are entry {taken:?}"));
            match taken {
                Some(sequence) => self.answered.push(sequence),
                None => self.supply.push(number),
            }
        }
        if let Said::Answer(answer) = self.node.said() {
            self.hear(&answer);
        }
    }

    fn begin(&mut self, act: Act<SimDisk>) {
        let Act { pipe, target, load, leave } = act;
        let tag = Def::tag_in(&target);
        self.tell(format_args!("{pipe} is started by definition {tag}"));
        let life = self.book.sender(&pipe, tag);
        let Some(life) = life else { panic!("{pipe} is started, and nobody wants that") };
        let (life, def) = (life.id, life.def.clone());
        let border = self.node.kept().get(&pipe).map_or(0, |kept| kept.border);
        self.runs += 1;
        let replays = self.node.replays(&pipe);
        let sender = Sender { life, run: self.runs, replays, def, border };
        let voice = Voice::new(load, self.random.bits());
        self.acts.push(Playing { pipe, voice, leave: Some(leave), is_told: false, sender });
    }

    /// The log may say of a pipe that its values may land a second time.
    fn hear_log(&mut self) {
        for pipe in Ear::heard() {
            self.tell(format_args!("the log excuses {pipe}"));
            let acts = self.acts.iter().filter(|act| act.pipe == pipe);
            acts.for_each(|act| self.far.excuse(act.sender.life));
            if let Some(life) = self.book.lives.get(&pipe) {
                self.far.excuse(life.id);
            }
        }
    }

    /// A statement was answered.
    fn hear(&mut self, answer: &Answer) {
        self.forget_ended();
        self.tell(format_args!("answered {} {}", answer.code, answer.message));
        let asked = self.book.asked.clone().expect("a statement was asked for");
        let is_success = answer.code == 200;
        match asked.wanted {
            Wanted::Refusal => {
                assert!(!is_success, "{:?} was carried out", asked.text);
                self.book.asked = None;
            }
            Wanted::Either if !is_success => self.book.asked = None,
            Wanted::Success if !is_success => {
                let message = &answer.message;
                let is_of_disk = ["os error", "spool full"].iter().any(|why| message.contains(why));
                assert!(is_of_disk, "{:?}: {message}", asked.text);
                // Either may be on the disk; the next start tells.
                self.crash();
            }
            Wanted::Success | Wanted::Either => {
                let kept = self.node.kept().get(&asked.pipe).copied();
                self.book.carried_out(kept);
                self.check_acts();
            }
        }
    }

    /// Nothing sends that may not.
    fn check_acts(&self) {
        for act in &self.acts {
            let is_given_up = act.leave.as_ref().is_none_or(Leave::is_given_up);
            let may = self.book.sender(&act.pipe, act.sender.def.tag);
            let may = may.is_some_and(|life| life.id == act.sender.life);
            assert!(may || is_given_up, "{} goes on, though it was told to stop", act.pipe);
        }
    }

    /// What each pipe has passed is where it should be.
    pub(super) fn audit(&mut self) {
        self.known.extend(self.node.observe());
        let Self { book, far, goods, known, acts, .. } = self;
        let books = Books { far, goods, known };
        for act in acts {
            book.audit(&act.pipe, &act.sender.def, act.voice.load.position().0, &books);
        }
    }

    /// A step of a pipe. Returns whether anything happened.
    pub(super) fn act(&mut self, index: usize) -> bool {
        let Self { acts, lines, random, now, book, .. } = self;
        let Some(act) = acts.get_mut(index) else { return false };
        let Some(leave) = act.leave.as_ref().filter(|leave| !leave.is_given_up()) else {
            return false;
        };
        if leave.is_told() && !act.is_told {
            act.is_told = true;
            act.voice.sender.stop(*now, STOP_GRACE);
        }
        let did = act.voice.step(*now, lines, random);
        if did != Did::Nothing {
            let may = book.sender(&act.pipe, act.sender.def.tag).is_some();
            assert!(may, "{} sends, and nobody wants that", act.pipe);
        }
        while let Some(event) = act.voice.sender.poll_event() {
            if event == Event::Delivered {
                act.voice.load.delivered().expect("something was carried");
            }
        }
        match did {
            Did::Connect => self.dial(index),
            Did::Something => {}
            Did::Nothing => self.rest(index),
        }
        self.hear_log();
        did != Did::Nothing
    }

    /// A pipe has nothing to do: it may be over, or have stopped.
    fn rest(&mut self, index: usize) {
        let act = &mut self.acts[index];
        let sender = &mut act.voice.sender;
        let has_nothing = sender.is_free() && matches!(act.voice.load.entry(), Ok(None));
        if has_nothing && act.voice.load.is_over() {
            sender.stop(self.now, Duration::ZERO);
        }
        if !sender.is_stopped() {
            return;
        }
        self.audit();
        let act = &mut self.acts[index];
        let is_over = act.voice.load.is_over();
        if let Some(life) = self.book.lives.get_mut(&act.pipe).filter(|_| is_over) {
            life.is_ending = true;
            let missing = life.audited < life.border;
            assert!(!missing, "{} ends at {} of {}", act.pipe, life.audited, life.border);
        }
        if let Some(leave) = act.leave.take() {
            leave.end(is_over);
        }
    }

    fn dial(&mut self, index: usize) {
        let (outcome, line) = (self.random.below(12), self.lines.len());
        let act = &mut self.acts[index];
        match outcome {
            0 => act.voice.dialled(None, self.now),
            // Nobody ever answers.
            1 => {}
            _ => {
                self.lines.push(Line::new());
                self.far.accept(line, act.sender.clone());
                act.voice.dialled(Some(line), self.now);
            }
        }
    }
}
