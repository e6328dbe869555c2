//! What the pipes carry: tables of numbers, as tablets and as files, each value unlike any other.

use std::collections::BTreeMap;

use penstock::data::{DataType, Identity, OriginId, Sequence, TimeRange};
use penstock::tsfile::device::DeviceId;
use penstock::tsfile::encoding::Values;
use penstock::tsfile::read::{Points, TsFile};
use penstock::tsfile::write::{Column, MemoryScratch, Settings, Writer};
use penstock_test_support::frames;

use crate::random::Random;

/// In the order in which a file has them.
const DEVICES: [&str; 4] = ["root.p.d0", "root.p.d1", "root.p.d10", "root.q.d1"];
const MEASUREMENTS: [&str; 3] = ["s0", "s1", "s10"];
/// Times are below.
pub(crate) const TIMES_END: i64 = 40;
const ROWS_MAX: u64 = 4;
/// Type of a tablet's node (`InsertTabletNode`).
const TABLET_NODE: u16 = 13;
const INT64: u8 = 2;
/// A cell without a value.
const NULL: i64 = i64::MIN;
/// Between the values of two goods.
const VALUES: i64 = 1000;

/// Device, measurement and time of a value.
pub(crate) type Place = (String, String, i64);

/// One thing that was taken in, or what is left of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Goods {
    Tablet(Table),
    /// A table for each device.
    File(Vec<Table>),
}

/// Rows of one device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Table {
    device: String,
    times: Vec<i64>,
    columns: Vec<(String, Vec<i64>)>,
}

impl Goods {
    /// The `number`-th, from 1 on.
    pub(crate) fn new(number: u64, random: &mut Random) -> Self {
        let mut next_value = i64::try_from(number).expect("goods are few") * VALUES;
        let mut table = |device: &str, random: &mut Random| {
            let rows = i64::try_from(random.between(1, ROWS_MAX)).expect("few");
            let start = i64::try_from(random.below(TIMES_END.unsigned_abs())).expect("few");
            let chosen = random.between(1, 7);
            let taken = (0..).zip(MEASUREMENTS).filter(|(place, _)| chosen >> place & 1 == 1);
            let columns = taken.map(|(_, name)| {
                let values = (next_value..next_value + rows).collect();
                next_value += rows;
                (name.to_owned(), values)
            });
            let columns = columns.collect();
            Table { device: device.to_owned(), times: (start..start + rows).collect(), columns }
        };
        if random.once_in(4) {
            let chosen = random.between(1, 15);
            let taken = (0..).zip(DEVICES).filter(|(place, _)| chosen >> place & 1 == 1);
            return Self::File(taken.map(|(_, device)| table(device, random)).collect());
        }
        let device = DEVICES[usize::try_from(random.below(4)).expect("few")];
        Self::Tablet(table(device, random))
    }

    /// Which one it is, by its values.
    pub(crate) fn number(&self) -> u64 {
        let mut points = self.tables().iter().flat_map(Table::points);
        let (.., value) = points.next().expect("a value");
        (value / VALUES).unsigned_abs()
    }

    fn tables(&self) -> &[Table] {
        match self {
            Self::Tablet(table) => std::slice::from_ref(table),
            Self::File(tables) => tables,
        }
    }

