//! The loop: one thread, one poller, every connection of the gate.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mio::event::Event as Readiness;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use socket2::SockRef;

use crate::clock::{self, earlier};
use crate::config::Config;
use crate::connection::{Connection, State};
use crate::event::{Stats, What};
use crate::fault::{Fault, STRANGERS_MAX};
use crate::script::Unit;
use crate::shared::{Report, Shared};
use crate::side::Side;

/// Connections that the gate holds at most, the forgotten ones included.
const CONNECTIONS_MAX: usize = 1024;
/// Bytes of one read.
const SCRATCH_BYTES: usize = 64 * 1024;
/// News that are taken from the poller at once.
const EVENTS_MAX: usize = 256;
/// How long after a failed accept (too many open files, say) the next one is tried.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// The poller's own resolution.
const POLL_RESOLUTION: Duration = Duration::from_millis(1);

const LISTENER: Token = Token(0);
/// The token of the waker that comes with a command.
pub(crate) const WAKER: Token = Token(1);
const FIRST_CONNECTION: usize = 2;

/// What the handle says to the loop.
#[derive(Debug)]
pub(crate) enum Command {
    /// A fault happens now, to all connections if it is one of connections.
    Fault(Fault),
    /// New connections go to another target.
    Target(SocketAddr),
    /// The loop ends, and with it every connection.
    Stop,
}

/// A running gate.
pub(crate) struct Engine {
    config: Config,
    poll: Poll,
    listener: TcpListener,
    commands: Receiver<Command>,
    published: Arc<Mutex<Stats>>,
    shared: Shared,
    connections: Vec<Option<Connection>>,
    strangers: Vec<TcpStream>,
    half_open_next: u16,
    refuse_until: Option<Instant>,
    accept_again: Option<Instant>,
    scratch: Vec<u8>,
    busy: bool,
    /// The time as the connections last saw it: what became due since then is still to be done.
    driven_at: Instant,
}

impl Engine {
    /// A gate that listens already.
    ///
    /// # Errors
    /// When the poller refuses the listener.
    pub(crate) fn new(
        config: Config,
        poll: Poll,
        mut listener: TcpListener,
        commands: Receiver<Command>,
        published: Arc<Mutex<Stats>>,
        report: Report,
    ) -> io::Result<Self> {
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let now = clock::now();
        Ok(Self {
            shared: Shared::new(&config, report, now),
            config,
            poll,
            listener,
            commands,
            published,
            connections: Vec::new(),
            strangers: Vec::new(),
            half_open_next: 0,
            refuse_until: None,
            accept_again: None,
            scratch: vec![0; SCRATCH_BYTES],
            busy: false,
            driven_at: now,
        })
    }

