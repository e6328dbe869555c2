//! File pieces: types 4, 8, 101 and 201.
//!
//! ```text
//!  payload:  | i8 1 | i16 type | string name | i64 start | i32 count | count bytes |
//!            +------------------ head -----------------------------+--- piece ---+
//! ```
//!
//! Defined by `PipeTransferFilePieceReq`. The head is parsed from the first bytes of the payload, so
//! that a piece of any size can go from the socket to its file without being held in memory.

use thiserror::Error;

use super::bytes::{Reader, WireError, Writer};
use super::request::{Head, RequestType};
use crate::data::Identity;
use crate::limits;

/// Longest head: a payload that begins a piece is understood within this many bytes.
pub const HEAD_BYTES_MAX: usize = Head::BYTES + 4 + limits::NAME_BYTES_MAX + 8 + 4;

/// Everything of a piece but its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PieceHead<'a> {
    /// 4, 8, 101 or 201.
    pub request_type: RequestType,
    /// Name of the file, as sent: judge it with [`check_file_name`] before it meets a disk.
    pub name: &'a str,
    /// Offset in the file where the piece belongs, in bytes.
    pub start: u64,
    /// Bytes of the piece.
    pub piece_bytes: u32,
    /// Bytes of the payload before the piece.
    pub head_bytes: usize,
}

