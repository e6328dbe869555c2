//! The machine and the socket it speaks of: everything that waits.
//!
//! Every wait ends at the machine's time limit, at the order to stop, or when the socket has something,
//! whichever comes first; which of them it was, the machine is told, and the caller asks the machine
//! what is next.

use std::future::pending;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::sleep_until;

use super::envelope::{Answers, Envelope, Refusal, Why};
use super::program::{Program, Starting};
use super::settings::Target;
use super::socket::Socket;
use crate::config::NodeUrl;
use crate::limits::{ANSWER_TIMEOUT, STOP_GRACE};
use crate::link::rate::{Grant, Rates};
use crate::link::sender::Sender;
use crate::ops::clock;

/// Idle time before the first probe of a connection.
const KEEPALIVE_TIME: Duration = Duration::from_secs(30);
/// Time between probes, of which the system's number has to fail.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// A machine with its socket.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) sender: Sender,
    socket: Option<Socket>,
    answers: Answers,
    /// A program that was not up when the time was over.
    starting: Option<Starting>,
    rates: Rates,
    stop: watch::Receiver<bool>,
    stopping: bool,
}

/// What ended a wait.
enum Woken<T> {
    Stop,
    Time,
    Ready(T),
}

impl Line {
    /// Without a connection; a `true` (or the end) of `stop` is the order to stop.
    pub(super) fn new(
        sender: Sender,
        envelope: Envelope,
        rates: Rates,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let answers = Answers::of(envelope);
        Self { sender, socket: None, answers, starting: None, rates, stop, stopping: false }
    }

    /// What the far side has said to what it refused last.
    pub(super) const fn refusal(&self) -> &Refusal {
        self.answers.refusal()
    }

    /// Does [`Command::Connect`](crate::link::sender::Command::Connect).
    pub(super) async fn connect(&mut self, target: Target<'_>) {
        let limit = self.sender.poll_timeout();
        let starting = &mut self.starting;
        let connecting = async {
            match target {
                Target::Gate(gate) => dial(gate).await.map(Socket::Gate),
                Target::Program(program) => started(program, starting).await,
            }
        };
        match woken(&mut self.stop, self.stopping, limit, connecting).await {
            Woken::Ready(Ok(socket)) => {
                self.socket = Some(socket);
                self.answers.begin();
                self.sender.handle_connected(clock::now());
            }
            Woken::Ready(Err(error)) => {
                self.sender.handle_lost(clock::now(), error.kind());
                if let Target::Program(program) = target
                    && self.is_to_be_told()
                {
                    log::warn!("event=plugin_not_started program=\"{program}\" error=\"{error}\"");
                }
            }
            Woken::Time => self.sender.handle_timeout(clock::now()),
            Woken::Stop => self.stop(),
        }
    }

