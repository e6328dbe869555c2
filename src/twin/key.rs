//! Names as bytes that sort as files sort them.
//!
//! ```text
//!  version 3   path, 00                           version 4   segment, 01 01, segment, ..., 00
//!
//!  in a name   00 -> 01 02    01 -> 01 03         so that a shorter name comes first
//!              ee -> fd       ef -> fe            so that U+E000 to U+FFFF come behind the rest, as in Java
//! ```

use crate::tsfile::device::DeviceId;
use crate::tsfile::write::Version;

const END: u8 = 0;
const ESCAPE: u8 = 1;
const SEGMENT: u8 = 1;

/// Appends the key of a device.
pub(super) fn put_device(path: &str, version: Version, out: &mut Vec<u8>) {
    match version {
        Version::V3 => put(path, out),
        Version::V4 => {
            let id = DeviceId::segmented(path);
            for (place, segment) in id.segments().iter().enumerate() {
                if place > 0 {
                    out.extend([ESCAPE, SEGMENT]);
                }
                put(segment.as_deref().unwrap_or_default(), out);
            }
        }
    }
    out.push(END);
}

/// Appends the key of a series of a device.
pub(super) fn put_name(name: &str, out: &mut Vec<u8>) {
    put(name, out);
    out.push(END);
}

/// The device that a key stands for.
pub(super) fn device(key: &[u8], version: Version) -> DeviceId {
    match version {
        Version::V3 => DeviceId::of_path(name(key)),
        Version::V4 => {
            let mut segments = Vec::new();
            let mut rest = key;
            while let Some(at) = rest.windows(2).position(|pair| pair == [ESCAPE, SEGMENT]) {
                let (segment, behind) = rest.split_at(at);
                segments.push(Some(name(segment)));
                rest = behind.get(2..).unwrap_or_default();
            }
            segments.push(Some(name(rest)));
            DeviceId::of_segments(segments)
        }
    }
}

/// The name that a key stands for, up to its end.
pub(super) fn name(key: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.iter();
    while let Some(byte) = rest.next() {
        match *byte {
            END => break,
            ESCAPE => bytes.push(rest.next().map_or(0, |byte| byte.wrapping_sub(2))),
            0xfd => bytes.push(0xee),
            0xfe => bytes.push(0xef),
            byte => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn put(name: &str, out: &mut Vec<u8>) {
    for byte in name.bytes() {
        match byte {
            0 | 1 => out.extend([ESCAPE, byte + 2]),
            0xee => out.push(0xfd),
            0xef => out.push(0xfe),
            byte => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tsfile::device::compare_names;
    use proptest::prelude::*;

    fn key(path: &str, version: Version) -> Vec<u8> {
        let mut key = Vec::new();
        put_device(path, version, &mut key);
        key
    }

    proptest! {
        #[test]
        fn keys_sort_as_names(
            a in "[\u{0}\u{1}\u{2}a.\u{e000}\u{fffd}\u{10000}]{0,5}",
            b in "[\u{0}\u{1}\u{2}a.\u{e000}\u{fffd}\u{10000}]{0,5}",
        ) {
            let (mut left, mut right) = (Vec::new(), Vec::new());
            put_name(&a, &mut left);
            put_name(&b, &mut right);
            prop_assert_eq!(left.cmp(&right), compare_names(&a, &b));
            prop_assert_eq!(name(&left), a);
        }

        #[test]
        fn keys_sort_as_devices(
            a in "root(\\.[ab\u{1}\u{e000}\u{10000}]{1,2}){0,5}",
            b in "root(\\.[ab\u{1}\u{e000}\u{10000}]{1,2}){0,5}",
        ) {
            let (left, right) = (key(&a, Version::V4), key(&b, Version::V4));
            prop_assert_eq!(left.cmp(&right), DeviceId::segmented(&a).cmp(&DeviceId::segmented(&b)));
            prop_assert_eq!(device(&left, Version::V4), DeviceId::segmented(&a));
            prop_assert_eq!(device(&key(&a, Version::V3), Version::V3), DeviceId::of_path(&*a));
        }
    }
}