impl<'a> PieceHead<'a> {
    /// Parses a head from the first bytes of a payload; `None` if more bytes are needed, of which
    /// [`HEAD_BYTES_MAX`] are always enough.
    ///
    /// # Errors
    /// [`WireError`] if the bytes cannot begin a piece, whatever follows.
    pub fn parse(payload: &'a [u8]) -> Result<Option<Self>, WireError> {
        match Self::read(&mut Reader::new(payload)) {
            Ok(head) => Ok(Some(head)),
            Err(WireError::Short { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        let request_type = Head::read(reader)?.known()?;
        Self::read_body(request_type, reader)
    }

    /// Reads a head whose version and type were read already.
    ///
    /// # Errors
    /// [`WireError`] if the head is malformed or cut off, or `request_type` is not a piece's.
    pub fn read_body(
        request_type: RequestType,
        reader: &mut Reader<'a>,
    ) -> Result<Self, WireError> {
        if !request_type.is_piece() {
            return Err(request_type.unexpected("4, 8, 101 or 201"));
        }
        let name = reader.string(limits::NAME_BYTES_MAX, "file name")?;
        let start = reader.size("start offset")?;
        let offset = reader.offset();
        let count = reader.i32("piece length")?;
        let piece_bytes = u32::try_from(count).map_err(|_| WireError::Length {
            what: "piece length",
            offset,
            max: i32::MAX.unsigned_abs() as usize,
            got: i64::from(count),
        })?;
        Ok(Self { request_type, name, start, piece_bytes, head_bytes: reader.offset() })
    }

    /// The head of a piece that is about to be sent.
    pub const fn new(
        request_type: RequestType,
        name: &'a str,
        start: u64,
        piece_bytes: u32,
    ) -> Self {
        let head_bytes = Head::BYTES + 4 + name.len() + 8 + 4;
        Self { request_type, name, start, piece_bytes, head_bytes }
    }

    /// Checks that the piece ends where the payload of `payload_bytes` does.
    ///
    /// # Errors
    /// [`WireError::Length`] if the two lengths disagree.
    pub fn check_payload_bytes(&self, payload_bytes: u32) -> Result<(), WireError> {
        let payload_bytes = usize::try_from(payload_bytes).unwrap_or(usize::MAX);
        let room = payload_bytes.checked_sub(self.head_bytes);
        if room.is_some() && room == usize::try_from(self.piece_bytes).ok() {
            return Ok(());
        }
        Err(WireError::Length {
            what: "piece length",
            offset: self.head_bytes.saturating_sub(4),
            max: room.unwrap_or_default(),
            got: i64::from(self.piece_bytes),
        })
    }

    /// Offset behind the piece's last byte; `None` above `u64::MAX`.
    pub fn end(&self) -> Option<u64> {
        self.start.checked_add(u64::from(self.piece_bytes))
    }

    /// Writes the head, version and type included; the piece's bytes follow it.
    pub fn write(&self, writer: &mut Writer<'_>) {
        Head::of(self.request_type).write(writer);
        self.write_body(writer);
    }

    /// Writes the head without version and type.
    pub fn write_body(&self, writer: &mut Writer<'_>) {
        writer.string(self.name);
        writer.size(self.start);
        writer.count(usize::try_from(self.piece_bytes).unwrap_or(usize::MAX));
    }
}

/// Why a file name from outside is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FileNameError {
    /// No name at all.
    #[error("file name is empty")]
    Empty,
    /// Longer than [`limits::FILE_NAME_BYTES_MAX`].
    #[error("file name of {got} bytes is longer than {}", limits::FILE_NAME_BYTES_MAX)]
    Long {
        /// Bytes of the name.
        got: usize,
    },
    /// `.` or `..`, or hidden: a name that begins with a dot is ours.
    #[error("file name begins with a dot")]
    Dot,
    /// A path, or a character that some file system or shell would stumble over.
    #[error("file name has {character:?} at byte {offset}")]
    Character {
        /// The character.
        character: char,
        /// Where it stands.
        offset: usize,
    },
}

/// Judges a file name from outside: a plain name that stays in its directory on every system. An identity
/// that a Penstock node put in front does not count for the length.
///
/// # Errors
/// [`FileNameError`], which says what is wrong.
pub fn check_file_name(name: &str) -> Result<(), FileNameError> {
    if name.is_empty() {
        return Err(FileNameError::Empty);
    }
    let own_bytes =
        Identity::parse_file_name(name.as_bytes()).map_or(name.len(), |(_, own)| own.len());
    if own_bytes > limits::FILE_NAME_BYTES_MAX {
        return Err(FileNameError::Long { got: own_bytes });
    }
    if name.starts_with('.') {
        return Err(FileNameError::Dot);
    }
    let illegal = |character: char| matches!(character, '/' | '\\' | ':') || character.is_control();
    match name.char_indices().find(|(_, character)| illegal(*character)) {
        Some((offset, character)) => Err(FileNameError::Character { character, offset }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The piece of the specification: file `1-1-0-0.tsfile`, offset 0, seven bytes.
    const PIECE: &[u8] = b"\x01\0\x04\0\0\0\x0e1-1-0-0.tsfile\0\0\0\0\0\0\0\0\0\0\0\x07TsFile\x04";

    #[test]
    fn the_head_of_the_specification_is_parsed_from_its_first_bytes() {
        let head = PieceHead::new(RequestType::TsFilePiece, "1-1-0-0.tsfile", 0, 7);
        assert_eq!(PIECE.len(), 40);
        assert_eq!(head.head_bytes, 33);
        for end in 0..33 {
            assert_eq!(PieceHead::parse(&PIECE[..end]), Ok(None), "{end}");
        }
        assert_eq!(PieceHead::parse(&PIECE[..33]), Ok(Some(head)));
        assert_eq!(PieceHead::parse(PIECE), Ok(Some(head)));
        let mut out = Vec::new();
        let mut writer = Writer::into_vec(&mut out, HEAD_BYTES_MAX);
        head.write(&mut writer);
        assert_eq!(writer.finish(), Ok(33));
        assert_eq!(out, PIECE[..33]);
    }

    #[test]
    fn the_piece_fills_the_payload() {
        let head = PieceHead::new(RequestType::TsFilePiece, "1-1-0-0.tsfile", 0, 7);
        assert_eq!(head.check_payload_bytes(40), Ok(()));
        assert!(head.check_payload_bytes(39).is_err());
        assert!(head.check_payload_bytes(41).is_err());
        assert!(head.check_payload_bytes(3).is_err());
    }

    #[test]
    fn what_cannot_begin_a_piece_is_refused_at_once() {
        assert!(PieceHead::parse(&[2]).is_ok_and(|head| head.is_none()));
        assert!(PieceHead::parse(&[2, 0, 4]).is_err());
        assert!(PieceHead::parse(&[1, 0, 5]).is_err());
        assert!(PieceHead::parse(&[1, 0, 4, 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(PieceHead::parse(&[1, 0, 4, 0, 0x10, 0, 1]).is_err());
        let negative = b"\x01\0\x04\0\0\0\x01a\xff\0\0\0\0\0\0\0";
        assert!(PieceHead::parse(negative).is_err());
        let minus = b"\x01\0\x04\0\0\0\x01a\0\0\0\0\0\0\0\0\xff\xff\xff\xff";
        assert!(PieceHead::parse(minus).is_err());
    }

    #[test]
    fn the_end_of_a_piece_does_not_wrap_around() {
        let head = PieceHead::new(RequestType::TsFilePiece, "a", u64::MAX, 1);
        assert_eq!(head.end(), None);
        assert_eq!(PieceHead { start: 5, ..head }.end(), Some(6));
    }

    #[test]
    fn names_stay_in_their_directory() {
        for name in ["a.tsfile", "sequence-root.h-3-0-1-1-0-0.tsfile", "\u{6570}.tsfile", "a b"] {
            assert_eq!(check_file_name(name), Ok(()), "{name}");
        }
        for name in ["", ".", "..", ".hidden", "../x", "a/b", "a\\b", "c:x", "a\0b", "a\nb"] {
            assert!(check_file_name(name).is_err(), "{name}");
        }
        assert_eq!(check_file_name(&"x".repeat(200)), Ok(()));
        assert_eq!(check_file_name(&"x".repeat(201)), Err(FileNameError::Long { got: 201 }));
    }
}
