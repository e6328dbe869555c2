//! The metadata zone and the end of the file.
//!
//! ```text
//!  scratch 1   device: u32 bytes, key, path | series: u32 bytes, record ... | u32 0       while points come
//!
//!  finish      for each device: copies its records, writes its inner nodes  --> scratch 2: key, root node
//!              for each table:  writes the roots                            --> scratch 3: device nodes
//!                               writes the device nodes but the root
//!              metadata block, tail
//! ```
//!
//! So memory holds one record, one root, one node of each level, and the bloom filter (0.8 bytes a chunk).

use std::io;

use super::scratch::Scratch;
use super::tree::{
    Above, CHILDREN_MAX, DEVICES, INNER_OF_DEVICES, INNER_OF_MEASUREMENTS, MEASUREMENTS, Node,
};
use super::{Out, Record, Version, WriteError, put_device, put_text};
use crate::data::DataType;
use crate::limits::TSFILE_PAGE_BYTES_MAX;
use crate::tsfile::bloom::{Bloom, Shape};
use crate::tsfile::device::DeviceId;
use crate::tsfile::encoding::bits::put_var;
use crate::tsfile::window::{TsFileError, WIDE_WINDOW_BYTES, Window};

/// Ends the data zone.
const SEPARATOR: u8 = 2;
/// Flags of a series: more than one chunk; times and values of an aligned device.
const MANY_CHUNKS: u8 = 1;
const TIMES: u8 = 0x80;
const ALIGNED: u8 = 0x40;
/// Type of a time column.
const VECTOR: u8 = 6;

#[derive(Debug)]
pub(super) struct Metadata<S> {
    records: S,
    roots: S,
    nodes: S,
    /// The device in hand: its key, its path and its table; not in the scratch before its first series.
    device: Vec<u8>,
    has_series: bool,
    chunks: u64,
    buffer: Vec<u8>,
    /// Schemas of tables, with their count before them.
    schemas: Vec<u8>,
}

impl<S: Scratch> Metadata<S> {
    pub(super) fn new([records, roots, nodes]: [S; 3]) -> Self {
        Self {
            records,
            roots,
            nodes,
            device: Vec::new(),
            has_series: false,
            chunks: 0,
            buffer: Vec::new(),
            schemas: vec![0],
        }
    }

    /// Sets the schemas of tables.
    pub(super) fn set_schemas(&mut self, schemas: Vec<u8>) {
        self.schemas = schemas;
    }

    /// Begins a device; it counts once it has a series.
    pub(super) fn start_device(&mut self, id: &DeviceId, version: Version) {
        self.device.clear();
        self.has_series = false;
        let mut key = Vec::new();
        put_device(id, version, &mut key);
        let table = match version {
            Version::V3 => "",
            Version::V4 => id.table(),
        };
        for part in [&key, id.path().as_bytes(), table.as_bytes()] {
            put_part(part, &mut self.device);
        }
    }

    /// Keeps the record of a series that is complete.
    pub(super) fn series(
        &mut self,
        name: &str,
        value_type: Option<DataType>,
        is_aligned: bool,
        record: &Record,
    ) -> Result<(), WriteError> {
        if !self.has_series {
            self.records.append(&self.device)?;
            self.has_series = true;
        }
        let is_many = record.chunks > 1;
        let first = record.first.to_be_bytes();
        let list = if is_many { record.list.as_slice() } else { &first };
        self.buffer.clear();
        let many = if is_many { MANY_CHUNKS } else { 0 };
        let aligned = match (is_aligned, value_type) {
            (true, None) => TIMES,
            (true, Some(_)) => ALIGNED,
            (false, _) => 0,
        };
        self.buffer.push(many | aligned);
        put_text(name, &mut self.buffer);
        self.buffer.push(value_type.map_or(VECTOR, DataType::code));
        put_var(list.len() as u64, &mut self.buffer);
        record.total.write(&mut self.buffer);
        self.buffer.extend_from_slice(list);
        self.chunks += record.chunks;
        let mut head = Vec::new();
        put_part(name.as_bytes(), &mut head);
        // A record is far below 4 GiB: its chunks are in memory.
        head.extend_from_slice(&length(&self.buffer).to_be_bytes());
        self.records.append(&head)?;
        self.records.append(&self.buffer)?;
        Ok(())
    }

    /// Ends a device; says whether it had a series.
    pub(super) fn end_device(&mut self) -> Result<bool, WriteError> {
        if self.has_series {
            self.records.append(&END_OF_DEVICE.to_be_bytes())?;
        }
        Ok(std::mem::take(&mut self.has_series))
    }

