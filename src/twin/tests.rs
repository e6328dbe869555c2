//! Files that are made hold what a simple model says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;

use super::budget::Budget;
use super::*;
use crate::data::Identity;
use crate::spool::{
    Arrival, Disk, DiskFile, EntryHeader, Fault, Kind, OpenMode, Place, ReadError, SimDisk,
};
use crate::tsfile::encoding::Values;
use crate::tsfile::read::{Points, TsFile};
use crate::wire::build::{self, Cells, Nulls, TabletColumn};
use crate::wire::bytes::Writer;
use crate::wire::node::NodeType;
use crate::wire::request::RequestType;

/// A spool in memory.
#[derive(Debug, Default, Clone)]
pub(super) struct Entries {
    list: Vec<(EntryHeader, Vec<u8>)>,
    next: usize,
    pub(super) read_bytes: u64,
}

impl Entries {
    fn push(&mut self, origin: OriginId, rank: u64, payload: Vec<u8>) {
        let sequence = Sequence(self.list.len() as u64 + 1);
        let identity = Identity { origin, sequence: Sequence(rank) };
        let header = EntryHeader {
            segment: 1,
            sequence,
            synced: sequence,
            arrival: Arrival { wall_ms: 0, trusted: true },
            kind: Kind::Tablet,
            source: crate::spool::Source::Own,
            hops: 0,
            precision: Some(Precision::Ms),
            time_range: Some(TimeRange::ALL),
            identity,
            device: 0,
            void_entries: 0,
            file_count: 0,
            payload_bytes: u32::try_from(payload.len()).expect("short"),
            content_crc: None,
            payload_crc: 0,
        };
        self.list.push((header, payload));
    }

    fn run(&self) -> Run {
        Run { first: Sequence(1), last: Sequence(self.list.len() as u64) }
    }
}

impl Source for Entries {
    fn seek(&mut self, to: Sequence) {
        self.next = usize::try_from(to.0).expect("few") - 1;
    }

    fn next(&mut self) -> Result<Option<Found>, ReadError> {
        let Some((header, _)) = self.list.get(self.next) else { return Ok(None) };
        self.next += 1;
        let place = Place { segment: header.sequence.0 / 1000, offset: header.sequence.0 << 20 };
        Ok(Some(Found { header: *header, place }))
    }

    fn read_at(&mut self, place: Place, into: &mut [u8]) -> Result<usize, ReadError> {
        let entry = usize::try_from(place.offset >> 20).expect("few") - 1;
        let (_, payload) = &self.list[entry];
        let rest = &payload[usize::try_from(place.offset & 0xf_ffff).expect("short")..];
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        self.read_bytes += count as u64;
        Ok(count)
    }
}

/// A tablet as it is made for a test.
#[derive(Debug, Clone)]
struct Tablet {
    device: String,
    is_aligned: bool,
    times: Vec<i64>,
    columns: Vec<Col>,
}

#[derive(Debug, Clone)]
struct Col {
    name: String,
    data_type: DataType,
    seeds: Vec<Option<u32>>,
}

/// The bytes of a value, as a tablet has them; of a text without its length.
fn value(data_type: DataType, seed: u32) -> Vec<u8> {
    match data_type {
        DataType::Boolean => vec![u8::from(seed % 2 == 1)],
        DataType::Int32 | DataType::Date | DataType::Float => seed.to_be_bytes().to_vec(),
        DataType::Int64 | DataType::Timestamp => {
            (i64::from(seed) * -1_000_003).to_be_bytes().to_vec()
        }
        DataType::Double => (f64::from(seed) / 7.0).to_be_bytes().to_vec(),
        DataType::Text | DataType::Blob | DataType::String | DataType::Object => {
            seed.to_be_bytes()[..seed as usize % 5].to_vec()
        }
    }
}

