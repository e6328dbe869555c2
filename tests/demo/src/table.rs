//! What came of it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use penstock::ops::clock::EpochMillis;

use crate::files::{Landed, Sent};
use crate::tablets::{Made, POINTS};

/// What came of it all.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Each file, and what was landed of it.
    pub(crate) files: Vec<(Sent, Vec<Landed>)>,
    /// The files that were made of tablets.
    pub(crate) made: Vec<Made>,
    /// Plugs pulled and survived: receiver, sender.
    pub(crate) restarts: (u32, u32),
    /// Answers that were lost on the way.
    pub(crate) answers_lost: u64,
    /// From the first file in the inbox to the last one landed.
    pub(crate) took: Duration,
    /// Where the files lie.
    pub(crate) landing: PathBuf,
    /// Where the status is, or was.
    pub(crate) pages: String,
    /// Where the halves log to.
    pub(crate) logs: Vec<PathBuf>,
}

/// How one file came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Equal,
    Missing,
    Twice,
    Different,
}

impl Outcome {
    /// Whether every file was landed once, equal, and the harm was done: plugs pulled, answers lost.
    pub(crate) fn is_good(&self) -> bool {
        let harmed = self.restarts.0 > 0 && self.restarts.1 > 0 && self.answers_lost > 0;
        self.equal() == self.files.len() && self.points() == POINTS && harmed
    }

    /// Points in files that were made of tablets and lie there.
    fn points(&self) -> u64 {
        self.made.iter().filter(|made| made.is_there).map(|made| made.points).sum()
    }

    fn equal(&self) -> usize {
        let verdicts = self.files.iter().map(|(sent, landed)| verdict(sent, landed));
        verdicts.filter(|verdict| *verdict == Verdict::Equal).count()
    }
}

impl Outcome {
    fn write_made(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        let title = "TsFile made of tablets";
        writeln!(
            f,
            "{title:<40} {:>9} {:>7} {:>7}  first and last time",
            "bytes", "devices", "points"
        )?;
        for made in &self.made {
            let Made { name, bytes, devices, points, times: (first, last), is_there } = made;
            let (first, last) = (EpochMillis(*first), EpochMillis(*last));
            let gone = if *is_there { "" } else { "  NO: missing" };
            writeln!(f, "{name:<40} {bytes:>9} {devices:>7} {points:>7}  {first} {last}{gone}")?;
        }
        Ok(())
    }
}

fn verdict(sent: &Sent, landed: &[Landed]) -> Verdict {
    match landed {
        [] => Verdict::Missing,
        [one] if one.blake3 == sent.blake3 && one.bytes == sent.bytes => Verdict::Equal,
        [_] => Verdict::Different,
        [_, _, ..] => Verdict::Twice,
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<20} {:>11}  {:<16}  {:<16}  equal",
            "file", "bytes", "blake3 sent", "blake3 landed"
        )?;
        for (sent, landed) in &self.files {
            let hash = landed.first().map_or("-", |landed| short(&landed.blake3));
            let verdict = verdict(sent, landed);
            writeln!(
                f,
                "{:<20} {:>11}  {:<16}  {hash:<16}  {verdict}",
                sent.name,
                sent.bytes,
                short(&sent.blake3)
            )?;
        }
        self.write_made(f)?;
        let (receiver, sender) = self.restarts;
        writeln!(f)?;
        writeln!(f, "equal                {} of {} files", self.equal(), self.files.len())?;
        writeln!(f, "points of tablets    {} landed of {POINTS}", self.points())?;
        writeln!(
            f,
            "restarts survived    receiver {receiver}, sender {sender} (kill -9 in mid-file)"
        )?;
        writeln!(f, "answers lost         {} on the way back through the gate", self.answers_lost)?;
        writeln!(
            f,
            "time                 {:.1} s at 100 Mbit/s and 5 ms",
            self.took.as_secs_f64()
        )?;
        writeln!(f, "landing directory    {}", self.landing.display())?;
        for log in &self.logs {
            writeln!(f, "log                  {}", log.display())?;
        }
        write!(f, "status pages         {} (`cargo demo --stay` keeps them up)", self.pages)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "yes",
            Self::Missing => "NO: missing",
            Self::Twice => "NO: landed twice",
            Self::Different => "NO: different",
        })
    }
}

/// The beginning of a hash.
fn short(hash: &str) -> &str {
    hash.get(..16).unwrap_or(hash)
}
