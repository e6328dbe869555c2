//! Each fault, seen from the two plain sockets that the gate stands between.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "the helpers of a test are a test")]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use penstock_gate::{
    Config, E_PREFIX, E_SUFFIX, Ending, Event, Fault, Gate, OnViolation, ReplyValues, Stats,
    Violation, What, parse_script,
};

/// What has to happen happens within this time.
const SOON: Duration = Duration::from_secs(10);
/// What must not happen has not happened after this time.
const WHILE: Duration = Duration::from_millis(150);

/// A gate with a listener behind it.
struct Bench {
    gate: Gate,
    target: TcpListener,
    events: Receiver<Event>,
}

/// The two ends of one connection.
struct Pair {
    inner: TcpStream,
    outer: TcpStream,
}

impl Bench {
    fn new(change: impl FnOnce(&mut Config)) -> Self {
        let target = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut config = Config::new(target.local_addr().unwrap());
        change(&mut config);
        let (sender, events) = mpsc::channel();
        let gate =
            penstock_gate::start(config, move |event| drop(sender.send(event.clone()))).unwrap();
        Self { gate, target, events }
    }

    fn script(text: &str) -> Self {
        Self::new(|config| config.script = parse_script(text).unwrap())
    }

    fn dial(&self) -> TcpStream {
        dial(self.gate.address()).unwrap()
    }

    fn pair(&self) -> Pair {
        let inner = self.dial();
        let (outer, _) = self.target.accept().unwrap();
        outer.set_read_timeout(Some(SOON)).unwrap();
        Pair { inner, outer }
    }

    /// Waits for an event, and returns it.
    fn wait(&self, is_it: impl Fn(&What) -> bool) -> What {
        let deadline = now() + SOON;
        loop {
            let left = deadline.saturating_duration_since(now());
            let event = self.events.recv_timeout(left).expect("the event does not come");
            if is_it(&event.what) {
                return event.what;
            }
        }
    }

    /// Waits until the counters say so.
    fn wait_stats(&self, is_it: impl Fn(&Stats) -> bool) {
        let deadline = now() + SOON;
        while !is_it(&self.gate.stats()) {
            assert!(now() < deadline, "{}", self.gate.stats());
            std::thread::yield_now();
        }
    }

    /// A fault that has taken effect when this returns.
    fn apply(&self, fault: Fault) {
        self.gate.apply(fault);
        self.wait(|what| *what == What::Fault(fault));
    }
}

impl Pair {
    fn ask(&mut self, payload: &[u8]) {
        let frame = frame(payload);
        self.inner.write_all(&frame).unwrap();
        assert_eq!(take(&mut self.outer, frame.len()), frame);
    }

    fn answer(&mut self, byte: u8) {
        self.outer.write_all(&[byte]).unwrap();
    }

    fn exchange(&mut self, byte: u8) {
        self.ask(b"payload");
        self.answer(byte);
        assert_eq!(take(&mut self.inner, 1), [byte]);
    }
}

#[expect(clippy::disallowed_methods, reason = "a test against the clock")]
fn now() -> Instant {
    Instant::now()
}

fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&address, SOON)?;
    socket.set_read_timeout(Some(SOON))?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// Whether a connection is reset at once: while it is made, or when it is read.
fn is_refused(bench: &Bench) -> bool {
    let taken = dial(bench.gate.address()).and_then(|mut inner| {
        inner.set_read_timeout(Some(WHILE))?;
        inner.read(&mut [0])
    });
    taken.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len() + 8).unwrap().to_be_bytes();
    [&length[..], &length, &[0; 8], payload].concat()
}

fn wrapped(payload: &[u8]) -> Vec<u8> {
    [&E_PREFIX[..], &frame(payload), &E_SUFFIX[..]].concat()
}

fn take(socket: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    socket.read_exact(&mut bytes).unwrap();
    bytes
}