/// The same of what was read back.
fn bytes_of(values: &Values, place: usize) -> Vec<u8> {
    match values {
        Values::Booleans(list) => vec![u8::from(list[place])],
        Values::Integers(list) => list[place].to_be_bytes().to_vec(),
        Values::Longs(list) => list[place].to_be_bytes().to_vec(),
        Values::Floats(list) => list[place].to_be_bytes().to_vec(),
        Values::Doubles(list) => list[place].to_be_bytes().to_vec(),
        Values::Binaries(list) => list.get(place).expect("place").to_vec(),
    }
}

impl Tablet {
    fn payload(&self, rank: u64) -> Vec<u8> {
        let cells: Vec<Vec<Vec<u8>>> = (self.columns.iter())
            .map(|column| {
                let seeds = column.seeds.iter().map(|seed| seed.unwrap_or(3));
                seeds.map(|seed| value(column.data_type, seed)).collect()
            })
            .collect();
        let fixed: Vec<Vec<u8>> = cells.iter().map(|cells| cells.concat()).collect();
        let texts: Vec<Vec<Option<&[u8]>>> =
            cells.iter().map(|cells| cells.iter().map(|cell| Some(&**cell)).collect()).collect();
        let nulls: Vec<Vec<u8>> = (self.columns.iter())
            .map(|column| {
                let mut bits = vec![0; self.times.len() / 8 + 1];
                for (row, _) in column.seeds.iter().enumerate().filter(|(_, seed)| seed.is_none()) {
                    bits[row / 8] |= 1 << (row % 8);
                }
                bits
            })
            .collect();
        let columns: Vec<TabletColumn<'_>> = (self.columns.iter().enumerate())
            .map(|(place, column)| TabletColumn {
                name: column.name.as_bytes(),
                data_type: column.data_type,
                schema: None,
                category: 0,
                nulls: column
                    .seeds
                    .contains(&None)
                    .then_some(Nulls { bits: self.times.len(), bytes: &nulls[place] }),
                cells: match column.data_type.value_bytes() {
                    Some(_) => Cells::Fixed(&fixed[place]),
                    None => Cells::Texts(&texts[place]),
                },
            })
            .collect();
        let tablet = build::Tablet {
            device: self.device.as_bytes(),
            is_aligned: self.is_aligned,
            times: &self.times,
            columns: &columns,
        };
        let mut payload = Vec::new();
        let mut out = Writer::into_vec(&mut payload, 4 << 20);
        build::request(RequestType::TabletInsertNode, &mut out);
        tablet.node(NodeType::InsertTablet, &mut out);
        build::node_tail(format!("{rank}").as_bytes(), &mut out);
        payload
    }
}

/// Origin, alignedness, device, series, type, time.
type Key = (u8, bool, String, String, u8, i64);

/// What files made of these tablets hold; each comes with its origin and its sequence there.
fn model(tablets: &[(u8, u64, Tablet)]) -> BTreeMap<Key, Vec<u8>> {
    let mut order: Vec<&(u8, u64, Tablet)> = tablets.iter().collect();
    order.sort_by_key(|(_, rank, _)| *rank);
    let mut points = BTreeMap::new();
    for (origin, _, tablet) in order {
        for column in &tablet.columns {
            let cells = tablet.times.iter().zip(&column.seeds);
            for (time, seed) in cells.filter_map(|(time, seed)| Some((time, (*seed)?))) {
                let (device, name) = (tablet.device.clone(), column.name.clone());
                let code = column.data_type.code();
                let key = (*origin, tablet.is_aligned, device, name, code, *time);
                points.insert(key, value(column.data_type, seed));
            }
        }
    }
    points
}

fn contents(disk: &SimDisk, path: &Path) -> Vec<u8> {
    let file = disk.open(path, OpenMode::Read).expect("made");
    let mut bytes = vec![0; usize::try_from(file.bytes().expect("sound")).expect("short")];
    assert_eq!(crate::spool::read_full_at(&file, 0, &mut bytes).expect("sound"), bytes.len());
    bytes
}

