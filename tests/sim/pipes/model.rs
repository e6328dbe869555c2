//! What a pipe asks for, as statements say it and as the simplest code decides it.

use super::goods::{Goods, TIMES_END};
use super::pattern::path_matches;
use crate::random::Random;

/// Ports tell definitions apart.
const PORTS: u16 = 1000;
const PATHS: [&str; 8] = [
    "root.**",
    "root.p.*.s0",
    "root.p.d1.**",
    "root.**.s1",
    "root.*.d1*.*",
    "root.p.d0.s1*,root.q.**",
    "root.p.**,root.q.d1.s0",
    "root.nothing.**",
];
const PREFIXES: [&str; 4] = ["root.p.d1", "root.p.d1.s1", "root.q", "root.p.d0,root.p.d10"];
const EXCLUDED: [&str; 3] = ["root.**.s1", "root.p.d1.*", "root.p.**"];

/// The attributes of a pipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Def {
    /// Its number among all definitions.
    pub(crate) tag: u16,
    series: Series,
    excluded: Option<&'static str>,
    /// From and to, both included.
    start: Option<i64>,
    end: Option<i64>,
    side: Side,
    mode: Mode,
    is_sampled: bool,
}

/// In which form it sends tablets. An `ALTER` leaves that as it is: else values may come in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Stream,
    /// As files, after so many seconds.
    Batch(u64),
    /// As files where more bytes or seconds wait.
    Hybrid(u64, u64),
}

