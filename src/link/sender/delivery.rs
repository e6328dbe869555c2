//! What one delivery consists of, frame by frame.
//!
//! ```text
//!  Delivery::Whole    [whole]
//!  Delivery::Files    [piece 0 .. of file 0] .. [piece .. of the last file] [seal]
//!                      ^ everything starts again here after any reconnect
//! ```

use std::fmt;

use heapless::Vec;

use crate::limits::SEAL_FILES_MAX;

/// Lengths in bytes of the files of one delivery, in the order they are sent.
pub type FileLengths = Vec<u64, SEAL_FILES_MAX>;

/// What the caller wants carried over, and answered as one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// One request in one frame: a tablet, a plan, anything stored as it came.
    Whole,
    /// Files in pieces, then their seal. An empty file has one empty piece.
    Files(FileLengths),
}

/// One frame; the caller knows the bytes behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// The handshake of all receivers from 1.3.1.
    HandshakeV2,
    /// The older handshake, only by the fallback attribute.
    HandshakeV1,
    /// The request of a [`Delivery::Whole`].
    Whole,
    /// `bytes` bytes from `start` of the file with this index.
    Piece {
        /// Index of the file in [`Delivery::Files`].
        file: usize,
        /// Offset in the file.
        start: u64,
        /// Bytes of the file in this piece; zero only for an empty file.
        bytes: usize,
    },
    /// What follows the last piece of the last file.
    Seal,
}

impl Frame {
    /// Its `0x00` completes a delivery.
    pub fn completes(self) -> bool {
        matches!(self, Self::Whole | Self::Seal)
    }

    /// Belongs to a delivery, which a handshake does not.
    pub fn is_of_delivery(self) -> bool {
        !matches!(self, Self::HandshakeV2 | Self::HandshakeV1)
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HandshakeV2 => f.write_str("the handshake"),
            Self::HandshakeV1 => f.write_str("the old handshake"),
            Self::Whole => f.write_str("a request"),
            Self::Piece { start, bytes, .. } => {
                write!(f, "a file piece of {bytes} bytes at offset {start}")
            }
            Self::Seal => f.write_str("the seal of a file"),
        }
    }
}

/// Where in a delivery a frame lies; later frames compare greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    file: usize,
    offset: u64,
}

/// A delivery and how much of it the present connection has accepted.
#[derive(Debug)]
pub(super) struct Carried {
    delivery: Delivery,
    next: Place,
}

impl Carried {
    pub(super) fn new(delivery: Delivery) -> Self {
        Self { delivery, next: Place { file: 0, offset: 0 } }
    }

    /// The place of the next frame.
    pub(super) fn place(&self) -> Place {
        self.next
    }

    /// The next frame, if a piece takes at most `piece_bytes`.
    pub(super) fn frame(&self, piece_bytes: usize) -> Frame {
        self.frame_at(self.next, piece_bytes)
    }

    /// The frame after the next one, which is a piece of `bytes` bytes.
    pub(super) fn frame_after(&self, bytes: usize, piece_bytes: usize) -> Frame {
        self.frame_at(self.place_after(bytes), piece_bytes)
    }

    /// A piece of this many bytes was accepted.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.next = self.place_after(bytes);
    }

    fn frame_at(&self, place: Place, piece_bytes: usize) -> Frame {
        let Delivery::Files(lengths) = &self.delivery else { return Frame::Whole };
        let Some(&length) = lengths.get(place.file) else { return Frame::Seal };
        let left = length.saturating_sub(place.offset);
        let bytes = usize::try_from(left).map_or(piece_bytes, |left| left.min(piece_bytes));
        Frame::Piece { file: place.file, start: place.offset, bytes }
    }

    fn place_after(&self, bytes: usize) -> Place {
        let Place { file, offset } = self.next;
        let Delivery::Files(lengths) = &self.delivery else { return self.next };
        let Some(&length) = lengths.get(file) else { return self.next };
        match offset.saturating_add(u64::try_from(bytes).unwrap_or(length)) {
            offset if offset < length => Place { file, offset },
            _ => Place { file: file + 1, offset: 0 },
        }
    }

    /// The connection is gone, and with it all that it had accepted.
    pub(super) fn rewind(&mut self) {
        self.next = Place { file: 0, offset: 0 };
    }

    /// Nothing of it was accepted on this connection.
    pub(super) fn is_at_start(&self) -> bool {
        self.next == Place { file: 0, offset: 0 }
    }

    /// Bytes of files that the connection has accepted.
    pub(super) fn accepted_bytes(&self) -> u64 {
        let Delivery::Files(lengths) = &self.delivery else { return 0 };
        lengths.iter().take(self.next.file).sum::<u64>() + self.next.offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The frames of a delivery of files when every piece is accepted.
    fn frames(lengths: &[u64], piece_bytes: usize) -> std::vec::Vec<Frame> {
        let lengths = FileLengths::from_slice(lengths).unwrap();
        let mut carried = Carried::new(Delivery::Files(lengths));
        let mut frames = std::vec::Vec::new();
        loop {
            let frame = carried.frame(piece_bytes);
            frames.push(frame);
            let Frame::Piece { bytes, .. } = frame else { return frames };
            carried.advance(bytes);
        }
    }

    #[test]
    fn file_is_cut_into_pieces_and_sealed() {
        let piece = |start, bytes| Frame::Piece { file: 0, start, bytes };
        assert_eq!(frames(&[10], 4), [piece(0, 4), piece(4, 4), piece(8, 2), Frame::Seal]);
        assert_eq!(frames(&[8], 4), [piece(0, 4), piece(4, 4), Frame::Seal]);
    }

    #[test]
    fn files_follow_each_other_and_an_empty_one_has_an_empty_piece() {
        let piece = |file, start, bytes| Frame::Piece { file, start, bytes };
        assert_eq!(
            frames(&[3, 0, 5], 4),
            [piece(0, 0, 3), piece(1, 0, 0), piece(2, 0, 4), piece(2, 4, 1), Frame::Seal]
        );
    }

    #[test]
    fn whole_request_is_one_frame_that_completes() {
        let mut carried = Carried::new(Delivery::Whole);
        assert_eq!(carried.frame(1), Frame::Whole);
        carried.advance(5);
        assert_eq!(carried.frame(1), Frame::Whole);
        assert!(Frame::Whole.completes() && Frame::Seal.completes());
    }

    #[test]
    fn places_grow_with_each_piece_and_begin_again_after_rewind() {
        let mut carried = Carried::new(Delivery::Files(FileLengths::from_slice(&[2, 4]).unwrap()));
        let mut before = carried.place();
        for _ in 0..3 {
            carried.advance(2);
            assert!(carried.place() > before);
            before = carried.place();
        }
        assert_eq!((carried.frame(2), carried.accepted_bytes()), (Frame::Seal, 6));
        carried.rewind();
        assert!(carried.is_at_start());
        assert_eq!(carried.accepted_bytes(), 0);
    }
}
