//! `spool release`: what it gave free, and who needs the rest.

use std::fmt;

use super::{CONSUMER_PREFIX, orphans};
use crate::data::Sequence;
use crate::ops::human::Bytes;
use crate::spool::{Disk, PartialError, Spool, Stats};

/// What came of a release. Its text is for the person who asked: what went, then a line for each that
/// still needs something.
#[derive(Debug)]
pub struct Released {
    /// Pipes without a stanza that have lost their place.
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

/// Gives up the places of pipes without a stanza, then everything that nobody claims.
///
/// # Errors
/// The disk's.
pub fn release<D: Disk>(
    spool: &mut Spool<D>,
    stanzas: &[String],
) -> Result<Released, PartialError> {
    let before = spool.stats();
    let mut pipes = Vec::new();
    for (id, pipe, _) in orphans(spool, stanzas) {
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

impl fmt::Display for Released {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} entries given free, {}", self.entries, Bytes(self.bytes))?;
        for Held { consumer, position, entries } in &self.held {
            match consumer.strip_prefix(CONSUMER_PREFIX) {
                Some(pipe) => {
                    write!(out, "\npipe {pipe} needs {entries} entries, from {position} on")?;
                    out.write_str(": take its stanza away and reload to give them up")?;
                }
                None => write!(out, "\n{consumer} needs {entries} entries, from {position} on")?,
            }
        }
        Ok(())
    }
}