/// What the files hold; no point may be in two of them.
fn held(disk: &SimDisk, made: &Made) -> BTreeMap<Key, Vec<u8>> {
    let mut held = BTreeMap::new();
    for twin in &made.twins {
        let bytes = contents(disk, &twin.file);
        assert_eq!((blake3::hash(&bytes), bytes.len() as u64), (twin.hash, twin.bytes));
        let points = points_of(twin, &bytes);
        let mut range = TimeRange::EMPTY;
        for (key, _) in &points {
            range.include(key.5);
        }
        let devices: BTreeSet<&String> = points.iter().map(|(key, _)| &key.2).collect();
        let found = (points.len() as u64, devices.len() as u64, range);
        assert_eq!(found, (twin.points, twin.devices, twin.time_range), "{}", twin.file.display());
        for (key, value) in points {
            assert_eq!(held.insert(key.clone(), value), None, "{key:?} twice");
        }
    }
    held
}

fn points_of(twin: &Twin, bytes: &[u8]) -> Vec<(Key, Vec<u8>)> {
    let mut found = Vec::new();
    let file = TsFile::open(bytes).expect("sound");
    let mut points = Points::new(&file, None);
    let mut devices = file.devices().expect("index");
    while let Some(device) = devices.next().expect("index") {
        points.start(&device).expect("index");
        while let Some(piece) = points.next(|_| true).expect("page") {
            let (origin, aligned) = (twin.group.origin.0[0], twin.group.is_aligned);
            let (name, code) = (piece.measurement.to_owned(), piece.data_type.code());
            found.extend(piece.times.iter().enumerate().map(|(place, time)| {
                let key = (origin, aligned, device.id.path(), name.clone(), code, *time);
                (key, bytes_of(piece.values, place))
            }));
        }
    }
    found
}

fn settings() -> Settings {
    Settings { dir: "twins".into(), writer: writer_settings() }
}

fn entries(tablets: &[(u8, u64, Tablet)]) -> Entries {
    let mut entries = Entries::default();
    for (origin, rank, tablet) in tablets {
        entries.push(OriginId([*origin; 16]), *rank, tablet.payload(*rank));
    }
    entries
}

fn make<S: Source>(maker: &mut Maker<SimDisk, S>, run: Run) -> Result<Made, TwinError> {
    maker.begin(run);
    loop {
        if let Step::Done(made) = maker.step()? {
            return Ok(made);
        }
    }
}

fn any_tablet() -> impl Strategy<Value = Tablet> {
    let devices = proptest::sample::select(vec![
        "root.sg.d1",
        "root.sg.d1.x",
        "root.sg.d2",
        "root.sg.a.b.c",
        "root.sg.b",
    ]);
    let times = proptest::collection::vec(-20_i64..20, 1..12);
    (devices, any::<bool>(), times).prop_flat_map(|(device, is_aligned, times)| {
        let types = proptest::sample::select(DataType::ALL[..10].to_vec());
        let seeds =
            proptest::collection::vec(proptest::option::weighted(0.7, any::<u32>()), times.len());
        let name = proptest::sample::select(vec!["a", "b", "c", "\u{10000}", "\u{fffd}"]);
        let conflicts = proptest::option::weighted(0.1, types);
        let column = (name, conflicts, seeds).prop_map(|(name, other, seeds)| {
            let own = DataType::ALL[name.len() + usize::from(name.as_bytes()[0] % 5)];
            Col { name: name.to_owned(), data_type: other.unwrap_or(own), seeds }
        });
        proptest::collection::vec(column, 0..5).prop_map(move |mut columns| {
            let mut known = BTreeSet::new();
            columns.retain(|column| known.insert((column.name.clone(), column.data_type.code())));
            Tablet { device: device.to_owned(), is_aligned, times: times.clone(), columns }
        })
    })
}

