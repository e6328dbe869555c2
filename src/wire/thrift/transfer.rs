//! The call `pipeTransfer`, whose body may be a piece of a file: its head is read by hand, and its body goes by.
//!
//! ```text
//!  binary   | 80 01 00 01 | i32 12 "pipeTransfer" | i32 sequence | 0c ff ff | 03 00 01 version | 06 00 02 i16 type |
//!           | 0b 00 03 i32 length | body | 00 | 00 |
//!  compact  | 82 21 | varint sequence | 0c "pipeTransfer" | 0c 01 | 13 version | 14 zigzag type |
//!           | 18 varint length | body | 00 | 00 |
//! ```
//!
//! Defined by `TPipeTransferReq` of IoTDB's `client.thrift`. Every writer of thrift puts fields in the order of their ids, so
//! this is the only form that is met; a message of another form is told, and is read as any other call if it is small.

use super::{LENGTH_BYTES, Protocol};

/// The method's name.
pub const METHOD: &str = "pipeTransfer";
/// Longest head of such a call.
pub const HEAD_BYTES_MAX: usize = 48;
/// What follows the body: the ends of two structs.
pub const TAIL: [u8; 2] = [0, 0];

/// The head of a call of `pipeTransfer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferHead {
    /// What the reply has to repeat.
    pub sequence: i32,
    /// The request's version.
    pub version: i8,
    /// The request's type, as in an air-gap frame.
    pub request_type: i16,
    /// Bytes of the body.
    pub body_bytes: u32,
}

/// What the first bytes of a message are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// So far it may be such a call: more bytes are needed.
    More,
    /// Another method, or fields in another order.
    Other,
    /// The head of such a call, and how many bytes it has; what follows is the body.
    Transfer(TransferHead, usize),
}

impl TransferHead {
    /// Reads from the first bytes of a message, without its frame's length.
    pub fn find(protocol: Protocol, message: &[u8]) -> Found {
        let mut rest = message;
        match head(protocol, &mut rest) {
            Ok(found) => Found::Transfer(found, message.len() - rest.len()),
            Err(Miss::Short) => Found::More,
            Err(Miss::Other) => Found::Other,
        }
    }

    /// Puts the frame's length and the head behind what `frame` holds. Body and [`TAIL`] follow. `None`: the frame would be
    /// longer than its length can say.
    pub fn write(&self, protocol: Protocol, frame: &mut Vec<u8>) -> Option<()> {
        let start = frame.len();
        frame.extend_from_slice(&[0; LENGTH_BYTES]);
        match protocol {
            Protocol::Binary => {
                frame.extend_from_slice(&CALL_BINARY);
                frame.extend_from_slice(&self.sequence.to_be_bytes());
                frame.extend_from_slice(&ARGUMENT_BINARY);
                frame.extend_from_slice(&VERSION_BINARY);
                frame.extend_from_slice(&self.version.to_be_bytes());
                frame.extend_from_slice(&TYPE_BINARY);
                frame.extend_from_slice(&self.request_type.to_be_bytes());
                frame.extend_from_slice(&BODY_BINARY);
                frame.extend_from_slice(&self.body_bytes.to_be_bytes());
            }
            Protocol::Compact => {
                frame.extend_from_slice(&CALL_COMPACT);
                put_varint(self.sequence.cast_unsigned(), frame);
                frame.extend_from_slice(&NAME_COMPACT);
                frame.extend_from_slice(&ARGUMENT_COMPACT);
                frame.push(VERSION_COMPACT);
                frame.extend_from_slice(&self.version.to_be_bytes());
                frame.push(TYPE_COMPACT);
                let wide = i32::from(self.request_type);
                put_varint(((wide << 1) ^ (wide >> 31)).cast_unsigned(), frame);
                frame.push(BODY_COMPACT);
                put_varint(self.body_bytes, frame);
            }
        }
        let head = u32::try_from(frame.len() - start - LENGTH_BYTES).ok()?;
        let tail = u32::try_from(TAIL.len()).ok()?;
        let length = head.checked_add(self.body_bytes)?.checked_add(tail)?;
        let length = i32::try_from(length).ok()?;
        frame.get_mut(start..start + LENGTH_BYTES)?.copy_from_slice(&length.to_be_bytes());
        Some(())
    }
}

