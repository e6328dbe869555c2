//! One seed drives network, disk and clock: two nodes, a gate between them, and everything that may go wrong.
//!
//! ```text
//!  Inner: Spool<SimDisk> --> Sender ===== Line: splits, stalls, cuts, ... ====> Receiver --> Outer: Spool<SimDisk> --> Landing
//!                                 <============= lost, late, doubled, wrong answers ======          crash at any call
//! ```
//!
//! What must never happen panics where it is seen, and is reported with the seed:
//! an entry that was answered or durable is missing, or has changed; one is there twice, or out of its
//! order (that of its lane, where fresh entries may overtake a backlog); a node does not start, or holds more than a limit allows; something has not arrived a while after the
//! faults have stopped. Where a spool drops the oldest, what is missing has to be listed and counted.
//!
//! Pipes send tablets as they are, or as files of runs of them: always, or where much waits (`runs.rs`). Then each value comes in one
//! of both forms only, unless the log says otherwise, as `docs/pipes.md` lets it.
//!
//! In one schedule of four people create, stop, start, alter and drop pipes of a node (`pipes`).
//!
//! In one schedule of eight two nodes send to each other, and everything has to be at both, once, and to come to rest
//! (`ring.rs`).
//!
//! A node ends by a kill, which leaves what was written and not synced where it was, or with the power, which need not.
//! Besides, each call of each disk in one quiet run fails in each way.
//!
//! `cargo test --test sim` plays 20,000 schedules; `-- --seeds N` plays N, `-- --seed S` plays one and tells
//! what happens. With `CARGO_PROFILE_DEV_OPT_LEVEL=1` it takes a quarter of the time.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "what fails here fails the test"
)]

mod answered;
mod dropped;
mod held;
mod inbox;
mod inner;
mod line;
mod long;
mod outer;
mod pipes;
mod plug;
mod random;
mod record;
mod ring;
mod runs;
mod stock;
mod time;
mod units;
mod voice;
mod worker;
mod world;

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use penstock::ops::clock;
use penstock::spool::Fault;
use pipes::Plant;
use ring::Ring;
use runs::{EXCUSED, FILES};
use worker::Ear;
use world::{FailingCall, Side, World};

/// Schedules of the test command.
const SEEDS: u64 = 20_000;
/// What test harnesses call all of this, to list or to skip it.
const NAME: &str = "sim::schedules";
/// The run of which each call of a disk fails.
const INDEX_SEED: u64 = 7;
/// One schedule of so many is of two nodes that send to each other.
const RING_ONE_IN: u64 = 8;
/// One schedule of so many, those behind the former, is of pipes under statements.
const PLANT_ONE_IN: u64 = 4;
/// Failing seeds that are printed; the others are counted.
const SHOWN: usize = 10;

