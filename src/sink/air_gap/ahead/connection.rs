//! One connection of several: a request at a time, from a task of its own.
//!
//! It connects when there is a request, to the first node that accepts the handshake, and stays with it. Whatever goes
//! wrong once a request may have left ends the connection and is told: what to do then is for others to say.

use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};

use super::super::envelope::{Answers, Envelope};
use super::super::frame_buffer::FrameBuffer;
use super::super::line::dial;
use super::super::socket::Socket;
use crate::config::NodeUrls;
use crate::limits::{ANSWER_TIMEOUT, NODE_REST};
use crate::link::rate::{Grant, Rates};
use crate::ops::clock;

/// A request that is to be carried over.
#[derive(Debug)]
pub(super) struct Job {
    /// Its frame is finished.
    pub(super) buffer: FrameBuffer,
    /// The frame of the handshake that it needs.
    pub(super) handshake: Arc<[u8]>,
    /// The node that is tried first.
    pub(super) node: usize,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Whose it was.
    pub(super) slot: usize,
    pub(super) buffer: FrameBuffer,
    pub(super) result: Result<(), String>,
}

/// What all connections of a sink have in common.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) nodes: NodeUrls,
    pub(super) envelope: Envelope,
    pub(super) handshake_timeout: Duration,
    pub(super) rates: Mutex<Rates>,
}

/// The connection, while there is one.
#[derive(Debug)]
struct Connection {
    common: Arc<Common>,
    open: Option<Open>,
    /// Nodes that did not take a connection, until then.
    resting: Vec<(usize, Instant)>,
}

#[derive(Debug)]
struct Open {
    socket: Socket,
    answers: Answers,
    handshake: Arc<[u8]>,
}

/// Carries one request after the other until there are no more.
pub(super) async fn carry(
    slot: usize,
    common: Arc<Common>,
    mut jobs: mpsc::Receiver<Job>,
    outcomes: mpsc::Sender<Outcome>,
) {
    let mut connection = Connection { common, open: None, resting: Vec::new() };
    while let Some(job) = jobs.recv().await {
        let result = connection.carry(&job).await.map_err(|error| error.to_string());
        let outcome = Outcome { slot, buffer: job.buffer, result };
        if outcomes.send(outcome).await.is_err() {
            return;
        }
    }
}

impl Connection {
    async fn carry(&mut self, job: &Job) -> io::Result<()> {
        let is_usable =
            |open: &Open| Arc::ptr_eq(&open.handshake, &job.handshake) && open.is_silent();
        let mut open = match self.open.take().filter(is_usable) {
            Some(open) => open,
            None => self.open(job).await?,
        };
        open.ask(job.buffer.frame(), &self.common.rates, ANSWER_TIMEOUT).await?;
        self.open = Some(open);
        Ok(())
    }

    /// Connects to the first node that accepts the handshake.
    async fn open(&mut self, job: &Job) -> io::Result<Open> {
        let mut last = io::Error::from(ErrorKind::NotConnected);
        let now = clock::now();
        self.resting.retain(|(_, until)| *until > now);
        let count = self.common.nodes.len();
        let in_order = (0..count).map(|step| (job.node + step) % count);
        let (awake, resting): (Vec<_>, Vec<_>) =
            in_order.partition(|node| !self.resting.iter().any(|(other, _)| other == node));
        for node in awake.into_iter().chain(resting) {
            match self.open_to(node, &job.handshake).await {
                Ok(open) => return Ok(open),
                Err(error) => last = error,
            }
            self.resting.push((node, now + NODE_REST));
        }
        Err(last)
    }

    async fn open_to(&self, node: usize, handshake: &Arc<[u8]>) -> io::Result<Open> {
        let Common { nodes, envelope, handshake_timeout: limit, rates } = &*self.common;
        let url = nodes.get(node).ok_or(ErrorKind::NotFound)?;
        let socket = timeout(*limit, dial(url)).await??;
        let (answers, handshake) = (Answers::of(*envelope), Arc::clone(handshake));
        let mut open =
            Open { socket: Socket::Gate(socket), answers, handshake: Arc::clone(&handshake) };
        open.ask(&handshake, rates, *limit).await?;
        Ok(open)
    }
}

impl Open {
    /// Whether nothing came that nobody asked for, nor the end.
    fn is_silent(&self) -> bool {
        let read = self.socket.read_now(&mut [0]);
        matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Writes a frame and waits for a good answer, at most so long after the last byte that could leave.
    async fn ask(&mut self, frame: &[u8], rates: &Mutex<Rates>, limit: Duration) -> io::Result<()> {
        let mut rest = frame;
        while !rest.is_empty() {
            let wait = match grant(rates, rest.len()) {
                Ok(granted) => {
                    let now = rest.get(..granted).unwrap_or(rest);
                    let left = timeout(limit, self.write(now)).await??;
                    give_back(rates, now.len().saturating_sub(left));
                    rest = rest.get(left..).unwrap_or_default();
                    continue;
                }
                Err(until) => until,
            };
            sleep_until(wait.into()).await;
        }
        match timeout(limit, self.answer()).await?? {
            0 => Ok(()),
            _ => Err(io::Error::other(self.answers.refusal().said.clone())),
        }
    }

    async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            self.socket.writable().await?;
            match self.socket.try_write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                written => return written,
            }
        }
    }

    async fn answer(&mut self) -> io::Result<u8> {
        loop {
            self.socket.readable().await?;
            if let Some(answer) = self.answers.take(|into| self.socket.try_read(into))? {
                return Ok(answer);
            }
        }
    }
}

fn grant(rates: &Mutex<Rates>, wanted: usize) -> Result<usize, Instant> {
    match rates.lock().unwrap_or_else(PoisonError::into_inner).grant(clock::now(), wanted) {
        Grant::Now(granted) => Ok(granted),
        Grant::Until(later) => Err(later),
    }
}

fn give_back(rates: &Mutex<Rates>, bytes: usize) {
    rates.lock().unwrap_or_else(PoisonError::into_inner).give_back(bytes);
}