/// Why there is no head.
enum Miss {
    Short,
    Other,
}

fn head(protocol: Protocol, rest: &mut &[u8]) -> Result<TransferHead, Miss> {
    match protocol {
        Protocol::Binary => {
            expect(rest, &CALL_BINARY)?;
            let sequence = i32::from_be_bytes(array(rest)?);
            expect(rest, &ARGUMENT_BINARY)?;
            expect(rest, &VERSION_BINARY)?;
            let version = i8::from_be_bytes(array(rest)?);
            expect(rest, &TYPE_BINARY)?;
            let request_type = i16::from_be_bytes(array(rest)?);
            expect(rest, &BODY_BINARY)?;
            let body_bytes = length(u32::from_be_bytes(array(rest)?))?;
            Ok(TransferHead { sequence, version, request_type, body_bytes })
        }
        Protocol::Compact => {
            expect(rest, &CALL_COMPACT)?;
            let sequence = varint(rest)?.cast_signed();
            expect(rest, &NAME_COMPACT)?;
            expect(rest, &ARGUMENT_COMPACT)?;
            expect(rest, &[VERSION_COMPACT])?;
            let version = i8::from_be_bytes(array(rest)?);
            expect(rest, &[TYPE_COMPACT])?;
            let zigzag = varint(rest)?;
            let wide = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
            let request_type = i16::try_from(wide).map_err(|_| Miss::Other)?;
            expect(rest, &[BODY_COMPACT])?;
            let body_bytes = length(varint(rest)?)?;
            Ok(TransferHead { sequence, version, request_type, body_bytes })
        }
    }
}

fn expect(rest: &mut &[u8], wanted: &[u8]) -> Result<(), Miss> {
    let common = rest.len().min(wanted.len());
    if rest.get(..common) != wanted.get(..common) {
        return Err(Miss::Other);
    }
    *rest = rest.get(wanted.len()..).ok_or(Miss::Short)?;
    Ok(())
}

fn array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Miss> {
    let (taken, behind) = rest.split_first_chunk::<N>().ok_or(Miss::Short)?;
    *rest = behind;
    Ok(*taken)
}

fn length(stated: u32) -> Result<u32, Miss> {
    if i32::try_from(stated).is_ok() { Ok(stated) } else { Err(Miss::Other) }
}

/// Seven bits a byte, the lowest first; at most five bytes.
fn varint(rest: &mut &[u8]) -> Result<u32, Miss> {
    let mut value = 0_u64;
    for shift in (0..35).step_by(7) {
        let [byte] = array(rest)?;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return u32::try_from(value).map_err(|_| Miss::Other);
        }
    }
    Err(Miss::Other)
}

fn put_varint(mut value: u32, out: &mut Vec<u8>) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7F);
            return;
        }
        out.push(low | 0x80);
    }
}

const CALL_BINARY: [u8; 20] = *b"\x80\x01\x00\x01\x00\x00\x00\x0cpipeTransfer";
const ARGUMENT_BINARY: [u8; 3] = [0x0C, 0xFF, 0xFF];
const VERSION_BINARY: [u8; 3] = [0x03, 0x00, 0x01];
const TYPE_BINARY: [u8; 3] = [0x06, 0x00, 0x02];
const BODY_BINARY: [u8; 3] = [0x0B, 0x00, 0x03];
const CALL_COMPACT: [u8; 2] = [0x82, 0x21];
const NAME_COMPACT: [u8; 13] = *b"\x0cpipeTransfer";
const ARGUMENT_COMPACT: [u8; 2] = [0x0C, 0x01];
const VERSION_COMPACT: u8 = 0x13;
const TYPE_COMPACT: u8 = 0x14;
const BODY_COMPACT: u8 = 0x18;
