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
    /// If the host is empty, too long, or holds a blank, or the port is 0.
    pub fn new(host: &str, port: u16) -> Result<Self, NodeUrlError> {
        let host = host.trim();
        let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        if inner.is_empty() || inner.len() > HOST_BYTES_MAX {
            return Err(NodeUrlError::Host { host: clip(host) });
        }
        if inner.contains(|c: char| c.is_whitespace() || matches!(c, '[' | ']' | '/' | ',')) {
            return Err(NodeUrlError::Host { host: clip(host) });
        }
        if port == 0 {
            return Err(NodeUrlError::Port { port: "0".to_owned() });
        }
        Ok(Self { host: inner.to_owned(), port })
    }

    /// Parses one `host:port`.
    ///
    /// # Errors
    /// If there is no colon, or host or port are impossible.
    pub fn parse(text: &str) -> Result<Self, NodeUrlError> {
        let text = text.trim();
        let (host, port) =
            text.rsplit_once(':').ok_or_else(|| NodeUrlError::NoPort { target: clip(text) })?;
        let port = port.trim();
        let number = port.parse().map_err(|_| NodeUrlError::Port { port: clip(port) })?;
        Self::new(host, number)
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
    /// No target at all.
    #[error("no target: give 'node-urls'='host:port[,host:port..]', or 'ip' and 'port'")]
    None,
    /// More targets than a sink keeps.
    #[error("more than {NODE_URLS_MAX} targets")]
    TooMany,
}

/// The targets of one sink in their order, each once, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeUrls(Vec<NodeUrl>);

impl NodeUrls {
    /// Unites a `node-urls` list and targets given apart; the list comes first.
    ///
    /// # Errors
    /// If one target is impossible, or there are none or too many.
    pub fn new(
        list: Option<&str>,
        apart: impl IntoIterator<Item = NodeUrl>,
    ) -> Result<Self, NodeUrlError> {
        let mut targets = Vec::new();
        let listed = list.into_iter().flat_map(|list| list.split(','));
        for text in listed.filter(|text| !text.trim().is_empty()) {
            add(&mut targets, NodeUrl::parse(text)?)?;
        }
        for target in apart {
            add(&mut targets, target)?;
        }
        if targets.is_empty() { Err(NodeUrlError::None) } else { Ok(Self(targets)) }
    }

    /// How many targets there are; never zero.
    #[expect(clippy::len_without_is_empty, reason = "a list of targets is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
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

fn add(targets: &mut Vec<NodeUrl>, target: NodeUrl) -> Result<(), NodeUrlError> {
    if targets.contains(&target) {
        return Ok(());
    }
    if targets.len() == NODE_URLS_MAX {
        return Err(NodeUrlError::TooMany);
    }
    targets.push(target);
    Ok(())
}

/// As much of a wrong text as an error message shows.
fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(list: &str) -> Result<NodeUrls, NodeUrlError> {
        NodeUrls::new(Some(list), [])
    }

    #[test]
    fn list_keeps_order_and_drops_repetitions() {
        let urls = listed("10.53.53.53:9780, gate-b:9781 ,10.53.53.53:9780").unwrap();
        assert_eq!(urls.to_string(), "10.53.53.53:9780,gate-b:9781");
        assert_eq!(urls.len(), 2);
        assert_eq!(urls.get(1).unwrap().host, "gate-b");
        assert_eq!(urls.get(2), None);
    }

    #[test]
    fn host_and_port_given_apart_join_the_list() {
        let apart = NodeUrl::new("10.0.0.9", 9780).unwrap();
        let urls = NodeUrls::new(Some("10.0.0.1:9780"), [apart]).unwrap();
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
        assert!(matches!(listed("host"), Err(NodeUrlError::NoPort { .. })));
        assert!(matches!(listed("host:"), Err(NodeUrlError::Port { .. })));
        assert!(matches!(listed("host:0"), Err(NodeUrlError::Port { .. })));
        assert!(matches!(listed("host:65536"), Err(NodeUrlError::Port { .. })));
        assert!(matches!(listed("host:+-1"), Err(NodeUrlError::Port { .. })));
        assert!(matches!(listed(":9780"), Err(NodeUrlError::Host { .. })));
        assert!(matches!(listed("a b:9780"), Err(NodeUrlError::Host { .. })));
        assert!(matches!(listed("http://a:9780"), Err(NodeUrlError::Host { .. })));
        assert!(matches!(
            listed(&format!("{}:1", "h".repeat(300))),
            Err(NodeUrlError::Host { .. })
        ));
        assert_eq!(listed(" , "), Err(NodeUrlError::None));
        assert_eq!(NodeUrls::new(None, []), Err(NodeUrlError::None));
    }

    #[test]
    fn targets_have_a_limit() {
        let list = |count: usize| {
            (1..=count).map(|port| format!("h:{port}")).collect::<Vec<_>>().join(",")
        };
        assert_eq!(listed(&list(NODE_URLS_MAX)).unwrap().len(), NODE_URLS_MAX);
        assert_eq!(listed(&list(NODE_URLS_MAX + 1)), Err(NodeUrlError::TooMany));
    }
}
