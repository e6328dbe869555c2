//! What people want of each pipe, as statements were answered; and what each pipe owes its far side.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::far::Far;
use super::goods::Goods;
use super::model::Def;
use super::node::Kept;

/// A pipe from its creation until it is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) id: u64,
    pub(crate) def: Def,
    pub(crate) runs: bool,
    /// The first entry that is not its history; 0 until it is known.
    pub(crate) border: u64,
    /// Everything below was looked at: it came, or was not wanted, or does not count.
    pub(crate) audited: u64,
    /// Entries that a person may have skipped; and those that were.
    pub(crate) exempt: BTreeSet<u64>,
    pub(crate) skipped: BTreeSet<u64>,
    /// Those of which nobody was told whether they were, by the present definition.
    pub(crate) unsure: BTreeSet<u64>,
    /// It has sent all that it is for, and will be dropped by the node.
    pub(crate) is_ending: bool,
}

/// A statement without an answer.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) pipe: String,
    pub(crate) text: String,
    /// What becomes of the pipe.
    pub(crate) after: Option<Life>,
    /// Whether it may be refused though nothing fails.
    pub(crate) wanted: Wanted,
    /// For a pipe that is created: entries below are history, as far as is known.
    pub(crate) known_below: u64,
    /// Entries that may come once more, or in another form.
    pub(crate) again: Vec<u64>,
}

/// What is expected of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Success,
    Refusal,
    Either,
}

/// All pipes.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) lives: BTreeMap<String, Life>,
    pub(crate) asked: Option<Asked>,
    /// Snapshots that have ended by themselves: nobody was told, so a crash may bring their records back.
    ended: BTreeMap<String, Life>,
    /// The furthest that any pipe has come: without pipes nothing behind that may be released.
    passed: u64,
    lives_so_far: u64,
}

/// What an audit looks at.
pub(crate) struct Books<'a> {
    pub(crate) far: &'a Far,
    pub(crate) goods: &'a HashMap<u64, Goods>,
    pub(crate) known: &'a BTreeMap<u64, u64>,
}

impl Book {
    pub(crate) fn born(&mut self, def: Def) -> Life {
        self.lives_so_far += 1;
        Life {
            id: self.lives_so_far,
            def,
            runs: true,
            border: 0,
            audited: 0,
            exempt: BTreeSet::new(),
            skipped: BTreeSet::new(),
            unsure: BTreeSet::new(),
            is_ending: false,
        }
    }

    /// A statement is asked for.
    pub(crate) fn ask(&mut self, asked: Asked) {
        // From now on an entry may be skipped, whatever the answer.
        if let (Some(life), Some(after)) = (self.lives.get_mut(&asked.pipe), &asked.after) {
            life.exempt.extend(&after.exempt);
        }
        self.asked = Some(asked);
    }

    /// The pipe of that name which may send by this definition now, if any may.
    pub(crate) fn sender(&self, pipe: &str, tag: u16) -> Option<&Life> {
        let asked = self.asked.as_ref().filter(|asked| asked.pipe == pipe);
        let after = asked.and_then(|asked| asked.after.as_ref());
        let may = |life: &&Life| life.runs && life.def.tag == tag;
        self.lives.get(pipe).filter(may).or_else(|| after.filter(may))
    }

    /// A pipe has come so far by this definition: what it wants of the entries before is at the far side.
    pub(crate) fn audit(&mut self, pipe: &str, def: &Def, position: u64, books: &Books<'_>) {
        let asked = self.asked.as_mut().filter(|asked| asked.pipe == pipe);
        let after = asked.and_then(|asked| asked.after.as_mut());
        // One that is being created is audited from its first entry on, which is known with the answer.
        let Some(life) = self.lives.get_mut(pipe) else { return };
        for (sequence, number) in books.known.range(life.audited..position.max(life.audited)) {
            if life.exempt.contains(sequence) || def.is_sampled() {
                continue;
            }
            let wanted = def.wants(&books.goods[number], *sequence, life.border);
            assert!(
                wanted.is_none() || books.far.has(life.id, *sequence),
                "entry {sequence} is missing at the far side of {pipe}, which is behind it, at {position}"
            );
        }
        life.audited = life.audited.max(position);
        if let Some(after) = after.filter(|after| after.id == life.id) {
            after.audited = life.audited;
        }
        self.passed = self.passed.max(position);
    }

