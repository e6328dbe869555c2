//! What programs of an earlier life of the node have left running: a node that is killed cannot end them, and one that
//! never looks at its standard input would stay for ever, one more each time.
//!
//! Whatever a program starts has its environment, and so the mark of the node in it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::limits::KIB;

/// What marks the programs of the node whose data directory this is.
///
/// # Errors
/// If the directory is not there.
pub(super) fn mark(data_dir: &Path) -> io::Result<(&'static str, PathBuf)> {
    data_dir.canonicalize().map(|data_dir| (MARK, data_dir))
}

/// Ends all processes that an earlier run of the node at `data_dir` has left, and returns how many there were. To be
/// called before this run starts any.
pub fn end_leftovers(data_dir: &Path) -> usize {
    let Ok((key, value)) = mark(data_dir) else { return 0 };
    let mark = [key.as_bytes(), b"=", value.as_os_str().as_encoded_bytes()].concat();
    let mut ended = Vec::new();
    // While the first are ended others may start more.
    for _ in 0..ROUNDS_MAX {
        if !end_marked(&mark, &mut ended) {
            break;
        }
    }
    if !ended.is_empty() {
        log::warn!("event=plugins_left_running ended={}", ended.len());
    }
    ended.len()
}

/// Ends those that are not among `ended`, where they are put, and returns whether there were any.
fn end_marked(mark: &[u8], ended: &mut Vec<Pid>) -> bool {
    let Ok(listed) = fs::read_dir("/proc") else { return false };
    let pid =
        |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw);
    let (own, before) = (rustix::process::getpid(), ended.len());
    for pid in listed.filter_map(|entry| pid(entry.ok()?)) {
        // One that was told to end is there for a while.
        let is_new = pid != own && !ended.contains(&pid) && ended.len() < ENDED_MAX;
        if is_new && end_if_marked(pid, mark) {
            ended.push(pid);
        }
    }
    ended.len() > before
}

/// Whether it was one, and could be ended.
fn end_if_marked(pid: Pid, mark: &[u8]) -> bool {
    // Its number may pass to another one; what is open here stays the one that is looked at.
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
    let path = Path::new("/proc").join(pid.as_raw_nonzero().to_string()).join("environ");
    let mut environment = Vec::new();
    // That of others cannot be read, which says enough.
    let read = File::open(path)
        .and_then(|file| file.take(ENVIRONMENT_BYTES_MAX).read_to_end(&mut environment));
    read.is_ok()
        && environment.split(|byte| *byte == 0).any(|variable| variable == mark)
        && pidfd_send_signal(process, Signal::KILL).is_ok()
}

/// A program finds the data directory of its node in it.
const MARK: &str = "PENSTOCK_DATA_DIR";
const ROUNDS_MAX: usize = 4;
/// The most that are ended: far more than a unit lets run.
const ENDED_MAX: usize = 1024;
/// Of an environment no more is looked at: a program is given some hundred bytes, and may add to it.
const ENVIRONMENT_BYTES_MAX: u64 = 64 * KIB as u64;

#[cfg(test)]
mod tests {
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::Command;

    use super::*;

    #[test]
    fn only_what_has_the_mark_of_the_node_is_ended() {
        let [ours, theirs] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let start = |dir: &Path| {
            let (key, value) = mark(dir).unwrap();
            let mut command = Command::new("sleep");
            command.arg("1000").env(key, value).process_group(0).spawn().unwrap()
        };
        let (mut left, mut other) = (start(ours.path()), start(theirs.path()));
        let ended = end_leftovers(ours.path());
        let runs_on = other.try_wait().unwrap().is_none();
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(ended == 1 && runs_on, "{ended}");
        assert_eq!(left.wait().unwrap().signal(), Some(9));
        assert_eq!(end_leftovers(ours.path()), 0);
    }
}
