//! Values with a form of their own: sizes, durations, networks.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::de::{Deserializer, Error, Visitor};

/// Bytes: an integer, or a text such as `"16MiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

/// A duration: a text such as `"5s"` or `"15min"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

/// An address or a range of addresses: `"10.53.53.0/24"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

impl Size {
    /// Reads a text such as `16MiB`; none if it is no size.
    pub fn parse(text: &str) -> Option<Self> {
        let units = [
            ("", 1),
            ("B", 1),
            ("KiB", 1 << 10),
            ("MiB", 1 << 20),
            ("GiB", 1 << 30),
            ("TiB", 1 << 40),
            ("kB", 1_000),
            ("KB", 1_000),
            ("MB", 1_000_000),
            ("GB", 1_000_000_000),
            ("TB", 1_000_000_000_000),
        ];
        number_and_unit(text, &units).map(Self)
    }
}

impl Span {
    fn parse(text: &str) -> Option<Self> {
        let units = [
            ("ms", 1),
            ("s", 1_000),
            ("min", 60_000),
            ("m", 60_000),
            ("h", 3_600_000),
            ("d", 86_400_000),
        ];
        number_and_unit(text, &units).map(|millis| Self(Duration::from_millis(millis)))
    }
}

fn number_and_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

impl Network {
    /// Whether `peer` lies within. An IPv4 address in IPv6 form counts as IPv4.
    pub fn contains(&self, peer: IpAddr) -> bool {
        match (self.address.to_canonical(), peer.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(peer)) => {
                shifted(u128::from(own.to_bits() ^ peer.to_bits()), 32, self.prefix_bits)
            }
            (IpAddr::V6(own), IpAddr::V6(peer)) => {
                shifted(own.to_bits() ^ peer.to_bits(), 128, self.prefix_bits)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
        (prefix_bits <= most).then_some(Self { address, prefix_bits })
    }
}

/// Whether `difference` of two addresses is zero in its first `prefix_bits` of `bits`.
fn shifted(difference: u128, bits: u8, prefix_bits: u8) -> bool {
    difference.checked_shr(u32::from(bits.saturating_sub(prefix_bits))).unwrap_or(0) == 0
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.prefix_bits)
    }
}

impl<'de> serde::Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a size such as 16777216 or \"16MiB\"")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Size, E> {
        u64::try_from(value).map(Size).map_err(|_| E::invalid_value(signed(value), &self))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Size, E> {
        Ok(Size(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
        Size::parse(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }
}

fn signed(value: i64) -> serde::de::Unexpected<'static> {
    serde::de::Unexpected::Signed(value)
}

impl<'de> serde::Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextVisitor("a duration such as \"5s\" or \"15min\"", Self::parse))
    }
}

impl<'de> serde::Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextVisitor("an address such as \"10.53.53.0/24\"", Self::parse))
    }
}

/// What is expected, and what reads it.
struct TextVisitor<T>(&'static str, fn(&str) -> Option<T>);

impl<T> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.1)(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_and_decimal_units() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("16MiB", Some(16 << 20)),
            ("16 MiB", Some(16 << 20)),
            ("10GiB", Some(10 << 30)),
            ("5MB", Some(5_000_000)),
            ("4096B", Some(4096)),
            ("16M", None),
            ("", None),
            ("MiB", None),
            ("-1", None),
            ("1.5GiB", None),
            ("99999999999TiB", None),
        ] {
            assert_eq!(Size::parse(text).map(|size| size.0), bytes, "{text:?}");
        }
    }

    #[test]
    fn durations_need_a_unit() {
        for (text, millis) in [
            ("250ms", Some(250)),
            ("5s", Some(5_000)),
            ("15min", Some(900_000)),
            ("2h", Some(7_200_000)),
            ("1d", Some(86_400_000)),
            ("5", None),
            ("s", None),
        ] {
            assert_eq!(Span::parse(text).map(|span| span.0.as_millis()), millis, "{text:?}");
        }
    }

    #[test]
    fn network_contains_its_addresses_only() {
        for (network, peer, within) in [
            ("10.53.53.0/24", "10.53.53.9", true),
            ("10.53.53.0/24", "10.53.54.9", false),
            ("10.53.53.0/24", "::ffff:10.53.53.9", true),
            ("10.53.53.1", "10.53.53.1", true),
            ("10.53.53.1", "10.53.53.2", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "fe80::1", false),
            ("::/0", "fe80::1", true),
        ] {
            let network = Network::parse(network).unwrap();
            assert_eq!(network.contains(peer.parse().unwrap()), within, "{network} {peer}");
        }
        for wrong in ["10.0.0.0/33", "::/129", "10.0.0/8", "host", "10.0.0.0/", ""] {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
    }
}