fn any_run() -> impl Strategy<Value = Vec<(u8, u64, Tablet)>> {
    let one = (0_u8..3, any_tablet());
    proptest::collection::vec((one, any::<u32>()), 1..20).prop_map(|list| {
        let ranked = list.into_iter().enumerate();
        ranked
            .map(|(place, ((origin, tablet), seed))| {
                (origin, u64::from(seed) << 8 | place as u64, tablet)
            })
            .collect()
    })
}

/// Budgets under which nearly everything is put away, read where it lies, or cut into groups and files.
fn any_budget() -> impl Strategy<Value = Budget> {
    let sizes = (0_usize..3000, 0_usize..400, 0_usize..40, 1_usize..4, 1_usize..8);
    let small =
        sizes.prop_map(|(arena_bytes, direct_bytes, direct_column_bytes, columns, rows)| Budget {
            arena_bytes,
            direct_bytes,
            direct_column_bytes,
            columns,
            rows,
        });
    prop_oneof![1 => Just(Budget::default()), 4 => small]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn files_hold_what_the_model_says(tablets in any_run(), budget in any_budget()) {
        let disk = SimDisk::new(1, 1 << 30);
        let entries = entries(&tablets);
        let run = entries.run();
        let mut maker = Maker::new(disk.clone(), entries, settings());
        maker.set_budget(budget);
        let made = make(&mut maker, run).expect("sound");
        prop_assert_eq!(held(&disk, &made), model(&tablets));
        let files: Vec<Vec<u8>> =
            made.twins.iter().map(|twin| contents(&disk, &twin.file)).collect();
        prop_assert_eq!(disk.files().len(), files.len(), "no scratch is left");
        let again = make(&mut maker, run).expect("sound");
        prop_assert_eq!(&again.twins, &made.twins);
        for (twin, before) in again.twins.iter().zip(files) {
            prop_assert_eq!(contents(&disk, &twin.file), before);
        }
        maker.abandon().expect("sound");
        prop_assert!(disk.files().is_empty());
    }
}

/// Tablets of one device whose points do not fit the buffers of scratches.
fn wide_run(is_aligned: bool) -> Vec<(u8, u64, Tablet)> {
    let tablet = |number: u32| {
        let rows = 0..40;
        let column = |place: u32| Col {
            name: format!("s{place:02}"),
            data_type: DataType::ALL[place as usize % 10],
            seeds: rows.clone().map(|row| (row % 7 != place % 7).then_some(number + row)).collect(),
        };
        Tablet {
            device: "root.sg.x.d".to_owned(),
            is_aligned,
            times: rows.clone().map(|row| i64::from((row * 37 + number * 11) % 997)).collect(),
            columns: (0..20).map(column).collect(),
        }
    };
    (0..20).map(|number| (1, u64::from(number), tablet(number))).collect()
}

#[test]
fn parts_and_whole_entries_of_one_origin_are_one_file_in_which_the_latest_write_stays() {
    let (whole, other) = (OriginId([1; 16]), OriginId([2; 16]));
    let part = whole.of_parts(5);
    let tablet = |seed| {
        let name = "s".to_owned();
        let column = Col { name, data_type: DataType::Int32, seeds: vec![Some(seed)] };
        let device = "root.sg.d".to_owned();
        (1, 0, Tablet { device, is_aligned: false, times: vec![7], columns: vec![column] })
    };
    let made_of = |written: &[(OriginId, u64, u32)]| {
        let mut entries = Entries::default();
        for (origin, rank, seed) in written {
            entries.push(*origin, *rank, tablet(*seed).2.payload(*rank));
        }
        let disk = SimDisk::new(1, 1 << 30);
        let mut maker = Maker::new(disk.clone(), entries.clone(), settings());
        let made = make(&mut maker, entries.run()).expect("sound");
        let points = |twin: &Twin| points_of(twin, &contents(&disk, &twin.file));
        let files = made.twins.iter().map(|twin| {
            let point = points(twin).pop().map(|(_, value)| value).expect("a point");
            (twin.group.origin, (twin.first.0, twin.last.0), point)
        });
        files.collect::<Vec<_>>()
    };
    let of = |seed| value(DataType::Int32, seed);
    let written = [(whole, 1, 1), (part, 2, 2), (whole, 3, 3)];
    assert_eq!(made_of(&written), [(whole, (1, 3), of(3))]);
    // The part comes late, by a pipe of its own, and is the latest write; and the same without a whole entry.
    let written = [(part, 2, 2), (whole, 1, 1), (whole.of_parts(6), 3, 3)];
    assert_eq!(made_of(&written), [(whole, (1, 3), of(3))]);
    assert_eq!(made_of(&written[..1]), [(part, (1, 1), of(2))]);
    let apart = made_of(&[(other, 1, 1), (part, 2, 2)]);
    assert_eq!(apart, [(other, (1, 1), of(1)), (part, (2, 2), of(2))]);
}

