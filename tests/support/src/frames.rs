//! Air-gap frames, byte for byte.
//!
//! Written from the format's description and by hand, so that a mistake in the library does not
//! meet its own twin here. All numbers are big-endian.
//!
//! ```text
//! length:4 length:4 checksum:8 | version:1 type:2 body      length = 8 + payload
//! ```

use crate::chance::Chance;

/// `HANDSHAKE_DATANODE_V1`.
pub const HANDSHAKE_V1: u16 = 1;
/// `TRANSFER_TABLET_INSERT_NODE`.
pub const TABLET: u16 = 2;
/// `TRANSFER_TS_FILE_PIECE`.
pub const PIECE: u16 = 4;
/// `TRANSFER_TS_FILE_SEAL`.
pub const SEAL: u16 = 5;
/// `TRANSFER_TS_FILE_PIECE_WITH_MOD`.
pub const PIECE_WITH_MODS: u16 = 8;
/// Type of a slice of a request.
pub const SLICE: u16 = 400;
/// `TRANSFER_TS_FILE_SEAL_WITH_MOD`.
pub const SEAL_WITH_MODS: u16 = 9;
/// `HANDSHAKE_DATANODE_V2`.
pub const HANDSHAKE_V2: u16 = 51;

const E_PREFIX: &[u8] = b"<!System=IoTDB Version=1.0 Code=UTF-8 Data=1.0!>\n<block:=Free>\n";
const E_SUFFIX: &[u8] = b"\n</block:=Free>";

/// A frame around a payload.
pub fn frame(payload: &[u8]) -> Vec<u8> {
    let length = length(payload.len() + 8);
    let checksum = u64::from(crc32fast::hash(payload)).to_be_bytes();
    [&length[..], &length, &checksum, payload].concat()
}

/// A frame in E-language form.
pub fn wrapped(payload: &[u8]) -> Vec<u8> {
    [E_PREFIX, &frame(payload), E_SUFFIX].concat()
}

/// A payload: version 1, type, body.
pub fn payload(kind: u16, body: &[u8]) -> Vec<u8> {
    [&[1], &kind.to_be_bytes()[..], body].concat()
}

/// The payload of a V2 handshake with the two keys that every receiver asks for.
pub fn handshake(cluster_id: &str, precision: &str) -> Vec<u8> {
    handshake_of(&[("clusterID", cluster_id), ("timestampPrecision", precision)])
}

/// The payload of a V2 handshake with these keys.
pub fn handshake_of(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut body = length(entries.len()).to_vec();
    for (key, value) in entries {
        body.extend(string(key));
        body.extend(string(value));
    }
    payload(HANDSHAKE_V2, &body)
}

/// The payload of a V1 handshake.
pub fn handshake_v1(precision: &str) -> Vec<u8> {
    payload(HANDSHAKE_V1, &string(precision))
}

/// The payload of a piece of a file.
pub fn piece(kind: u16, name: &str, start: u64, bytes: &[u8]) -> Vec<u8> {
    let body = [&string(name)[..], &start.to_be_bytes(), &length(bytes.len()), bytes].concat();
    payload(kind, &body)
}

/// The payload of the seal of a single file.
pub fn seal(name: &str, bytes: u64) -> Vec<u8> {
    payload(SEAL, &[&string(name)[..], &bytes.to_be_bytes()].concat())
}

/// The payload of the seal of several files, mods first and the `TsFile` last.
pub fn seal_with_mods(files: &[(&str, u64)]) -> Vec<u8> {
    let mut body = length(files.len()).to_vec();
    body.extend(files.iter().flat_map(|(name, _)| string(name)));
    body.extend(length(files.len()));
    body.extend(files.iter().flat_map(|(_, bytes)| bytes.to_be_bytes()));
    body.extend(length(0));
    payload(SEAL_WITH_MODS, &body)
}

/// What a generated tablet is like.
#[derive(Debug, Clone)]
pub struct TabletShape<'a> {
    /// The full path.
    pub device: &'a str,
    /// Rows.
    pub rows: usize,
    /// Columns; their types go round: INT64, DOUBLE, BOOLEAN, INT32, FLOAT, TEXT.
    pub columns: usize,
    /// The time of the first row.
    pub start_time: i64,
    /// Bytes of each text.
    pub text_bytes: usize,
}

