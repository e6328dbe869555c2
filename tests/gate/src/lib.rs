//! Plays a one-way network gate, with every fault that such gates have.
//!
//! ```text
//!   inner side            the gate                                  outer side
//!              +------------------------------------------+
//!   sender --> | listen |  wire: speed, delay, buffers  | --> target: receiver
//!              |  (a virtual address)                     |
//!          <-- |  one byte, all zeros or all ones       | <--
//!              +------------------------------------------+
//!                  faults by script, by seed, by hand
//! ```
//!
//! Like the real ones it ends TCP on both sides, so that "connected" says nothing about what stands
//! behind, and its policy decides what may come back. Start one with [`start`]; the program
//! `penstock-gate` does no more.
//!
//! The pure parts (frames, lanes, wire, policy, script, chance) take the time as an argument;
//! `engine`, `connection` and `side` move the bytes.

mod answers;
mod chance;
mod clock;
mod config;
mod connection;
mod delivery;
mod engine;
mod event;
mod fault;
mod frames;
mod lane;
mod link;
mod quantity;
mod replies;
mod script;
mod shared;
mod side;

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use mio::net::TcpListener;
use mio::{Poll, Waker};

pub use chance::Chance;
pub use config::{BUFFER_BYTES_DEFAULT, Config};
pub use event::{Ending, Event, Stats, What};
pub use fault::{Fault, FaultError, STRANGERS_MAX, Scope};
pub use frames::{E_PREFIX, E_SUFFIX};
pub use quantity::{QuantityError, duration_text, parse_duration, parse_rate, parse_size};
pub use replies::{OnViolation, ReplyPolicy, ReplyValues, Violation};
pub use script::{Rule, ScriptError, Trigger, Unit, parse as parse_script};

use engine::{Command, Engine, WAKER};

/// A running gate. It ends when it is dropped, and resets every connection.
#[derive(Debug)]
pub struct Gate {
    address: SocketAddr,
    stats: Arc<Mutex<Stats>>,
    commands: Sender<Command>,
    waker: Waker,
    thread: Option<JoinHandle<io::Result<()>>>,
}

/// Starts a gate on a thread of its own; `report` is told what it does, in order.
///
/// # Errors
/// When the address cannot be bound, or the system has no poller or thread left.
pub fn start(config: Config, report: impl FnMut(&Event) + Send + 'static) -> io::Result<Gate> {
    let listener = TcpListener::bind(config.listen)?;
    let address = listener.local_addr()?;
    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WAKER)?;
    let (commands, receiver) = mpsc::channel();
    let stats = Arc::new(Mutex::new(Stats::default()));
    let engine =
        Engine::new(config, poll, listener, receiver, Arc::clone(&stats), Box::new(report))?;
    let thread = thread::Builder::new().name("gate".into()).spawn(|| engine.run())?;
    Ok(Gate { address, stats, commands, waker, thread: Some(thread) })
}

impl Gate {
    /// Where the inner side connects to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The counters as of now.
    pub fn stats(&self) -> Stats {
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A fault happens now; one of connections to all of them.
    pub fn apply(&self, fault: Fault) {
        self.command(Command::Fault(fault));
    }

    /// Connections from now on go to another target.
    pub fn set_target(&self, target: SocketAddr) {
        self.command(Command::Target(target));
    }

    /// Waits until the gate ends by itself, which it does only when its poller fails.
    ///
    /// # Errors
    /// The poller's.
    pub fn wait(mut self) -> io::Result<()> {
        self.join()
    }

    /// Ends the gate and resets every connection.
    ///
    /// # Errors
    /// When it had failed before.
    pub fn stop(mut self) -> io::Result<Stats> {
        self.command(Command::Stop);
        self.join()?;
        Ok(self.stats())
    }

    /// A gate that has ended does not hear commands, and need not.
    fn command(&self, command: Command) {
        if self.commands.send(command).is_ok() {
            drop(self.waker.wake());
        }
    }

    fn join(&mut self) -> io::Result<()> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the gate's thread panicked")),
            None => Ok(()),
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.command(Command::Stop);
        drop(self.join());
    }
}
