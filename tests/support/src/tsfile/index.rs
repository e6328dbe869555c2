//! The metadata behind the data: series, the tree that finds them, the file's own block.

use super::bloom::Bloom;
use super::primitive::Bytes;
use super::statistics::Statistics;
use super::{MAGIC, SEPARATOR};

/// Children of one node, and series of one entry of a leaf.
const DEGREE: usize = 256;
const INTERNAL_DEVICE: u8 = 0;
const LEAF_DEVICE: u8 = 1;
const INTERNAL_MEASUREMENT: u8 = 2;
const LEAF_MEASUREMENT: u8 = 3;
const FLAG_CHUNKS: u8 = 0x01;
const FLAG_TIME: u8 = 0x80;
const FLAG_VALUE: u8 = 0x40;

/// A device and what was written of it.
#[derive(Debug)]
pub(super) struct Device {
    name: String,
    aligned: bool,
    series: Vec<(Series, Vec<Chunk>)>,
}

/// One series of a device; the time column has no name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) kind: u8,
}

#[derive(Debug)]
struct Chunk {
    offset: u64,
    statistics: Statistics,
}

/// A node of the tree: keys and where they lead.
struct Node {
    kind: u8,
    children: Vec<(String, u64)>,
    end: u64,
}

impl Device {
    pub(super) fn new(name: String, aligned: bool) -> Self {
        Self { name, aligned, series: Vec::new() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is_aligned(&self) -> bool {
        self.aligned
    }

    /// A chunk of a series was written. Series come in the order of their names, each time.
    pub(super) fn add(&mut self, series: Series, offset: u64, statistics: Statistics) {
        let chunk = Chunk { offset, statistics };
        match self.series.iter_mut().find(|(known, _)| *known == series) {
            Some((_, chunks)) => chunks.push(chunk),
            None => self.series.push((series, vec![chunk])),
        }
    }
}

/// Everything from the separator to the end of the file, which stands at `separator`. Devices come
/// in the order of their names.
pub(super) fn tail(devices: &[Device], separator: u64) -> Vec<u8> {
    let mut tail = Tail { bytes: vec![SEPARATOR], start: separator };
    let roots: Vec<(String, Node)> =
        devices.iter().map(|device| (device.name.clone(), tail.measurements(device))).collect();
    let mut leaves = Leaves::new(LEAF_DEVICE);
    for (name, root) in roots {
        leaves.add(name, tail.position());
        tail.put_node(&root);
    }
    let mut root = tail.tree(leaves.finish(tail.position()), INTERNAL_DEVICE);
    let metadata = tail.position();
    root.end = metadata;
    tail.put_node(&root);
    tail.bytes.put_i64(as_i64(separator));
    tail.put_bloom(devices);
    let size = tail.position() - metadata;
    tail.bytes.put_i32(i32::try_from(size).unwrap_or(i32::MAX));
    tail.bytes.extend(MAGIC);
    tail.bytes
}

struct Tail {
    bytes: Vec<u8>,
    start: u64,
}

impl Tail {
    fn position(&self) -> u64 {
        self.start + u64::try_from(self.bytes.len()).unwrap_or(0)
    }

    /// Writes the series of a device and all nodes above them but the root.
    fn measurements(&mut self, device: &Device) -> Node {
        let mut leaves = Leaves::new(LEAF_MEASUREMENT);
        for (at, (series, chunks)) in device.series.iter().enumerate() {
            if at.is_multiple_of(DEGREE) {
                leaves.close_full(self.position());
                leaves.add(series.name.clone(), self.position());
            }
            self.put_series(series, chunks, device.aligned);
        }
        let leaves = leaves.finish(self.position());
        self.tree(leaves, INTERNAL_MEASUREMENT)
    }

    fn put_series(&mut self, series: &Series, chunks: &[Chunk], aligned: bool) {
        let several = chunks.len() > 1;
        let aligned = match (aligned, series.name.is_empty()) {
            (true, true) => FLAG_TIME,
            (true, false) => FLAG_VALUE,
            (false, _) => 0,
        };
        let mut list = Vec::new();
        for chunk in chunks {
            list.put_i64(as_i64(chunk.offset));
            if several {
                chunk.statistics.put(&mut list);
            }
        }
        self.bytes.push(aligned | if several { FLAG_CHUNKS } else { 0 });
        self.bytes.put_text(&series.name);
        self.bytes.push(series.kind);
        self.bytes.put_uvar(list.len());
        let mut statistics = chunks.iter().map(|chunk| &chunk.statistics);
        if let Some(mut whole) = statistics.next().cloned() {
            statistics.for_each(|later| whole.merge(later));
            whole.put(&mut self.bytes);
        }
        self.bytes.extend(list);
    }

    /// Writes all levels of a tree but its root.
    fn tree(&mut self, mut level: Vec<Node>, internal: u8) -> Node {
        while level.len() > 1 {
            let mut above = Leaves::new(internal);
            for node in level {
                above.close_full(self.position());
                let key = node.children.first().map(|(key, _)| key.clone()).unwrap_or_default();
                above.add(key, self.position());
                self.put_node(&node);
            }
            level = above.finish(self.position());
        }
        let empty = || Node { kind: internal, children: Vec::new(), end: self.position() };
        level.pop().unwrap_or_else(empty)
    }

    fn put_node(&mut self, node: &Node) {
        self.bytes.put_uvar(node.children.len());
        for (key, offset) in &node.children {
            self.bytes.put_text(key);
            self.bytes.put_i64(as_i64(*offset));
        }
        self.bytes.put_i64(as_i64(node.end));
        self.bytes.push(node.kind);
    }

    fn put_bloom(&mut self, devices: &[Device]) {
        let series = devices.iter().flat_map(|device| &device.series);
        let mut bloom = Bloom::new(series.map(|(_, chunks)| chunks.len()).sum());
        for device in devices {
            for (series, _) in &device.series {
                bloom.add(&format!("{}.{}", device.name, series.name));
            }
        }
        self.bytes.put_uvar(bloom.bytes().len());
        self.bytes.extend(bloom.bytes());
        self.bytes.put_uvar(bloom.bits());
        self.bytes.put_uvar(Bloom::hashes());
    }
}

/// Nodes of one level while they are filled.
struct Leaves {
    kind: u8,
    full: Vec<Node>,
    children: Vec<(String, u64)>,
}

impl Leaves {
    fn new(kind: u8) -> Self {
        Self { kind, full: Vec::new(), children: Vec::new() }
    }

    /// Closes the current node at `end` if no child fits any more.
    fn close_full(&mut self, end: u64) {
        if self.children.len() >= DEGREE {
            let children = std::mem::take(&mut self.children);
            self.full.push(Node { kind: self.kind, children, end });
        }
    }

    fn add(&mut self, key: String, offset: u64) {
        self.close_full(offset);
        self.children.push((key, offset));
    }

    fn finish(mut self, end: u64) -> Vec<Node> {
        self.full.push(Node { kind: self.kind, children: self.children, end });
        self.full
    }
}

fn as_i64(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}
