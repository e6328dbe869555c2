//! The session service: what IoTDB's clients and the thrift pipes of other nodes speak on port 6667.
//!
//! ```text
//!  client ==== frames ====> conversation ---- pipeTransfer, inserts ----> door ====> gate thread ====> spool
//!         <=== replies ====      |       <--- 0, or why not --------------
//!                                +--- statements ---> the task that owns the pipes
//! ```
//!
//! A task of the main loop for each connection. State belongs to the connection, whatever ids are in its requests. What a
//! pipe brings goes by in small portions, so that pieces of any size cost nothing; other requests are read whole, and all of
//! them share [`SESSION_MEMORY_BYTES`]; see `writes`. An insert is answered once it is on disk.

mod conversation;
mod dispatch;
mod door;
mod encoded;
mod frames;
mod insert_sql;
mod login;
mod statements;
mod writes;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{self, JoinSet};
use tokio::time;

use self::conversation::Conversation;
use self::login::Attempts;
use crate::data::Precision;
use crate::intake::gate::Inlets;
use crate::limits::{KIB, SESSION_MADE_BYTES, SESSION_MEMORY_BYTES};
use crate::link::receiver::{Login, Policy};
use crate::ops::clock;
use crate::ops::log::{Rarely, Repeating};
use crate::ops::status::Command;

/// What the service has to know.
#[derive(Debug)]
pub struct Settings {
    /// Connections at one time; one more is closed at once.
    pub max_connections: usize,
    /// User and password of clients, and of pipes that send some.
    pub login: Login,
    /// What requests of pipes are held to.
    pub pipes: Policy,
    /// The same for what clients write.
    pub writers: Policy,
    /// The way to the spool.
    pub inlets: Inlets,
    /// The way to the pipes.
    pub commands: mpsc::Sender<Command>,
    /// The node's unit of times, as soon as it has one.
    pub precision: watch::Receiver<Option<Precision>>,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    login: Login,
    attempts: RefCell<Attempts>,
    pipes: Arc<Policy>,
    writers: Arc<Policy>,
    inlets: Inlets,
    commands: mpsc::Sender<Command>,
    precision: watch::Receiver<Option<Precision>>,
    /// It was told that schema is not kept.
    is_schema_told: Cell<bool>,
    /// KiB of requests.
    memory: Semaphore,
    /// KiB of what they become.
    made: Semaphore,
}

impl Shared {
    /// Tells once that what a client creates is not kept, though it is answered as if it were.
    fn note_schema(&self, peer: SocketAddr) {
        if !self.is_schema_told.replace(true) {
            log::info!(
                "event=schema_not_kept peer={peer} what=\"clients create databases or series: this is answered with 200 \
                 and not kept, since types come with the data\""
            );
        }
    }
}

/// Serves until it is dropped, with all connections. Runs on a `LocalSet`.
pub async fn serve(listener: TcpListener, settings: Settings) {
    let Settings { max_connections, login, pipes, writers, inlets, commands, precision } = settings;
    let shared = Rc::new(Shared {
        login,
        attempts: RefCell::default(),
        is_schema_told: Cell::new(false),
        pipes: Arc::new(pipes),
        writers: Arc::new(writers),
        inlets,
        commands,
        precision,
        memory: Semaphore::new(SESSION_MEMORY_BYTES / KIB),
        made: Semaphore::new(SESSION_MADE_BYTES / KIB),
    });
    let mut conversations = JoinSet::new();
    let (mut trouble, mut refused) = (Repeating::default(), Rarely::default());
    loop {
        let accepted = listener.accept().await;
        // Those that ended meanwhile have left their places.
        while conversations.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) if conversations.len() >= max_connections => {
                drop(stream);
                if let Some(count) = refused.note(clock::now()) {
                    log::warn!(
                        "event=session_refused peer={peer} count={count} table={max_connections}"
                    );
                }
            }
            Ok((stream, peer)) => {
                if let Some(times) = trouble.ended() {
                    log::info!("event=session_accepts failures={times}");
                }
                prepare(&stream);
                let conversation = Conversation::new(stream, peer, Rc::clone(&shared));
                conversations.spawn_local(conversation.run());
            }
            Err(error) => {
                if let Some(times) = trouble.failed() {
                    log::warn!("event=session_not_accepted error={error:?} times={times}");
                }
                time::sleep(crate::limits::ACCEPT_RETRY).await;
            }
        }
        task::yield_now().await;
    }
}

/// A peer that is gone without a word is found in the end.
fn prepare(stream: &TcpStream) {
    let socket = socket2::SockRef::from(stream);
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(crate::limits::KEEPALIVE_AFTER)
        .with_interval(crate::limits::KEEPALIVE_INTERVAL)
        .with_retries(crate::limits::KEEPALIVE_PROBES);
    let set = socket
        .set_tcp_nodelay(true)
        .and_then(|()| socket.set_tcp_keepalive(&keepalive))
        .and_then(|()| socket.set_tcp_user_timeout(Some(crate::limits::UNACKNOWLEDGED_MAX)));
    if let Err(error) = set {
        log::debug!("event=session_options error={error}");
    }
}
