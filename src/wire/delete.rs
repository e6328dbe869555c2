//! Deletions: the plan node `DELETE_DATA` of requests of type 100.
//!
//! ```text
//!  i16   node type 44
//!  i32   p, p x path
//!  i64   first time      i64 last time, both included
//!  string plan node id   i32 child count 0     (zeros may follow: the rest of the sender's buffer)
//!
//!  path  i8      kind: 2 partial path (1.3), 0 measurement path (2.0)
//!        3 x     i8 present; if 1: string      measurement, device, full path
//!        i32     n, n x string                 nodes: root, sg, d1, s1; `*` and `**` are patterns
//!        kind 0: i8 present; if 1: i8 schema kind, schema
//!                i8 present; if 1: map of tags
//!                i8      under an aligned device: 1, 0, -1 unknown
//!                string  alias
//! ```
//!
//! Defined by `DeleteDataNode`, `PartialPath` and `MeasurementPath`. 1.3 takes both kinds, 2.0 only
//! kind 0. Times of the data that goes are what the spool and landing need to know of it; the bytes are
//! passed on as they came.

use super::WireError;
use super::bytes::{Reader, Writer};
use crate::data::TimeRange;
use crate::limits::{DELETE_PATHS_MAX, NAME_BYTES_MAX, PATH_NODES_MAX, SCHEMA_PROPERTIES_MAX};

/// Node type of `DeleteDataNode`.
pub const DELETE_DATA: i16 = 44;

/// A deletion.
#[derive(Debug, Clone)]
pub struct Delete<'a> {
    paths: Reader<'a>,
    path_count: usize,
    /// Which times go, both ends included.
    pub time_range: TimeRange,
    /// Text of the plan node id; stock writes `1`.
    pub plan_node_id: Option<&'a str>,
}

/// Which series go.
#[derive(Debug, Clone)]
pub struct DeletePath<'a> {
    /// Whether it is a measurement path, as 2.0 needs it.
    pub kind: PathKind,
    nodes: Reader<'a>,
    node_count: usize,
}

/// The two forms of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathKind {
    /// `MeasurementPath`: what 2.0 writes and expects.
    Measurement = 0,
    /// `PartialPath`: what 1.3 writes.
    Partial = 2,
}

impl<'a> Delete<'a> {
    /// Decodes the node at the start of `body`, and returns it with what follows it; `None` for a node
    /// of another type.
    ///
    /// # Errors
    /// [`WireError`] if the node is not a deletion as drawn in the module, or beyond a limit.
    pub fn decode(body: &'a [u8]) -> Result<Option<(Self, &'a [u8])>, WireError> {
        let mut reader = Reader::new(body);
        if reader.i16("node type")? != DELETE_DATA {
            return Ok(None);
        }
        let path_count = reader.count(DELETE_PATHS_MAX, "paths")?;
        let paths = reader.clone();
        for _ in 0..path_count {
            DeletePath::decode(&mut reader)?;
        }
        let time_range =
            TimeRange { min: reader.i64("first time")?, max: reader.i64("last time")? };
        let plan_node_id = reader.nullable_string(NAME_BYTES_MAX, "plan node id")?;
        let offset = reader.offset();
        match reader.i32("child count")? {
            0 => {}
            got => {
                let got = i64::from(got);
                return Err(WireError::Value { what: "child count", offset, expected: "0", got });
            }
        }
        Ok(Some((Self { paths, path_count, time_range, plan_node_id }, reader.rest())))
    }

    /// The paths, in the node's order.
    pub fn paths(&self) -> impl Iterator<Item = DeletePath<'a>> + use<'a> {
        let mut reader = self.paths.clone();
        (0..self.path_count).map_while(move |_| DeletePath::decode(&mut reader).ok())
    }
}

impl<'a> DeletePath<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        let offset = reader.offset();
        let kind = match reader.u8("kind of a path")? {
            0 => PathKind::Measurement,
            2 => PathKind::Partial,
            got => {
                let (what, expected) = ("kind of a path", "0 or 2");
                return Err(WireError::Value { what, offset, expected, got: i64::from(got) });
            }
        };
        for what in ["measurement", "device", "full path"] {
            if reader.bool(what)? {
                reader.nullable_string(NAME_BYTES_MAX, what)?;
            }
        }
        let node_count = reader.count(PATH_NODES_MAX, "nodes of a path")?;
        let nodes = reader.clone();
        for _ in 0..node_count {
            reader.string(NAME_BYTES_MAX, "node of a path")?;
        }
        if kind == PathKind::Measurement {
            skip_measurement(reader)?;
        }
        Ok(Self { kind, nodes, node_count })
    }

    /// The nodes, from `root` on; `*` and `**` are patterns.
    pub fn nodes(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut reader = self.nodes.clone();
        let what = "node of a path";
        (0..self.node_count).map_while(move |_| reader.string(NAME_BYTES_MAX, what).ok())
    }
}

