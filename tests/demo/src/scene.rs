//! The play: set the scene, let the files cross, pull the plugs, compare.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use penstock_test_support::clock;
use penstock_test_support::files::below;
use penstock_test_support::node::{NodeError, NodeSettings};
use penstock_test_support::ports::Port;
use penstock_test_support::programs::{BuildError, Programs};

use crate::files::Sent;
use crate::gate::Gate;
use crate::halves::{Crossing, Half};
use crate::progress::{Progress, bar, megabytes};
use crate::stop::Stop;
use crate::table::Outcome;
use crate::tablets::{self, Made, Tablets};

/// How long all files may take.
const PLAY_MAX: Duration = Duration::from_secs(110);
/// Between two looks.
const PERIOD: Duration = Duration::from_millis(100);
/// The receiver's plug is pulled when this file is a third over, the sender's at the next.
const PLUGS: [(&str, Plug); 2] =
    [("archive-1.tsfile", Plug::Receiver), ("archive-2.tsfile", Plug::Sender)];

/// Shows that a directory is a demo's.
const MARKER: &str = ".penstock-demo";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plug {
    Receiver,
    Sender,
}

/// Why the play was broken off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SceneError {
    /// The programs cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A half failed.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A file or a socket failed.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        error: io::Error,
    },
    /// The files took too long.
    #[error(
        "{missing} of {all} files, or points of tablets, are missing after {PLAY_MAX:?}; look into the logs in {logs}"
    )]
    Late {
        /// Files that have not landed.
        missing: usize,
        /// All files.
        all: usize,
        /// Where the logs are.
        logs: String,
    },
    /// Somebody pressed Ctrl-C.
    #[error("interrupted; nothing is left running")]
    Interrupted,
}

/// Everything that is on the stage.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    stop: &'a Stop,
    sender: Half,
    gate: Gate,
    receiver: Half,
    /// The receiver's, also while it is away.
    _port: Port,
    tablets: Tablets,
    files: Vec<Sent>,
    plugs: Vec<(&'static str, Plug)>,
    directory: PathBuf,
    landing: PathBuf,
    pages: String,
    took: Duration,
    progress: Progress,
}

impl SceneError {
    /// Makes an error of what was tried.
    pub(crate) fn io(what: &str) -> impl FnOnce(io::Error) -> Self {
        let what = what.to_owned();
        move |error| Self::Io { what, error }
    }
}

impl<'a> Scene<'a> {
    /// Empties the directory, writes the files, starts receiver, gate and sender.
    pub(crate) fn set(
        programs: &Programs,
        directory: &Path,
        stop: &'a Stop,
    ) -> Result<Self, SceneError> {
        let mut progress = Progress::new();
        clear(directory)?;
        let files = Sent::write_all(&directory.join("files"))
            .map_err(SceneError::io("writing the files"))?;
        stop.check()?;
        let landing = directory.join("landing");
        let port = Port::take().map_err(SceneError::io("a port"))?;
        let listen = port.address();
        let receiver =
            receiver_settings(directory, &landing).set("gate.listen", &listen.to_string());
        let receiver = Half::start(receiver)?;
        let gate = Gate::start(programs, listen).map_err(SceneError::io("gate"))?;
        let inbox = directory.join("inbox");
        let sender = Half::start(sender_settings(directory, &inbox, &gate)?)?;
        let tablets = Tablets::start(listen).map_err(SceneError::io("a thread"))?;
        let pages = pages(&receiver, &sender);
        let all = files.iter().map(|file| file.bytes).sum();
        progress.say(&format!(
            "{} TsFiles of all types, {}, go through a gate of 100 Mbit/s and 5 ms that loses answers.",
            files.len(),
            megabytes(all)
        ));
        progress.say(&format!(
            "Beside them a stock sender sends tablets of {} points to the receiver, which makes TsFiles of them.",
            tablets::POINTS
        ));
        progress.say(&format!("Status pages: {pages}"));
        Ok(Self {
            stop,
            sender,
            gate,
            receiver,
            _port: port,
            tablets,
            files,
            plugs: PLUGS.to_vec(),
            directory: directory.into(),
            landing,
            pages,
            took: Duration::ZERO,
            progress,
        })
    }

