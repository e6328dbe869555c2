//! The status service: one page, JSON, metrics, health; and on the control socket what changes things.
//!
//! ```text
//!  127.0.0.1:9781 --- GET ---+                  +-- page.rs     /         people
//!                            +-- http.rs -------+-- report.rs   /status   scripts, `status`
//!  control.sock --- GET -----+   8 connections, +-- metrics.rs  /metrics  Prometheus
//!               --- POST ----+   10 s each      +-- health      /healthz  load balancers
//!                                               +-- POST /ack, /spool/release, /sql (socket only)
//! ```
//!
//! A request costs a copy of the [`Board`]; nothing is kept between two.

mod control;
mod http;
mod metrics;
mod page;
mod report;

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

pub use control::{
    Bind, CONTROL_PATH_BYTES_MAX, ControlError, bind_control, control_path, request,
};
pub use http::{Listener, serve};
pub use report::{
    CrossingReport, IntakeReport, LandingReport, ListenerReport, NodeReport, PipeReport,
    QuarantineReport, SpoolReport, Status, TroubleReport,
};

use crate::ops::board::{Board, Phase, SpoolState};
use crate::ops::clock;
use crate::pipe::Answer;

/// What the control socket asks of the node; it answers through the sender.
#[derive(Debug)]
pub enum Command {
    /// Give entries free that nobody needs any more: `spool release`.
    Release(Reply),
    /// Carry out statements, up to the first that fails; an answer for each.
    Sql(String, oneshot::Sender<Vec<Answer>>),
}

/// Where the node's answer to a [`Command`] goes: a line for the person, good or bad.
pub type Reply = oneshot::Sender<Result<String, String>>;

/// What both listeners serve from.
#[derive(Debug, Clone)]
pub struct Service {
    board: Arc<Board>,
    /// To the node; only the control socket has it.
    commands: Option<mpsc::Sender<Command>>,
}

impl Service {
    /// The part that anyone may see.
    pub fn read_only(board: Arc<Board>) -> Self {
        Self { board, commands: None }
    }

    /// All of it, with the way to the node.
    pub fn control(board: Arc<Board>, commands: mpsc::Sender<Command>) -> Self {
        Self { board, commands: Some(commands) }
    }
}

/// Why the node is not healthy; none if it is.
pub fn illness(board: &Board, now: Instant) -> Option<String> {
    match board.phase() {
        Phase::Running => {}
        other @ (Phase::Starting | Phase::Stopping) => return Some(other.name().to_owned()),
    }
    if board.spool.state() == SpoolState::Failing {
        return Some("the spool's disk is failing".to_owned());
    }
    let verdict = board.stamps.judge(now);
    let stuck = verdict.slowest.filter(|_| !verdict.feed)?;
    Some(format!("the {} loop has been stuck for {} s", stuck.name.name(), stuck.age.as_secs()))
}