    /// A statement has done what it says.
    pub(crate) fn carried_out(&mut self, kept: Option<Kept>) {
        let Some(asked) = self.asked.take() else { return };
        let Some(mut life) = asked.after else {
            self.lives.remove(&asked.pipe);
            return;
        };
        let is_new = self.lives.get(&asked.pipe).is_none_or(|before| before.id != life.id);
        if is_new {
            let Some(kept) = kept else {
                assert!(life.def.is_snapshot(), "{} was created, and is not kept", asked.pipe);
                self.ended.insert(asked.pipe, life);
                return;
            };
            assert!(kept.border >= asked.known_below, "history ends at {}", kept.border);
            life.border = kept.border;
            life.audited = self.first_of(&life);
        }
        if self.lives.get(&asked.pipe).is_some_and(|before| before.def != life.def) {
            life.unsure.clear();
        }
        // Its place has come behind what it need not send.
        while life.skipped.contains(&life.audited) {
            life.audited += 1;
        }
        self.ended.remove(&asked.pipe);
        self.lives.insert(asked.pipe, life);
    }

    /// Pipes that have ended by themselves are no more.
    pub(crate) fn forget_ended(&mut self, kept: &BTreeMap<String, Kept>) {
        let is_gone = |(pipe, life): &(String, Life)| life.is_ending && !kept.contains_key(pipe);
        let (gone, lives) = std::mem::take(&mut self.lives).into_iter().partition(is_gone);
        self.lives = lives;
        self.ended.extend::<BTreeMap<_, _>>(gone);
    }

    /// The first entry that a new pipe has to send, if it wants it: others have kept those behind theirs.
    fn first_of(&self, life: &Life) -> u64 {
        if !life.def.has_history() {
            return life.border;
        }
        let others = self.lives.values().map(|other| other.audited).min();
        others.unwrap_or(self.passed)
    }

    /// After a start: each pipe is as it was answered, and the one about which nobody was answered in either way.
    pub(crate) fn resolve(&mut self, kept: &BTreeMap<String, Kept>) {
        if let Some(asked) = self.asked.take() {
            let found = kept.get(&asked.pipe).copied();
            let before = self.lives.get(&asked.pipe);
            if !is_as(before, found) {
                assert!(is_as(asked.after.as_ref(), found), "after {:?}: {found:?}", asked.text);
                self.asked = Some(asked);
                self.carried_out(found);
            } else if let (Some(life), Some(after)) = (self.lives.get_mut(&asked.pipe), asked.after)
            {
                life.unsure.extend(after.unsure);
            }
        }
        self.forget_ended(kept);
        let ended = std::mem::take(&mut self.ended).into_iter();
        self.lives.extend(ended.filter(|(pipe, _)| kept.contains_key(pipe)));
        for life in self.lives.values_mut() {
            life.is_ending = false;
        }
        for (pipe, life) in &self.lives {
            let found = kept.get(pipe).copied();
            assert!(is_as(Some(life), found), "{pipe} should be {life:?}, and is {found:?}");
        }
        for pipe in kept.keys() {
            assert!(self.lives.contains_key(pipe), "{pipe} is there again");
        }
    }

    /// The lowest entry that may not be released.
    pub(crate) fn needed_from(&self, positions: &BTreeMap<String, u64>) -> u64 {
        positions.values().copied().min().unwrap_or(self.passed)
    }
}

fn is_as(life: Option<&Life>, found: Option<Kept>) -> bool {
    let found = found.map(|kept| (kept.tag, kept.runs));
    life.map(|life| (life.def.tag, life.runs)) == found
}
