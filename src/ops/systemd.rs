//! What systemd is told: ready, one line of state, the watchdog's food, stopping. Without systemd
//! nothing happens.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::ops::board::{Board, PipeRow};
use crate::ops::human::{Age, Bytes};

#[cfg(doc)]
use crate::ops::stamp::Stamps;

/// Listeners are bound and the spool is read back.
pub fn ready(line: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(line)]);
}

/// What the node is about, in one line.
pub fn status(line: &str) {
    tell(&[NotifyState::Status(line)]);
}

/// Everything turns. To be said only if [`Stamps::judge`] says so.
pub fn feed_watchdog() {
    tell(&[NotifyState::Watchdog]);
}

/// The node takes no more.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// The configuration is read again; follow it with [`ready`].
pub fn reloading() {
    tell(&[NotifyState::Reloading]);
}

/// How often the watchdog wants to be fed: a third of its patience. None without a watchdog.
pub fn watchdog_period() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|patience| patience / 3)
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("event=systemd_unreachable error={error:?}");
    }
}

/// The node's state in one line, for `systemctl status`.
pub fn state_line(board: &Board, now: Instant) -> String {
    let mut parts = Vec::new();
    let unseen: Vec<_> =
        board.troubles.all().into_iter().filter(|trouble| !trouble.acknowledged).collect();
    if let Some(first) = unseen.first() {
        parts.push(format!("{} trouble ({})", unseen.len(), first.id()));
    }
    let spool = &board.spool;
    let (state, entries, bytes) =
        (spool.state().name(), spool.entries.get(), Bytes(spool.bytes.get()));
    parts.push(format!("spool {state}: {entries} entries, {bytes}"));
    parts.extend(board.pipes.all().iter().take(PIPES_SHOWN).map(|pipe| pipe_part(pipe, now)));
    parts.join("; ")
}

fn pipe_part(pipe: &PipeRow, now: Instant) -> String {
    let (id, entries) = (pipe.id(), pipe.remaining_entries.get());
    match pipe.last_answer.age(now) {
        Some(age) => format!("{id}: {entries} to send, answered {} ago", Age(age.as_secs())),
        None => format!("{id}: {entries} to send, no answer yet"),
    }
}

/// More would not fit a line.
const PIPES_SHOWN: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Role;
    use crate::ops::board::{Report, TroubleKind};
    use crate::ops::clock::{self, EpochMillis};

    #[test]
    fn state_is_one_line_with_trouble_first() {
        let now = clock::now();
        let board = Board::new(Role::Sender, "", now);
        assert_eq!(state_line(&board, now), "spool ok: 0 entries, 0 B");
        let row = board.pipes.row("a", "", EpochMillis(0)).unwrap();
        row.set_backlog(0, 3, 10, now);
        board.raise(Report::new(TroubleKind::NoAnswer, "").about("a"), EpochMillis(0));
        let line = "1 trouble (no-answer:a); spool ok: 0 entries, 0 B; a: 3 to send, no answer yet";
        assert_eq!(state_line(&board, now), line);
    }
}