    /// The series that `wants` says and the times from `first` to `last`; none if nothing is left.
    pub(crate) fn cut(
        &self,
        wants: impl Fn(&str) -> bool,
        (first, last): (i64, i64),
    ) -> Option<Self> {
        let cut = |table: &Table| {
            let is_in: Vec<_> =
                table.times.iter().map(|time| (first..=last).contains(time)).collect();
            let keep = |numbers: &[i64]| {
                let kept = numbers.iter().zip(&is_in).filter(|(_, is_in)| **is_in);
                kept.map(|(number, _)| *number).collect::<Vec<_>>()
            };
            let wanted =
                |(name, _): &&(String, Vec<i64>)| wants(&format!("{}.{name}", table.device));
            let columns = table.columns.iter().filter(wanted);
            let columns: Vec<_> =
                columns.map(|(name, values)| (name.clone(), keep(values))).collect();
            let (device, times) = (table.device.clone(), keep(&table.times));
            (!columns.is_empty() && !times.is_empty()).then_some(Table { device, times, columns })
        };
        match self {
            Self::Tablet(table) => cut(table).map(Self::Tablet),
            Self::File(tables) => {
                let tables: Vec<_> = tables.iter().filter_map(cut).collect();
                (!tables.is_empty()).then_some(Self::File(tables))
            }
        }
    }

    /// Whether all points of this are among those of `whole`.
    pub(crate) fn is_part_of(&self, whole: &Self) -> bool {
        let all: Vec<_> = whole.tables().iter().flat_map(Table::points).collect();
        self.tables().iter().flat_map(Table::points).all(|point| all.contains(&point))
    }

    /// All of its points.
    pub(crate) fn points(&self) -> impl Iterator<Item = (Place, i64)> {
        let points = self.tables().iter().flat_map(Table::points);
        points
            .map(|(device, name, time, value)| ((device.to_owned(), name.to_owned(), time), value))
    }

    /// Times that a header says, if it says any.
    pub(crate) fn times(&self) -> Option<TimeRange> {
        let Self::Tablet(Table { times, .. }) = self else { return None };
        Some(TimeRange { min: *times.first()?, max: *times.last()? })
    }

    /// A tablet's request without its tail, or the bytes of a file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Tablet(table) => table.request(),
            Self::File(tables) => file(tables),
        }
    }
}

impl Table {
    fn points(&self) -> impl Iterator<Item = (&str, &str, i64, i64)> {
        self.columns.iter().flat_map(|(name, values)| {
            let points = self.times.iter().zip(values);
            let points = points.filter(|(_, value)| **value != NULL);
            points.map(|(time, value)| (self.device.as_str(), name.as_str(), *time, *value))
        })
    }

    /// Version and type of the request, then the node up to its plan node id.
    fn request(&self) -> Vec<u8> {
        let count = |count: usize| u32::try_from(count).expect("few").to_be_bytes();
        let text = |text: &str| [&count(text.len()), text.as_bytes()].concat();
        let mut body = TABLET_NODE.to_be_bytes().to_vec();
        body.extend(text(&self.device));
        body.extend(count(self.columns.len()));
        body.push(0);
        body.extend(self.columns.iter().flat_map(|(name, _)| text(name)));
        body.extend(self.columns.iter().map(|_| INT64));
        body.extend(count(self.times.len()));
        body.extend(self.times.iter().flat_map(|time| time.to_be_bytes()));
        body.push(0);
        let values = self.columns.iter().flat_map(|(_, values)| values);
        body.extend(values.flat_map(|value| value.to_be_bytes()));
        body.push(0);
        frames::payload(frames::TABLET, &body)
    }
}