/// Goes over what only a measurement path has.
fn skip_measurement(reader: &mut Reader<'_>) -> Result<(), WireError> {
    if reader.bool("schema of a path")? {
        reader.u8("schema kind")?;
        reader.string(NAME_BYTES_MAX, "measurement")?;
        reader.take(3, "schema")?;
        skip_map(reader)?;
    }
    if reader.bool("tags of a path")? {
        skip_map(reader)?;
    }
    reader.u8("under an aligned device")?;
    reader.nullable_string(NAME_BYTES_MAX, "alias").map(|_| ())
}

fn skip_map(reader: &mut Reader<'_>) -> Result<(), WireError> {
    for _ in 0..reader.count(SCHEMA_PROPERTIES_MAX, "properties")? {
        reader.nullable_string(NAME_BYTES_MAX, "property")?;
        reader.nullable_string(NAME_BYTES_MAX, "property")?;
    }
    Ok(())
}

/// Writes the node of a deletion of these paths (each a list of nodes) in the form of `kind`, with plan
/// node id and child count.
pub fn write(
    kind: PathKind,
    paths: &[&[&str]],
    time_range: TimeRange,
    plan_node_id: &str,
    out: &mut Writer<'_>,
) {
    out.i16(DELETE_DATA);
    out.count(paths.len());
    for path in paths {
        out.u8(kind as u8);
        out.put(&[0; 3]);
        out.count(path.len());
        path.iter().for_each(|node| out.string(node));
        if kind == PathKind::Measurement {
            out.put(&[0; 3]);
            out.string("");
        }
    }
    out.i64(time_range.min);
    out.i64(time_range.max);
    out.string(plan_node_id);
    out.i32(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(kind: PathKind) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::into_vec(&mut out, 1024);
        let times = TimeRange { min: 0, max: 9 };
        write(kind, &[&["root", "sg", "d1", "s1"]], times, "1", &mut writer);
        writer.finish().unwrap();
        out
    }

    #[test]
    fn a_deletion_is_written_as_stock_nodes_write_it() {
        let partial = [
            &[0, 44, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 4][..],
            b"\0\0\0\x04root\0\0\0\x02sg\0\0\0\x02d1\0\0\0\x02s1",
            &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9],
            b"\0\0\0\x011\0\0\0\0",
        ]
        .concat();
        assert_eq!(partial.len(), 65);
        assert_eq!(written(PathKind::Partial), partial);
        assert_eq!(written(PathKind::Measurement).len(), 72);
    }

    #[test]
    fn both_kinds_are_read_back_and_zeros_are_left_over() {
        for kind in [PathKind::Partial, PathKind::Measurement] {
            let mut bytes = written(kind);
            bytes.extend([0; 5]);
            let (delete, rest) = Delete::decode(&bytes).unwrap().unwrap();
            assert_eq!(rest, [0; 5]);
            assert_eq!(delete.time_range, TimeRange { min: 0, max: 9 });
            assert_eq!(delete.plan_node_id, Some("1"));
            let paths: Vec<DeletePath<'_>> = delete.paths().collect();
            assert_eq!(paths.len(), 1);
            assert_eq!(paths[0].kind, kind);
            assert_eq!(paths[0].nodes().collect::<Vec<_>>(), ["root", "sg", "d1", "s1"]);
        }
    }

    #[test]
    fn a_long_measurement_path_is_read() {
        let fields = [
            &b"\x00\x2c\0\0\0\x01\x00\x01\0\0\0\x02s1\0\x01\0\0\0\x01f\0\0\0\x01\0\0\0\x02s1"[..],
            b"\x01\x00\0\0\0\x02s1\x01\x00\x00\0\0\0\x01\0\0\0\x01k\xff\xff\xff\xff",
            b"\x01\0\0\0\x01\0\0\0\x01t\0\0\0\x01v\xff\0\0\0\x01a",
            &[0; 16],
            b"\0\0\0\0\0\0\0\0",
        ]
        .concat();
        let (delete, rest) = Delete::decode(&fields).unwrap().unwrap();
        assert!(rest.is_empty());
        assert_eq!(delete.paths().count(), 1);
        for end in 0..fields.len() {
            assert!(Delete::decode(&fields[..end]).is_err(), "{end} bytes");
        }
    }

    #[test]
    fn other_nodes_and_wrong_kinds_are_told_apart() {
        assert!(Delete::decode(&[0, 19, 1]).unwrap().is_none());
        let mut bytes = written(PathKind::Partial);
        bytes[6] = 1;
        let error = Delete::decode(&bytes).unwrap_err();
        assert_eq!(error.to_string(), "kind of a path at byte 6: expected 0 or 2, got 1");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(mut bytes: Vec<u8>) {
            bytes.splice(0..0, [0, 44]);
            if let Ok(Some((delete, _))) = Delete::decode(&bytes) {
                prop_assert!(delete.paths().all(|path| path.nodes().count() <= PATH_NODES_MAX));
            }
        }
    }
}
