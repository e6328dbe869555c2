//! The program: its first line, its events, its exit codes.

#![expect(clippy::unwrap_used, reason = "the helpers of a test are a test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);

/// A running gate, killed when it is dropped.
struct Gate {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Gate {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_penstock-gate"))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().into()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn the_first_line_is_the_address_and_the_others_are_events() {
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = target.local_addr().unwrap().to_string();
    let mut gate = Gate::start(&["--target", &address, "--fault", "at 1 answers: drop-answer"]);
    let front = gate.line().parse().unwrap();
    let mut inner = TcpStream::connect_timeout(&front, SOON).unwrap();
    let (mut outer, _) = target.accept().unwrap();
    inner.write_all(&[0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1]).unwrap();
    outer.read_exact(&mut [0; 17]).unwrap();
    outer.write_all(&[0]).unwrap();
    let events: Vec<String> = (0..5).map(|_| gate.line()).collect();
    let names: Vec<&str> = events.iter().filter_map(|line| line.split("event=").nth(1)).collect();
    assert!(names[0].starts_with("opened peer=127.0.0.1:"), "{names:?}");
    assert_eq!(names[1], format!("reached target={address}"));
    assert_eq!(names[2], "fault fault=drop-answer");
    assert_eq!(names[3], "answer-fault fault=drop-answer byte=0x00");
    assert_eq!(names[4], "answer-lost byte=0x00");
    assert!(events.iter().all(|line| line.starts_with("time=") && line.contains(" connection=1 ")));
}

#[test]
fn mistakes_end_with_2_and_a_taken_address_with_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (arguments, code) in [
        (vec!["--target", "127.0.0.1:9", "--fault", "at noon: reset"], 2),
        (vec!["--target", "nowhere"], 2),
        (vec![], 2),
        (vec!["--target", "127.0.0.1:9", "--listen", &address], 1),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_penstock-gate")).args(&arguments).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(!output.stderr.is_empty());
    }
}
