//! What a feed sends once more.

use super::super::dead_letters::LetterId;
use super::super::replay::Again;
use super::{Held, SpoolFeed};
use crate::spool::{Disk, ReadError};

impl<D: Disk> SpoolFeed<D> {
    /// What is sent once more, before anything else.
    pub(super) fn hold_again(&mut self) -> Result<(), ReadError> {
        let Some(replaying) = &mut self.replaying else { return Ok(()) };
        match replaying.next(&self.cursor, &self.dead_letters)? {
            Some(again) => self.held = Some(Held::Again(again)),
            None => {
                if let Some(done) = self.replaying.take() {
                    done.end();
                }
            }
        }
        Ok(())
    }

    /// What was sent once more is done with, and a letter goes unless it stays.
    pub(super) fn pass(&mut self, again: &Again, stays: bool) {
        if let Some(replaying) = &mut self.replaying {
            replaying.pass(again);
        }
        let Again::Letter(header) = again else { return };
        if stays {
            return;
        }
        match self.dead_letters.remove(LetterId::of(header)) {
            Ok(()) => self.letters = self.letters.saturating_sub(1),
            Err(error) => {
                let sequence = header.sequence;
                log::warn!("event=dead_letter_not_removed entry={sequence} error=\"{error}\"");
            }
        }
    }
}
