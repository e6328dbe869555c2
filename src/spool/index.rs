//! What the owner shares with readers: which segments there are, and how far they are synced.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::spool::segment::Flaw;

/// Flaws that readers may report before the owner looks; more are met again at the next reading.
const FLAWS_MAX: usize = 64;

/// Shared by the owner and all readers.
#[derive(Debug)]
pub(super) struct Shared {
    synced: AtomicU64,
    index: Mutex<Index>,
    flaws: Mutex<Flaws>,
}

#[derive(Debug, Default)]
struct Flaws {
    fresh: heapless::Vec<Flaw, FLAWS_MAX>,
    /// Places that were reported, so that each counts once however often it is read.
    known: heapless::Deque<(u64, u64), FLAWS_MAX>,
}

/// One segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// Sequence of its first entry.
    pub(super) first: u64,
    /// Bytes that it takes on disk.
    pub(super) bytes: u64,
    /// Bytes of the files that its entries name.
    pub(super) file_bytes: u64,
    /// How many files these are.
    pub(super) files: u32,
}

/// All segments in order. A segment ends where the next begins; the last one is open or was the last.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) segments: VecDeque<Segment>,
}

impl Index {
    /// Sequence of the oldest entry that is there, or `next` without segments.
    pub(super) fn first(&self, next: u64) -> u64 {
        self.segments.front().map_or(next, |segment| segment.first)
    }

    /// The segment with this sequence, or the first one behind it, and where that ends, if a later one follows.
    pub(super) fn locate(&self, sequence: u64) -> Option<(Segment, Option<u64>)> {
        let index = self.position(sequence)?;
        let end = self.segments.get(index + 1).map(|segment| segment.first);
        self.segments.get(index).map(|segment| (*segment, end))
    }

    /// Index of the segment with this sequence, or of the first one if that lies behind it.
    pub(super) fn position(&self, sequence: u64) -> Option<usize> {
        let after = self.segments.partition_point(|segment| segment.first <= sequence);
        (!self.segments.is_empty()).then(|| after.saturating_sub(1))
    }

    /// Bytes of all segments, and of all files.
    pub(super) fn bytes(&self) -> (u64, u64) {
        self.segments
            .iter()
            .fold((0, 0), |(log, files), segment| (log + segment.bytes, files + segment.file_bytes))
    }
}

impl Shared {
    pub(super) fn new(index: Index, synced: u64) -> Self {
        let flaws = Mutex::new(Flaws::default());
        Self { synced: AtomicU64::new(synced), index: Mutex::new(index), flaws }
    }

    /// Everything below is durable.
    pub(super) fn synced(&self) -> u64 {
        self.synced.load(Ordering::Acquire)
    }

    pub(super) fn publish(&self, synced: u64) {
        self.synced.store(synced, Ordering::Release);
    }

    pub(super) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reader met a flaw.
    pub(super) fn report(&self, flaw: Flaw) {
        let mut flaws = self.flaws.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (flaw.segment, flaw.offset);
        if flaws.known.iter().any(|known| *known == place) || flaws.fresh.push(flaw).is_err() {
            return;
        }
        if flaws.known.is_full() {
            flaws.known.pop_front();
        }
        let kept = flaws.known.push_back(place);
        debug_assert!(kept.is_ok(), "one was taken out if there was no room");
    }

    /// The next reported flaw.
    pub(super) fn next_flaw(&self) -> Option<Flaw> {
        self.flaws.lock().unwrap_or_else(PoisonError::into_inner).fresh.pop()
    }
}
