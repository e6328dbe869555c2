//! The gate between the halves, as a program.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use penstock_test_support::programs::{Program, Programs};

/// What goes wrong on the way. The third answer is that to the first file's seal: the file is landed
/// and its sender does not know, so that it comes again and must not be landed again. The eleventh is
/// that to the second file's seal; later two are lost with their connections, in mid-file.
const RULES: [&str; 4] = [
    "at 3 answers: drop-answer",
    "at 11 answers: drop-answer",
    "at 30 answers: reset",
    "at 110 answers: reset",
];

/// A running gate. It is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Gate {
    child: Child,
    address: SocketAddr,
    answers_lost: Arc<AtomicU64>,
}

impl Gate {
    /// Starts a gate of 100 Mbit/s and 5 ms in front of `target`.
    pub(crate) fn start(programs: &Programs, target: SocketAddr) -> io::Result<Self> {
        let mut child = Command::new(programs.path(Program::Gate))
            .args(["--bandwidth", "100Mbit", "--round-trip", "5ms"])
            .args(["--target", &target.to_string()])
            .args(RULES.iter().flat_map(|rule| ["--fault", rule]))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let answers_lost = Arc::default();
        let output = child.stdout.take().map(BufReader::new);
        let mut gate = Self { child, address: target, answers_lost };
        let mut lines = output.ok_or_else(|| io::Error::other("no output"))?.lines();
        let first = lines.next().unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))?;
        gate.address = first.parse().map_err(io::Error::other)?;
        let counter = Arc::clone(&gate.answers_lost);
        std::thread::Builder::new().name("gate events".into()).spawn(move || {
            for line in lines.map_while(Result::ok) {
                let lost = line.contains("event=answer-lost");
                counter.fetch_add(u64::from(lost), Ordering::Relaxed);
            }
        })?;
        Ok(gate)
    }

    /// Where the sender connects to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers that the receiver gave and the sender never saw.
    pub(crate) fn answers_lost(&self) -> u64 {
        self.answers_lost.load(Ordering::Relaxed)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
