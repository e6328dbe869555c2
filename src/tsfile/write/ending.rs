//! The metadata zone and the end of the file, in steps.
//!
//! ```text
//!  Records   each device's records, and the inner nodes over them
//!  Roots     each device's root node; its records are walked through again to make it     <--+
//!  Nodes     the device nodes of a table but the root                                     ---+ for each table
//!  Block     metadata block, tail
//! ```
//!
//! So memory holds one record, one node of each level, the nodes above the lowest level of devices, and the bloom
//! filter (0.8 bytes a chunk).

use std::io;

use super::metadata::{Metadata, Read, Walk, put_part, take_part};
use super::scratch::Scratch;
use super::tree::{
    Above, CHILDREN_MAX, DEVICES, INNER_OF_DEVICES, INNER_OF_MEASUREMENTS, MEASUREMENTS, Node,
};
use super::{Out, Version, WriteError, Written, put_text};
use crate::limits::KIB;
use crate::tsfile::bloom::{Bloom, Shape};
use crate::tsfile::encoding::bits::put_var;
use crate::tsfile::window::Window;

/// Ends the data zone.
const SEPARATOR: u8 = 2;
/// Bytes of a scratch that are read at one time.
const WINDOW_BYTES: usize = 16 * KIB;

/// A file whose data zone is complete; see [`Writer::end`](super::Writer::end).
#[derive(Debug)]
pub struct Ending<W, S> {
    out: Out<W>,
    written: Written,
    version: Version,
    records: S,
    /// Of tables, with their count before them.
    schemas: Vec<u8>,
    nodes: S,
    separator: u64,
    bloom: Bloom,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Records(Walk, Measurements),
    Roots(Box<Roots>),
    Nodes(Box<Roots>, Above, u64),
    Block(Vec<Table>),
    Done,
}

/// The second walk.
#[derive(Debug)]
struct Roots {
    walk: Walk,
    index: Measurements,
    /// Where the first walk was.
    shadow: Out<io::Sink>,
    /// The table in hand, once it has a device.
    table: Option<Vec<u8>>,
    leaf: Node,
    done: Vec<Table>,
}

/// The root of a table's devices; of all devices in version 3.
#[derive(Debug)]
struct Table {
    name: Vec<u8>,
    root: Vec<u8>,
}

impl<W: io::Write, S: Scratch> Ending<W, S> {
    pub(super) fn new(
        mut out: Out<W>,
        metadata: Metadata<S>,
        nodes: S,
        (version, written): (Version, Written),
    ) -> Result<Self, WriteError> {
        let Metadata { records, chunks, schemas, .. } = metadata;
        let separator = out.at;
        out.put(&[SEPARATOR])?;
        let bloom = Bloom::new(Shape::for_chunks(chunks));
        let stage = Stage::Records(Walk::default(), Measurements::default());
        Ok(Self { out, written, version, records, schemas, nodes, separator, bloom, stage })
    }

    /// Bytes written so far.
    pub const fn bytes(&self) -> u64 {
        self.out.at
    }

