//! The library of `TsFile`s beside Apache's for Java, and beside copying.
//!
//! ```text
//!  plant    10 devices x 100 series x 10 000 points of mixed types, as Library.java writes them, too
//!  tiny     20 000 devices x 20 series of one small chunk each
//!  small    200 files of one device
//!  devices  200 000 devices
//! ```
//!
//! Ours runs in processes of their own, whose peak of memory is watched. Java runs three rounds in one
//! machine that is warm at the last one, which counts; ours runs cold.

mod java;
mod work;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use penstock_test_support::clock;
use penstock_test_support::programs::{Program, Programs};
use penstock_test_support::watched::{Took, watch};

use self::java::Java;
pub(crate) use self::work::{Work, work};
use crate::rows::Sizes;
use crate::table::{Row, Wanted};

const MIB: f64 = 1_048_576.0;
/// What a released program may take.
const MEMORY_MIB: f64 = 8.0;
const SMALL_FILES: usize = 200;
/// Cuts take a few hundredths of a second: the one in the middle counts.
const CUT_ROUNDS: usize = 9;

/// All rows; those beside Java say "skipped" where it is not there.
pub(crate) fn tsfiles(sizes: &Sizes) -> io::Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let files = Files::write(folder.path(), sizes)?;
    let java = Java::find(folder.path())?;
    let mut rows = vec![Row {
        name: "tsfile: Java library".into(),
        ours: "-".into(),
        other: java.as_ref().map_or("skipped: no java", |_| "there").into(),
        ratio: 0.0,
        wanted: Wanted::Nothing,
    }];
    if let Some(java) = &java {
        rows.extend(beside_java(&files, java)?);
    }
    rows.extend(cuts(&files)?);
    rows.extend(many_devices(&files)?);
    Ok(rows)
}

/// The files, and what it took to write the first.
struct Files {
    folder: PathBuf,
    plant: PathBuf,
    tiny: PathBuf,
    small: Vec<PathBuf>,
    devices: PathBuf,
    writing: Took,
}

impl Files {
    fn write(folder: &Path, sizes: &Sizes) -> io::Result<Self> {
        let place = |name: &str| folder.join(format!("{name}.tsfile"));
        let (plant, tiny, devices) = (place("plant"), place("tiny"), place("devices"));
        let writing = own("plant", &plant, 1)?;
        own("tiny", &tiny, 20_000)?;
        own("devices", &devices, sizes.tsfile_bytes)?;
        let small = (0..SMALL_FILES).map(|number| place(&format!("small-{number}"))).collect();
        own("small", &place("small"), SMALL_FILES as u64)?;
        Ok(Self { folder: folder.to_owned(), plant, tiny, small, devices, writing })
    }
}

fn beside_java(files: &Files, java: &Java) -> io::Result<Vec<Row>> {
    let written = java.folder().join("java.tsfile");
    let writing = java.seconds("write", &[&written])?;
    let reading = own("read", &files.plant, 0)?;
    let java_reading = java.seconds("read", &[&files.plant])?;
    let deep = check(&[&files.plant], false)?;
    let quick = check(&[&files.tiny], true)?;
    let java_check = java.seconds("check", &[&files.tiny])?;
    let small: Vec<&Path> = files.small.iter().map(PathBuf::as_path).collect();
    let many = check(&small, true)?;
    let java_many = java.seconds("check", &small)?;
    let points = work::PLANT_MILLIONS;
    let metadata = float(work::metadata_bytes(&files.tiny)?) / MIB;
    let (ours, theirs) = (bytes(&files.plant)?, bytes(&written)?);
    let mut rows = vec![
        beside("tsfile: write", points, "M points/s", files.writing, writing, 2.0),
        beside("tsfile: read", points, "M points/s", reading, java_reading, 2.0),
        // The library has no such check: it stands beside its mere reading.
        beside("tsfile: check every page", points, "M points/s", deep, java_reading, 2.0),
        beside("tsfile: check --quick, metadata", metadata, "MiB/s", quick, java_check, 3.0),
        beside("tsfile: check --quick", float(small.len() as u64), "files/s", many, java_many, 3.0),
        Row {
            name: "tsfile: size of the file".into(),
            ours: format!("{:.2} MiB", ours / MIB),
            other: format!("Java: {:.2} MiB", theirs / MIB),
            ratio: ours / theirs,
            wanted: Wanted::AtMost(1.02),
        },
    ];
    let peaks = [("write", files.writing), ("read", reading), ("check", deep), ("quick", quick)];
    rows.extend(peaks.map(|(name, took)| memory(name, took)));
    Ok(rows)
}

