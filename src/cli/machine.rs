//! What only the machine can tell: rights of directories, ports, secrets, room. Reported like mistakes of the file,
//! at the line of the key that is concerned; nothing is changed.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statfs, statvfs};

use super::owner;
use crate::config::{Config, Finding, Place, Secret, Severity};
use crate::node::remedy;
use crate::ops::human::Bytes;
use crate::ops::secret;
use crate::ops::status::{CONTROL_PATH_BYTES_MAX, control_path};

/// Looks at what the configuration names; at ports only if no node runs with it.
pub(super) fn look(config: &Config, is_running: bool, findings: &mut Vec<Finding>) {
    let mut look = Look { config, findings, reported: Vec::new() };
    look.data_dir();
    look.exchange();
    if !is_running {
        look.ports();
    }
    look.secrets();
    look.alarm();
}

/// Bytes that a user may still write where `path` is or will be.
pub(super) fn free_bytes(path: &Path) -> u64 {
    statvfs(nearest(path)).map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize))
}

struct Look<'a> {
    config: &'a Config,
    findings: &'a mut Vec<Finding>,
    /// Paths that something was said about.
    reported: Vec<PathBuf>,
}

impl Look<'_> {
    fn data_dir(&mut self) {
        let (config, key) = (self.config, "data_dir");
        let dir = &config.data_dir;
        self.directory(key, dir);
        if let Some(owner) = owner::other_than_root(dir) {
            let message =
                format!("it belongs to user {owner}; the node does not run there as root");
            let hint = format!("check, and run, as that user: sudo -u '#{owner}' ...");
            self.find(Severity::Warning, key, message, &hint);
        }
        let socket = control_path(dir, std::env::var("RUNTIME_DIRECTORY").ok().as_deref());
        if std::path::absolute(&socket)
            .is_ok_and(|path| path.as_os_str().len() > CONTROL_PATH_BYTES_MAX)
        {
            let message = format!(
                "{} is too long for a socket, whose path has at most {CONTROL_PATH_BYTES_MAX} bytes",
                socket.display()
            );
            self.error(key, message, "choose a shorter data directory");
        }
        if let Some(why) = forgetful(dir) {
            let message = format!("{} lies {why}", dir.display());
            self.find(Severity::Warning, key, message, "choose a directory on a local disk");
        }
        let free = free_bytes(dir);
        if free < config.spool.reserve_bytes {
            let message = format!("only {} are free where data_dir lies", Bytes(free));
            let reserve = "spool.reserve_bytes";
            // A default has no line; the directory may have one.
            let key = if config.places.of(reserve) == Place::Nowhere { key } else { reserve };
            self.error(key, message, "make room, or let spool.reserve_bytes be less");
        }
    }

    /// Directories that are shared with others.
    fn exchange(&mut self) {
        let config = self.config;
        if let Some(inbox) = &config.inbox {
            self.directory("inbox.dir", &inbox.dir);
            let other = "the file system of data_dir: each file is copied, not moved, which costs time and room";
            self.same_disk("inbox.dir", &inbox.dir, &config.data_dir, other);
            if let Some(archive) = &inbox.archive_dir {
                self.directory("inbox.archive_dir", archive);
                let other = "the inbox's file system: each file is copied, not moved";
                self.same_disk("inbox.archive_dir", archive, &inbox.dir, other);
            }
        }
        if config.landing.enabled {
            self.directory("landing.dir", &config.landing.dir);
        }
    }

    /// A directory that is there must be writable; one that is not must be makeable.
    fn directory(&mut self, key: &str, path: &Path) {
        let there = nearest(path);
        if self.reported.iter().any(|reported| reported == there) {
            return;
        }
        let is_made = there == path;
        let (message, hint) = if !there.is_dir() {
            (format!("{} is not a directory", there.display()), "choose another path")
        } else if let Err(error) = access(there, Access::WRITE_OK | Access::EXEC_OK) {
            let (error, here) = (io::Error::from(error), there.display());
            match (error.kind(), is_made) {
                (kind, true) => (format!("{here} is not writable: {error}"), remedy::disk(kind)),
                (ErrorKind::ReadOnlyFilesystem, false) => (
                    format!("{} is not there, and {here}: {error}", path.display()),
                    remedy::disk(error.kind()),
                ),
                (_, false) => (
                    format!("{} is not there, and {here} is not writable: {error}", path.display()),
                    "make it for the user that runs the node: install -d -o penstock -g penstock DIR",
                ),
            }
        } else {
            return;
        };
        self.reported.push(there.to_owned());
        self.error(key, message, hint);
    }

    fn same_disk(&mut self, key: &str, path: &Path, other: &Path, message: &str) {
        let device = |path| fs::metadata(nearest(path)).ok().map(|metadata| metadata.dev());
        if device(path) != device(other) {
            let message = format!("{} is not on {message}", path.display());
            self.find(Severity::Warning, key, message, "put both on one file system if you can");
        }
    }

    fn ports(&mut self) {
        let config = self.config;
        if config.gate.enabled {
            self.port("gate.listen", config.gate.listen);
        }
        if let Some(session) = &config.session {
            self.port("session.listen", session.listen);
        }
        if let Some(address) = config.status_listen {
            self.port("status.listen", address);
        }
    }

    fn port(&mut self, key: &str, address: SocketAddr) {
        let Err(error) = TcpListener::bind(address) else { return };
        let hint = remedy::listener(error.kind());
        self.error(key, format!("cannot listen on {address}: {error}"), hint);
    }

    fn secrets(&mut self) {
        let config = self.config;
        if let Some(credentials) = &config.gate.credentials {
            let place = config.places.of("gate.password");
            self.secret(&credentials.password, "gate.password".to_owned(), place);
        }
        if let Some(session) = &config.session {
            let place = config.places.of("session.password");
            self.secret(&session.credentials.password, "session.password".to_owned(), place);
        }
        for (index, pipe) in config.pipes.iter().enumerate() {
            let Some(sink) = &pipe.sink else { continue };
            let (key, place) = config.places.of_attribute(index, "password");
            self.secret(&sink.password, key, place);
        }
    }

    fn secret(&mut self, secret: &Secret, key: String, place: Place) {
        let (severity, message, hint) = match (secret::reveal(secret), secret) {
            (Err(error), Secret::File(_)) => {
                let hint = "make the file, mode 0600, for the user that runs the node";
                (Severity::Error, error.to_string(), hint)
            }
            (Err(error), _) => {
                let hint = "set it where the node starts, in a unit by Environment=";
                (Severity::Error, error.to_string(), hint)
            }
            (Ok(_), Secret::File(path)) if is_open(path) => {
                let message = format!("{} can be read by others", path.display());
                (Severity::Warning, message, "chmod 0600")
            }
            (Ok(_), _) => return,
        };
        let hint = hint.to_owned();
        self.findings.push(Finding { severity, place, key, message, hint });
    }

    fn alarm(&mut self) {
        let Some(program) = self.config.alarm_command.first() else { return };
        let (path, key) = (Path::new(program), "alarm.command");
        if path.is_dir() {
            self.error(key, format!("{program} is a directory"), "name a program in it");
        } else if let Err(error) = access(path, Access::EXEC_OK) {
            let error = io::Error::from(error);
            let hint = if error.kind() == ErrorKind::NotFound {
                "put the program there, or leave [alarm] out"
            } else {
                "make it executable for the user that runs the node: chmod +x"
            };
            self.error(key, format!("{program}: {error}"), hint);
        }
    }

    fn error(&mut self, key: &str, message: String, hint: &str) {
        self.find(Severity::Error, key, message, hint);
    }

    fn find(&mut self, severity: Severity, key: &str, message: String, hint: &str) {
        let finding = Finding::new(severity, &self.config.places, key, message, hint);
        self.findings.push(finding);
    }
}

