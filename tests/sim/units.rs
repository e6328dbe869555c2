//! What crosses: tablets and files that tell their number wherever they are found.

use penstock::data::{Identity, TimeRange};
use penstock::wire::bytes::Writer;
use penstock::wire::delete::{self, PathKind};
use penstock::wire::request::{Head, RequestType};
use penstock::wire::slice::{self, Slice};
use penstock_test_support::frames::{self, TabletShape};

use crate::long::Long;
use crate::random::Random;

/// A `TsFile` of one series; its values may be anything.
const TINY: &[u8] = include_bytes!("../samples/v3_tiny.tsfile");
/// Where a file's own number is put: among the values.
const NUMBER_AT: std::ops::Range<usize> = 40..48;
/// Plan node id and child count at the end of a generated tablet.
const TAIL_BYTES: usize = 9;
const DEVICE: &str = "root.sim.u";
const DIGITS: usize = 6;
/// Slices of a long request are so many times as long as others.
const LONG_SLICES: u32 = 2000;
/// Version and type in front of a request's body.
const HEAD_BYTES: usize = 3;

/// One thing that has to arrive, whole and once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) number: u64,
    pub(crate) content: Content,
}

/// Its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// The payload of a type 2 request.
    Tablet(Vec<u8>),
    /// A longer one.
    Long(Long),
    /// The payload of a request that is passed on as it is: a deletion, a plan, a row of unknown types.
    Opaque(Vec<u8>),
    /// A `TsFile`, and its mods.
    File { mods: Option<Vec<u8>>, bytes: Vec<u8> },
    /// A file that is no `TsFile`: it goes to quarantine, and nowhere else.
    Flawed(Vec<u8>),
}

impl Unit {
    /// A tablet, a file, or something that can never be accepted: neither people nor stock peers check anything.
    pub(crate) fn new(number: u64, random: &mut Random) -> Self {
        let content = match random.below(30) {
            0..3 => {
                Content::Flawed(format!("no TsFile at all, but file number {number}").into_bytes())
            }
            3..12 => file(number, random),
            _ => tablet(number, random),
        };
        Self { number, content }
    }

    /// The same, or a request that is passed on as it is: of a node whose requests are told apart whatever came
    /// between them.
    pub(crate) fn of_one_source(number: u64, random: &mut Random) -> Self {
        if random.below(4) > 0 {
            return Self::new(number, random);
        }
        Self { number, content: Content::Opaque(opaque(number, random)) }
    }

    /// A tablet that goes through a file of the far side.
    pub(crate) fn long(number: u64, random: &mut Random) -> Self {
        Self { number, content: Content::Long(Long::new(number, random)) }
    }

    /// Name of its file.
    pub(crate) fn name(&self) -> String {
        format!("u{:0DIGITS$}.tsfile", self.number)
    }

    pub(crate) fn mods_name(&self) -> String {
        format!("{}.mods", self.name())
    }

    /// The frames' payloads, as a stock peer sends them.
    pub(crate) fn payloads(&self, piece_bytes: usize, slice_bytes: Option<u32>) -> Vec<Vec<u8>> {
        let (mods, bytes) = match &self.content {
            Content::Tablet(payload) | Content::Opaque(payload) => {
                return self.slices(payload, slice_bytes);
            }
            Content::Long(long) => {
                let slice_bytes = slice_bytes.map(|bytes| bytes * LONG_SLICES);
                return self.slices(long.payload(), slice_bytes);
            }
            Content::File { mods, bytes } => (mods, bytes),
            Content::Flawed(bytes) => (&None, bytes),
        };
        let kind = if mods.is_some() { frames::PIECE_WITH_MODS } else { frames::PIECE };
        let (name, mods_name) = (self.name(), self.mods_name());
        let mut files: Vec<(&str, &[u8])> = Vec::new();
        files.extend(mods.as_ref().map(|mods| (mods_name.as_str(), mods.as_slice())));
        files.push((&name, bytes));
        let mut payloads = Vec::new();
        for (name, bytes) in &files {
            for (start, piece) in (0..).step_by(piece_bytes).zip(bytes.chunks(piece_bytes)) {
                payloads.push(frames::piece(kind, name, start, piece));
            }
        }
        let lengths: Vec<_> =
            files.iter().map(|(name, bytes)| (*name, bytes.len() as u64)).collect();
        payloads.push(match mods {
            Some(_) => frames::seal_with_mods(&lengths),
            None => frames::seal(&name, bytes.len() as u64),
        });
        payloads
    }
}

