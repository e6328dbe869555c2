//! What the load is made of.

use std::fs;
use std::io;

use penstock_test_support::frames::{self as wire, TabletShape};
use penstock_test_support::tsfile::TsFileShape;

use crate::Source;

/// Where payloads begin in a frame, and where their checksum stands.
const HEADER_BYTES: usize = 16;
const CHECKSUM_AT: usize = 12;
/// The first row's time: late enough that no other field of a small tablet looks like it.
const FIRST_TIME: i64 = 1_700_000_000_123;

/// Tablets of one device whose times go on and on.
#[derive(Debug)]
pub(crate) struct Tablets {
    frame: Vec<u8>,
    times_at: usize,
    rows: usize,
    next_time: i64,
}

impl Tablets {
    /// # Errors
    /// For a shape without rows.
    pub(crate) fn new(index: usize, rows: usize, columns: usize) -> io::Result<Self> {
        let device = format!("root.load.d{index}");
        let shape =
            TabletShape { device: &device, rows, columns, start_time: FIRST_TIME, text_bytes: 8 };
        let frame = wire::frame(&wire::tablet(&shape, seed(index)));
        let needle = FIRST_TIME.to_be_bytes();
        let times_at = frame.windows(needle.len()).position(|bytes| bytes == needle);
        let times_at = times_at.ok_or_else(|| io::Error::other("a tablet without rows"))?;
        Ok(Self { frame, times_at, rows, next_time: FIRST_TIME })
    }
}

impl Source for Tablets {
    fn next_frame(&mut self) -> io::Result<&[u8]> {
        let times = self.frame.get_mut(self.times_at..).unwrap_or_default();
        for cell in times.as_chunks_mut().0.iter_mut().take(self.rows) {
            *cell = self.next_time.to_be_bytes();
            self.next_time += 1;
        }
        let checksum = crc32fast::hash(self.frame.get(HEADER_BYTES..).unwrap_or_default());
        if let Some(field) = self.frame.get_mut(CHECKSUM_AT..HEADER_BYTES) {
            field.copy_from_slice(&checksum.to_be_bytes());
        }
        Ok(&self.frame)
    }
}

/// One real file, sent again and again: each time its receiver has to take it as a new one.
#[derive(Debug)]
pub(crate) struct Files {
    frames: Vec<Vec<u8>>,
    next: usize,
}

impl Files {
    /// # Errors
    /// When the file cannot be made.
    pub(crate) fn new(index: usize, file_bytes: u64, piece_bytes: usize) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("load.tsfile");
        TsFileShape::of_size(file_bytes, seed(index)).write(&path)?;
        let content = fs::read(path)?;
        let name = format!("load-{index}.tsfile");
        let mut start = 0;
        let mut frames = Vec::new();
        for piece in content.chunks(piece_bytes.max(1)) {
            frames.push(wire::frame(&wire::piece(wire::PIECE, &name, start, piece)));
            start += u64::try_from(piece.len()).unwrap_or(0);
        }
        frames.push(wire::frame(&wire::seal(&name, start)));
        Ok(Self { frames, next: 0 })
    }
}

impl Source for Files {
    fn next_frame(&mut self) -> io::Result<&[u8]> {
        let index = self.next;
        self.next = (index + 1) % self.frames.len();
        self.frames.get(index).map(Vec::as_slice).ok_or_else(|| io::Error::other("no frames"))
    }
}

fn seed(index: usize) -> u64 {
    u64::try_from(index).unwrap_or(0) + 1
}
