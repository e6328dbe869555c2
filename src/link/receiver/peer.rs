//! Handshakes: who may send, and what is known of who does.

use heapless::String;

use super::store::{Provenance, Store, WRITERS, cluster_hash};
use super::verdict::HandshakeFlaw;
use super::{Login, Policy};
use crate::data::Precision;
use crate::spool::LinkId;
use crate::wire::handshake::Handshake;

/// Bytes of a cluster id that are kept for people; a UUID has 36.
const CLUSTER_ID_BYTES: usize = 64;

/// A peer whose handshake was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    cluster_id: String<CLUSTER_ID_BYTES>,
    cluster: u64,
    precision: Precision,
    local: bool,
}

impl Peer {
    /// Clients of this node, which are of no cluster.
    pub(super) const fn of_writers(precision: Precision) -> Self {
        Self { cluster_id: String::new(), cluster: WRITERS, precision, local: true }
    }

    /// The first bytes of its cluster id; empty for a V1 handshake.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// Its unit of time, which is the node's.
    pub const fn precision(&self) -> Precision {
        self.precision
    }

    /// What goes with its data.
    pub(super) const fn provenance(&self, link: LinkId) -> Provenance {
        Provenance { link, cluster: self.cluster, precision: self.precision, local: self.local }
    }
}

/// Judges a handshake. `refused` says that a V2 on this connection was refused before.
///
/// A V1 handshake is taken as a courtesy. It names neither cluster nor login, so it is refused where
/// a login is asked for, and where a V2 was refused: stock peers fall back at once after any refusal.
///
/// # Errors
/// The first flaw, in the order in which stock receivers look.
pub(super) fn judge(
    policy: &Policy,
    handshake: &Handshake<'_>,
    refused: bool,
    store: &impl Store,
) -> Result<Peer, HandshakeFlaw> {
    let second_version = !handshake.request_type().is_handshake_v1();
    let cluster_id = match handshake.cluster_id() {
        Some(cluster_id) => cluster_id,
        None if second_version => return Err(HandshakeFlaw::NoCluster),
        None if refused => return Err(HandshakeFlaw::Fallback),
        None => "",
    };
    if second_version && cluster_id == policy.cluster_id {
        return Err(HandshakeFlaw::OwnCluster);
    }
    let precision = handshake.precision().and_then(|text| Precision::from_text(text.as_bytes()));
    let precision = precision.ok_or(HandshakeFlaw::NoPrecision)?;
    if !policy.admits(handshake) {
        return Err(HandshakeFlaw::Login);
    }
    // A node that has none yet takes that of the first entry: a greeting alone fixes nothing.
    if store.precision().is_some_and(|ours| ours != precision) {
        return Err(HandshakeFlaw::Precision);
    }
    Ok(Peer {
        cluster_id: shortened(cluster_id),
        cluster: cluster_hash(cluster_id),
        precision,
        local: policy.local.iter().any(|local| local == cluster_id),
    })
}

impl Policy {
    fn admits(&self, handshake: &Handshake<'_>) -> bool {
        let Some(login) = &self.login else { return true };
        let assumed = self.assumed.as_ref();
        let user = handshake.username().or_else(|| assumed.map(|login| login.user.as_str()));
        let password = handshake.password();
        let password = password.or_else(|| assumed.map(|login| login.password.as_str()));
        login.admits(user, password)
    }
}

impl Login {
    /// Whether these are the user and the password. Hashes of them are compared, in constant time.
    pub fn admits(&self, user: Option<&str>, password: Option<&str>) -> bool {
        let same = |ours: &str, theirs: Option<&str>| {
            theirs.is_some_and(|theirs| {
                blake3::hash(ours.as_bytes()) == blake3::hash(theirs.as_bytes())
            })
        };
        let is_user = same(&self.user, user);
        same(&self.password, password) && is_user
    }
}

fn shortened(text: &str) -> String<CLUSTER_ID_BYTES> {
    let mut short = String::new();
    for character in text.chars() {
        if short.push(character).is_err() {
            break;
        }
    }
    short
}