#[test]
fn an_aligned_device_wider_than_a_slot_is_one_file_if_its_rows_are_one_group() {
    let tablets: Vec<_> = wide_run(true).into_iter().take(3).collect();
    let entries = entries(&tablets);
    for (rows, files) in [(120, 1), (50, 2)] {
        let disk = SimDisk::new(1, 1 << 30);
        let mut maker = Maker::new(disk.clone(), entries.clone(), settings());
        maker.set_budget(Budget { arena_bytes: 8000, rows, columns: 15, ..Budget::default() });
        let made = make(&mut maker, entries.run()).expect("sound");
        assert_eq!(made.twins.len(), files, "{rows} rows");
        assert_eq!(held(&disk, &made), model(&tablets));
    }
}

fn small_budget() -> Budget {
    Budget { arena_bytes: 20_000, rows: 100, columns: 15, ..Budget::default() }
}

fn maker_on(disk: &SimDisk, entries: &Entries) -> Maker<SimDisk, Entries> {
    let mut maker = Maker::new(disk.clone(), entries.clone(), settings());
    maker.set_budget(small_budget());
    maker
}

/// All files with their contents, by name.
fn image(disk: &SimDisk) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = disk.files().into_iter();
    files.map(|(path, _)| (path.clone(), contents(disk, &path))).collect()
}

#[test]
fn after_any_call_that_fails_the_same_files_are_made() {
    for is_aligned in [false, true] {
        let tablets = wide_run(is_aligned);
        let entries = entries(&tablets);
        let disk = SimDisk::new(1, 1 << 30);
        make(&mut maker_on(&disk, &entries), entries.run()).expect("sound");
        let expected = image(&disk);
        let calls = disk.calls();
        assert!(calls.reads > 10, "scratches are used");
        for fault in [Fault::Io, Fault::NoSpace, Fault::Short] {
            let mut failed = 0;
            for call in (0..calls.all).step_by(usize::try_from(calls.all).expect("few") / 12) {
                let disk = SimDisk::new(call, 1 << 30);
                let mut maker = maker_on(&disk, &entries);
                disk.schedule(call, fault, false);
                failed += u64::from(make(&mut maker, entries.run()).is_err());
                disk.heal();
                make(&mut maker, entries.run()).expect("healed");
                assert_eq!(image(&disk), expected, "{fault:?} at {call}");
                maker.abandon().expect("healed");
                assert!(disk.files().is_empty());
            }
            assert_eq!(failed > 0, fault != Fault::Short, "{fault:?}");
        }
    }
}