    /// Writes the rest of the file.
    pub(super) fn finish<W: io::Write>(
        mut self,
        out: &mut Out<W>,
        version: Version,
    ) -> Result<(), WriteError> {
        let separator = out.at;
        out.put(&[SEPARATOR])?;
        let mut bloom = Bloom::new(Shape::for_chunks(self.chunks));
        self.copy_records(out, &mut bloom)?;
        let tables = self.write_devices(out)?;

        let mut block = Vec::new();
        if version == Version::V3 {
            match tables.first() {
                Some(Table { root, .. }) => block.extend_from_slice(root),
                None => Node::default().end(out.at, DEVICES, &mut block),
            }
        } else {
            put_var(tables.len() as u64, &mut block);
            for Table { name, root } in &tables {
                put_var((name.len() as u64) << 1, &mut block);
                block.extend_from_slice(name);
                block.extend_from_slice(root);
            }
            block.extend_from_slice(&self.schemas);
        }
        block.extend_from_slice(&separator.to_be_bytes());
        put_bloom(&bloom, version, &mut block);
        if version == Version::V4 {
            put_properties(&mut block);
        }
        out.put(&block)?;
        out.put(&length(&block).to_be_bytes())?;
        out.put(b"TsFile")?;
        Ok(())
    }

    /// Copies all records and writes the inner nodes over them; roots go to the second scratch.
    fn copy_records<W: io::Write>(
        &mut self,
        out: &mut Out<W>,
        bloom: &mut Bloom,
    ) -> Result<(), WriteError> {
        let mut window = Window::wide(&self.records, 0, self.records.len(), WIDE_WINDOW_BYTES);
        let [mut key, mut path, mut table, mut name, mut record] = [const { Vec::new() }; 5];
        let mut full_path = String::new();
        while window.left() > 0 {
            for part in [&mut key, &mut path, &mut table] {
                take_part(&mut window, part)?;
            }
            let mut index = Measurements::default();
            while take_part(&mut window, &mut name)? {
                let bytes = take_length(&mut window)?;
                window.take_into(bytes, "record", &mut record)?;
                index.add(&name, out.at);
                full_path.clear();
                full_path.push_str(&String::from_utf8_lossy(&path));
                full_path.push('.');
                full_path.push_str(&String::from_utf8_lossy(&name));
                bloom.add(&full_path);
                out.put(&record)?;
            }
            let root = index.end(out)?;
            let mut kept = Vec::new();
            for part in [&key, &table, &root] {
                put_part(part, &mut kept);
            }
            self.roots.append(&kept)?;
        }
        Ok(())
    }

    /// Writes roots and device nodes table by table; gives back the root of each table.
    fn write_devices<W: io::Write>(&mut self, out: &mut Out<W>) -> Result<Vec<Table>, WriteError> {
        let mut tables = Vec::new();
        let mut window = Window::wide(&self.roots, 0, self.roots.len(), WIDE_WINDOW_BYTES);
        let [mut key, mut table, mut root] = [const { Vec::new() }; 3];
        let mut current: Option<Vec<u8>> = None;
        let mut leaf = Node::default();
        loop {
            let is_end = window.left() == 0;
            let parts = [&mut key, &mut table, &mut root];
            for part in parts.into_iter().filter(|_| !is_end) {
                take_part(&mut window, part)?;
            }
            let is_next = current.as_ref().is_some_and(|current| *current != table);
            if (is_end || is_next)
                && let Some(name) = current.take()
            {
                let root = end_table(&mut self.nodes, &mut leaf, out)?;
                tables.push(Table { name, root });
            }
            if is_end {
                return Ok(tables);
            }
            current.get_or_insert_with(|| table.clone());
            if leaf.is_full() {
                keep_leaf(&mut self.nodes, &mut leaf, out.at)?;
            }
            leaf.add(&key, out.at);
            out.put(&root)?;
        }
    }
}

/// The index of the measurements of one device: an entry for every 256th.
#[derive(Default)]
struct Measurements {
    leaf: Node,
    count: usize,
    /// Full nodes, of devices with more than 65 536 series.
    above: Option<Above>,
    buffer: Vec<u8>,
}

impl Measurements {
    /// Adds a series whose record is about to be written at `at`.
    fn add(&mut self, name: &[u8], at: u64) {
        self.count += 1;
        if !(self.count - 1).is_multiple_of(CHILDREN_MAX) {
            return;
        }
        if self.leaf.is_full() {
            self.hold_leaf(at);
        }
        self.buffer.clear();
        put_var((name.len() as u64) << 1, &mut self.buffer);
        self.buffer.extend_from_slice(name);
        self.leaf.add(&self.buffer, at);
    }

