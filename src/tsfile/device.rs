//! Names of devices, and the orders in which files keep names.
//!
//! Version 3 has the path as one text, version 4 its segments: the first three nodes joined (the "table"
//! that the device is filed under), then each further node. Defined by `PlainDeviceID` and
//! `StringArrayDeviceID` of tsfile. All texts are ordered as Java orders them: by UTF-16 units, which is
//! the order of bytes but for characters beyond U+FFFF.

use std::cmp::Ordering;
use std::fmt;

use crate::data::path;

/// Nodes of a path that version 4 joins to its first segment.
const TABLE_NODES: usize = 3;

/// Name of a device; also of an index entry of measurements, as a single segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeviceId {
    /// One of version 3; in tables a segment can be null.
    segments: Vec<Option<String>>,
}

impl DeviceId {
    /// A device of version 3: its path is one segment.
    pub fn of_path(path: impl Into<String>) -> Self {
        Self { segments: vec![Some(path.into())] }
    }

    /// A device by its segments, as version 4 has them; there is at least one.
    pub fn of_segments(mut segments: Vec<Option<String>>) -> Self {
        if segments.is_empty() {
            segments.push(Some(String::new()));
        }
        Self { segments }
    }

    /// The device of a tree path in the form of version 4.
    pub fn segmented(path: &str) -> Self {
        let nodes: Vec<&str> = path::nodes(path).map(path::unquoted).collect();
        let joined = match nodes.len() {
            0 | 1 => nodes.len(),
            few @ 2..=TABLE_NODES => few - 1,
            _ => TABLE_NODES,
        };
        let (table, rest) = nodes.split_at(joined);
        let first = Some(table.join("."));
        let rest = rest.iter().map(|node| Some((*node).to_owned()));
        Self::of_segments([first].into_iter().chain(rest).collect())
    }

    /// The segments; version 3 has one.
    pub fn segments(&self) -> &[Option<String>] {
        &self.segments
    }

    /// The first segment, under which version 4 files the device.
    pub fn table(&self) -> &str {
        self.segments.first().and_then(Option::as_deref).unwrap_or_default()
    }

    /// Appends the path: the segments with dots between them, which is what the bloom filter knows.
    pub fn write_path(&self, out: &mut String) {
        for (place, segment) in self.segments.iter().enumerate() {
            if place > 0 {
                out.push('.');
            }
            out.push_str(segment.as_deref().unwrap_or("null"));
        }
    }

    /// The path.
    pub fn path(&self) -> String {
        let mut path = String::new();
        self.write_path(&mut path);
        path
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path())
    }
}

/// The order of devices in a file: segment by segment, null first, the shorter first.
impl Ord for DeviceId {
    fn cmp(&self, other: &Self) -> Ordering {
        let pairs = self.segments.iter().zip(&other.segments);
        let differing = pairs
            .map(|(a, b)| match (a, b) {
                (Some(a), Some(b)) => compare_names(a, b),
                _ => a.is_some().cmp(&b.is_some()),
            })
            .find(|order| order.is_ne());
        differing.unwrap_or_else(|| self.segments.len().cmp(&other.segments.len()))
    }
}

impl PartialOrd for DeviceId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The order of names in a file: by UTF-16 units.
pub fn compare_names(a: &str, b: &str) -> Ordering {
    // Characters beyond U+FFFF begin with f0 or more, and sort before those that begin with ee and ef.
    let key = |byte: u8| match byte {
        0xf0.. => 0xed0 + u16::from(byte - 0xef),
        _ => u16::from(byte) << 4,
    };
    let differing = a.bytes().zip(b.bytes()).find(|(a, b)| a != b);
    match differing {
        Some((a, b)) => key(a).cmp(&key(b)),
        None => a.len().cmp(&b.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segments(path: &str) -> Vec<String> {
        DeviceId::segmented(path).segments.into_iter().flatten().collect()
    }

    #[test]
    fn paths_are_split_as_the_library_splits_them() {
        assert_eq!(segments("root"), ["root"]);
        assert_eq!(segments("root.a"), ["root", "a"]);
        assert_eq!(segments("root.a.b"), ["root.a", "b"]);
        assert_eq!(segments("root.a.b.c"), ["root.a.b", "c"]);
        assert_eq!(segments("root.a.b.c.d"), ["root.a.b", "c", "d"]);
        assert_eq!(segments("root.sg.`abc`.d"), ["root.sg.abc", "d"]);
        assert_eq!(segments("root.sg.`123`.d"), ["root.sg.`123`", "d"]);
        assert_eq!(segments("root.sg.`a.b`"), ["root.sg", "`a.b`"]);
        assert_eq!(segments("root.sg.1a.d"), ["root.sg.1a", "d"]);
    }

    #[test]
    fn devices_are_in_the_order_of_their_segments() {
        let id = |texts: &[Option<&str>]| {
            DeviceId::of_segments(texts.iter().map(|text| text.map(str::to_owned)).collect())
        };
        let ascending = [
            id(&[Some("t")]),
            id(&[Some("t"), None, Some("z")]),
            id(&[Some("t"), Some("")]),
            id(&[Some("t"), Some("a"), Some("b")]),
            id(&[Some("t"), Some("a-")]),
        ];
        assert!(ascending.is_sorted());
        assert_eq!(ascending[1].path(), "t.null.z");
        assert!(DeviceId::of_path("root.sg.a.b.c") < DeviceId::of_path("root.sg.b"));
        assert!(DeviceId::segmented("root.sg.a.b.c") > DeviceId::segmented("root.sg.b"));
    }

    proptest! {
        #[test]
        fn names_are_in_the_order_of_java(a in "[a\u{e9}\u{d7ff}\u{e000}\u{fffd}\u{10000}\u{10fffe}]{0,3}", b in "[a\u{e9}\u{d7ff}\u{e000}\u{fffd}\u{10000}\u{10fffe}]{0,3}") {
            prop_assert_eq!(compare_names(&a, &b), a.encode_utf16().cmp(b.encode_utf16()));
        }
    }
}