/// What a tablet's request holds, and under which identity.
pub(crate) fn tablet_of(payload: &[u8]) -> (Goods, Identity) {
    let mut rest = &payload[5..];
    let mut take = |count: usize| {
        let (taken, after) = rest.split_at(count);
        rest = after;
        taken
    };
    let number = |bytes: &[u8]| bytes.iter().fold(0_i64, |all, byte| all << 8 | i64::from(*byte));
    let size = |bytes: &[u8]| usize::try_from(number(bytes)).expect("a size");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("a text");
    let bytes = size(take(4));
    let device = text(take(bytes));
    let count = size(take(4));
    assert_eq!(take(1), [0], "it has no schemas");
    let names: Vec<_> = (0..count)
        .map(|_| {
            let bytes = size(take(4));
            text(take(bytes))
        })
        .collect();
    assert!(take(count).iter().all(|one| *one == INT64), "types");
    let rows = size(take(4));
    let times = (0..rows).map(|_| number(take(8))).collect();
    let mut nulls = vec![Vec::new(); count];
    if take(1) == [1] {
        for nulls in &mut nulls {
            if take(1) == [1] {
                *nulls = take(rows / 8 + 1).to_vec();
            }
        }
    }
    let mut columns = Vec::new();
    for (name, nulls) in names.into_iter().zip(nulls) {
        let is_null =
            |row: usize| nulls.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1);
        let cells = (0..rows).map(|row| Some(number(take(8))).filter(|_| !is_null(row)));
        columns.push((name, cells.map(|cell| cell.unwrap_or(NULL)).collect()));
    }
    assert_eq!(rest[0], 0, "it is not aligned");
    let id = size(&rest[1..5]);
    let (id, end) = rest[5..].split_at(id);
    assert_eq!(end, [0; 4], "it has no children");
    (Goods::Tablet(Table { device, times, columns }), identity_of(&text(id), ':'))
}

/// The identity at the start of a text: `P1`, origin and sequence, with this between them.
pub(crate) fn identity_of(text: &str, between: char) -> Identity {
    let mut words = text.split(between);
    assert_eq!(words.next(), Some("P1"), "{text} tells no identity");
    let origin = words.next().and_then(|origin| OriginId::parse(origin.as_bytes()));
    let sequence = words.next().and_then(|digits| digits.parse().ok());
    Identity {
        origin: origin.expect("an origin"),
        sequence: Sequence(sequence.expect("a sequence")),
    }
}

fn file(tables: &[Table]) -> Vec<u8> {
    let scratches: [MemoryScratch; 2] = Default::default();
    let mut writer = Writer::new(Vec::new(), scratches, Settings::default()).expect("memory");
    for table in tables {
        writer.device(&DeviceId::segmented(&table.device)).expect("memory");
        for (name, values) in &table.columns {
            writer.series(Column::new(name, DataType::Int64)).expect("memory");
            writer.points(&table.times, &Values::Longs(values.clone())).expect("memory");
        }
    }
    writer.finish().expect("memory").0
}

/// What a file holds.
pub(crate) fn file_of(bytes: &[u8]) -> Goods {
    let file = TsFile::open(bytes).expect("a sound file");
    let (mut points, mut devices) = (Points::new(&file, None), file.devices().expect("an index"));
    let mut tables = Vec::new();
    while let Some(device) = devices.next().expect("an index") {
        points.start(&device).expect("an index");
        let mut table = Table { device: device.id.path(), ..Table::default() };
        while let Some(page) = points.next(|_| true).expect("a page") {
            let Values::Longs(values) = page.values else { panic!("a column of numbers") };
            assert!([&[][..], page.times].contains(&table.times.as_slice()), "one page a column");
            table.times = page.times.to_vec();
            table.columns.push((page.measurement.to_owned(), values.clone()));
        }
        tables.push(table);
    }
    Goods::File(tables)
}

/// The points of a file that was made of many tablets, none of them twice.
pub(crate) fn points_of(bytes: &[u8]) -> BTreeMap<Place, i64> {
    let file = TsFile::open(bytes).expect("a sound file");
    let (mut reader, mut devices) = (Points::new(&file, None), file.devices().expect("an index"));
    let mut points = BTreeMap::new();
    while let Some(device) = devices.next().expect("an index") {
        reader.start(&device).expect("an index");
        while let Some(page) = reader.next(|_| true).expect("a page") {
            let Values::Longs(values) = page.values else { panic!("a column of numbers") };
            assert_eq!(page.times.len(), values.len(), "a value for each time");
            for (time, value) in page.times.iter().zip(values) {
                let place = (device.id.path(), page.measurement.to_owned(), *time);
                let before = points.insert(place, *value);
                assert_eq!(before, None, "a file has a point twice");
            }
        }
    }
    points
}