#[test]
fn after_a_crash_at_any_step_the_same_files_are_made() {
    let tablets = wide_run(true);
    let entries = entries(&tablets);
    let disk = SimDisk::new(1, 1 << 30);
    let mut maker = maker_on(&disk, &entries);
    make(&mut maker, entries.run()).expect("sound");
    let expected = image(&disk);
    for steps in 0.. {
        let disk = SimDisk::new(steps, 1 << 30);
        disk.place(Path::new("twins/mine"), b"kept");
        let mut maker = maker_on(&disk, &entries);
        maker.begin(entries.run());
        let ended = (0..steps).any(|_| matches!(maker.step(), Ok(Step::Done(_))));
        disk.crash();
        let mut maker = maker_on(&disk, &entries);
        make(&mut maker, entries.run()).expect("sound");
        let mut found = image(&disk);
        assert_eq!(found.remove(Path::new("twins/mine")), Some(b"kept".to_vec()));
        assert_eq!(found, expected, "after {steps} steps");
        if ended {
            return;
        }
    }
}

#[test]
fn what_cannot_be_in_a_file_is_named() {
    let tablets = wide_run(false);
    let mut entries = entries(&tablets);
    let broken = entries.list[7].1.len() - 100;
    entries.list[7].1.truncate(broken);
    entries.list[7].0.payload_bytes = u32::try_from(broken).expect("short");
    let disk = SimDisk::new(1, 1 << 30);
    let mut maker = maker_on(&disk, &entries);
    let made = make(&mut maker, entries.run());
    let Err(TwinError::Unfit { sequence, why: Unfit::Malformed(_) }) = made else {
        panic!("{made:?}");
    };
    assert_eq!(sequence, Sequence(8));
    make(&mut maker, Run { first: Sequence(1), last: Sequence(7) }).expect("before it");
    make(&mut maker, Run { first: Sequence(9), last: Sequence(20) }).expect("behind it");
    assert!(matches!(maker.step(), Err(TwinError::Idle)));
}

#[test]
fn a_name_that_no_iotdb_takes_is_kept_out_of_everybodys_file() {
    let tablet = |device: &str, name: &str| Tablet {
        device: device.to_owned(),
        is_aligned: false,
        times: vec![1],
        columns: vec![Col {
            name: name.to_owned(),
            data_type: DataType::Int32,
            seeds: vec![Some(1)],
        }],
    };
    for (device, name, is_legal) in [
        ("root.`a.*`.d", "`s.1`", true),
        ("", "s", false),
        ("x", "s", false),
        ("root..b", "s", false),
        ("root.**", "s", false),
        ("root.a\0", "s", false),
        ("root.d", "", false),
        ("root.d", "*", false),
    ] {
        let tablets = [(1, 1, tablet("root.sg.d", "s")), (1, 2, tablet(device, name))];
        let entries = entries(&tablets);
        let made = make(&mut maker_on(&SimDisk::new(1, 1 << 30), &entries), entries.run());
        if is_legal {
            made.expect("sound");
            continue;
        }
        let Err(TwinError::Unfit { sequence, why: Unfit::Name { .. } }) = made else {
            panic!("{device:?} {name:?}: {made:?}");
        };
        assert_eq!(sequence, Sequence(2));
    }
}

#[test]
fn conflicts_are_told_and_kept_apart() {
    let tablet = |data_type| Tablet {
        device: "root.sg.x.d".to_owned(),
        is_aligned: false,
        times: vec![1, 2],
        columns: vec![Col { name: "s".to_owned(), data_type, seeds: vec![Some(1), None] }],
    };
    let tablets = [(1, 1, tablet(DataType::Text)), (1, 2, tablet(DataType::Int32))];
    let entries = entries(&tablets);
    let disk = SimDisk::new(1, 1 << 30);
    let made = make(&mut maker_on(&disk, &entries), entries.run()).expect("sound");
    let parts: Vec<_> = made.twins.iter().map(|twin| (twin.part, twin.points)).collect();
    assert_eq!(parts, [(0, 1), (1, 1)]);
    assert_eq!(made.conflict_count, 1);
    assert_eq!(made.conflicts[0].types, [DataType::Int32, DataType::Text]);
    assert_eq!(held(&disk, &made), model(&tablets));
}