    /// Runs until it is told to stop.
    ///
    /// # Errors
    /// When the poller fails.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        loop {
            self.wait(&mut events)?;
            let now = clock::now();
            if self.handle_commands(now) {
                return Ok(());
            }
            for event in &events {
                self.handle_ready(event, now);
            }
            self.handle_time(now);
            self.drive(now);
            self.publish();
        }
    }

    /// Waits for news, or for the next deadline to finer than a millisecond: the poller is asked for
    /// whole milliseconds, and a nap takes the rest.
    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let now = clock::now();
        let left = self.next_deadline().map(|deadline| deadline.saturating_duration_since(now));
        let whole = left.map(|left| left.saturating_sub(fraction(left)));
        match self.poll.poll(events, whole) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if let Some(left) = left.filter(|left| *left < POLL_RESOLUTION && events.is_empty()) {
            clock::nap(left);
        }
        Ok(())
    }

    fn next_deadline(&self) -> Option<Instant> {
        if self.busy {
            return Some(self.driven_at);
        }
        let connections = self.connections.iter().flatten();
        let connections =
            connections.filter_map(|connection| connection.poll_timeout(self.driven_at)).min();
        earlier(earlier(connections, self.shared.next_time()), self.accept_again)
    }

    fn handle_ready(&mut self, event: &Readiness, now: Instant) {
        let Some(index) = event.token().0.checked_sub(FIRST_CONNECTION) else {
            if event.token() == LISTENER {
                self.accept(now);
            }
            return;
        };
        if let Some(Some(connection)) = self.connections.get_mut(index / 2) {
            let readable = event.is_readable() || event.is_read_closed() || event.is_error();
            let writable = event.is_writable() || event.is_write_closed() || event.is_error();
            connection.handle_ready(index.is_multiple_of(2), readable, writable);
        }
    }

    /// Takes commands; says whether one of them was to stop.
    fn handle_commands(&mut self, now: Instant) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Fault(fault)) => self.apply_to_all(fault, now),
                Ok(Command::Target(target)) => self.config.target = target,
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return true,
                Err(TryRecvError::Empty) => return false,
            }
        }
    }

    fn handle_time(&mut self, now: Instant) {
        for fault in self.shared.handle_time(now) {
            self.apply_to_connections(fault, now);
        }
        if self.accept_again.is_some_and(|again| now >= again) {
            self.accept_again = None;
            self.accept(now);
        }
        self.apply_gate_faults(now);
    }

    fn accept(&mut self, now: Instant) {
        loop {
            match self.listener.accept() {
                Ok((socket, peer)) => self.open(socket, peer, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) => {
                    self.accept_again = Some(now + ACCEPT_AGAIN);
                    return;
                }
            }
        }
    }

    fn open(&mut self, socket: TcpStream, peer: SocketAddr, now: Instant) {
        self.shared.stats.connections += 1;
        let number = self.shared.stats.connections;
        let faults = self.shared.count(Unit::Connections, 1);
        self.apply_gate_faults(now);
        let refused = self.refuse_until.is_some_and(|until| now < until);
        let slot = self.connections.iter().position(Option::is_none);
        let slot = slot.unwrap_or(self.connections.len());
        if refused || slot >= CONNECTIONS_MAX {
            self.shared.tell(now, Some(number), What::Refused);
            reset(&socket);
            return;
        }
        self.shared.tell(now, Some(number), What::Opened { peer });
        let mut connection = match self.connect(number, slot, socket, now) {
            Ok(connection) => connection,
            Err(error) => {
                let error = error.to_string();
                self.shared.tell(now, Some(number), What::Unreachable { error });
                return;
            }
        };
        for fault in faults {
            connection.apply(fault, now, &mut self.shared);
        }
        if slot == self.connections.len() {
            self.connections.push(None);
        }
        if let Some(place) = self.connections.get_mut(slot) {
            *place = Some(connection);
        }
    }

    fn connect(
        &mut self,
        number: u64,
        slot: usize,
        socket: TcpStream,
        now: Instant,
    ) -> io::Result<Connection> {
        socket.set_nodelay(true)?;
        let first = FIRST_CONNECTION + 2 * slot;
        let inner = Side::new(socket, self.poll.registry(), Token(first))?;
        let outer = if self.half_open_next > 0 {
            self.half_open_next -= 1;
            None
        } else {
            let dialled = TcpStream::connect(self.config.target)?;
            Some(Side::new(dialled, self.poll.registry(), Token(first + 1))?)
        };
        Ok(Connection::new(number, inner, outer, &self.config, now))
    }

    fn apply_to_all(&mut self, fault: Fault, now: Instant) {
        self.apply_to_connections(fault, now);
        self.apply_to_gate(fault, now);
    }

    fn apply_to_connections(&mut self, fault: Fault, now: Instant) {
        if fault.scope() == crate::fault::Scope::Connection {
            for connection in self.connections.iter_mut().flatten() {
                connection.apply(fault, now, &mut self.shared);
            }
        }
    }

    fn apply_gate_faults(&mut self, now: Instant) {
        for fault in self.shared.take_gate_faults() {
            self.apply_to_gate(fault, now);
        }
    }

    fn apply_to_gate(&mut self, fault: Fault, now: Instant) {
        match fault {
            Fault::HalfOpen(count) => {
                self.half_open_next = self.half_open_next.saturating_add(count);
            }
            Fault::Bandwidth(bits_per_second) => {
                self.shared.forward.set_speed(bits_per_second);
                self.shared.back.set_speed(bits_per_second);
            }
            Fault::RoundTrip(time) => self.shared.latency = time / 2,
            Fault::Refuse(time) => self.refuse_until = Some(now + time),
            Fault::Strangers(count) => self.dial_strangers(count),
            Fault::DropAnswer
            | Fault::LateAnswer(_)
            | Fault::DoubleAnswer
            | Fault::WrongAnswer(_)
            | Fault::UnaskedAnswer(_)
            | Fault::Stall(_)
            | Fault::BlackHole(_)
            | Fault::Forget
            | Fault::Reset
            | Fault::Close
            | Fault::SwallowFin
            | Fault::SwallowRst
            | Fault::Segment(_)
            | Fault::FlipBit => return,
        }
        self.shared.stats.faults += 1;
        self.shared.tell(now, None, What::Fault(fault));
    }

    /// Opens connections that say nothing. One that is refused is a stranger all the same.
    fn dial_strangers(&mut self, count: u16) {
        for _ in 0..count {
            if self.strangers.len() >= usize::from(STRANGERS_MAX) {
                return;
            }
            self.strangers.extend(TcpStream::connect(self.config.target));
        }
    }

    fn drive(&mut self, now: Instant) {
        self.busy = false;
        self.driven_at = now;
        for place in &mut self.connections {
            let Some(connection) = place else { continue };
            self.busy |= connection.drive(now, &mut self.shared, &mut self.scratch);
            if connection.state() == State::Forgotten {
                connection.forget(self.poll.registry());
            }
            let is_gone = |connection: &mut Connection| connection.ending().is_some();
            let Some(gone) = place.take_if(is_gone) else { continue };
            self.shared.tell(now, Some(gone.number()), What::Closed { how: gone.close() });
        }
        self.apply_gate_faults(now);
    }

    fn publish(&mut self) {
        let held = self.connections.iter().flatten().count();
        self.shared.stats.connections_held = u64::try_from(held).unwrap_or(u64::MAX);
        *self.published.lock().unwrap_or_else(PoisonError::into_inner) = self.shared.stats;
    }
}

/// What the poller cannot time.
fn fraction(time: Duration) -> Duration {
    Duration::from_nanos(u64::from(time.subsec_nanos() % 1_000_000))
}

fn reset(socket: &TcpStream) {
    drop(SockRef::from(socket).set_linger(Some(Duration::ZERO)));
}

impl Drop for Engine {
    fn drop(&mut self) {
        for connection in self.connections.drain(..).flatten() {
            connection.reset();
        }
    }
}
