//! Index nodes, and trees of them.

use std::io;

use super::Out;
use crate::tsfile::encoding::bits::put_var;

/// Children of a node at most: what stock servers take.
pub(super) const CHILDREN_MAX: usize = 256;

pub(super) const INNER_OF_DEVICES: u8 = 0;
pub(super) const DEVICES: u8 = 1;
pub(super) const INNER_OF_MEASUREMENTS: u8 = 2;
pub(super) const MEASUREMENTS: u8 = 3;

/// A node that is being made; its entries are kept as bytes.
#[derive(Debug, Default, Clone)]
pub(super) struct Node {
    count: usize,
    entries: Vec<u8>,
    first_key: Vec<u8>,
}

impl Node {
    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) const fn is_full(&self) -> bool {
        self.count >= CHILDREN_MAX
    }

    /// The key of the first child, as bytes.
    pub(super) fn first_key(&self) -> &[u8] {
        &self.first_key
    }

    pub(super) fn add(&mut self, key: &[u8], offset: u64) {
        if self.count == 0 {
            self.first_key.clear();
            self.first_key.extend_from_slice(key);
        }
        self.count += 1;
        self.entries.extend_from_slice(key);
        self.entries.extend_from_slice(&offset.to_be_bytes());
    }

    /// Appends the node's bytes, and makes it a fresh one.
    pub(super) fn end(&mut self, end: u64, kind: u8, out: &mut Vec<u8>) {
        put_var(self.count as u64, out);
        out.extend_from_slice(&self.entries);
        out.extend_from_slice(&end.to_be_bytes());
        out.push(kind);
        self.count = 0;
        self.entries.clear();
    }
}

/// A finished node and the key that leads to it.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) key: Vec<u8>,
    pub(super) bytes: Vec<u8>,
}

/// Writes the nodes of one level and gives back the level above, in memory: a 256th of the nodes.
#[derive(Debug)]
pub(super) struct Above {
    kind: u8,
    node: Node,
    nodes: Vec<Finished>,
}

impl Above {
    pub(super) fn new(kind: u8) -> Self {
        Self { kind, node: Node::default(), nodes: Vec::new() }
    }

    /// Writes a node of the level below.
    pub(super) fn put<W: io::Write>(
        &mut self,
        key: &[u8],
        bytes: &[u8],
        out: &mut Out<W>,
    ) -> io::Result<()> {
        if self.node.is_full() {
            self.close(out.at);
        }
        self.node.add(key, out.at);
        out.put(bytes)
    }

    /// Keeps a node of the level below, to be written by [`Self::root_of_held`].
    pub(super) fn hold(&mut self, key: &[u8], bytes: &[u8]) {
        self.nodes.push(Finished { key: key.to_vec(), bytes: bytes.to_vec() });
    }

    /// Writes the nodes that were held and all levels above them but the root, which is given back.
    pub(super) fn root_of_held<W: io::Write>(self, out: &mut Out<W>) -> io::Result<Vec<u8>> {
        let mut above = Self::new(self.kind);
        for node in self.nodes {
            above.put(&node.key, &node.bytes, out)?;
        }
        above.root(out)
    }

    fn close(&mut self, end: u64) {
        let key = self.node.first_key().to_vec();
        let mut bytes = Vec::new();
        self.node.end(end, self.kind, &mut bytes);
        self.nodes.push(Finished { key, bytes });
    }

    /// Writes all levels but the root, which is given back.
    pub(super) fn root<W: io::Write>(mut self, out: &mut Out<W>) -> io::Result<Vec<u8>> {
        loop {
            self.close(out.at);
            if let [root] = self.nodes.as_mut_slice() {
                return Ok(std::mem::take(&mut root.bytes));
            }
            let mut above = Self::new(self.kind);
            for node in self.nodes {
                above.put(&node.key, &node.bytes, out)?;
            }
            self = above;
        }
    }
}