    /// Lets the files cross and pulls the plugs.
    pub(crate) fn play(&mut self) -> Result<(), SceneError> {
        let started = clock::now();
        let inbox = self.directory.join("inbox");
        for file in &self.files {
            file.put_into(&inbox).map_err(SceneError::io(&file.name))?;
        }
        loop {
            let landed = below(&self.landing).map_err(SceneError::io("landing"))?;
            for file in &mut self.files {
                file.landed = file.is_among(&landed);
            }
            let missing = self.files.iter().filter(|file| !file.landed).count();
            if missing == 0 && self.receiver.landed_points() >= Some(tablets::POINTS) {
                self.took = clock::now() - started;
                return Ok(());
            }
            self.check_time(started, missing)?;
            self.step()?;
        }
    }

    /// Starts what has ended, and waits a moment.
    pub(crate) fn supervise(&mut self) -> Result<(), SceneError> {
        self.receiver.supervise()?;
        self.sender.supervise()?;
        clock::pause(PERIOD);
        Ok(())
    }

    /// Compares what was sent with what was landed.
    pub(crate) fn compare(&self) -> Result<Outcome, SceneError> {
        let compared =
            self.files.iter().map(|file| Ok((file.clone(), file.landed(&self.landing)?)));
        let files: io::Result<Vec<_>> = compared.collect();
        Ok(Outcome {
            files: files.map_err(SceneError::io("landing"))?,
            made: Made::read_all(&self.landing).map_err(SceneError::io("landing.jsonl"))?,
            restarts: (self.receiver.restarts(), self.sender.restarts()),
            answers_lost: self.gate.answers_lost(),
            took: self.took,
            landing: self.landing.clone(),
            pages: self.pages.clone(),
            logs: [&self.receiver, &self.sender]
                .map(|half| half.node().settings().log_path())
                .into(),
        })
    }

    /// Where the status is to be seen.
    pub(crate) fn pages(&self) -> &str {
        &self.pages
    }

    /// Stops everything in order.
    pub(crate) fn end(mut self) -> Result<(), SceneError> {
        self.sender.stop()?;
        self.receiver.stop()?;
        Ok(())
    }

    fn check_time(&self, started: Instant, missing: usize) -> Result<(), SceneError> {
        self.stop.check()?;
        if clock::now() - started < PLAY_MAX {
            return Ok(());
        }
        let logs = self.directory.display().to_string();
        Err(SceneError::Late { missing, all: self.files.len(), logs })
    }

    fn step(&mut self) -> Result<(), SceneError> {
        let crossing = self.sender.crossing();
        self.show(crossing.as_ref());
        if let Some(crossing) = crossing {
            self.pull_plug(&crossing)?;
        }
        self.supervise()
    }

    fn show(&mut self, crossing: Option<&Crossing>) {
        let all: u64 = self.files.iter().map(|file| file.bytes).sum();
        let landed: Vec<&Sent> = self.files.iter().filter(|file| file.landed).collect();
        let is_new =
            |crossing: &&Crossing| !landed.iter().any(|file| crossing.file.ends_with(&file.name));
        let done = landed.iter().map(|file| file.bytes).sum::<u64>()
            + crossing.filter(is_new).map_or(0, |crossing| crossing.done_bytes);
        let now = match crossing {
            Some(crossing) => {
                let file = name_of(&crossing.file, &self.files);
                let percent =
                    percent(crossing).map_or(String::new(), |percent| format!(" {percent}%"));
                format!("{file}{percent}, {}/s", megabytes(crossing.bytes_per_second))
            }
            None => "waiting".into(),
        };
        let line = format!(
            "[{}] {} of {} landed, {} of {}; {now}; answers lost {}; tablets {}",
            bar(done, all),
            landed.len(),
            self.files.len(),
            megabytes(done.min(all)),
            megabytes(all),
            self.gate.answers_lost(),
            self.tablets.answered()
        );
        self.progress.show(&line);
    }

