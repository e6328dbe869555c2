//! Which addresses may connect: `[gate] allow`.

use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;

/// A range of addresses, as `10.53.53.0/24`; a single address is a range of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    /// Leading bits that count.
    bits: u32,
}

/// Why a text is not a range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CidrError {
    /// No IPv4 or IPv6 address before the slash.
    #[error("expected an address, or an address, a slash and a number of bits")]
    Address,
    /// The number behind the slash.
    #[error("expected 0 to {max} bits behind the slash")]
    Bits {
        /// What the address has.
        max: u32,
    },
}

impl Cidr {
    /// Whether `address` is in the range. An IPv4 address that came in IPv6 form counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let differing = ours.to_bits() ^ theirs.to_bits();
                differing.leading_zeros() >= self.bits
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let differing = ours.to_bits() ^ theirs.to_bits();
                differing.leading_zeros() >= self.bits
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| CidrError::Address)?;
        let max = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= max),
            None => Some(max),
        };
        Ok(Self { address, bits: bits.ok_or(CidrError::Bits { max })? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(range: &str, address: &str) -> bool {
        range.parse::<Cidr>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn a_range_holds_the_addresses_that_share_its_bits() {
        assert!(holds("10.53.53.0/24", "10.53.53.255"));
        assert!(!holds("10.53.53.0/24", "10.53.54.0"));
        assert!(holds("10.53.53.7", "10.53.53.7"));
        assert!(!holds("10.53.53.7", "10.53.53.6"));
        assert!(holds("0.0.0.0/0", "192.168.1.1"));
        assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(!holds("0.0.0.0/0", "::1"));
        assert!(holds("fe80::/10", "fe80::1"));
        assert!(!holds("fe80::/10", "fec0::1"));
    }

    #[test]
    fn other_texts_are_refused() {
        assert_eq!("gate".parse::<Cidr>(), Err(CidrError::Address));
        assert_eq!("10.0.0.1/".parse::<Cidr>(), Err(CidrError::Bits { max: 32 }));
        assert_eq!("10.0.0.1/33".parse::<Cidr>(), Err(CidrError::Bits { max: 32 }));
        assert_eq!("::1/129".parse::<Cidr>(), Err(CidrError::Bits { max: 128 }));
    }
}