/// Nothing comes, not even an end.
fn assert_silent(socket: &mut TcpStream) {
    socket.set_read_timeout(Some(WHILE)).unwrap();
    let error = socket.read(&mut [0]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    socket.set_read_timeout(Some(SOON)).unwrap();
}

fn assert_reset(socket: &mut TcpStream) {
    assert_eq!(socket.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

fn assert_ended(socket: &mut TcpStream) {
    assert_eq!(socket.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_gate_without_faults_passes_frames_and_answers() {
    let bench = Bench::new(|_| {});
    let mut pair = bench.pair();
    for byte in [0x00, 0xff, 0x00] {
        pair.exchange(byte);
    }
    drop(pair);
    bench.wait(|what| matches!(what, What::Closed { .. }));
    let stats = bench.gate.stop().unwrap();
    assert_eq!((stats.connections, stats.frames, stats.answers), (1, 3, 3));
    assert_eq!((stats.bytes, stats.answers_lost, stats.violations), (3 * 23, 0, 0));
}

#[test]
fn large_transfers_arrive_whole_through_small_buffers() {
    let bench = Bench::new(|config| config.buffer_bytes = 1024);
    let mut pair = bench.pair();
    let sent: Vec<u8> = (0..3_000_000_u32).map(|at| at.to_be_bytes()[3] ^ 0x5a).collect();
    let mut inner = pair.inner.try_clone().unwrap();
    let copy = sent.clone();
    let writer = std::thread::spawn(move || inner.write_all(&copy).unwrap());
    assert_eq!(take(&mut pair.outer, sent.len()), sent);
    writer.join().unwrap();
}

#[test]
fn the_wire_has_its_speed_and_its_length() {
    let bench = Bench::new(|config| {
        config.bandwidth = penstock_gate::parse_rate("8Mbit").ok();
        config.round_trip = Duration::from_millis(40);
    });
    let mut pair = bench.pair();
    let start = now();
    pair.ask(&vec![0; 100_000]);
    pair.answer(0);
    take(&mut pair.inner, 1);
    let took = now() - start;
    assert!(took >= Duration::from_millis(140), "{took:?}");
}

#[test]
fn a_paced_transfer_never_stands_still() {
    let bench = Bench::new(|config| {
        config.bandwidth = penstock_gate::parse_rate("400Mbit").ok();
        config.round_trip = Duration::from_millis(1);
        config.buffer_bytes = 40_000;
    });
    let mut pair = bench.pair();
    let sent = vec![0x5a; 8_000_000];
    let mut inner = pair.inner.try_clone().unwrap();
    let copy = sent.clone();
    let writer = std::thread::spawn(move || inner.write_all(&copy).unwrap());
    assert!(take(&mut pair.outer, sent.len()) == sent);
    writer.join().unwrap();
}

#[test]
fn bandwidth_and_round_trip_change_live() {
    let bench = Bench::new(|_| {});
    let mut pair = bench.pair();
    bench.apply(Fault::parse("bandwidth 1Mbit").unwrap());
    bench.apply(Fault::parse("round-trip 20ms").unwrap());
    let start = now();
    pair.ask(&[0; 10_000]);
    assert!(now() - start >= Duration::from_millis(90));
}

#[test]
fn segments_can_be_one_byte() {
    let bench = Bench::new(|config| config.segment_bytes = 1);
    let mut pair = bench.pair();
    pair.inner.write_all(b"a").unwrap();
    assert_eq!(take(&mut pair.outer, 1), b"a");
    pair.exchange(0);
    bench.apply(Fault::Segment(0));
    pair.exchange(0);
}

#[test]
fn a_dropped_answer_is_lost_and_the_next_one_is_not() {
    let bench = Bench::script("at 2 frames: drop-answer");
    let mut pair = bench.pair();
    pair.exchange(0);
    pair.ask(b"x");
    pair.answer(0);
    bench.wait(|what| matches!(what, What::AnswerFault { fault: Fault::DropAnswer, .. }));
    assert_silent(&mut pair.inner);
    pair.exchange(0);
    bench.wait_stats(|stats| stats.answers_lost == 1);
}

#[test]
fn an_answer_rule_acts_on_the_answer_that_triggers_it() {
    let bench = Bench::script("every 2 answers: drop-answer");
    let mut pair = bench.pair();
    for _ in 0..3 {
        pair.exchange(0);
        pair.ask(b"x");
        pair.answer(0);
        bench.wait(|what| matches!(what, What::AnswerFault { .. }));
    }
    bench.wait_stats(|stats| stats.answers_lost == 3);
}

#[test]
fn a_late_answer_is_late_by_what_was_asked() {
    let bench = Bench::script("at 1 frames: late-answer 200ms");
    let mut pair = bench.pair();
    pair.ask(b"x");
    let start = now();
    pair.answer(0);
    assert_eq!(take(&mut pair.inner, 1), [0]);
    assert!(now() - start >= Duration::from_millis(200));
}

#[test]
fn a_doubled_answer_comes_twice() {
    let bench = Bench::script("at 1 frames: double-answer");
    let mut pair = bench.pair();
    pair.ask(b"x");
    pair.answer(0xff);
    assert_eq!(take(&mut pair.inner, 2), [0xff, 0xff]);
}

#[test]
fn a_wrong_answer_is_the_one_asked_for() {
    let bench = Bench::script("at 1 frames: wrong-answer 0x41");
    let mut pair = bench.pair();
    pair.ask(b"x");
    pair.answer(0);
    assert_eq!(take(&mut pair.inner, 1), [0x41]);
}

#[test]
fn an_unasked_answer_comes_by_itself() {
    let bench = Bench::new(|_| {});
    let mut pair = bench.pair();
    pair.exchange(0);
    bench.apply(Fault::UnaskedAnswer(0xff));
    assert_eq!(take(&mut pair.inner, 1), [0xff]);
}

#[test]
fn a_stall_delays_everything_and_loses_nothing() {
    let bench = Bench::new(|_| {});
    let mut pair = bench.pair();
    pair.exchange(0);
    let start = now();
    bench.apply(Fault::Stall(Duration::from_millis(200)));
    pair.exchange(0);
    assert!(now() - start >= Duration::from_millis(200));
}

#[test]
fn a_black_hole_takes_everything_until_it_ends() {
    let bench = Bench::new(|_| {});
    let mut pair = bench.pair();
    pair.exchange(0);
    bench.apply(Fault::BlackHole(Some(Duration::from_millis(200))));
    pair.inner.write_all(&frame(b"lost")).unwrap();
    pair.answer(0);
    assert_silent(&mut pair.outer);
    assert_silent(&mut pair.inner);
    pair.exchange(0);
}

#[test]
fn a_forgotten_connection_stays_open_at_both_ends() {
    let bench = Bench::new(|_| {});
    let mut pair = bench.pair();
    pair.exchange(0);
    bench.apply(Fault::Forget);
    pair.inner.write_all(&frame(b"into nothing")).unwrap();
    pair.answer(0);
    assert_silent(&mut pair.outer);
    assert_silent(&mut pair.inner);
    drop(pair.inner);
    assert_silent(&mut pair.outer);
    bench.pair().exchange(0);
}

#[test]
fn idle_connections_are_forgotten_and_busy_ones_are_not() {
    let bench = Bench::new(|config| config.idle_kill = Some(Duration::from_millis(100)));
    let mut pair = bench.pair();
    pair.exchange(0);
    bench.wait(|what| *what == What::IdleForgotten);
    pair.inner.write_all(&frame(b"into nothing")).unwrap();
    assert_silent(&mut pair.outer);
}

#[test]
fn a_reset_reaches_both_ends() {
    let bench = Bench::script("at 30B: reset");
    let mut pair = bench.pair();
    pair.ask(b"x");
    pair.inner.write_all(&frame(b"x")).unwrap();
    assert_reset(&mut pair.inner);
    assert_reset(&mut pair.outer);
    assert_eq!(
        bench.wait(|what| matches!(what, What::Closed { .. })),
        What::Closed { how: Ending::Rst }
    );
}

#[test]
fn a_close_reaches_both_ends() {
    let bench = Bench::new(|_| {});
    let mut pair = bench.pair();
    pair.exchange(0);
    bench.apply(Fault::Close);
    assert_ended(&mut pair.inner);
    assert_ended(&mut pair.outer);
}

#[test]
fn a_half_open_connection_is_taken_and_never_dialled() {
    let bench = Bench::script("at 2 connections: half-open");
    let mut first = bench.pair();
    let mut lost = bench.dial();
    lost.write_all(&frame(b"into nothing")).unwrap();
    assert_silent(&mut lost);
    let mut third = bench.pair();
    first.exchange(0);
    third.exchange(0);
}

#[test]
fn a_fin_is_passed_on_behind_the_last_bytes() {
    let bench = Bench::new(|config| config.round_trip = Duration::from_millis(40));
    let mut pair = bench.pair();
    pair.inner.write_all(b"last").unwrap();
    pair.inner.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(take(&mut pair.outer, 4), b"last");
    assert_ended(&mut pair.outer);
    pair.answer(0);
    assert_eq!(take(&mut pair.inner, 1), [0]);
}

#[test]
fn a_swallowed_fin_is_not_passed_on() {
    let bench = Bench::new(|config| config.swallow_fin = true);
    let mut pair = bench.pair();
    pair.exchange(0);
    drop(pair.inner);
    let told = bench.wait(|what| matches!(what, What::Swallowed { .. }));
    assert_eq!(told, What::Swallowed { how: Ending::Fin, from_inner: true });
    assert_silent(&mut pair.outer);
}

#[test]
fn a_swallowed_reset_is_not_passed_on_and_another_is() {
    let bench = Bench::script("at 1 connections: swallow-rst");
    for swallowed in [true, false] {
        let mut pair = bench.pair();
        pair.exchange(0);
        socket2::SockRef::from(&pair.inner).set_linger(Some(Duration::ZERO)).unwrap();
        drop(pair.inner);
        if swallowed {
            bench.wait(|what| matches!(what, What::Swallowed { how: Ending::Rst, .. }));
            assert_silent(&mut pair.outer);
        } else {
            assert_reset(&mut pair.outer);
        }
    }
}

#[test]
fn a_flipped_bit_is_the_next_one_and_only_that() {
    let bench = Bench::script("at 16B: flip-bit");
    let mut pair = bench.pair();
    pair.inner.write_all(&frame(&[4, 4, 4])).unwrap();
    assert_eq!(take(&mut pair.outer, 19), frame(&[5, 4, 4]));
}

#[test]
fn connections_are_refused_for_a_while() {
    let bench = Bench::new(|_| {});
    bench.apply(Fault::Refuse(Duration::from_millis(200)));
    assert!(is_refused(&bench));
    let deadline = now() + SOON;
    while is_refused(&bench) {
        assert!(now() < deadline);
    }
}

#[test]
fn strangers_connect_and_say_nothing() {
    let bench = Bench::new(|_| {});
    bench.apply(Fault::Strangers(40));
    let mut strangers: Vec<_> = (0..40).map(|_| bench.target.accept().unwrap().0).collect();
    assert_silent(&mut strangers[39]);
    bench.pair().exchange(0);
}

#[test]
fn an_unreachable_target_resets_the_front() {
    let bench = Bench::new(|_| {});
    bench.gate.set_target(SocketAddr::from(([127, 0, 0, 1], 1)));
    let mut inner = bench.dial();
    assert_reset(&mut inner);
    bench.wait(|what| matches!(what, What::Unreachable { .. }));
    bench.gate.set_target(bench.target.local_addr().unwrap());
    bench.pair().exchange(0);
}

#[test]
fn replies_that_are_not_allowed_are_dropped() {
    let bench = Bench::new(|config| config.replies.values = ReplyValues::Zeros);
    let mut pair = bench.pair();
    pair.ask(b"x");
    pair.answer(0xff);
    bench.wait(|what| {
        matches!(
            what,
            What::Violation { why: Violation::Value, byte: 0xff, action: OnViolation::Drop }
        )
    });
    assert_silent(&mut pair.inner);
    pair.exchange(0);
}

#[test]
fn replies_of_two_bytes_are_cut_to_one() {
    let bench = Bench::new(|_| {});
    let mut pair = bench.pair();
    pair.ask(b"x");
    pair.outer.write_all(&[0, 0]).unwrap();
    assert_eq!(take(&mut pair.inner, 1), [0]);
    bench.wait(|what| matches!(what, What::Violation { why: Violation::SecondByte, .. }));
    assert_silent(&mut pair.inner);
}

#[test]
fn the_direction_lock_keeps_unasked_bytes_back() {
    let bench = Bench::new(|config| config.replies.direction_lock = true);
    let mut pair = bench.pair();
    pair.exchange(0);
    pair.inner.write_all(&frame(b"half")[..10]).unwrap();
    take(&mut pair.outer, 10);
    pair.answer(0xff);
    bench.wait(|what| matches!(what, What::Violation { why: Violation::Unasked, .. }));
    assert_silent(&mut pair.inner);
}

#[test]
fn violations_are_passed_or_cut_by_option() {
    let bench = Bench::new(|config| config.replies.on_violation = OnViolation::Report);
    let mut pair = bench.pair();
    pair.exchange(0x41);
    bench.wait_stats(|stats| stats.violations == 1);
    let bench = Bench::new(|config| config.replies.on_violation = OnViolation::Cut);
    let mut pair = bench.pair();
    pair.ask(b"x");
    pair.answer(0x41);
    assert_reset(&mut pair.inner);
    assert_reset(&mut pair.outer);
}

#[test]
fn only_e_language_passes_where_it_is_asked_for() {
    let bench = Bench::new(|config| config.e_language_only = true);
    let mut pair = bench.pair();
    let good = wrapped(b"payload");
    pair.inner.write_all(&good).unwrap();
    assert_eq!(take(&mut pair.outer, good.len()), good);
    pair.answer(0);
    assert_eq!(take(&mut pair.inner, 1), [0]);
    pair.inner.write_all(&frame(b"plain")).unwrap();
    assert_reset(&mut pair.inner);
    assert_reset(&mut pair.outer);
}

#[test]
fn stopping_resets_what_is_open() {
    let bench = Bench::new(|_| {});
    let mut pair = bench.pair();
    pair.exchange(0);
    bench.gate.stop().unwrap();
    assert_reset(&mut pair.inner);
    assert_reset(&mut pair.outer);
}

#[test]
fn a_script_by_time_runs() {
    let bench = Bench::script("every 20ms: unasked-answer 0x00\nat 30ms: bandwidth none");
    let mut pair = bench.pair();
    assert_eq!(take(&mut pair.inner, 3), [0, 0, 0]);
}
