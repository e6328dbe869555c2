//! What a pipe sends once more, before it goes on with what is new.
//!
//! ```text
//!  pipes/<pipe>.replay    17 to 19
//!  dead-letter/<pipe>/    17, 19   --+
//!                                    +--> 17 (letter), 18 (log), 19 (letter)
//!  log                    16 17 18 --+    what the pipe has not sent yet comes in its turn
//! ```
//!
//! A letter goes once the far side has it. Entries of the log are sent if they are still there: a replay holds
//! nothing, and what was released meanwhile is stepped over.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use super::dead_letters::{DeadLetters, LetterId};
use crate::data::Sequence;
use crate::limits::LETTERS_LISTED_MAX;
use crate::ops::board::Work;
use crate::ops::clock;
use crate::pipe::{Replay, ReplayFile};
use crate::spool::{Cursor, Disk, Entry, EntryHeader, ReadError, Reader};

/// How often it is kept how far it has come: what lies between is sent a second time after a kill.
const KEEP_PERIOD: Duration = Duration::from_secs(1);

/// A replay under way.
pub(super) struct Replaying<D: Disk> {
    replay: Replay,
    file: ReplayFile<D>,
    reader: Reader<D>,
    /// The entry of the log that comes next; none if it has to be looked for.
    ahead: Option<Entry>,
    /// The letters that come next.
    letters: VecDeque<LetterId>,
    /// Where the letters behind those begin; none if there are no more.
    more: Option<LetterId>,
    kept: Instant,
    /// Where people see how far it has come, and where it began.
    shown: Option<(Work, Sequence)>,
}

/// What comes next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Again {
    /// An entry of the log.
    Entry(Entry),
    /// A dead letter.
    Letter(EntryHeader),
}

impl Again {
    pub(super) const fn header(&self) -> &EntryHeader {
        match self {
            Self::Entry(entry) => &entry.header,
            Self::Letter(header) => header,
        }
    }
}

impl<D: Disk> Replaying<D> {
    /// The rest of `replay`, by a reader of its own.
    pub(super) fn new(replay: Replay, file: ReplayFile<D>, mut reader: Reader<D>) -> Self {
        reader.seek(replay.next);
        let more = Some(LetterId::first(replay.next));
        let (letters, kept) = (VecDeque::new(), clock::now());
        Self { replay, file, reader, ahead: None, letters, more, kept, shown: None }
    }

    /// Shows there how far it has come.
    pub(super) fn show(&mut self, work: Work) {
        self.shown = Some((work, self.replay.next));
    }

    /// Its reader, for what it returned last.
    pub(super) const fn reader(&self) -> &Reader<D> {
        &self.reader
    }

    /// The next read of the log goes over what the disk does not give back.
    pub(super) const fn forgive(&mut self) {
        self.reader.forgive();
    }

    /// What is sent next, until [`Replaying::pass`]; none at the end. Of the log only what `cursor` is done with.
    ///
    /// # Errors
    /// If the disk fails.
    pub(super) fn next(
        &mut self,
        cursor: &Cursor,
        dead: &DeadLetters<D>,
    ) -> Result<Option<Again>, ReadError> {
        let letter = self.next_letter(dead)?;
        self.look_ahead(cursor)?;
        let id = self.ahead.map(|entry| LetterId::of(&entry.header));
        Ok(match (letter, self.ahead) {
            (Some(letter), _) if id.is_none_or(|id| LetterId::of(&letter) <= id) => {
                Some(Again::Letter(letter))
            }
            (_, ahead) => ahead.map(Again::Entry),
        })
    }

    /// The far side has what was returned last, or it was put aside.
    pub(super) fn pass(&mut self, again: &Again) {
        let id = LetterId::of(again.header());
        if let Again::Letter(_) = again {
            self.letters.pop_front();
        }
        // The same entry may lie in both.
        if self.ahead.is_some_and(|entry| LetterId::of(&entry.header) == id) {
            self.ahead = None;
        }
        self.replay.next = self.replay.next.max(id.sequence);
        if let Some((work, first)) = &self.shown {
            let Replay { next, last } = self.replay;
            let (done, all) = (next.0.saturating_sub(first.0), last.0.saturating_sub(first.0));
            work.done(done.saturating_add(1), all.saturating_add(1));
        }
        if clock::now().duration_since(self.kept) >= KEEP_PERIOD {
            self.keep();
        }
    }

    /// Keeps how far it has come.
    fn keep(&mut self) {
        self.kept = clock::now();
        if let Err(error) = self.file.keep(self.replay) {
            log::warn!("event=replay_not_kept error=\"{error}\"");
        }
    }

    /// It goes on behind `sequence`, durably.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn leave(self, sequence: Sequence) -> io::Result<()> {
        let next = sequence.next();
        if next > self.replay.last {
            return self.file.forget();
        }
        self.file.keep(Replay { next, ..self.replay })
    }

    /// It is done.
    pub(super) fn end(self) {
        // Or it is done once more after the next start.
        if let Err(error) = self.file.forget() {
            log::warn!("event=replay_not_forgotten error=\"{error}\"");
        }
    }

    fn next_letter(&mut self, dead: &DeadLetters<D>) -> Result<Option<EntryHeader>, ReadError> {
        loop {
            if self.letters.is_empty()
                && let Some(first) = self.more.take()
            {
                let found = dead.between(first, self.replay.last);
                let found = found.map_err(|source| trouble("list", source))?;
                let last = found.last().filter(|_| found.len() == LETTERS_LISTED_MAX);
                self.more = last.map(|last| last.next());
                self.letters = found.into();
            }
            let Some(id) = self.letters.front() else { return Ok(None) };
            let header = dead.header(*id).map_err(|source| trouble("read", source))?;
            if header.is_some() {
                return Ok(header);
            }
            log::warn!("event=dead_letter_unreadable entry={}", id.sequence);
            self.letters.pop_front();
        }
    }

    fn look_ahead(&mut self, cursor: &Cursor) -> Result<(), ReadError> {
        while self.ahead.is_none() && self.reader.position() <= self.replay.last {
            let Some(entry) = self.reader.next_entry()? else { break };
            let sequence = entry.header.sequence;
            if sequence <= self.replay.last && cursor.is_finished(sequence) {
                self.ahead = Some(entry);
            }
        }
        Ok(())
    }
}

fn trouble(operation: &'static str, source: io::Error) -> ReadError {
    ReadError::Disk { operation, path: "dead-letter".into(), source }
}

impl<D: Disk> fmt::Debug for Replaying<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replaying").field("replay", &self.replay).finish_non_exhaustive()
    }
}