    /// Kills a half if its file is a third over.
    fn pull_plug(&mut self, crossing: &Crossing) -> Result<(), SceneError> {
        let Some(percent) = percent(crossing).filter(|percent| (30..90).contains(percent)) else {
            return Ok(());
        };
        let is_due = |(file, _): &(&str, Plug)| crossing.file.ends_with(file);
        let Some(at) = self.plugs.iter().position(is_due) else { return Ok(()) };
        let (file, plug) = self.plugs.swap_remove(at);
        let (half, name) = match plug {
            Plug::Receiver => (&mut self.receiver, "receiver"),
            Plug::Sender => (&mut self.sender, "sender"),
        };
        half.pull_plug()?;
        self.progress.say(&format!("kill -9 of the {name}, with {file} {percent}% over"));
        Ok(())
    }
}

fn percent(crossing: &Crossing) -> Option<u64> {
    (crossing.done_bytes * 100).checked_div(crossing.total_bytes?)
}

/// The name that a file was given here; on the way it carries more.
fn name_of<'a>(on_the_way: &'a str, files: &'a [Sent]) -> &'a str {
    files
        .iter()
        .map(|file| file.name.as_str())
        .find(|name| on_the_way.ends_with(name))
        .unwrap_or(on_the_way)
}

fn receiver_settings(directory: &Path, landing: &Path) -> NodeSettings {
    NodeSettings::receiver(&directory.join("receiver"))
        .set("landing.dir", &landing.display().to_string())
        .set("landing.max_delay", "3s")
}

/// The sender's pipe is written as an operator would: into its configuration file. A seal's answer
/// may take 15 minutes by default, which is more than a demo has.
fn sender_settings(
    directory: &Path,
    inbox: &Path,
    gate: &Gate,
) -> Result<NodeSettings, SceneError> {
    let path = directory.join("sender.toml");
    let text = format!(
        "[inbox]\ndir = {:?}\n\n[[pipe]]\nname = \"through_the_gate\"\nsink = {{ sink = \
         \"iotdb-air-gap-sink\", node-urls = \"{}\", \"air-gap.seal-timeout-ms\" = 3000 }}\n",
        inbox.display().to_string(),
        gate.address()
    );
    fs::create_dir_all(inbox).map_err(SceneError::io("inbox"))?;
    fs::write(&path, text).map_err(SceneError::io("sender.toml"))?;
    Ok(NodeSettings::sender(&directory.join("sender")).config(&path))
}

fn pages(receiver: &Half, sender: &Half) -> String {
    let page = |half: &Half| match half.node().listener("status") {
        Ok(address) => format!("http://{address}/"),
        Err(_) => "none".into(),
    };
    format!("receiver {}, sender {}", page(receiver), page(sender))
}

/// Empties a directory of an earlier demo; any other one that is not empty is left alone.
fn clear(directory: &Path) -> Result<(), SceneError> {
    let name = directory.display().to_string();
    let marker = directory.join(MARKER);
    let emptied = match fs::read_dir(directory).map(|mut entries| entries.next().is_none()) {
        Ok(false) if !marker.is_file() => Err(io::Error::other("is not empty, and not of a demo")),
        Ok(_) => fs::remove_dir_all(directory),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    emptied
        .and_then(|()| fs::create_dir_all(directory))
        .and_then(|()| fs::write(marker, "Made by cargo demo, which empties this directory.\n"))
        .map_err(SceneError::io(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_of_demos_are_emptied() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("demo");
        clear(&place).unwrap();
        fs::write(place.join("old"), "").unwrap();
        clear(&place).unwrap();
        assert!(!place.join("old").exists());
        fs::write(directory.path().join("precious"), "").unwrap();
        assert!(clear(directory.path()).is_err());
        assert!(directory.path().join("precious").exists());
    }
}
