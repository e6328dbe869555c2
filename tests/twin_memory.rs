//! Making `TsFile`s of tablets keeps within its memory, whatever the shape of the run.
//!
//! `PENSTOCK_TWIN_MIB=64 cargo test --release --test twin_memory -- --nocapture` measures runs of full size.

#![expect(clippy::unwrap_used, reason = "a run that cannot be made fails the test")]
#![expect(clippy::indexing_slicing, reason = "the same")]
#![expect(clippy::print_stdout, reason = "the figures are what a measurement is for")]
#![expect(unsafe_code, reason = "a global allocator that counts can be made in no other way")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use penstock::data::{DataType, Identity, OriginId, Precision, Sequence};
use penstock::limits::{KIB, MIB};
use penstock::spool::{Arrival, EntryHeader, Kind, Place, ReadError, RealDisk};
use penstock::twin::{Found, Maker, Run, Settings, Source, Step, TwinError, writer_settings};
use penstock::wire::build::{self, Cells, TabletColumn};
use penstock::wire::bytes::Writer;
use penstock::wire::node::NodeType;
use penstock::wire::request::RequestType;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

fn count(more: usize, less: usize) {
    let held = HELD.fetch_add(more, Ordering::Relaxed) + more;
    PEAK.fetch_max(held, Ordering::Relaxed);
    HELD.fetch_sub(less, Ordering::Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count(bytes, layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// One measurement at a time: the counters are the process's.
static ALONE: Mutex<()> = Mutex::new(());

/// A run in memory.
#[derive(Debug, Default)]
struct Entries {
    bytes: Vec<u8>,
    places: Vec<(usize, usize)>,
    next: usize,
    read_bytes: u64,
    reads: u64,
}

impl Entries {
    fn push(&mut self, payload: &[u8]) {
        self.places.push((self.bytes.len(), payload.len()));
        self.bytes.extend_from_slice(payload);
    }
}

/// Puts the request of a tablet into the emptied list.
fn node(tablet: &build::Tablet<'_>, payload: &mut Vec<u8>) {
    payload.clear();
    let mut out = Writer::into_vec(payload, 2 * MIB);
    build::request(RequestType::TabletInsertNode, &mut out);
    tablet.node(NodeType::InsertTablet, &mut out);
    build::node_tail(&[b'x'; 56], &mut out);
}

impl Source for Entries {
    fn seek(&mut self, to: Sequence) {
        self.next = usize::try_from(to.0).unwrap() - 1;
    }

    fn next(&mut self) -> Result<Option<Found>, ReadError> {
        let Some((at, bytes)) = self.places.get(self.next) else { return Ok(None) };
        self.next += 1;
        let sequence = Sequence(self.next as u64);
        let header = EntryHeader {
            segment: 1,
            sequence,
            synced: sequence,
            arrival: Arrival { wall_ms: 0, trusted: true },
            kind: Kind::Tablet,
            source: penstock::spool::Source::Own,
            hops: 0,
            precision: Some(Precision::Ms),
            time_range: None,
            identity: Identity { origin: OriginId([1; 16]), sequence },
            device: 0,
            void_entries: 0,
            file_count: 0,
            payload_bytes: u32::try_from(*bytes).unwrap(),
            content_crc: None,
            payload_crc: 0,
        };
        Ok(Some(Found { header, place: Place { segment: 1, offset: *at as u64 } }))
    }

    fn read_at(&mut self, place: Place, into: &mut [u8]) -> Result<usize, ReadError> {
        let rest = &self.bytes[usize::try_from(place.offset).unwrap()..];
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        self.read_bytes += count as u64;
        self.reads += 1;
        Ok(count)
    }
}

/// A generator of numbers that look random.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// A kind of run.
#[derive(Debug, Clone, Copy)]
struct Shape {
    name: &'static str,
    devices: u64,
    columns: usize,
    rows: u64,
    is_aligned: bool,
    is_shuffled: bool,
    tablets_max: usize,
    /// Memory that it may take, beside the run.
    limit: usize,
    /// Bytes that may be written for each of the run, scratches included.
    written_max: f64,
}

impl Shape {
    fn run(&self, bytes_max: usize) -> Entries {
        let mut entries =
            Entries { bytes: Vec::with_capacity(bytes_max + MIB), ..Entries::default() };
        let names: Vec<String> = (0..self.columns).map(|n| format!("s{n:04}")).collect();
        let mut numbers = Numbers(88_172_645_463_325_252);
        let mut payload = Vec::new();
        for tablet in 0.. {
            let (device, turn) = (tablet % self.devices, tablet / self.devices);
            let rows = turn * self.rows..(turn + 1) * self.rows;
            let times: Vec<i64> = rows.map(|row| self.time(row, &mut numbers)).collect();
            let cells: Vec<Vec<u8>> = (0..self.columns)
                .map(|column| cells(TYPES[column % 4], self.rows, &mut numbers))
                .collect();
            let columns: Vec<TabletColumn<'_>> = (names.iter().zip(&cells).enumerate())
                .map(|(place, (name, cells))| TabletColumn {
                    name: name.as_bytes(),
                    data_type: TYPES[place % 4],
                    schema: None,
                    category: 0,
                    nulls: None,
                    cells: Cells::Fixed(cells),
                })
                .collect();
            let device = format!("root.plant.area{:02}.device{device:06}", device % 7);
            let made = build::Tablet {
                device: device.as_bytes(),
                is_aligned: self.is_aligned,
                times: &times,
                columns: &columns,
            };
            node(&made, &mut payload);
            if entries.bytes.len() + payload.len() > bytes_max
                || entries.places.len() == self.tablets_max
            {
                break;
            }
            entries.push(&payload);
        }
        entries
    }

    fn time(&self, row: u64, numbers: &mut Numbers) -> i64 {
        let place = if self.is_shuffled { numbers.next() % 1_000_000 } else { row };
        1_700_000_000_000 + place.cast_signed() * 1000
    }

    fn measure(&self) {
        let _alone = ALONE.lock().unwrap();
        let mib = std::env::var("PENSTOCK_TWIN_MIB").map_or(4, |text| text.parse().unwrap());
        let written = measure(self.name, self.run(mib * MIB), self.limit);
        assert!(written <= self.written_max, "{}: {written:.2} written", self.name);
    }
}

/// Makes a run; if it has too much, the part of it in front of the entry that goes too far, as landing does. Gives the
/// bytes that are written for each of the run.
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn measure(name: &str, entries: Entries, limit: usize) -> f64 {
    let (bytes, tablets) = (entries.bytes.len(), entries.places.len());
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(dir.path());
    let settings = Settings { dir: dir.path().to_path_buf(), writer: writer_settings() };
    let mut maker = Maker::new(disk, entries, settings);
    let base = HELD.load(Ordering::Relaxed);
    PEAK.store(base, Ordering::Relaxed);
    let (started, before) = (Instant::now(), io_chars());
    maker.begin(Run { first: Sequence(1), last: Sequence(tablets as u64) });
    let mut longest = 0.0_f64;
    let made = loop {
        let begun = Instant::now();
        let step = maker.step();
        longest = longest.max(begun.elapsed().as_secs_f64());
        match step {
            Err(TwinError::TooMany { sequence, .. }) => {
                println!("too many in {sequence}");
                assert!(sequence > Sequence(1), "a single entry always lands");
                maker.begin(Run { first: Sequence(1), last: Sequence(sequence.0 - 1) });
            }
            step => match step.unwrap() {
                Step::Worked => {}
                Step::Done(made) => break made,
            },
        }
    };
    let (seconds, after) = (started.elapsed().as_secs_f64(), io_chars());
    let peak = PEAK.load(Ordering::Relaxed) - base;
    let points: u64 = made.twins.iter().map(|twin| twin.points).sum();
    let files: u64 = made.twins.iter().map(|twin| twin.bytes).sum();
    let source = maker.source();
    let part = |number: u64| as_float(number) / as_float(bytes as u64);
    println!(
        "{:24} {tablets:7} tablets {:6.1} MB {points:9} points {:5.2} Mpt/s  peak {:5} KiB  \
             step {:4.0} ms  of the run: read {:4.2} ({} reads), scratch read {:4.2}, written {:4.2}, files {:4.2} ({})",
        name,
        as_float(bytes as u64) / 1e6,
        as_float(points) / seconds / 1e6,
        peak / KIB,
        longest * 1000.0,
        part(source.read_bytes),
        source.reads,
        part(after.0 - before.0),
        part(after.1 - before.1),
        part(files),
        made.twins.len(),
    );
    drop(made);
    let held = HELD.load(Ordering::Relaxed) - base;
    assert!(peak < limit, "{name}: {} KiB", peak / KIB);
    assert!(held < 8 * KIB, "{name}: {held} bytes are held between runs");
    part(after.1 - before.1)
}

const TYPES: [DataType; 4] = [DataType::Double, DataType::Int32, DataType::Float, DataType::Int64];

/// Values of a column.
fn cells(data_type: DataType, rows: u64, numbers: &mut Numbers) -> Vec<u8> {
    let mut cells = Vec::new();
    for _ in 0..rows {
        let number = u32::try_from(numbers.next() % 100_000).unwrap();
        match data_type.value_bytes() {
            Some(8) if data_type == DataType::Double => {
                cells.extend((f64::from(number) / 100.0).to_be_bytes());
            }
            Some(8) => cells.extend(u64::from(number).to_be_bytes()),
            _ => cells.extend(number.to_be_bytes()),
        }
    }
    cells
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn as_float(number: u64) -> f64 {
    number as f64
}

/// Bytes read and written so far.
fn io_chars() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let number = |key| {
        let line = text.lines().find_map(|line: &str| line.strip_prefix(key));
        line.map_or(0, |line| line.trim().parse().unwrap())
    };
    (number("rchar:"), number("wchar:"))
}

const SHAPE: Shape = Shape {
    name: "",
    devices: 1,
    columns: 1,
    rows: 1,
    is_aligned: false,
    is_shuffled: false,
    // As `TWIN_RUN_ENTRIES_MAX`.
    tablets_max: 256 * KIB,
    limit: 768 * KIB,
    // The spool has written each byte once, and something around it: 2.3 in all.
    written_max: 1.2,
};

#[test]
fn many_small_tablets() {
    let shape = Shape { devices: 1000, columns: 5, tablets_max: 100_000, ..SHAPE };
    Shape { name: "1,000 devices, one row", ..shape }.measure();
    Shape { name: "the same, aligned", is_aligned: true, ..shape }.measure();
}

#[test]
fn a_few_devices() {
    let shape = Shape { devices: 10, columns: 100, rows: 100, ..SHAPE };
    Shape { name: "10 devices, 100 columns", ..shape }.measure();
    Shape { name: "the same, aligned", is_aligned: true, ..shape }.measure();
    // Too short to be read where they lie: they are put away, sorted.
    Shape { name: "10 rows", rows: 10, ..shape }.measure();
}

#[test]
fn as_many_devices_as_tablets() {
    // The file alone is twice the run: it has name, statistics and index of each series.
    let shape =
        Shape { devices: 200_000, columns: 2, tablets_max: 200_000, written_max: 4.0, ..SHAPE };
    Shape { name: "200,000 devices", ..shape }.measure();
}

#[test]
fn one_wide_device() {
    let shape = Shape { columns: 5000, written_max: 1.7, ..SHAPE };
    Shape { name: "5,000 columns", ..shape }.measure();
    Shape { name: "the same, aligned", is_aligned: true, ..shape }.measure();
    Shape { name: "the same, 20 rows", rows: 20, is_aligned: true, ..shape }.measure();
}

#[test]
fn disorder() {
    // Points out of order are put away with their times and ranks.
    let shape = Shape { columns: 10, rows: 50, is_shuffled: true, written_max: 2.2, ..SHAPE };
    Shape { name: "random times", ..shape }.measure();
    Shape { name: "the same, aligned", is_aligned: true, ..shape }.measure();
    Shape { name: "long tablets", rows: 3000, ..shape }.measure();
}

#[test]
fn one_series() {
    Shape { name: "one series", rows: 10_000, ..SHAPE }.measure();
    Shape { name: "one series, one row", ..SHAPE }.measure();
}

/// Tablets of one device with one long text each, and maybe a short one much later.
fn texts(data_type: DataType, is_aligned: bool, is_noise: bool, is_overlapping: bool) -> Entries {
    let (mut entries, mut payload) = (Entries::default(), Vec::new());
    let mut numbers = Numbers(88_172_645_463_325_252);
    for tablet in 0..56 {
        let mut text = vec![b'a'; 950_000];
        if is_noise {
            text.fill_with(|| numbers.next().to_be_bytes()[0]);
        }
        let rows = if is_overlapping { 2 } else { 1 };
        let columns = [TabletColumn {
            name: b"text",
            data_type,
            schema: None,
            category: 0,
            nulls: None,
            cells: Cells::Texts(&[Some(&*text), Some(b"x")][..rows]),
        }];
        let times = &[tablet, 1000 + tablet][..rows];
        let device = b"root.plant.texts";
        node(&build::Tablet { device, is_aligned, times, columns: &columns }, &mut payload);
        entries.push(&payload);
    }
    entries
}

/// A value of 1 MiB takes a few times its bytes, one at a time; statistics of strings have four of them.
const LONG_LIMIT: usize = 12 * MIB;

#[test]
fn long_texts() {
    let _alone = ALONE.lock().unwrap();
    for data_type in [DataType::Text, DataType::Blob, DataType::String] {
        for bits in 0..8 {
            let [is_aligned, is_noise, is_overlapping] = [1, 2, 4].map(|bit| bits & bit > 0);
            let name = format!(
                "{data_type:?}{}{}{}",
                if is_aligned { ", aligned" } else { "" },
                if is_noise { ", noise" } else { "" },
                if is_overlapping { ", overlapping" } else { "" },
            );
            measure(&name, texts(data_type, is_aligned, is_noise, is_overlapping), LONG_LIMIT);
        }
    }
}

/// Tablets of one aligned device, of one row each, whose columns are all different.
fn columns(tablets: usize, each: usize, name_bytes: usize) -> Entries {
    let (mut entries, mut payload) = (Entries::default(), Vec::new());
    for tablet in 0..tablets {
        let names: Vec<String> = (tablet * each..(tablet + 1) * each)
            .map(|column| format!("{column:0>name_bytes$}"))
            .collect();
        let columns: Vec<TabletColumn<'_>> = (names.iter())
            .map(|name| TabletColumn {
                name: name.as_bytes(),
                data_type: DataType::Int32,
                schema: None,
                category: 0,
                nulls: None,
                cells: Cells::Fixed(&[0, 0, 0, 1]),
            })
            .collect();
        let times = [i64::try_from(tablet).unwrap()];
        let device = b"root.plant.wide";
        let made = build::Tablet { device, is_aligned: true, times: &times, columns: &columns };
        node(&made, &mut payload);
        entries.push(&payload);
    }
    entries
}

#[test]
fn ever_more_columns() {
    let _alone = ALONE.lock().unwrap();
    measure("320,000 columns", columns(40, 8000, 8), 3 * MIB);
}

#[test]
fn long_names() {
    let _alone = ALONE.lock().unwrap();
    measure("8,000 names of 3.9 KB", columns(40, 200, 3900), 6 * MIB);
}
