//! Walks over the tree of index nodes with one entry of each level in hand.
//!
//! ```text
//!  node   uvar count | count x (key, i64 offset) | i64 end | u8 kind
//!  kind   0 inner node of devices | 1 devices | 2 inner node of measurements | 3 measurements
//!
//!  child i lies from its offset to the next one's, the last one to `end`
//! ```
//!
//! Keys of devices are one `vstr` in version 3, `uvar` count and as many `vstr` in version 4.

use super::TsFile;
use crate::data::ReadAt;
use crate::limits::TSFILE_INDEX_DEPTH_MAX;
use crate::tsfile::device::DeviceId;
use crate::tsfile::window::{TsFileError, Window, within};

/// Some bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Where they begin.
    pub start: u64,
    /// Where they end.
    pub end: u64,
}

/// A device of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub id: DeviceId,
    /// Where its own index lies.
    pub root: Span,
}

/// How keys are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyForm {
    /// One text.
    Text,
    /// A count and as many texts.
    Segments,
}

/// An entry of a leaf: the span of what it stands for.
pub(crate) struct Entry {
    pub(crate) key: DeviceId,
    pub(crate) span: Span,
}

/// A tree of nodes, or what is left of it. `W` is a window over each node on the way, or where it stands: then the
/// walk waits, and holds nothing of the file.
#[derive(Debug)]
pub(crate) struct Tree<W> {
    levels: heapless::Vec<Level<W>, TSFILE_INDEX_DEPTH_MAX>,
    /// Windows that are not used now: the next nodes often lie in what they hold.
    spare: heapless::Vec<W, TSFILE_INDEX_DEPTH_MAX>,
    keys: KeyForm,
    /// Kinds of inner nodes and leaves.
    inner: u8,
    leaf: u8,
    /// Everything that an entry points to lies in here.
    bounds: Span,
    /// Bytes of all nodes so far.
    bytes: u64,
}

#[derive(Debug)]
struct Level<W> {
    window: W,
    left: u32,
    end: u64,
    is_leaf: bool,
}

impl<W> Tree<W> {
    fn map<V>(self, with: impl Fn(W) -> V) -> Tree<V> {
        let Self { levels, keys, inner, leaf, bounds, bytes, .. } = self;
        let level = |Level { window, left, end, is_leaf }| {
            let window = with(window);
            Level { window, left, end, is_leaf }
        };
        let levels = levels.into_iter().map(level).collect();
        Tree { levels, spare: heapless::Vec::new(), keys, inner, leaf, bounds, bytes }
    }
}

impl Tree<Span> {
    /// Goes on.
    pub(super) fn resume<R: ReadAt>(self, file: &TsFile<R>) -> Tree<Window<'_, R>> {
        self.map(|at| file.window(at.start, at.end))
    }
}

impl<'f, R: ReadAt> Tree<Window<'f, R>> {
    /// Waits.
    pub(super) fn pause(self) -> Tree<Span> {
        self.map(|window| Span { start: window.offset(), end: window.end() })
    }

    /// A tree of devices, or of the series of one, that has no root yet.
    pub(super) fn new(file: &TsFile<R>, keys: KeyForm, of_devices: bool) -> Self {
        let (inner, leaf) = if of_devices { (0, 1) } else { (2, 3) };
        let (levels, spare) = (heapless::Vec::new(), heapless::Vec::new());
        let bounds = Span { start: file.summary.separator + 1, end: file.block_start() };
        Self { levels, spare, keys, inner, leaf, bounds, bytes: 0 }
    }

    /// Begins with another root.
    pub(super) fn restart(&mut self, file: &'f TsFile<R>, root: Span) -> Result<(), TsFileError> {
        while self.leave() {}
        let window = self.window(file, root);
        self.enter(file, window).map(drop)
    }