/// What it takes, by when it arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Both,
    History,
    Realtime,
    /// The history, and then it ends by itself.
    Snapshot,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Series {
    All,
    Paths(&'static str),
    Prefixes(&'static str),
}

fn one_of<T: Copy>(all: &[T], random: &mut Random) -> T {
    all[usize::try_from(random.below(all.len() as u64)).expect("few")]
}

impl Def {
    pub(crate) fn new(tag: u16, random: &mut Random) -> Self {
        let side = match random.below(12) {
            0 => Side::History,
            1 | 2 => Side::Realtime,
            3 | 4 => Side::Snapshot,
            _ => Side::Both,
        };
        let (series, is_sampled) = (Series::All, random.once_in(8));
        let mode = match random.below(3) {
            0 => Mode::Batch(random.between(1, 5)),
            1 => Mode::Hybrid(random.between(1, 1000), random.between(1, 60)),
            _ => Mode::Stream,
        };
        let (start, end) = (None, None);
        let def = Self { tag, series, excluded: None, start, end, side, mode, is_sampled };
        if random.once_in(3) { def } else { def.filtered(random) }
    }

    /// The same with other series and times.
    fn filtered(self, random: &mut Random) -> Self {
        let series = match random.below(5) {
            0 => Series::All,
            1 => Series::Prefixes(one_of(&PREFIXES, random)),
            _ => Series::Paths(one_of(&PATHS, random)),
        };
        let excluded = random.once_in(3).then(|| one_of(&EXCLUDED, random));
        // What leaves nothing is refused.
        let excluded = excluded.filter(|excluded| series != Series::Paths(excluded));
        let mut time = || i64::try_from(random.below(TIMES_END.unsigned_abs())).expect("few");
        let (start, end) = (time(), time());
        let start = random.once_in(3).then_some(start);
        let end = random.once_in(3).then_some(end.max(start.unwrap_or(0)));
        Self { series, excluded, start, end, ..self }
    }

    /// This after an `ALTER` that replaces the source, or changes a part of it; and the clause that says so.
    pub(crate) fn altered(&self, tag: u16, random: &mut Random) -> (Self, String) {
        if random.once_in(2) {
            let Self { series, excluded, start, end, .. } = Self::new(tag, random).filtered(random);
            let def = Self { tag, series, excluded, start, end, ..self.clone() };
            let clauses =
                format!("replace source ({}) modify sink ({})", def.source(), def.target());
            return (def, clauses);
        }
        let start = random.below(TIMES_END.unsigned_abs());
        let start = i64::try_from(start).expect("few").min(self.end.unwrap_or(i64::MAX));
        let def = Self { tag, start: Some(start), ..self.clone() };
        let clauses =
            format!("modify source ('start-time'='{start}') modify sink ({})", def.target());
        (def, clauses)
    }

    /// The clauses of `CREATE PIPE`.
    pub(crate) fn clauses(&self) -> String {
        let processor = if self.is_sampled {
            " with processor ('processor'='tumbling-time-sampling-processor')"
        } else {
            ""
        };
        let sink = format!("'sink'='iotdb-air-gap-sink',{}", self.target());
        format!("with source ({}){processor} with sink ({sink})", self.source())
    }

    fn source(&self) -> String {
        let mut all = match self.mode {
            Mode::Stream => vec![("realtime.mode", "stream".to_owned())],
            Mode::Batch(seconds) => vec![
                ("realtime.mode", "batch".to_owned()),
                ("realtime.batch.max-delay-seconds", seconds.to_string()),
            ],
            // As a pipe that names none.
            Mode::Hybrid(bytes, seconds) => vec![
                ("realtime.hybrid.lag-bytes", bytes.to_string()),
                ("realtime.hybrid.lag-seconds", seconds.to_string()),
            ],
        };
        match &self.series {
            Series::All => {}
            Series::Paths(paths) => all.push(("path", (*paths).to_owned())),
            Series::Prefixes(prefixes) => all.push(("pattern", (*prefixes).to_owned())),
        }
        all.extend(self.excluded.map(|excluded| ("path.exclusion", excluded.to_owned())));
        all.extend(self.start.map(|start| ("start-time", start.to_string())));
        all.extend(self.end.map(|end| ("end-time", end.to_string())));
        all.extend(match self.side {
            Side::Both => None,
            Side::History => Some(("realtime.enable", "false".to_owned())),
            Side::Realtime => Some(("history.enable", "false".to_owned())),
            Side::Snapshot => Some(("mode.snapshot", "true".to_owned())),
        });
        let texts = all.iter().map(|(key, value)| format!("'{key}'='{value}'"));
        texts.collect::<Vec<_>>().join(",")
    }

    fn target(&self) -> String {
        format!("'node-urls'='{}'", self.address())
    }

    /// Where it sends to.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", PORTS + self.tag)
    }

    /// The number of the definition that has this in its text.
    pub(crate) fn tag_in(text: &str) -> u16 {
        let (_, port) = text.split_once("127.0.0.1:").expect("an address");
        let digits = port.split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
        digits.parse::<u16>().expect("a port") - PORTS
    }

    pub(crate) const fn is_sampled(&self) -> bool {
        self.is_sampled
    }

    /// Whether it may send files of runs of tablets.
    pub(crate) fn makes_runs(&self) -> bool {
        self.mode != Mode::Stream && !self.is_sampled
    }

    pub(crate) fn is_snapshot(&self) -> bool {
        self.side == Side::Snapshot
    }

    pub(crate) fn has_history(&self) -> bool {
        self.side != Side::Realtime
    }

    /// What of an entry is sent.
    pub(crate) fn wants(&self, goods: &Goods, sequence: u64, border: u64) -> Option<Goods> {
        let is_taken = match self.side {
            Side::Both => true,
            Side::History | Side::Snapshot => sequence < border,
            Side::Realtime => sequence >= border,
        };
        if !is_taken {
            return None;
        }
        let times = (self.start.unwrap_or(i64::MIN), self.end.unwrap_or(i64::MAX));
        goods.cut(|path| self.wants_series(path), times)
    }

    fn wants_series(&self, path: &str) -> bool {
        let is_in = match &self.series {
            Series::All => true,
            Series::Paths(paths) => paths.split(',').any(|pattern| path_matches(pattern, path)),
            Series::Prefixes(prefixes) => {
                prefixes.split(',').any(|prefix| path.starts_with(prefix))
            }
        };
        is_in && !self.excluded.is_some_and(|pattern| path_matches(pattern, path))
    }
}