impl Unit {
    /// A request as it is, or in slices.
    fn slices(&self, payload: &[u8], slice_bytes: Option<u32>) -> Vec<Vec<u8>> {
        let Some(slice_bytes) = slice_bytes else { return vec![payload.to_vec()] };
        let (head, body) = payload.split_at(HEAD_BYTES);
        let code = i16::from_be_bytes([head[1], head[2]]);
        let order = i32::try_from(self.number).expect("units are few");
        let slices = slice::cut(order, code, body, slice_bytes).expect("a small request");
        let write = |slice: Slice<'_>| {
            let mut body = Vec::new();
            let mut writer = Writer::into_vec(&mut body, 1 << 20);
            slice.write(&mut writer);
            writer.finish().expect("it has room");
            frames::payload(frames::SLICE, &body)
        };
        slices.map(write).collect()
    }
}

/// A tablet without plan node id and child count.
pub(crate) fn without_tail(payload: &[u8]) -> &[u8] {
    &payload[..payload.len() - TAIL_BYTES]
}

/// How many columns and rows a generated tablet has.
pub(crate) fn shape_of(payload: &[u8]) -> (usize, usize) {
    let number = |at: usize| {
        let bytes = payload.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        u32::from_be_bytes(bytes.expect("a number")) as usize
    };
    // Behind the type of the node: device, count of columns, whether there are schemas, names, types, count of rows.
    let mut at = HEAD_BYTES + 2;
    at += 4 + number(at);
    let columns = number(at);
    at += 5;
    for _ in 0..columns {
        at += 4 + number(at);
    }
    (columns, number(at + columns))
}

/// The payload of the entry that a tablet without its tail becomes: its plan node id tells the identity, and it has
/// no children.
pub(crate) fn as_entry(tablet: &[u8], identity: Identity) -> Vec<u8> {
    let id = identity.plan_node_id();
    let id_bytes = u32::try_from(id.as_bytes().len()).expect("a short text");
    [tablet, &id_bytes.to_be_bytes(), id.as_bytes(), &[0; 4]].concat()
}

/// The device whose name tells a number.
pub(crate) fn device_of(number: u64) -> String {
    format!("{DEVICE}{number:0DIGITS$}")
}

/// The number that a payload or a name tells.
pub(crate) fn number_in(bytes: &[u8]) -> Option<u64> {
    let digits = |at: usize| {
        let text = std::str::from_utf8(bytes.get(at..at + DIGITS)?).ok()?;
        text.parse().ok()
    };
    let device = bytes.windows(DEVICE.len()).position(|window| window == DEVICE.as_bytes());
    device.and_then(|at| digits(at + DEVICE.len()))
}

/// The number that a file's name tells.
pub(crate) fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix('u')?.get(..DIGITS)?.parse().ok()
}

fn tablet(number: u64, random: &mut Random) -> Content {
    let size = |value: u64| usize::try_from(value).unwrap_or_default();
    let shape = TabletShape {
        device: &device_of(number),
        rows: size(random.between(1, 8)),
        columns: size(random.between(1, 6)),
        start_time: 1,
        text_bytes: size(random.below(30)),
    };
    Content::Tablet(frames::tablet(&shape, random.bits()))
}

fn opaque(number: u64, random: &mut Random) -> Vec<u8> {
    let device = device_of(number);
    match random.below(3) {
        0 => {
            let mut payload = Vec::new();
            let mut writer = Writer::into_vec(&mut payload, 1 << 10);
            Head::of(RequestType::PlanNode).write(&mut writer);
            let times = TimeRange { min: 1, max: 9 };
            // In one node, so that the number is found.
            delete::write(PathKind::Partial, &[&[&device]], times, "1", &mut writer);
            writer.finish().expect("it has room");
            payload
        }
        1 => frames::payload(200, &[&[0, 44][..], device.as_bytes()].concat()),
        _ => frames::untyped_row(&device, 1, "7"),
    }
}

fn file(number: u64, random: &mut Random) -> Content {
    let mut bytes = TINY.to_vec();
    bytes[NUMBER_AT].copy_from_slice(&number.to_be_bytes());
    let mods = random.once_in(3).then(|| format!("mods of {number}").into_bytes());
    Content::File { mods, bytes }
}