    /// A window over some bytes.
    fn window(&mut self, file: &'f TsFile<R>, span: Span) -> Window<'f, R> {
        let mut window = self.spare.pop().unwrap_or_else(|| file.window(0, 0));
        window.seek(span.start, span.end);
        window
    }

    /// Leaves the node in hand, if there is one.
    fn leave(&mut self) -> bool {
        let Some(level) = self.levels.pop() else { return false };
        // There is room for the windows of all levels; one more would be dropped.
        drop(self.spare.push(level.window));
        true
    }

    /// Bytes of the nodes so far.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next entry of a leaf. After an error the tree is over.
    pub(crate) fn next(&mut self, file: &'f TsFile<R>) -> Result<Option<Entry>, TsFileError> {
        let entry = self.walk(file);
        if entry.is_err() {
            self.levels.clear();
        }
        entry
    }

    fn walk(&mut self, file: &'f TsFile<R>) -> Result<Option<Entry>, TsFileError> {
        loop {
            let Some(level) = self.levels.last_mut() else { return Ok(None) };
            if level.left == 0 {
                self.leave();
                continue;
            }
            let entry = level.next(self.keys, self.bounds)?;
            if level.is_leaf {
                return Ok(Some(entry));
            }
            let expected = entry.key;
            let window = self.window(file, entry.span);
            self.enter(file, window)?;
            self.check_first_key(&expected)?;
        }
    }

    /// Reads over a node to learn its end and kind, and goes back to its first entry.
    fn enter(&mut self, file: &TsFile<R>, mut window: Window<'f, R>) -> Result<u64, TsFileError> {
        let start = window.offset();
        file.may_walk(start)?;
        let level = self.read(&mut window);
        let node_end = window.offset();
        // Of a flawed one, too: many may lead to it.
        file.walk(node_end - start);
        let (entries, left, end, is_leaf) = level?;
        self.bytes += node_end - start;
        let limit = window.end();
        window.seek(entries, limit);
        let level = Level { window, left, end, is_leaf };
        let depth = TSFILE_INDEX_DEPTH_MAX as u64;
        self.levels.push(level).map_err(|_| TsFileError::Large {
            what: "index depth",
            offset: start,
            got: depth + 1,
            max: depth,
        })?;
        Ok(node_end)
    }

    /// Reads over a node: where its entries begin, how many they are, where the last one's child ends, and
    /// whether it is a leaf.
    fn read(&self, window: &mut Window<'f, R>) -> Result<(u64, u32, u64, bool), TsFileError> {
        let count = window.count("index entry count", 9)?;
        let entries = window.offset();
        for _ in 0..count {
            skip_key(window, self.keys)?;
            window.skip(8, "index entry")?;
        }
        let end = window.position("index end", self.bounds.start, self.bounds.end)?;
        let offset = window.offset();
        let kind = window.u8("index node type")?;
        if kind != self.inner && kind != self.leaf {
            within("index node type", offset, kind.into(), self.inner.into(), self.leaf.into())?;
            return Err(TsFileError::Unknown { what: "index node type", offset, got: kind });
        }
        Ok((entries, count, end, kind == self.leaf))
    }

    /// A node's first key is the key that leads to it: searches rely on it.
    fn check_first_key(&mut self, expected: &DeviceId) -> Result<(), TsFileError> {
        let Some(level) = self.levels.last_mut().filter(|level| level.left > 0) else {
            return Ok(());
        };
        let (offset, limit) = (level.window.offset(), level.window.end());
        let got = read_key(&mut level.window, self.keys)?;
        level.window.seek(offset, limit);
        if got == *expected { Ok(()) } else { Err(TsFileError::FirstKey { offset }) }
    }
}

impl<R: ReadAt> Level<Window<'_, R>> {
    fn next(&mut self, keys: KeyForm, bounds: Span) -> Result<Entry, TsFileError> {
        let key = read_key(&mut self.window, keys)?;
        let start = self.window.position("index entry", bounds.start, bounds.end)?;
        self.left -= 1;
        let (at, limit) = (self.window.offset(), self.window.end());
        let end = if self.left == 0 {
            self.end
        } else {
            skip_key(&mut self.window, keys)?;
            let end = self.window.position("index entry", bounds.start, bounds.end)?;
            self.window.seek(at, limit);
            end
        };
        within("index entry", at, end.into(), i128::from(start) + 1, bounds.end.into())?;
        Ok(Entry { key, span: Span { start, end } })
    }
}

