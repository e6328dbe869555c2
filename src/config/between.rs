//! Keys that are right by themselves and wrong together.

use std::net::SocketAddr;
use std::path::Path;

use super::Config;
use super::finding::{Finding, Severity};

/// What two sections want of the same thing.
pub(super) fn check(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |key: &str, message: String, hint: &str| {
        findings.push(Finding::new(Severity::Error, &config.places, key, message, hint));
    };
    let status = config.status_listen;
    if let Some(status) =
        status.filter(|status| config.gate.enabled && meet(*status, config.gate.listen))
    {
        let message = format!("{status} is what gate.listen takes already");
        find("status.listen", message, "choose another port for one of the two");
    }
    let dirs = dirs(config);
    for (at, (key, dir)) in dirs.iter().enumerate() {
        if let Some((other, _)) = dirs.iter().take(at).find(|(_, other)| other == dir) {
            let message = format!("{} is {other} already", dir.display());
            find(key, message, "give each a directory of its own");
        }
    }
    findings
}

/// Whether two listeners cannot both be had. Port 0 is another one each time.
fn meet(one: SocketAddr, other: SocketAddr) -> bool {
    let is_same =
        one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && is_same
}

/// The directories that are in use, by their keys.
fn dirs(config: &Config) -> Vec<(&'static str, &Path)> {
    let mut dirs = vec![("data_dir", &*config.data_dir)];
    if let Some(inbox) = &config.inbox {
        dirs.push(("inbox.dir", &inbox.dir));
        dirs.extend(inbox.archive_dir.as_deref().map(|dir| ("inbox.archive_dir", dir)));
    }
    if config.landing.enabled {
        dirs.push(("landing.dir", &config.landing.dir));
    }
    dirs
}
