//! A map as the requests carry it: a count, then key and value in turns.
//!
//! ```text
//!  | i32 count | count x ( string key | string value, -1 = null ) |
//! ```
//!
//! Written by `ReadWriteIOUtils.write(Map<String, String>)`; the order is a Java hash map's and means
//! nothing, but is kept here, so that what was decoded encodes to the same bytes.

use super::bytes::{Reader, WireError, Writer};
use crate::limits;

/// A checked map, still in the request's bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pairs<'a> {
    count: usize,
    /// Keys and values in turns, each checked to be a string within the limits.
    bytes: &'a [u8],
}

impl<'a> Pairs<'a> {
    /// Reads a map of at most `max` entries; keys and values are at most
    /// [`limits::NAME_BYTES_MAX`] long.
    ///
    /// # Errors
    /// [`WireError`] if the map is null, too large, or not made of strings.
    pub fn read(reader: &mut Reader<'a>, max: usize) -> Result<Self, WireError> {
        let count = reader.count(max, "map count")?;
        let start = reader.rest();
        for _ in 0..count {
            reader.string(limits::NAME_BYTES_MAX, "map key")?;
            reader.nullable_string(limits::NAME_BYTES_MAX, "map value")?;
        }
        let bytes = start.get(..start.len() - reader.left()).unwrap_or_default();
        Ok(Self { count, bytes })
    }

    /// Writes the map in the order of the entries.
    pub fn write(self, writer: &mut Writer<'_>) {
        writer.count(self.count);
        writer.put(self.bytes);
    }

    /// Number of entries.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Without an entry.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The entries in the order of the bytes; a null value is `None`.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + use<'a> {
        let mut reader = Reader::new(self.bytes);
        // The bytes were read once: an error cannot occur, and would end the iteration.
        std::iter::from_fn(move || {
            let key = reader.string(limits::NAME_BYTES_MAX, "map key").ok()?;
            let value = reader.nullable_string(limits::NAME_BYTES_MAX, "map value").ok()?;
            Some((key, value))
        })
    }

    /// The value of `key`; `None` if the key is absent or its value null. Of equal keys the last one
    /// counts, as in Java.
    pub fn value(&self, key: &str) -> Option<&'a str> {
        self.iter().filter(|(name, _)| *name == key).last().and_then(|(_, value)| value)
    }
}

impl std::fmt::Debug for Pairs<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_map().entries(self.iter().map(redact)).finish()
    }
}

/// A password never reaches a log line.
fn redact<'a>((key, value): (&'a str, Option<&'a str>)) -> (&'a str, Option<&'a str>) {
    if key.eq_ignore_ascii_case("password") { (key, value.map(|_| "***")) } else { (key, value) }
}

/// Writes a map from its entries, in their order.
pub fn write<'p>(
    writer: &mut Writer<'_>,
    entries: impl ExactSizeIterator<Item = (&'p str, Option<&'p str>)>,
) {
    writer.count(entries.len());
    for (key, value) in entries {
        writer.string(key);
        writer.nullable_string(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(entries: &[(&str, Option<&str>)]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::into_vec(&mut out, 1024);
        write(&mut writer, entries.iter().copied());
        writer.finish().expect("fits");
        out
    }

    #[test]
    fn entries_keep_their_order_and_the_last_equal_key_counts() {
        let entries = [("b", Some("1")), ("a", None), ("b", Some("2"))];
        let bytes = written(&entries);
        let mut reader = Reader::new(&bytes);
        let pairs = Pairs::read(&mut reader, 3).expect("legal");
        assert_eq!(reader.finish(), Ok(()));
        assert_eq!(pairs.iter().collect::<Vec<_>>(), entries);
        assert_eq!(pairs.value("b"), Some("2"));
        assert_eq!(pairs.value("a"), None);
        assert_eq!(pairs.value("c"), None);
        let mut again = Vec::new();
        let mut writer = Writer::into_vec(&mut again, 1024);
        pairs.write(&mut writer);
        assert_eq!(writer.finish(), Ok(bytes.len()));
        assert_eq!(again, bytes);
    }

    #[test]
    fn too_many_entries_are_refused_by_their_count() {
        let bytes = written(&[("a", None), ("b", None)]);
        assert_eq!(
            Pairs::read(&mut Reader::new(&bytes), 1),
            Err(WireError::Length { what: "map count", offset: 0, max: 1, got: 2 })
        );
        assert!(Pairs::read(&mut Reader::new(&[0xff; 4]), 1).is_err());
    }

    #[test]
    fn a_password_is_not_shown() {
        let bytes = written(&[("username", Some("plant")), ("password", Some("opensesame"))]);
        let pairs = Pairs::read(&mut Reader::new(&bytes), 2).expect("legal");
        assert_eq!(format!("{pairs:?}"), r#"{"username": Some("plant"), "password": Some("***")}"#);
    }
}
