//! The orderly stop of the gate thread.

use std::io;
use std::time::Duration;

use mio::Events;

use super::Gate;
use crate::limits;
use crate::ops::clock;

/// Peers get so long to read the last answers before their connections are reset.
const LAST_ANSWERS: Duration = Duration::from_millis(50);

impl Gate {
    /// The orderly stop.
    pub(super) fn finish(&mut self, events: &mut Events) -> io::Result<()> {
        let until = clock::now() + limits::STOP_ANSWER_MAX;
        if let Some(mut listener) = self.listener.take() {
            self.poll.registry().deregister(&mut listener)?;
        }
        for connection in self.table.iter_mut().flatten() {
            connection.machine.handle_stop(&mut self.store);
        }
        loop {
            let now = clock::now();
            self.stamp().turn(now);
            self.take_reports(now);
            let mut owed = 0;
            for connection in self.table.iter_mut().flatten() {
                connection.machine.handle_room(now, &mut self.store);
                connection.turn(now, &mut self.buffer, &mut self.store);
                owed += usize::from(connection.machine.is_held());
            }
            self.store.stage().submit();
            if owed == 0 || until <= now {
                break;
            }
            self.poll_ignoring_interrupts(events, until.saturating_duration_since(now))?;
        }
        self.poll_ignoring_interrupts(events, LAST_ANSWERS)?;
        for index in 0..self.table.len() {
            self.end(index, true);
        }
        self.close_links();
        Ok(())
    }

    fn poll_ignoring_interrupts(&mut self, events: &mut Events, time: Duration) -> io::Result<()> {
        let polled = self.poll.poll(events, Some(time.min(limits::TURN_PERIOD_MAX)));
        match polled {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }
}