    /// Does [`Command::Look`](crate::link::sender::Command::Look). It asks the system itself, as the
    /// runtime may not know yet what has come.
    pub(super) fn look(&mut self) {
        let now = clock::now();
        let Some(socket) = &self.socket else {
            return self.sender.handle_lost(now, ErrorKind::NotConnected);
        };
        let mut byte = [0];
        match socket.read_now(&mut byte) {
            Ok(0) => self.sender.handle_closed(now),
            Ok(_) => self.sender.handle_answer(now, u8::from_be_bytes(byte)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.sender.handle_clear(now),
            Err(error) => self.sender.handle_lost(now, error.kind()),
        }
    }

    /// Does [`Command::Close`](crate::link::sender::Command::Close); linger 0 makes it a reset.
    pub(super) async fn close(&mut self) {
        if let Some(Socket::Program(_, running)) = self.socket.take() {
            running.end(self.is_to_be_told()).await;
        }
    }

    /// Whether the log takes one more of this trouble.
    fn is_to_be_told(&self) -> bool {
        self.sender.trouble().is_none_or(|trouble| trouble.times.is_power_of_two())
    }

    /// Writes bytes of the frame in flight; false if the machine does not want the rest any more.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while !rest.is_empty() && self.sender.is_writing() {
            let granted = match self.rates.grant(clock::now(), rest.len()) {
                Grant::Now(granted) => granted,
                Grant::Until(later) => {
                    self.hold(later).await;
                    continue;
                }
            };
            let (now, later) = rest.split_at_checked(granted).unwrap_or((rest, &[]));
            let left = self.write_some(now).await;
            self.rates.give_back(now.len().saturating_sub(left));
            rest = rest.get(left..).unwrap_or(later);
        }
        rest.is_empty() && self.sender.is_writing()
    }

    /// The frame in flight is still being prepared: that is no silence of the far side.
    pub(super) fn made_progress(&mut self) {
        if *self.stop.borrow() && !self.stopping {
            self.stop();
        }
        self.sender.handle_progress(clock::now());
    }

    /// The frame in flight has left.
    pub(super) fn written(&mut self) {
        self.sender.handle_written(clock::now());
    }

    /// Waits for whatever comes first: an answer, a time limit, the order to stop, or `more`.
    pub(super) async fn wait(&mut self, more: impl Future<Output = ()>) {
        let limit = self.sender.poll_timeout();
        let socket = self.socket.as_ref();
        let something = async {
            tokio::select! {
                biased;
                () = readable(socket) => true,
                () = more => false,
            }
        };
        match woken(&mut self.stop, self.stopping, limit, something).await {
            Woken::Ready(true) => self.read_waiting(clock::now()),
            Woken::Ready(false) => {}
            Woken::Time => self.sender.handle_timeout(clock::now()),
            Woken::Stop => self.stop(),
        }
    }

    /// Waits for the order to stop.
    pub(super) async fn ordered_to_stop(&mut self) {
        ordered(&mut self.stop).await;
    }

    /// As if the order to stop had come.
    pub(super) fn stop(&mut self) {
        self.stopping = true;
        self.sender.stop(clock::now(), STOP_GRACE);
    }

    /// Writes what the socket takes, and says how much that was.
    async fn write_some(&mut self, bytes: &[u8]) -> usize {
        let limit = self.sender.poll_timeout();
        let Some(socket) = &self.socket else {
            self.sender.handle_lost(clock::now(), ErrorKind::NotConnected);
            return 0;
        };
        match woken(&mut self.stop, self.stopping, limit, socket.ready()).await {
            Woken::Ready(Ok(ready)) => {
                if ready.is_readable() {
                    self.read_waiting(clock::now());
                }
                if self.sender.is_writing() { self.try_write(bytes) } else { 0 }
            }
            Woken::Ready(Err(error)) => {
                self.sender.handle_lost(clock::now(), error.kind());
                0
            }
            Woken::Time => {
                self.sender.handle_timeout(clock::now());
                0
            }
            Woken::Stop => {
                self.stop();
                0
            }
        }
    }

    fn try_write(&mut self, bytes: &[u8]) -> usize {
        let Some(socket) = &self.socket else { return 0 };
        match socket.try_write(bytes) {
            Ok(count) => {
                self.sender.handle_progress(clock::now());
                count
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => {
                self.sender.handle_lost(clock::now(), error.kind());
                0
            }
        }
    }

    /// Waits for the rate limit; an answer that comes meanwhile is nothing to wait with.
    async fn hold(&mut self, until: Instant) {
        let limit = self.sender.poll_timeout();
        let socket = self.socket.as_ref();
        let something = async {
            tokio::select! {
                biased;
                () = readable(socket) => true,
                () = sleep_until(until.into()) => false,
            }
        };
        match woken(&mut self.stop, self.stopping, limit, something).await {
            Woken::Ready(true) => self.read_waiting(clock::now()),
            Woken::Ready(false) => {}
            Woken::Time => self.sender.handle_timeout(clock::now()),
            Woken::Stop => self.stop(),
        }
    }

    /// Reads an answer, if there is one: never more, so that a second one is still there for the next
    /// look.
    fn read_waiting(&mut self, now: Instant) {
        let Some(socket) = &self.socket else { return };
        match self.answers.take(|into| socket.try_read(into)) {
            Ok(Some(answer)) => {
                if self.answers.refusal().why == Why::Type {
                    self.sender.allow_old_handshake();
                }
                self.sender.handle_answer(now, answer);
            }
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                self.sender.handle_closed(now);
            }
            Err(error) => self.sender.handle_lost(now, error.kind()),
        }
    }
}