/// `path`, or the nearest directory above it that is there; `.` for a relative path without one.
fn nearest(path: &Path) -> &Path {
    let there = path.ancestors().find(|path| path.exists());
    there.filter(|there| !there.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Why what is written to `path` may be gone after a power cut, or cannot be locked.
fn forgetful(path: &Path) -> Option<&'static str> {
    // As linux/magic.h has them.
    const TMPFS: u32 = 0x0102_1994;
    const RAMFS: u32 = 0x8584_58f6;
    const NFS: u32 = 0x6969;
    const CIFS: u32 = 0xff53_4d42;
    const SMB2: u32 = 0xfe53_4d42;
    let kind = statfs(nearest(path)).ok()?.f_type;
    // The field's type differs from machine to machine; its lower 32 bits are what is meant.
    match u32::try_from(i128::from(kind) & 0xffff_ffff).ok()? {
        TMPFS | RAMFS => Some("in memory: what has been answered is gone after a power cut"),
        NFS | CIFS | SMB2 => Some("on a network file system, which promises less than a disk"),
        _ => None,
    }
}

/// Whether others than owner and group can read a file.
fn is_open(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_directory_is_the_path_itself_if_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(nearest(dir.path()), dir.path());
        assert_eq!(nearest(&dir.path().join("a/b/c")), dir.path());
        assert_eq!(nearest(Path::new("no-such-directory/b")), Path::new("."));
    }

    #[test]
    fn memory_forgets() {
        assert!(forgetful(Path::new("/proc")).is_none());
        if fs::read_to_string("/proc/mounts").unwrap().contains(" /dev/shm tmpfs ") {
            assert!(forgetful(Path::new("/dev/shm/x")).unwrap().starts_with("in memory"));
        }
    }
}