/// The report of this moment.
fn report_now(board: &Board) -> Status {
    Status::of(board, clock::now())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, SocketAddr, TcpStream};
    use std::time::Duration;

    use tokio::net::TcpListener;
    use tokio::task::{self, LocalSet};

    use super::*;
    use crate::config::Role;
    use crate::limits::{STATUS_BODY_BYTES_MAX, STATUS_CONNECTIONS_MAX};
    use crate::ops::board::{Report, TroubleKind};
    use crate::ops::clock::EpochMillis;
    use crate::ops::stamp::{Loop, Operation};

    fn board() -> Arc<Board> {
        let board = Board::new(Role::Sender, "plant7", clock::now());
        board.set_phase(Phase::Running);
        board.raise(Report::new(TroubleKind::SpoolFull, "99 %"), EpochMillis(0));
        Arc::new(board)
    }

    fn run<T>(test: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, test)
    }

    /// A node's control socket in `dir`, whose node answers `said` to every command.
    fn serve_control(dir: &std::path::Path, board: &Arc<Board>, said: Result<&str, &str>) {
        let listener = bind_control(&control_path(dir, None)).unwrap();
        let (commands, mut asked) = mpsc::channel(1);
        let service = Service::control(Arc::clone(board), commands);
        task::spawn_local(serve(Listener::Control(listener), service));
        let said = said.map(str::to_owned).map_err(str::to_owned);
        let echo = |message| vec![Answer { message, ..Answer::success() }];
        task::spawn_local(async move {
            while let Some(command) = asked.recv().await {
                match command {
                    Command::Release(reply) => reply.send(said.clone()).unwrap(),
                    Command::Sql(text, reply) => reply.send(echo(text)).unwrap(),
                }
            }
        });
    }

    #[test]
    fn control_socket_shows_acknowledges_and_asks_the_node() {
        let dir = tempfile::tempdir().unwrap();
        let path = control_path(dir.path(), None);
        run(async {
            let board = board();
            serve_control(dir.path(), &board, Ok("3 entries given free"));
            let text = request(&path, "/status", None).await.unwrap();
            let status: Status = serde_json::from_str(&text).unwrap();
            assert!(status.needs_person() && status.node.name == "plant7");
            let seen = request(&path, "/ack", Some("spool-full".to_owned())).await.unwrap();
            let seen: Vec<TroubleReport> = serde_json::from_str(&seen).unwrap();
            assert!(seen.len() == 1 && seen[0].acknowledged);
            assert!(!board.troubles.needs_person());
            let again = request(&path, "/ack", Some(String::new())).await.unwrap();
            assert_eq!(again.trim(), "[]");
            let released = request(&path, "/spool/release", Some(String::new())).await.unwrap();
            assert_eq!(released, "3 entries given free\n");
            let answers = request(&path, "/sql", Some("show pipes".to_owned())).await.unwrap();
            let answers: Vec<Answer> = serde_json::from_str(&answers).unwrap();
            assert_eq!((answers[0].code, answers[0].message.as_str()), (200, "show pipes"));
            let metrics = request(&path, "/metrics", None).await.unwrap();
            assert!(metrics.ends_with("# EOF\n"));
            assert!(request(&path, "/", None).await.unwrap().starts_with("<!DOCTYPE html>"));
        });
    }

    #[test]
    fn refusals_say_why() {
        let dir = tempfile::tempdir().unwrap();
        let path = control_path(dir.path(), None);
        run(async {
            serve_control(dir.path(), &board(), Err("pipe a still needs them"));
            for (target, body, why) in [
                ("/spool/release", "", "pipe a still needs them"),
                ("/stop", "", "there are: /ack /spool/release /sql"),
                (
                    "/ack",
                    &*"x".repeat(STATUS_BODY_BYTES_MAX + 1),
                    "the body is too long, or no text",
                ),
            ] {
                let error = request(&path, target, Some(body.to_owned())).await.unwrap_err();
                assert_eq!(error.to_string(), why);
            }
            let error = request(&path, "/nothing", None).await.unwrap_err();
            assert_eq!(error.to_string(), "there are: / /status /metrics /healthz");
        });
    }

    #[test]
    fn one_node_has_the_socket_and_a_leftover_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = control_path(dir.path(), None);
        let mode = |path: &std::path::Path| {
            std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o777
        };
        run(async {
            let first = bind_control(&path).unwrap();
            assert_eq!(mode(&path), 0o660);
            assert!(matches!(bind_control(&path), Err(Bind::Taken { .. })));
            drop(first);
            assert!(path.exists(), "a node that was killed leaves its socket");
            let absent = request(&path, "/status", None).await.unwrap_err();
            assert!(matches!(absent, ControlError::Absent { .. }), "{absent}");
            drop(bind_control(&path).unwrap());
            let deep = dir.path().join("d".repeat(120));
            let error = bind_control(&control_path(&deep, None)).unwrap_err();
            assert!(error.to_string().contains("at most 107 bytes"), "{error}");
        });
    }

    /// Sends `head`, half closes, and reads all that comes.
    fn exchange(address: SocketAddr, head: &str) -> String {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn status_listener_takes_no_orders() {
        run(async {
            let board = board();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let service = Service::read_only(Arc::clone(&board));
            task::spawn_local(serve(Listener::Status(listener), service));
            let ask = |head| task::spawn_blocking(move || exchange(address, head));
            let shown = ask("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            assert!(shown.starts_with("HTTP/1.1 200") && shown.ends_with("ok\n"), "{shown}");
            let order = "POST /ack HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
            let refused = ask(order).await.unwrap();
            assert!(refused.starts_with("HTTP/1.1 405"), "{refused}");
            assert!(board.troubles.needs_person());
        });
    }

    #[test]
    fn idle_connections_make_room_and_the_name_goes_with_the_service() {
        let dir = tempfile::tempdir().unwrap();
        let path = control_path(dir.path(), None);
        run(async {
            let listener = bind_control(&path).unwrap();
            let (commands, _asked) = mpsc::channel(1);
            let service = Service::control(board(), commands);
            let serving = task::spawn_local(serve(Listener::Control(listener), service));
            let connect = || tokio::net::UnixStream::connect(&path);
            let mut idle = Vec::new();
            for _ in 0..STATUS_CONNECTIONS_MAX {
                idle.push(connect().await.unwrap());
            }
            assert_eq!(request(&path, "/healthz", None).await.unwrap(), "ok\n");
            serving.abort();
            assert!(serving.await.unwrap_err().is_cancelled());
            assert!(!path.exists());
        });
    }

    #[test]
    fn who_asks_at_once_is_answered_though_many_others_trickle() {
        let dir = tempfile::tempdir().unwrap();
        let path = control_path(dir.path(), None);
        run(async {
            let listener = bind_control(&path).unwrap();
            task::spawn_local(serve(Listener::Control(listener), Service::read_only(board())));
            let mut trickling = Vec::new();
            for _ in 0..4 * STATUS_CONNECTIONS_MAX {
                let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
                let head = b"POST /ack HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n";
                tokio::io::AsyncWriteExt::write_all(&mut stream, head).await.unwrap();
                trickling.push(stream);
            }
            let asked = request(&path, "/healthz", None);
            let said = tokio::time::timeout(Duration::from_secs(4), asked).await;
            assert_eq!(said.expect("in time").unwrap(), "ok\n");
        });
    }

    #[test]
    fn illness_is_named() {
        let now = clock::now();
        let board = Board::new(Role::Sender, "", now);
        assert_eq!(illness(&board, now).as_deref(), Some("starting"));
        board.set_phase(Phase::Running);
        assert_eq!(illness(&board, now), None);
        board.stamps.of(Loop::Gate).turn(now);
        let later = now + Duration::from_secs(60);
        assert_eq!(
            illness(&board, later).as_deref(),
            Some("the gate loop has been stuck for 60 s")
        );
        board.stamps.of(Loop::Gate).begin(Operation::Sync, now);
        assert_eq!(illness(&board, later), None, "a slow disk is not an illness");
        board.spool.set_state(SpoolState::Failing);
        assert_eq!(illness(&board, now).as_deref(), Some("the spool's disk is failing"));
    }
}
