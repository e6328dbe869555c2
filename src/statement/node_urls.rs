//! The targets of a sink: `'node-urls'='10.0.0.1:9780,[fe80::1]:9780,gate.plant:9780'`.
//!
//! The order is kept, as fail-over follows it; a target that is named twice counts once. The last
//! colon parts host and port, so that an IPv6 address may stand with or without brackets.

use std::fmt;

use thiserror::Error;

use crate::limits::{HOST_BYTES_MAX, NODE_URLS_MAX};

/// A host (name or address, without brackets) and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NodeUrl {
    /// Name, IPv4 or IPv6 address.
    pub host: String,
    /// TCP port, never 0.
    pub port: u16,
}

impl NodeUrl {
    /// A target of a host and a port that were given apart (`'ip'='..','port'='..'`).
    ///
    /// # Errors
    /// If the host is empty, too long, or holds a blank, or the port is none.
    pub fn new(host: &str, port: &str) -> Result<Self, NodeUrlError> {
        let (host, port) = (host.trim(), port.trim());
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let is_strange = |c: char| c.is_whitespace() || matches!(c, '[' | ']' | '/' | ',');
        if bare.is_empty() || bare.len() > HOST_BYTES_MAX || bare.contains(is_strange) {
            return Err(NodeUrlError::Host { host: clip(host) });
        }
        let number = port.parse().ok().filter(|number| *number > 0);
        let port = number.ok_or_else(|| NodeUrlError::Port { port: clip(port) })?;
        Ok(Self { host: bare.to_owned(), port })
    }

    /// Parses one `host:port`.
    ///
    /// # Errors
    /// If there is no colon, or host or port are impossible.
    pub fn parse(text: &str) -> Result<Self, NodeUrlError> {
        let text = text.trim();
        let (host, port) =
            text.rsplit_once(':').ok_or_else(|| NodeUrlError::NoPort { target: clip(text) })?;
        Self::new(host, port)
    }
}

impl fmt::Display for NodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Why a target cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NodeUrlError {
    /// There is no colon in it.
    #[error("`{target}` has no port; a target is written host:port")]
    NoPort {
        /// What was given.
        target: String,
    },
    /// The port is not a number from 1 to 65535.
    #[error("`{port}` is not a port; a port is a number from 1 to 65535")]
    Port {
        /// What was given.
        port: String,
    },
    /// The host is empty, too long, or holds characters that no host has.
    #[error("`{host}` is not a host name or address")]
    Host {
        /// What was given.
        host: String,
    },
    /// More targets than a sink keeps.
    #[error("more than {NODE_URLS_MAX} targets")]
    TooMany,
}

/// The targets of one sink in their order, each once; at most [`NODE_URLS_MAX`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeUrls(Vec<NodeUrl>);

impl NodeUrls {
    /// Reads `host:port[,host:port..]`; empty places count for nothing.
    ///
    /// # Errors
    /// If one target is impossible, or there are too many.
    pub fn parse(list: &str) -> Result<Self, NodeUrlError> {
        let mut targets = Self::default();
        for text in list.split(',').filter(|text| !text.trim().is_empty()) {
            targets.add(NodeUrl::parse(text)?)?;
        }
        Ok(targets)
    }

    /// Adds a target at the end, unless it is there.
    ///
    /// # Errors
    /// If there are [`NODE_URLS_MAX`] others.
    pub fn add(&mut self, target: NodeUrl) -> Result<(), NodeUrlError> {
        if self.0.contains(&target) {
            return Ok(());
        }
        if self.0.len() == NODE_URLS_MAX {
            return Err(NodeUrlError::TooMany);
        }
        self.0.push(target);
        Ok(())
    }

    /// How many targets there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The target with this index, counted from zero.
    pub fn get(&self, index: usize) -> Option<&NodeUrl> {
        self.0.get(index)
    }

    /// The targets in their order.
    pub fn iter(&self) -> impl Iterator<Item = &NodeUrl> {
        self.0.iter()
    }
}

impl fmt::Display for NodeUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, target) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{target}")?;
        }
        Ok(())
    }
}

/// As much of a wrong text as an error message shows.
fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_keeps_order_and_drops_repetitions() {
        let urls = NodeUrls::parse("10.53.53.53:9780, gate-b:9781 ,10.53.53.53:9780").unwrap();
        assert_eq!(urls.to_string(), "10.53.53.53:9780,gate-b:9781");
        assert_eq!(urls.len(), 2);
        assert_eq!(urls.get(1).unwrap().host, "gate-b");
        assert_eq!(urls.get(2), None);
    }

    #[test]
    fn host_and_port_given_apart_join_the_list() {
        let mut urls = NodeUrls::parse("10.0.0.1:9780").unwrap();
        urls.add(NodeUrl::new("10.0.0.9", " 9780").unwrap()).unwrap();
        assert_eq!(urls.to_string(), "10.0.0.1:9780,10.0.0.9:9780");
    }

    #[test]
    fn last_colon_parts_an_ipv6_address_with_or_without_brackets() {
        let bare = NodeUrl::parse("fe80::1:9780").unwrap();
        let bracketed = NodeUrl::parse("[fe80::1]:9780").unwrap();
        assert_eq!(bare, bracketed);
        assert_eq!(bare.to_string(), "[fe80::1]:9780");
    }

    #[test]
    fn impossible_targets_are_named() {
        assert!(matches!(NodeUrls::parse("host"), Err(NodeUrlError::NoPort { .. })));
        assert!(matches!(NodeUrls::parse("host:"), Err(NodeUrlError::Port { .. })));
        assert!(matches!(NodeUrls::parse("host:0"), Err(NodeUrlError::Port { .. })));
        assert!(matches!(NodeUrls::parse("host:65536"), Err(NodeUrlError::Port { .. })));
        assert!(matches!(NodeUrls::parse("host:+-1"), Err(NodeUrlError::Port { .. })));
        assert!(matches!(NodeUrls::parse(":9780"), Err(NodeUrlError::Host { .. })));
        assert!(matches!(NodeUrls::parse("a b:9780"), Err(NodeUrlError::Host { .. })));
        assert!(matches!(NodeUrls::parse("http://a:9780"), Err(NodeUrlError::Host { .. })));
        assert!(matches!(
            NodeUrls::parse(&format!("{}:1", "h".repeat(300))),
            Err(NodeUrlError::Host { .. })
        ));
        assert!(NodeUrls::parse(" , ").unwrap().is_empty());
    }

    #[test]
    fn targets_have_a_limit() {
        let list = |count: usize| {
            (1..=count).map(|port| format!("h:{port}")).collect::<Vec<_>>().join(",")
        };
        assert_eq!(NodeUrls::parse(&list(NODE_URLS_MAX)).unwrap().len(), NODE_URLS_MAX);
        assert_eq!(NodeUrls::parse(&list(NODE_URLS_MAX + 1)), Err(NodeUrlError::TooMany));
    }
}