/// Waits until a socket has bytes, an end or an error; for ever without one.
async fn readable(socket: Option<&Socket>) {
    match socket {
        // An error is found by the read that follows.
        Some(socket) => drop(socket.readable().await),
        None => pending().await,
    }
}

/// Waits for the first of: the order to stop, `something`, the limit.
async fn woken<T>(
    stop: &mut watch::Receiver<bool>,
    stopping: bool,
    limit: Option<Instant>,
    something: impl Future<Output = T>,
) -> Woken<T> {
    tokio::select! {
        biased;
        () = ordered(stop), if !stopping => Woken::Stop,
        ready = something => Woken::Ready(ready),
        () = until(limit) => Woken::Time,
    }
}

/// Waits for the order to stop; that nobody can give it any more is one.
async fn ordered(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// Waits for a moment; for ever without one.
pub(super) async fn until(limit: Option<Instant>) {
    match limit {
        Some(limit) => sleep_until(limit.into()).await,
        None => pending().await,
    }
}

/// A program once it runs. One that the disk has kept for longer than there was time is waited for on: there are never two.
async fn started(program: &Program, starting: &mut Option<Starting>) -> io::Result<Socket> {
    let started = starting.get_or_insert_with(|| program.start()).await;
    *starting = None;
    let (stream, running) = started.map_err(io::Error::other)??;
    Ok(Socket::Program(stream, running))
}

/// Connects to the first address of a target that takes it.
///
/// # Errors
/// If none does, or the name is not known.
pub async fn dial(target: &NodeUrl) -> io::Result<TcpStream> {
    let socket = match target.host.parse::<IpAddr>() {
        Ok(address) => TcpStream::connect((address, target.port)).await?,
        Err(_) => dial_name(target).await?,
    };
    socket.set_nodelay(true)?;
    let options = SockRef::from(&socket);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_TIME).with_interval(KEEPALIVE_INTERVAL);
    options.set_tcp_keepalive(&keepalive)?;
    options.set_tcp_user_timeout(Some(ANSWER_TIMEOUT * 2))?;
    // Any end of the connection, also the process's, tells the far side that the rest will not come.
    options.set_linger(Some(Duration::ZERO))?;
    Ok(socket)
}

async fn dial_name(target: &NodeUrl) -> io::Result<TcpStream> {
    let addresses = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
    // The system says nothing more exact of a name that it does not know.
    let mut last = io::Error::from(ErrorKind::NotFound);
    for address in addresses.map_err(|_| io::Error::from(ErrorKind::NotFound))? {
        match TcpStream::connect(address).await {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::{Arc, Mutex, mpsc};

    use tokio::time::timeout;

    use super::*;
    use crate::sink::air_gap::program::Verify;

    #[tokio::test]
    async fn a_disk_that_keeps_a_start_keeps_nothing_else_and_one_start_at_a_time() {
        let data_dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(data_dir.path().join("plugins")).unwrap();
        let (disk_goes_on, stalled) = mpsc::channel::<()>();
        let stalled = Mutex::new(stalled);
        let verify = move || stalled.lock().unwrap().recv().map_err(io::Error::other);
        let program = Program {
            name: "cat".to_owned(),
            path: PathBuf::from("/bin/cat"),
            arguments: Vec::new(),
            data_dir: data_dir.path().to_owned(),
            verify: Verify(Arc::new(verify)),
            pipe: "p".to_owned(),
        };
        let mut starting = None;
        for _ in 0..2 {
            let late = timeout(Duration::from_millis(20), started(&program, &mut starting)).await;
            assert!(late.is_err() && starting.is_some());
        }
        disk_goes_on.send(()).unwrap();
        // A second one would wait for ever.
        let socket = started(&program, &mut starting).await.unwrap();
        assert!(matches!(socket, Socket::Program(..)) && starting.is_none());
        drop(disk_goes_on);
        let failed = started(&program, &mut starting).await;
        assert!(failed.is_err() && starting.is_none());
    }
}
