//! Where the pipe of a statement leads to, before it is kept.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::execute::Failure;
use super::live::Pipes;
use super::plan::{Drain, Plan, Run};
use crate::config::{AirGapSink, NodeUrl, Transport};
use crate::limits::TARGET_CHECK_MAX;
use crate::sink::air_gap;
use crate::spool::Disk;
use crate::statement::Definition;

impl<D: Disk> Pipes<D> {
    /// Whether one of the targets takes connections, as stock finds out at CREATE. What is behind the gate is not asked. All are
    /// tried at once, for [`TARGET_CHECK_MAX`] at most: meanwhile no other statement is carried out.
    pub(super) async fn check_target(&self, definition: &Definition) -> Result<(), Failure> {
        let Some(sink) = self.far_side(definition) else { return Ok(()) };
        let limit = sink.handshake_timeout.min(TARGET_CHECK_MAX);
        let mut tries = JoinSet::new();
        for target in sink.targets.iter() {
            tries.spawn(look_for(target.clone(), limit));
        }
        let mut found = Vec::new();
        while let Some(tried) = tries.join_next().await {
            match tried {
                Ok(None) => return Ok(()),
                Ok(Some(why)) => found.push(why),
                Err(error) => found.push(error.to_string()),
            }
        }
        found.sort();
        let found = found.join("; ");
        Err(match sink.transport {
            Transport::AirGap { .. } => Failure::Away { targets: ends(&sink), found },
            Transport::Thrift => Failure::NotConnected { targets: sink.targets.to_string(), found },
        })
    }

    /// Whether no node of a thrift sink is this node's own session service: what the pipe takes would come back to it.
    pub(super) async fn check_leads_away(&self, definition: &Definition) -> Result<(), Failure> {
        let sink = self.far_side(definition).filter(|sink| sink.transport == Transport::Thrift);
        let listeners = self.around.board.listeners();
        let own = listeners.into_iter().find(|(kind, _)| *kind == "session");
        let (Some(sink), Some((_, own))) = (sink, own) else { return Ok(()) };
        for target in sink.targets.iter().filter(|target| target.port == own.port()) {
            // One that nobody knows in time leads nowhere.
            if let Ok(true) = timeout(TARGET_CHECK_MAX, leads_to(target, own)).await {
                return Err(Failure::Own { targets: ends(&sink), own: end(target) });
            }
        }
        Ok(())
    }

    fn far_side(&self, definition: &Definition) -> Option<AirGapSink> {
        match Plan::of(definition, self.terms()).run {
            Ok(Run { drain: Drain::AirGap(sink), .. }) => Some(*sink),
            Ok(Run { drain: Drain::Thrift(sink), .. }) => Some(sink.far),
            Ok(Run { drain: Drain::Nothing | Drain::Program(_), .. }) | Err(_) => None,
        }
    }
}

/// Targets as stock writes them.
fn ends(sink: &AirGapSink) -> String {
    sink.targets.iter().map(end).collect::<Vec<_>>().join(", ")
}

fn end(target: &NodeUrl) -> String {
    format!("TEndPoint(ip:{}, port:{})", target.host, target.port)
}

/// Why a target takes no connection; none if it does.
async fn look_for(target: NodeUrl, limit: Duration) -> Option<String> {
    let why = match timeout(limit, air_gap::dial(&target)).await {
        Ok(Ok(_)) => return None,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no connection within {} ms", limit.as_millis()),
    };
    // The number of the error tells a person nothing more.
    Some(format!("{target}: {}", why.split(" (os error").next().unwrap_or_default()))
}

/// Whether a target, whose port is that of `own`, is this listener.
async fn leads_to(target: &NodeUrl, own: SocketAddr) -> bool {
    if let Ok(address) = target.host.parse() {
        return is_at(address, own.ip());
    }
    let found = lookup_host((target.host.as_str(), target.port)).await;
    found.is_ok_and(|mut addresses| addresses.any(|address| is_at(address.ip(), own.ip())))
}

/// Whether what listens at `own` is reached at `address`.
fn is_at(address: IpAddr, own: IpAddr) -> bool {
    let is_ours = || UdpSocket::bind((address, 0)).is_ok();
    let is_every = address.is_unspecified() || own.is_unspecified();
    address == own || (address.is_loopback() && own.is_loopback()) || (is_every && is_ours())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_known_by_all_its_addresses() {
        let is_at =
            |address: &str, own: &str| is_at(address.parse().unwrap(), own.parse().unwrap());
        assert!(is_at("127.0.0.1", "127.0.0.1") && is_at("127.0.0.1", "0.0.0.0"));
        assert!(is_at("0.0.0.0", "127.0.0.1") && is_at("127.0.0.2", "127.0.0.1"));
        // An address for documentation is nobody's.
        assert!(!is_at("192.0.2.1", "0.0.0.0") && !is_at("192.0.2.1", "127.0.0.1"));
    }
}