    /// Goes on; `false` at the end. About so many bytes of what was kept for the end are worked through.
    ///
    /// # Errors
    /// [`WriteError`]; then the file cannot be ended.
    pub fn step(&mut self, bytes: u64) -> Result<bool, WriteError> {
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Records(walk, index) => self.records(walk, index, bytes)?,
            Stage::Roots(roots) => self.roots(roots, bytes)?,
            Stage::Nodes(roots, above, at) => self.nodes(roots, above, (at, bytes))?,
            Stage::Block(tables) => self.block(&tables)?,
            Stage::Done => return Ok(false),
        }
        Ok(true)
    }

    /// Does what is left to do, and gives the output back. The caller syncs.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn finish(mut self) -> Result<(W, Written), WriteError> {
        while self.step(u64::MAX)? {}
        self.out.inner.flush()?;
        self.written.bytes = self.out.at;
        Ok((self.out.inner, self.written))
    }

    /// Copies records and writes the inner nodes over them.
    fn records(
        &mut self,
        mut walk: Walk,
        mut index: Measurements,
        bytes: u64,
    ) -> Result<(), WriteError> {
        let mut window = Window::wide(&self.records, walk.at, self.records.len(), WINDOW_BYTES);
        let end = walk.at.saturating_add(bytes);
        while window.offset() < end
            && let Some(read) = walk.next(&mut window, self.version)?
        {
            match read {
                Read::Device => {}
                Read::Series => {
                    index.add(walk.name_with_length(), self.out.at);
                    self.bloom.add(walk.path_of_series());
                    walk.copy(&mut window, &mut self.out)?;
                }
                // The root is made again.
                Read::End => drop(std::mem::take(&mut index).end(&mut self.out)?),
            }
        }
        walk.at = window.offset();
        self.stage = if window.left() > 0 {
            Stage::Records(walk, index)
        } else {
            let shadow = Out::new(io::sink(), self.separator + 1);
            Stage::Roots(Box::new(Roots {
                walk: Walk::default(),
                index: Measurements::default(),
                shadow,
                table: None,
                leaf: Node::default(),
                done: Vec::new(),
            }))
        };
        Ok(())
    }

    /// Writes root nodes, up to the end of a table.
    fn roots(&mut self, mut roots: Box<Roots>, bytes: u64) -> Result<(), WriteError> {
        let Roots { walk, index, shadow, table, leaf, .. } = &mut *roots;
        let mut window = Window::wide(&self.records, walk.at, self.records.len(), WINDOW_BYTES);
        let end = walk.at.saturating_add(bytes);
        let mut is_next_table = false;
        while window.offset() < end && !is_next_table {
            match walk.next(&mut window, self.version)? {
                None => break,
                Some(Read::Device) => {
                    is_next_table = table.as_ref().is_some_and(|table| *table != walk.table);
                    // The name of the table in hand is needed at its end.
                    table.get_or_insert_with(|| walk.table.clone());
                }
                Some(Read::Series) => {
                    index.add(walk.name_with_length(), shadow.at);
                    shadow.at += walk.skip(&mut window)?;
                }
                Some(Read::End) => {
                    let root = std::mem::take(index).end(shadow)?;
                    add_leaf(&mut self.nodes, leaf, (&walk.key, self.out.at))?;
                    self.out.put(&root)?;
                }
            }
        }
        walk.at = window.offset();
        self.stage = if is_next_table || window.left() == 0 {
            Stage::Nodes(roots, Above::new(INNER_OF_DEVICES), 0)
        } else {
            Stage::Roots(roots)
        };
        Ok(())
    }

    /// Writes the device nodes of the table in hand, but for their root.
    fn nodes(
        &mut self,
        mut roots: Box<Roots>,
        mut above: Above,
        (at, bytes): (u64, u64),
    ) -> Result<(), WriteError> {
        if at == 0 && !self.nodes.is_empty() && !roots.leaf.is_empty() {
            keep_leaf(&mut self.nodes, &mut roots.leaf, self.out.at)?;
        }
        let mut window = Window::wide(&self.nodes, at, self.nodes.len(), WINDOW_BYTES);
        let [mut key, mut node] = [const { Vec::new() }; 2];
        let end = at.saturating_add(bytes);
        while window.left() > 0 && window.offset() < end {
            take_part(&mut window, &mut key)?;
            take_part(&mut window, &mut node)?;
            above.put(&key, &node, &mut self.out)?;
        }
        let at = window.offset();
        if window.left() > 0 {
            self.stage = Stage::Nodes(roots, above, at);
            return Ok(());
        }
        self.end_table(roots, above)
    }

    fn end_table(&mut self, mut roots: Box<Roots>, above: Above) -> Result<(), WriteError> {
        let root = if self.nodes.is_empty() {
            let mut root = Vec::new();
            roots.leaf.end(self.out.at, DEVICES, &mut root);
            root
        } else {
            self.nodes.clear()?;
            above.root(&mut self.out)?
        };
        if let Some(name) = roots.table.take() {
            roots.done.push(Table { name, root });
        }
        let is_end = roots.walk.at >= self.records.len();
        self.stage = if is_end {
            Stage::Block(roots.done)
        } else {
            roots.table = Some(roots.walk.table.clone());
            Stage::Roots(roots)
        };
        Ok(())
    }

    fn block(&mut self, tables: &[Table]) -> Result<(), WriteError> {
        let mut block = Vec::new();
        if self.version == Version::V3 {
            match tables.first() {
                Some(Table { root, .. }) => block.extend_from_slice(root),
                None => Node::default().end(self.out.at, DEVICES, &mut block),
            }
        } else {
            put_var(tables.len() as u64, &mut block);
            for Table { name, root } in tables {
                put_var((name.len() as u64) << 1, &mut block);
                block.extend_from_slice(name);
                block.extend_from_slice(root);
            }
            block.extend_from_slice(&self.schemas);
        }
        block.extend_from_slice(&self.separator.to_be_bytes());
        put_bloom(&self.bloom, self.version, &mut block);
        if self.version == Version::V4 {
            put_properties(&mut block);
        }
        self.out.put(&block)?;
        // Far below 4 GiB: it lay in memory.
        self.out.put(&u32::try_from(block.len()).unwrap_or(u32::MAX).to_be_bytes())?;
        self.out.put(b"TsFile")?;
        Ok(())
    }
}

/// The index of the measurements of one device: an entry for every 256th.
#[derive(Debug, Default)]
struct Measurements {
    leaf: Node,
    count: usize,
    /// Full nodes, of devices with more than 65 536 series.
    above: Option<Above>,
}

impl Measurements {
    /// Adds a series whose record is about to be written at `at`; the name with its length.
    fn add(&mut self, name: &[u8], at: u64) {
        self.count += 1;
        if !(self.count - 1).is_multiple_of(CHILDREN_MAX) {
            return;
        }
        if self.leaf.is_full() {
            self.hold_leaf(at);
        }
        self.leaf.add(name, at);
    }

    fn hold_leaf(&mut self, at: u64) {
        let mut bytes = Vec::new();
        self.leaf.end(at, MEASUREMENTS, &mut bytes);
        let above = self.above.get_or_insert_with(|| Above::new(INNER_OF_MEASUREMENTS));
        above.hold(self.leaf.first_key(), &bytes);
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

/// Adds a device whose root node is about to be written; keeps the node of devices first if it is full.
fn add_leaf<S: Scratch>(nodes: &mut S, leaf: &mut Node, (key, at): (&[u8], u64)) -> io::Result<()> {
    if leaf.is_full() {
        keep_leaf(nodes, leaf, at)?;
    }
    leaf.add(key, at);
    Ok(())
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
