//! What systemd is told: ready, one line of state, the watchdog's food, stopping. Without systemd
//! nothing happens.

use std::env;
use std::ffi::OsStr;
use std::fmt::Write;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::ops::board::{Board, PipeRow};
use crate::ops::human::{Age, Bytes};

#[cfg(doc)]
use crate::ops::stamp::Stamps;

/// Listeners are bound and the spool is read back.
pub fn ready(line: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(line)], TURN);
}

/// What the node is about, in one line.
pub fn status(line: &str) {
    tell(&[NotifyState::Status(line)], Duration::ZERO);
}

/// Everything turns. To be said only if [`Stamps::judge`] says so.
pub fn feed_watchdog() {
    tell(&[NotifyState::Watchdog], Duration::ZERO);
}

/// The node takes no more.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping")], TURN);
}

/// The configuration is read again; follow it with [`ready`].
pub fn reloading() {
    tell(&[NotifyState::Reloading], TURN);
}

/// How often the watchdog wants to be fed: a third of its patience. None without a watchdog.
pub fn watchdog_period() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|patience| patience / 3)
}

/// Waits for so long where systemd does not take what it was told before. What is said again anyway does not wait: a
/// service manager that stands still stops no node.
fn tell(states: &[NotifyState<'_>], patience: Duration) {
    let Some(socket) = env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&socket, states, patience) {
        log::debug!("event=systemd_unreachable error={error:?}");
    }
}

fn send(socket: &OsStr, states: &[NotifyState<'_>], patience: Duration) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    let mut text = String::new();
    for state in states {
        writeln!(text, "{state}").map_err(io::Error::other)?;
    }
    let sender = UnixDatagram::unbound()?;
    if patience.is_zero() {
        sender.set_nonblocking(true)?;
    } else {
        sender.set_write_timeout(Some(patience))?;
    }
    // A datagram goes whole or not at all.
    sender.send_to_addr(text.as_bytes(), &address).map(drop)
}

/// What is said once waits for so long.
const TURN: Duration = Duration::from_secs(1);

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
    fn a_service_manager_that_takes_nothing_stops_nobody() {
        const QUEUED_MAX: usize = 10_000;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let tell = |state, patience| send(path.as_os_str(), &[state], patience);
        let is_full = |_: &usize| tell(NotifyState::Watchdog, Duration::ZERO).is_err();
        let queued = (0..QUEUED_MAX).find(is_full).expect("its queue ends");
        let patience = Duration::from_millis(1);
        let waited = tell(NotifyState::Ready, patience).unwrap_err();
        assert_eq!(waited.kind(), io::ErrorKind::WouldBlock);
        let mut said = [0; 64];
        for _ in 0..queued {
            let count = manager.recv(&mut said).unwrap();
            assert_eq!(said[..count], *b"WATCHDOG=1\n");
        }
        tell(NotifyState::Status("x"), Duration::ZERO).unwrap();
        let count = manager.recv(&mut said).unwrap();
        assert_eq!(said[..count], *b"STATUS=x\n");
    }

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