/// The payload of a tablet with seeded values: an `InsertTabletNode` in a request of type 2.
pub fn tablet(shape: &TabletShape<'_>, seed: u64) -> Vec<u8> {
    let mut chance = Chance::new(seed);
    let mut body = 13_u16.to_be_bytes().to_vec();
    body.extend(string(shape.device));
    body.extend(length(shape.columns));
    body.push(0);
    body.extend((0..shape.columns).flat_map(|column| string(&format!("s{column}"))));
    body.extend((0..shape.columns).map(|column| column_type(column).0));
    body.extend(length(shape.rows));
    for row in 0..shape.rows {
        // Also the last time that there is.
        let time = shape.start_time + i64::try_from(row).unwrap_or(i64::MAX);
        body.extend(time.to_be_bytes());
    }
    body.push(0);
    for column in 0..shape.columns {
        add_column(&mut body, column_type(column).1, shape, &mut chance);
    }
    body.push(0);
    body.extend(string("1"));
    body.extend(length(0));
    payload(TABLET, &body)
}

/// The payload of one row with a text in its column `s0`, whose type the far side has to find out: an `InsertRowNode`
/// in a request of type 2.
pub fn untyped_row(device: &str, time: i64, text: &str) -> Vec<u8> {
    let mut body = 14_u16.to_be_bytes().to_vec();
    body.extend(time.to_be_bytes());
    body.extend(string(device));
    body.extend(length(1));
    body.push(0);
    body.extend(string("s0"));
    body.push(0xff);
    body.extend(string(text));
    body.extend([1, 0]);
    body.extend(string("1"));
    body.extend(length(0));
    payload(TABLET, &body)
}

/// A tablet whose frame's payload is about so many bytes.
pub fn tablet_of(device: &str, bytes: usize, start_time: i64, seed: u64) -> Vec<u8> {
    const ROW_BYTES: usize = 16;
    let rows = (bytes / ROW_BYTES).max(1);
    tablet(&TabletShape { device, rows, columns: 1, start_time, text_bytes: 0 }, seed)
}

/// The code and the size of a column's type; size zero is text.
fn column_type(column: usize) -> (u8, usize) {
    const TYPES: [(u8, usize); 6] = [(2, 8), (4, 8), (0, 1), (1, 4), (3, 4), (5, 0)];
    TYPES.get(column % TYPES.len()).copied().unwrap_or((2, 8))
}

fn add_column(body: &mut Vec<u8>, size: usize, shape: &TabletShape<'_>, chance: &mut Chance) {
    let start = body.len();
    match size {
        0 => {
            for _ in 0..shape.rows {
                body.extend(length(shape.text_bytes));
                body.extend(
                    (0..shape.text_bytes).map(|_| b'a' + (chance.small() % 26).to_be_bytes()[3]),
                );
            }
        }
        size => {
            body.resize(start + size * shape.rows, 0);
            let cells = body.get_mut(start..).unwrap_or_default();
            chance.fill(cells);
            if size == 1 {
                for cell in cells {
                    *cell &= 1;
                }
            }
        }
    }
}

/// A text or a list: its length comes first.
fn string(text: &str) -> Vec<u8> {
    [&length(text.len()), text.as_bytes()].concat()
}

/// A length; what does not fit is as wrong as it can be.
fn length(count: usize) -> [u8; 4] {
    u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_v1_handshake_is_the_well_known_25_bytes() {
        let frame = frame(&handshake_v1("ms"));
        assert_eq!(frame.len(), 25);
        assert_eq!(frame[..8], [0, 0, 0, 17, 0, 0, 0, 17]);
        assert_eq!(frame[8..12], [0; 4]);
        assert_eq!(frame[16..], [1, 0, 1, 0, 0, 0, 2, b'm', b's']);
        assert_eq!(wrapped(&handshake_v1("ms")).len(), 103);
    }

    #[test]
    fn a_v2_handshake_has_the_length_of_the_specification() {
        assert_eq!(handshake("agent-1", "ms").len(), 59);
    }

    #[test]
    fn a_piece_has_the_length_of_the_specification() {
        let payload = piece(PIECE, "a.tsfile", 0, &[0; 13]);
        assert_eq!(payload.len(), 3 + 12 + 8 + 4 + 13);
        assert_eq!(seal("a.tsfile", 13).len(), 3 + 12 + 8);
    }

    #[test]
    fn a_tablet_is_as_large_as_its_parts() {
        let shape =
            TabletShape { device: "root.a.b", rows: 3, columns: 6, start_time: 5, text_bytes: 2 };
        let head = 3 + 2 + (4 + 8) + 4 + 1 + 6 * (4 + 2) + 6 + 4 + 3 * 8 + 1;
        let values = 3 * (8 + 8 + 1 + 4 + 4 + (4 + 2));
        assert_eq!(tablet(&shape, 1).len(), head + values + 1 + (4 + 1) + 4);
        assert_eq!(tablet(&shape, 1), tablet(&shape, 1));
        assert_ne!(tablet(&shape, 1), tablet(&shape, 2));
    }
}