thread_local! {
    static MESSAGE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Order {
    Play { first: u64, count: u64 },
    Trace(u64),
    Nothing,
}

fn main() -> ExitCode {
    let order = order(std::env::args().skip(1));
    panic::set_hook(Box::new(|info| {
        MESSAGE.with(|message| *message.borrow_mut() = info.to_string());
    }));
    Ear::listen();
    // Far ahead of the true clock, which nothing here may depend on.
    let start = clock::now() + Duration::from_secs(86_400);
    let failures = match order {
        Order::Nothing => return ExitCode::SUCCESS,
        Order::Trace(seed) => {
            let failed = play(seed, start, true);
            if let Err(message) = &failed {
                println!("seed {seed}: {message}");
            }
            println!("{} passed, {} failed", u8::from(failed.is_ok()), u8::from(failed.is_err()));
            return if failed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Order::Play { first, count } => play_all(first, count, start) + fail_each_call(start),
    };
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn play_all(first: u64, count: u64, start: Instant) -> usize {
    let began = clock::now();
    let failures = in_parallel(count, |index| play(first + index, start, false));
    let failures: Vec<_> =
        failures.into_iter().map(|(index, message)| (first + index, message)).collect();
    for (seed, message) in failures.iter().take(SHOWN) {
        println!("seed {seed} failed: {message}");
        println!("    replay: cargo test --test sim -- --seed {seed}");
    }
    let time = clock::now().duration_since(began).as_secs_f64();
    println!("{} passed, {} failed ({time:.1} s)", count - failures.len() as u64, failures.len());
    let [files, excused] = [&FILES, &EXCUSED].map(|count| count.load(Ordering::Relaxed));
    println!("{files} files of runs came, {excused} times the log excused a pipe");
    failures.len()
}

/// The fault index: of one run of both nodes each call of each disk fails, in each way. Returns how many runs failed.
fn fail_each_call(start: Instant) -> usize {
    let began = clock::now();
    let mut dry = World::quiet(INDEX_SEED, start, None);
    dry.play();
    clock::play(None);
    let mut failing = Vec::new();
    for side in [Side::Inner, Side::Outer] {
        let ways = [
            (Fault::Io, false),
            (Fault::Io, true),
            (Fault::NoSpace, false),
            (Fault::NoSpace, true),
            (Fault::Short, false),
        ];
        for (fault, lasts) in ways {
            let calls = 0..dry.calls(side);
            failing.extend(calls.map(|index| FailingCall { side, index, fault, lasts }));
        }
    }
    let failures = in_parallel(failing.len() as u64, |index| {
        let call = failing[index as usize];
        let run = || World::quiet(INDEX_SEED, start, Some(call)).play();
        caught(run).map_err(|message| format!("{call:?}: {message}"))
    });
    for (_, message) in failures.iter().take(SHOWN) {
        println!("{message}");
    }
    let time = clock::now().duration_since(began).as_secs_f64();
    let passed = failing.len() - failures.len();
    println!("{passed} failing calls passed, {} failed ({time:.1} s)", failures.len());
    failures.len()
}

/// Does all tasks on all cores; returns the failures by number.
fn in_parallel(count: u64, task: impl Fn(u64) -> Result<(), String> + Sync) -> Vec<(u64, String)> {
    let next = AtomicU64::new(0);
    let failures = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
    let work = || {
        let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        for number in numbers.take_while(|number| *number < count) {
            if let Err(message) = task(number) {
                failures.lock().unwrap().push((number, message));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    failures
}

fn play(seed: u64, start: Instant, trace: bool) -> Result<(), String> {
    if seed.is_multiple_of(RING_ONE_IN) {
        return caught(|| Ring::new(seed, start, trace).play());
    }
    if seed % PLANT_ONE_IN == 1 {
        return caught(|| Plant::new(seed, start, trace).play());
    }
    caught(|| World::new(seed, start, trace).play())
}

/// What a broken rule says.
fn caught(run: impl FnOnce()) -> Result<(), String> {
    let caught = panic::catch_unwind(AssertUnwindSafe(run));
    clock::play(None);
    Ear::heard();
    caught.map_err(|_| MESSAGE.with(RefCell::take))
}

/// Understands its own arguments, and those of the test harness as far as they matter.
fn order(arguments: impl Iterator<Item = String>) -> Order {
    let (mut first, mut count, mut traced) = (0, SEEDS, None);
    let mut arguments = arguments.peekable();
    let mut filters = Vec::new();
    while let Some(argument) = arguments.next() {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (argument, None),
        };
        let mut number = || value.clone().or_else(|| arguments.next())?.parse().ok();
        match name.as_str() {
            "--seeds" => count = number().unwrap_or(SEEDS),
            "--first" => first = number().unwrap_or(0),
            "--seed" => traced = Some(number().map_or(Order::Nothing, Order::Trace)),
            "--list" => {
                println!("{NAME}: test");
                return Order::Nothing;
            }
            "--ignored" | "--bench" => return Order::Nothing,
            "--test-threads" | "--skip" | "--format" | "--color" | "--logfile" | "-Z" => {
                let value: Option<String> = value.or_else(|| arguments.next());
                if name == "--skip" && value.is_some_and(|value| NAME.contains(&value)) {
                    return Order::Nothing;
                }
            }
            name if name.starts_with('-') => {}
            filter => filters.push(filter.to_owned()),
        }
    }
    let is_meant =
        filters.is_empty() || filters.iter().any(|filter| NAME.contains(filter.as_str()));
    if is_meant { traced.unwrap_or(Order::Play { first, count }) } else { Order::Nothing }
}