fn read_key<R: ReadAt + ?Sized>(
    window: &mut Window<'_, R>,
    form: KeyForm,
) -> Result<DeviceId, TsFileError> {
    match form {
        KeyForm::Text => Ok(DeviceId::of_path(window.text("index key")?.unwrap_or_default())),
        KeyForm::Segments => read_segments(window),
    }
}

/// A device as version 4 writes it.
pub(crate) fn read_segments<R: ReadAt + ?Sized>(
    window: &mut Window<'_, R>,
) -> Result<DeviceId, TsFileError> {
    let count = window.count("device segment count", 1)?;
    let segments: Result<_, _> = (0..count).map(|_| window.text("device segment")).collect();
    Ok(DeviceId::of_segments(segments?))
}

fn skip_key<R: ReadAt + ?Sized>(
    window: &mut Window<'_, R>,
    form: KeyForm,
) -> Result<(), TsFileError> {
    let count = match form {
        KeyForm::Text => 1,
        KeyForm::Segments => window.count("device segment count", 1)?,
    };
    (0..count).try_for_each(|_| window.skip_text("index key"))
}

/// Walks over the devices of a file.
#[derive(Debug)]
pub struct Devices<'f, R> {
    file: &'f TsFile<R>,
    tree: Tree<Window<'f, R>>,
    /// Where the next table's root stands in the metadata block, and how many are left.
    next_root: u64,
    roots_left: u32,
    /// Bytes of the roots.
    root_bytes: u64,
}

/// Where a walk over devices waits.
#[derive(Debug)]
pub(in crate::tsfile) struct DevicesAt {
    tree: Tree<Span>,
    next_root: u64,
    roots_left: u32,
    root_bytes: u64,
}

impl DevicesAt {
    /// Goes on.
    pub(in crate::tsfile) fn resume<R: ReadAt>(self, file: &TsFile<R>) -> Devices<'_, R> {
        let Self { tree, next_root, roots_left, root_bytes } = self;
        Devices { file, tree: tree.resume(file), next_root, roots_left, root_bytes }
    }
}

impl<'f, R: ReadAt> Devices<'f, R> {
    /// Waits.
    pub(in crate::tsfile) fn pause(self) -> DevicesAt {
        let Self { tree, next_root, roots_left, root_bytes, .. } = self;
        DevicesAt { tree: tree.pause(), next_root, roots_left, root_bytes }
    }

    pub(super) fn new(file: &'f TsFile<R>) -> Result<Self, TsFileError> {
        let end = file.bytes().saturating_sub(10);
        let mut window = file.window(file.block_start(), end);
        let (keys, roots_left) = if file.summary.version == 3 {
            (KeyForm::Text, 1)
        } else {
            (KeyForm::Segments, window.var("table count")?)
        };
        let tree = Tree::new(file, keys, true);
        Ok(Self { file, tree, next_root: window.offset(), roots_left, root_bytes: 0 })
    }

    /// The next device. After an error it goes on with the next table.
    ///
    /// # Errors
    /// [`TsFileError`] if the index is flawed.
    #[expect(clippy::should_implement_trait, reason = "an iterator that can fail")]
    pub fn next(&mut self) -> Result<Option<Device>, TsFileError> {
        loop {
            if let Some(entry) = self.tree.next(self.file)? {
                return Ok(Some(Device { id: entry.key, root: entry.span }));
            }
            if self.roots_left == 0 {
                return Ok(None);
            }
            self.roots_left -= 1;
            let mut window = self.file.window(self.next_root, self.file.bytes().saturating_sub(10));
            if self.file.summary.version != 3 {
                window.skip_text("table name")?;
            }
            let before = self.tree.bytes();
            let end = self.tree.enter(self.file, window);
            self.root_bytes += self.tree.bytes() - before;
            if end.is_err() {
                self.roots_left = 0;
            }
            self.next_root = end?;
        }
    }

    /// Bytes of the metadata zone that were walked over: nodes, but for the roots, which lie behind it.
    pub(crate) const fn bytes(&self) -> u64 {
        self.tree.bytes() - self.root_bytes
    }
}
