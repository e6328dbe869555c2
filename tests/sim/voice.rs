//! A pipe's sink as it is played: its frames, its machine and its connection.

use std::io::ErrorKind;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use penstock::link::sender::{Command, Sender};
use penstock::sink::air_gap::{Feed, Load};

use crate::line::{End, Line};
use crate::random::Random;

/// Turns in which what cannot be sent is kept; else it is tried again.
const TURNS: usize = 1_000;

/// What sends, and over which line.
pub(crate) struct Voice<F: Feed> {
    pub(crate) load: Load<F>,
    pub(crate) sender: Sender,
    pub(crate) line: Option<usize>,
    /// Bytes of the frame that have not left.
    rest: Vec<u8>,
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Did {
    Nothing,
    Something,
    /// It dials.
    Connect,
}

impl<F: Feed> Voice<F> {
    pub(crate) fn new(load: Load<F>, seed: u64) -> Self {
        let sender = Sender::new(load.sender_settings(), seed);
        Self { load, sender, line: None, rest: Vec::new() }
    }

    /// The connection that it dialled stands, or nobody was there.
    pub(crate) fn dialled(&mut self, line: Option<usize>, now: Instant) {
        self.line = line;
        match line {
            Some(_) => self.sender.handle_connected(now),
            None => self.sender.handle_lost(now, ErrorKind::ConnectionRefused),
        }
    }

    pub(crate) fn step(&mut self, now: Instant, lines: &mut [Line], random: &mut Random) -> Did {
        if self.sender.poll_timeout().is_some_and(|at| at <= now) {
            self.sender.handle_timeout(now);
        }
        if self.sender.is_free() {
            match self.load.entry() {
                Ok(Some((_, delivery))) => self.sender.deliver(now, delivery),
                Ok(None) => {}
                // What the disk cannot read now it reads later, as what could not be kept.
                Err(_) => {
                    let mut aside = pin!(self.load.put_aside());
                    let context = &mut Context::from_waker(Waker::noop());
                    let _is_aside = (0..TURNS).find_map(|_| match aside.as_mut().poll(context) {
                        Poll::Ready(is_aside) => Some(is_aside),
                        Poll::Pending => None,
                    });
                }
            }
        }
        match self.sender.poll(now) {
            Some(Command::Connect { .. }) => Did::Connect,
            Some(Command::Look) => {
                self.look(now, lines);
                Did::Something
            }
            Some(Command::Send(frame)) => {
                match self.load.frame(frame) {
                    Ok(bytes) => self.rest = bytes,
                    Err(_) => self.sender.abandon(),
                }
                Did::Something
            }
            Some(Command::Close) => {
                if let Some(line) = self.line.take().and_then(|line| lines.get_mut(line)) {
                    line.drop_sender(random);
                }
                self.rest.clear();
                Did::Something
            }
            None if self.talk(now, lines, random) => Did::Something,
            None => Did::Nothing,
        }
    }

    fn look(&mut self, now: Instant, lines: &mut [Line]) {
        let Some(line) = self.line.and_then(|line| lines.get_mut(line)) else { return };
        match (line.take_answer(), line.sender) {
            (Some(answer), _) => self.sender.handle_answer(now, answer),
            (None, End::Open) => self.sender.handle_clear(now),
            (None, End::Reset | End::Gone) => self.sender.handle_closed(now),
        }
    }

    /// Reads, or writes on.
    fn talk(&mut self, now: Instant, lines: &mut [Line], random: &mut Random) -> bool {
        let Some(line) = self.line.and_then(|line| lines.get_mut(line)) else { return false };
        if let Some(answer) = line.take_answer() {
            self.sender.handle_answer(now, answer);
            return true;
        }
        if line.sender == End::Reset {
            line.drop_sender(random);
            if random.once_in(2) {
                self.sender.handle_closed(now);
            } else {
                self.sender.handle_lost(now, ErrorKind::ConnectionReset);
            }
            return true;
        }
        if self.rest.is_empty() || !self.sender.is_writing() || line.stalled {
            return false;
        }
        let most = self.rest.len();
        let count = if random.once_in(4) {
            usize::try_from(random.between(1, most as u64)).unwrap_or(most)
        } else {
            most
        };
        let part: Vec<u8> = self.rest.drain(..count).collect();
        line.send(&part);
        self.sender.handle_progress(now);
        if self.rest.is_empty() {
            self.sender.handle_written(now);
        }
        true
    }
}
