//! `spool release`: what it gave free, and who needs the rest.

use std::fmt;

use super::book::not_kept;
use super::live::Pipes;
use super::{Book, CONSUMER_PREFIX, orphans};
use crate::config::Config;
use crate::data::Sequence;
use crate::keep::spool_handle::Ended;
use crate::node::NodeError;
use crate::ops::board::{Board, TroubleKind};
use crate::ops::clock;
use crate::ops::human::Bytes;
use crate::pipe::{Birth, Desired, Pipe};
use crate::spool::{Disk, PartialError, Spool, Stats};

/// What came of a release. Its text is for the person who asked: what went, then a line for each that
/// still needs something.
#[derive(Debug)]
pub struct Released {
    /// Pipes without a record that have lost their place.
    pub pipes: Vec<String>,
    /// Entries that nobody claims any more.
    pub entries: u64,
    /// Bytes that the spool is smaller by.
    pub bytes: u64,
    /// Who still needs entries; the spool bounds its consumers.
    held: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    consumer: String,
    position: Sequence,
    entries: u64,
}

/// Gives up the places of pipes that are not among those `known`, then everything that nobody claims.
///
/// # Errors
/// The disk's.
fn release<D: Disk>(spool: &mut Spool<D>, known: &[String]) -> Result<Released, PartialError> {
    let before = spool.stats();
    let mut pipes = Vec::new();
    for (id, pipe, _) in orphans(spool, known) {
        spool.drop_consumer(id)?;
        pipes.push(pipe);
    }
    spool.release_unclaimed()?;
    let after = spool.stats();
    let size = |stats: &Stats| stats.segment_bytes + stats.file_bytes;
    let held = spool.consumers().map(|(_, name, cursor)| {
        let (entries, _) = spool.remaining(cursor.position);
        Held { consumer: name.to_owned(), position: cursor.position, entries }
    });
    Ok(Released {
        pipes,
        entries: after.released_below.0.saturating_sub(before.released_below.0),
        bytes: size(&before).saturating_sub(size(&after)),
        held: held.filter(|one| one.entries > 0).collect(),
    })
}

/// The same for a node that is stopped. The stanzas are applied first, as its next start would do, and pipes whose
/// stanza went are dropped.
///
/// # Errors
/// The disk's.
pub fn release_stopped<D: Disk>(
    spool: &mut Spool<D>,
    disk: D,
    config: &Config,
) -> Result<Released, NodeError> {
    let board = Board::new(config.role, &config.name, clock::now());
    let mut book = Book::open(disk, false, &board)?;
    let birth = Birth { now_ms: clock::wall().0, next: spool.next_sequence() };
    book.settle(&config.pipes, birth, &board)?;
    for pipe in orphaned(&book) {
        book.keep(Pipe { desired: Desired::Dropped, ..pipe }).map_err(not_kept)?;
    }
    book.bury_all(spool)?;
    release(spool, &book.names()).map_err(|source| NodeError::Consumer {
        name: "of a pipe without a record".to_owned(),
        source,
    })
}

fn orphaned<D: Disk>(book: &Book<D>) -> Vec<Pipe> {
    let is_orphan = |pipe: &&Pipe| pipe.desired == Desired::Orphaned;
    book.registry().live().filter(is_orphan).cloned().collect()
}

/// The same in a running node: pipes whose stanza went are dropped first.
pub(super) async fn answer<D: Disk>(pipes: &mut Pipes<D>) -> Result<String, String> {
    for pipe in orphaned(&pipes.book) {
        let name = pipe.name.clone();
        let kept = pipes.keep(Pipe { desired: Desired::Dropped, ..pipe });
        kept.map_err(|error| error.to_string())?;
        pipes.bring(&name).await.map_err(|error| error.to_string())?;
    }
    let known = pipes.book.names();
    let released = pipes.around.spool.call(move |spool| release(spool, &known)).await;
    let released = released.map_err(|Ended| "the spool has ended".to_owned())?;
    let released = released.map_err(|error| error.to_string())?;
    for pipe in &released.pipes {
        // The row first: while it is there its trouble is raised again.
        pipes.around.board.pipes.remove(pipe);
        pipes.around.board.clear(TroubleKind::PipeStopped, pipe);
    }
    Ok(released.to_string())
}

impl fmt::Display for Released {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} entries given free, {}", self.entries, Bytes(self.bytes))?;
        for Held { consumer, position, entries } in &self.held {
            match consumer.strip_prefix(CONSUMER_PREFIX) {
                Some(pipe) => {
                    write!(out, "\npipe {pipe} needs {entries} entries, from {position} on")?;
                    out.write_str(": DROP PIPE gives them up")?;
                }
                None => write!(out, "\n{consumer} needs {entries} entries, from {position} on")?,
            }
        }
        Ok(())
    }
}