/// Cuts that keep everything, beside copying the file; both synced.
fn cuts(files: &Files) -> io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (name, file, wanted) in [
        ("tsfile: cut, large chunks", &files.plant, Wanted::AtLeast(0.7)),
        ("tsfile: cut, 200 000 devices", &files.devices, Wanted::Nothing),
        ("tsfile: cut, 400 000 tiny chunks", &files.tiny, Wanted::Nothing),
    ] {
        let mib = bytes(file)? / MIB;
        let mut rounds =
            (0..CUT_ROUNDS).map(|_| cut_round(files, file)).collect::<io::Result<Vec<_>>>()?;
        rounds.sort_by(|a, b| (a.0 / a.1.seconds).total_cmp(&(b.0 / b.1.seconds)));
        let (copying, took) = rounds.swap_remove(CUT_ROUNDS / 2);
        rows.push(Row {
            name: name.into(),
            ours: format!("{:.0} MiB/s", mib / took.seconds),
            other: format!("copy: {:.0} MiB/s", mib / copying),
            ratio: copying / took.seconds,
            wanted,
        });
        rows.push(memory(name, took));
    }
    Ok(rows)
}

/// Seconds that it takes to copy a file, and what it takes to cut it.
fn cut_round(files: &Files, file: &Path) -> io::Result<(f64, Took)> {
    let (copied, made) = (files.folder.join("copied"), files.folder.join("made"));
    let start = clock::now();
    fs::copy(file, &copied)?;
    File::open(&copied)?.sync_all()?;
    let copying = (clock::now() - start).as_secs_f64();
    // What the system does about a file that is gone is part of neither.
    fs::remove_file(&copied)?;
    let took = cut(file, &made)?;
    fs::remove_file(&made)?;
    Ok((copying, took))
}

/// A file of 200 000 devices by each command.
fn many_devices(files: &Files) -> io::Result<Vec<Row>> {
    let size = bytes(&files.devices)? / MIB;
    let made = files.folder.join("made");
    let list = command(&["ls".as_ref(), files.devices.as_ref()])?;
    let checks = [check(&[&files.devices], true)?, check(&[&files.devices], false)?];
    let cutting = cut(&files.devices, &made)?;
    fs::remove_file(&made)?;
    let [quick, deep] = checks;
    let named = [("ls", list), ("check --quick", quick), ("check", deep), ("cut", cutting)].map(
        |(name, took)| {
            let name = format!("200 000 devices, {size:.0} MiB: {name}");
            [
                Row {
                    name: format!("tsfile: {name}"),
                    ours: format!("{:.2} s", took.seconds),
                    other: "-".into(),
                    ratio: took.seconds,
                    wanted: Wanted::Nothing,
                },
                memory(&name, took),
            ]
        },
    );
    Ok(named.into_iter().flatten().collect())
}

fn beside(name: &str, amount: f64, unit: &str, ours: Took, theirs: f64, least: f64) -> Row {
    Row {
        name: name.into(),
        ours: format!("{:.1} {unit}", amount / ours.seconds),
        other: format!("Java: {:.1}", amount / theirs),
        ratio: theirs / ours.seconds,
        wanted: Wanted::AtLeast(least),
    }
}

fn memory(name: &str, took: Took) -> Row {
    let name = name.strip_prefix("tsfile: ").unwrap_or(name);
    let peak = float(took.peak_bytes) / MIB;
    Row {
        name: format!("tsfile memory: {name}"),
        ours: format!("{peak:.1} MiB"),
        other: "-".into(),
        ratio: peak,
        wanted: Wanted::AtMost(MEMORY_MIB),
    }
}

fn bytes(path: &Path) -> io::Result<f64> {
    Ok(float(fs::metadata(path)?.len()))
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
const fn float(number: u64) -> f64 {
    number as f64
}

fn cut(file: &Path, made: &Path) -> io::Result<Took> {
    command(&["cut".as_ref(), file.as_ref(), "-o".as_ref(), made.as_ref()])
}

fn check(files: &[&Path], is_quick: bool) -> io::Result<Took> {
    let mut arguments = vec!["check".as_ref()];
    arguments.extend(is_quick.then_some::<&std::ffi::OsStr>("--quick".as_ref()));
    arguments.extend(files.iter().map(|path| path.as_os_str()));
    command(&arguments)
}

/// A command of the released program.
fn command(arguments: &[&std::ffi::OsStr]) -> io::Result<Took> {
    let program = Programs::built().path(Program::Receiver);
    watch(Command::new(program).arg("tsfile").args(arguments))
}

/// A part of this program in a process of its own.
fn own(kind: &str, path: &Path, amount: u64) -> io::Result<Took> {
    let own = std::env::current_exe()?;
    watch(
        Command::new(own)
            .args(["--work", kind, "--amount", &amount.to_string(), "--path"])
            .arg(path),
    )
}