    fn hold_leaf(&mut self, at: u64) {
        self.buffer.clear();
        self.leaf.end(at, MEASUREMENTS, &mut self.buffer);
        let above = self.above.get_or_insert_with(|| Above::new(INNER_OF_MEASUREMENTS));
        above.hold(self.leaf.first_key(), &self.buffer);
    }

    /// Writes all nodes but the root, which is given back.
    fn end<W: io::Write>(mut self, out: &mut Out<W>) -> io::Result<Vec<u8>> {
        if self.above.is_some() {
            self.hold_leaf(out.at);
        }
        if let Some(above) = self.above {
            return above.root_of_held(out);
        }
        let mut root = Vec::new();
        self.leaf.end(out.at, MEASUREMENTS, &mut root);
        Ok(root)
    }
}

/// The root of a table's devices; of all devices in version 3.
struct Table {
    name: Vec<u8>,
    root: Vec<u8>,
}

/// Keeps a full node of devices.
fn keep_leaf<S: Scratch>(nodes: &mut S, leaf: &mut Node, end: u64) -> io::Result<()> {
    let mut kept = Vec::new();
    put_part(leaf.first_key(), &mut kept);
    let mut bytes = Vec::new();
    leaf.end(end, DEVICES, &mut bytes);
    put_part(&bytes, &mut kept);
    nodes.append(&kept)
}

/// Writes the device nodes of a table but the root.
fn end_table<S: Scratch, W: io::Write>(
    nodes: &mut S,
    leaf: &mut Node,
    out: &mut Out<W>,
) -> Result<Vec<u8>, WriteError> {
    if nodes.is_empty() {
        let mut root = Vec::new();
        leaf.end(out.at, DEVICES, &mut root);
        return Ok(root);
    }
    if !leaf.is_empty() {
        keep_leaf(nodes, leaf, out.at)?;
    }
    let mut above = Above::new(INNER_OF_DEVICES);
    let mut window = Window::wide(&*nodes, 0, nodes.len(), WIDE_WINDOW_BYTES);
    let [mut key, mut bytes] = [const { Vec::new() }; 2];
    while window.left() > 0 {
        take_part(&mut window, &mut key)?;
        take_part(&mut window, &mut bytes)?;
        above.put(&key, &bytes, out)?;
    }
    let root = above.root(out)?;
    nodes.clear()?;
    Ok(root)
}

fn put_bloom(bloom: &Bloom, version: Version, block: &mut Vec<u8>) {
    let bytes = bloom.bytes();
    put_var(bytes.len() as u64, block);
    block.extend_from_slice(bytes);
    if version == Version::V3 || !bytes.is_empty() {
        put_var(bloom.shape().bits.into(), block);
        put_var(bloom.shape().hashes.into(), block);
    }
}

/// What the stock writer of version 4 says: nothing is encrypted.
fn put_properties(block: &mut Vec<u8>) {
    const COUNT_ZIGZAG: u8 = 6;
    const NULL: u8 = 1;
    block.push(COUNT_ZIGZAG);
    put_text("encryptLevel", block);
    put_text("0", block);
    put_text("encryptKey", block);
    block.push(NULL);
    put_text("encryptType", block);
    put_text("org.apache.tsfile.encrypt.UNENCRYPTED", block);
}

/// Stands where the length of a name would: no series of the device is left.
const END_OF_DEVICE: u32 = u32::MAX;

/// Texts, keys and nodes: a node has 256 names of up to 4 KiB.
fn put_part(part: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&length(part).to_be_bytes());
    out.extend_from_slice(part);
}

/// Takes a part; `false` at the end of a device.
fn take_part<S: Scratch>(
    window: &mut Window<'_, S>,
    into: &mut Vec<u8>,
) -> Result<bool, TsFileError> {
    let bytes = u32::from_be_bytes(window.array("part")?);
    if bytes == END_OF_DEVICE {
        return Ok(false);
    }
    window.take_into(bytes as usize, "part", into)?;
    Ok(true)
}

fn take_length<S: Scratch>(window: &mut Window<'_, S>) -> Result<usize, TsFileError> {
    window.array("record").map(|bytes| u32::from_be_bytes(bytes) as usize)
}

/// Lengths of what lay in memory, far below 4 GiB.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

const _: () = assert!(TSFILE_PAGE_BYTES_MAX < u32::MAX as usize / 4);
