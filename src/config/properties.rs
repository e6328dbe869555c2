//! IoTDB's own configuration file: `iotdb-common.properties`, or `iotdb-system.properties` from 1.3.3 on.
//!
//! What it sets of what is here, applies where our own file and the command line say nothing:
//!
//! | key | sets |
//! |---|---|
//! | `pipe_lib_dir` | `[plugins] dir`; relative to the data directory |
//! | `pipe_sink_timeout_ms`, before it `pipe_connector_timeout_ms` | the default of `air-gap.seal-timeout-ms` |
//! | `pipe_air_gap_receiver_enabled` | `[gate] enabled` |
//! | `pipe_air_gap_receiver_port` | the port of `[gate] listen` |
//! | `pipe_air_gap_receiver_max_payload_size_in_bytes` | `[gate] max_frame_bytes` |
//! | `pipe_all_sinks_rate_limit_bytes_per_second` | what all sinks together may send; none if it is not above zero |
//! | `timestamp_precision` | `timestamp_precision` |
//!
//! Other keys about pipes have no effect, which is said; everything else in the file is about a database, and nothing is
//! said of it.
//!
//! The form is that of `java.util.Properties`: `key=value`, `key: value` or `key value`, `#` and `!` before comments, a
//! backslash before the end of a line that goes on, `\\`, `\t`, `\n`, `\r`, `\f` and `\u` with four digits; the last of equal keys
//! counts. Blanks around values do not, as with IoTDB.

use std::iter::Peekable;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::str::Chars;
use std::time::Duration;

use super::document::Document;
use super::finding::{Finding, Place, Severity};
use crate::data::Precision;

/// What the file sets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Properties {
    pub(super) plugins_dir: Option<PathBuf>,
    pub(super) seal_timeout: Option<Duration>,
    pub(super) rate_limit: Option<NonZeroU64>,
    pub(super) gate_enabled: Option<bool>,
    pub(super) gate_port: Option<u16>,
    pub(super) max_frame_bytes: Option<u64>,
    pub(super) precision: Option<Precision>,
}

/// A line that sets something.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// Counted from 1; of a line that goes on, the first.
    line: usize,
    key: String,
    value: String,
}

/// Reads one file and notes what is wrong with it.
struct Reading<'a, 'b> {
    file: &'a Path,
    document: &'a mut Document<'b>,
}

impl Properties {
    /// Of a file with this name and text; relative paths are relative to `data_dir`.
    pub(super) fn read(
        (file, text): (&Path, &str),
        data_dir: &Path,
        document: &mut Document<'_>,
    ) -> Self {
        let entries = entries(text);
        let mut reading = Reading { file, document };
        reading.remark_useless(&entries);
        let find = |key: &str| entries.iter().rev().find(|entry| entry.key == key);
        let timeout = find("pipe_sink_timeout_ms").or_else(|| find("pipe_connector_timeout_ms"));
        Self {
            plugins_dir: find("pipe_lib_dir").and_then(|entry| reading.path(entry, data_dir)),
            seal_timeout: timeout.and_then(|entry| reading.millis(entry)),
            rate_limit: find(RATE_LIMIT).and_then(|entry| reading.rate(entry)),
            gate_enabled: find("pipe_air_gap_receiver_enabled").and_then(|e| reading.flag(e)),
            gate_port: find("pipe_air_gap_receiver_port").and_then(|e| {
                reading.number(e, "a port, 0 to 65535").and_then(|port| u16::try_from(port).ok())
            }),
            max_frame_bytes: find("pipe_air_gap_receiver_max_payload_size_in_bytes")
                .and_then(|entry| reading.number(entry, "a number of bytes")),
            precision: find("timestamp_precision").and_then(|entry| reading.precision(entry)),
        }
    }
}

impl Reading<'_, '_> {
    fn note(&mut self, severity: Severity, entry: &Entry, message: &str, hint: &str) {
        let place = Place::Line { file: self.file.display().to_string(), line: entry.line };
        let (key, message) = (entry.key.clone(), message.to_owned());
        self.document.add(Finding { severity, place, key, message, hint: hint.to_owned() });
    }

    fn reject(&mut self, entry: &Entry, expected: &str) {
        let message = format!("expected {expected}, found {:?}", entry.value);
        self.note(Severity::Error, entry, &message, "");
    }

    fn flag(&mut self, entry: &Entry) -> Option<bool> {
        match entry.value.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.reject(entry, "true or false");
                None
            }
        }
    }

    fn number(&mut self, entry: &Entry, what: &str) -> Option<u64> {
        let number = entry.value.parse().ok();
        let most = if entry.key.ends_with("port") { u64::from(u16::MAX) } else { u64::MAX };
        let number = number.filter(|number| *number <= most);
        if number.is_none() {
            self.reject(entry, what);
        }
        number
    }

    fn millis(&mut self, entry: &Entry) -> Option<Duration> {
        let millis = self.number(entry, "a number of milliseconds")?;
        if millis == 0 {
            self.reject(entry, "more than 0 ms");
            return None;
        }
        Some(Duration::from_millis(millis))
    }

    /// Bytes a second: a double in stock's table; zero and below mean no limit.
    fn rate(&mut self, entry: &Entry) -> Option<NonZeroU64> {
        let Ok(rate) = entry.value.parse::<f64>() else {
            self.reject(entry, "a number of bytes per second, or -1");
            return None;
        };
        // More than any number of bytes is no limit, either.
        (rate > 0.0).then(|| format!("{:.0}", rate.ceil()).parse().ok()).flatten()
    }

    fn precision(&mut self, entry: &Entry) -> Option<Precision> {
        match entry.value.as_str() {
            "ms" => Some(Precision::Ms),
            "us" => Some(Precision::Us),
            "ns" => Some(Precision::Ns),
            _ => {
                self.reject(entry, "ms, us or ns");
                None
            }
        }
    }

    /// A directory by IoTDB's rules: absolute if it begins with `/`, or on Windows with a drive; else below the home.
    fn path(&mut self, entry: &Entry, home: &Path) -> Option<PathBuf> {
        let text = entry.value.as_str();
        let mut letters = text.chars();
        let has_drive = letters.next().is_some_and(|letter| letter.is_ascii_alphabetic())
            && letters.next() == Some(':');
        if text.is_empty() || has_drive || text.starts_with('\\') {
            let message = "no directory of this machine, so it has no effect";
            self.note(Severity::Warning, entry, message, "set plugins.dir");
            return None;
        }
        // `ext\\pipe` is written for Windows, and means the same.
        Some(home.join(text.replace('\\', "/")))
    }

    /// One remark for each kind of key that is about pipes and sets nothing here.
    fn remark_useless(&mut self, entries: &[Entry]) {
        let mut others: Vec<&str> = Vec::new();
        let mut first = None;
        for (index, entry) in entries.iter().enumerate() {
            let is_last = !entries.iter().skip(index + 1).any(|later| later.key == entry.key);
            if !is_last || !is_about_pipes(&entry.key) || HONOURED.contains(&entry.key.as_str()) {
                continue;
            }
            let known = USELESS.iter().find(|(keys, ..)| keys.contains(&entry.key.as_str()));
            if let Some((_, message, hint)) = known {
                self.note(Severity::Warning, entry, message, hint);
            } else {
                first = first.or(Some(entry));
                others.push(&entry.key);
            }
        }
        if let Some(first) = first {
            let more = others.get(1..).unwrap_or_default().join(", ");
            let message = if more.is_empty() {
                "has no effect here".to_owned()
            } else {
                format!("has no effect here, nor have {more}")
            };
            self.note(Severity::Warning, first, &message, "");
        }
    }
}

fn is_about_pipes(key: &str) -> bool {
    ["pipe_", "dn_pipe_", "cn_pipe_"].iter().any(|start| key.starts_with(start))
}

/// What all sinks together may send.
const RATE_LIMIT: &str = "pipe_all_sinks_rate_limit_bytes_per_second";

/// Keys about pipes that set something.
const HONOURED: [&str; 7] = [
    RATE_LIMIT,
    "pipe_lib_dir",
    "pipe_sink_timeout_ms",
    "pipe_connector_timeout_ms",
    "pipe_air_gap_receiver_enabled",
    "pipe_air_gap_receiver_port",
    "pipe_air_gap_receiver_max_payload_size_in_bytes",
];

/// Keys about pipes that set nothing, why, and what to do.
const USELESS: [(&[&str], &str, &str); 3] = [
    (
        &["pipe_subtask_executor_max_thread_num"],
        "has no effect: all pipes run on one thread, which waits for none of them",
        "",
    ),
    (
        &["pipe_async_connector_selector_number", "pipe_sink_selector_number"],
        "has no effect: one thread does the input and output of all pipes",
        "",
    ),
    (
        &[
            "pipe_async_connector_core_client_number",
            "pipe_async_connector_max_client_number",
            "pipe_sink_max_client_number",
        ],
        "has no effect: a pipe has one connection at a time",
        "",
    ),
];

/// All entries, in their order.
fn entries(text: &str) -> Vec<Entry> {
    let mut lines = (1_usize..).zip(text.lines());
    let mut entries = Vec::new();
    while let Some((line, first)) = lines.next() {
        let first = first.trim_start_matches(BLANKS);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut whole = first.to_owned();
        while whole.chars().rev().take_while(|letter| *letter == '\\').count() % 2 == 1 {
            whole.pop();
            let Some((_, next)) = lines.next() else { break };
            whole.push_str(next.trim_start_matches(BLANKS));
        }
        let (key, value) = split(&whole);
        entries.push(Entry { line, key: unescape(key), value: unescape(value).trim().to_owned() });
    }
    entries
}

/// At the first `=`, `:` or blank that no backslash stands before; blanks around it belong to neither side.
fn split(line: &str) -> (&str, &str) {
    let mut is_escaped = false;
    let end = line.find(|letter: char| {
        let ends = !is_escaped && (matches!(letter, '=' | ':') || BLANKS.contains(&letter));
        is_escaped = letter == '\\' && !is_escaped;
        ends
    });
    let (key, rest) = line.split_at_checked(end.unwrap_or(line.len())).unwrap_or((line, ""));
    let rest = rest.trim_start_matches(BLANKS);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, value.trim_start_matches(BLANKS))
}

fn unescape(text: &str) -> String {
    let mut letters = text.chars().peekable();
    let mut plain = String::with_capacity(text.len());
    while let Some(letter) = letters.next() {
        plain.push(if letter == '\\' { escaped(&mut letters) } else { letter });
    }
    plain
}

/// The letter that is meant by what follows a backslash.
fn escaped(letters: &mut Peekable<Chars<'_>>) -> char {
    match letters.next() {
        Some('t') => '\t',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('f') => '\u{c}',
        Some('u') => {
            let mut code = 0;
            for _ in 0..4 {
                let Some(digit) = letters.next_if(char::is_ascii_hexdigit) else { break };
                code = code * 16 + digit.to_digit(16).unwrap_or_default();
            }
            char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        Some(letter) => letter,
        None => '\\',
    }
}

/// Blanks of `java.util.Properties`.
const BLANKS: [char; 3] = [' ', '\t', '\u{c}'];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Properties, Vec<String>) {
        let (mut document, _) = Document::parse(None, &[]);
        let properties = Properties::read((Path::new("c"), text), Path::new("/d"), &mut document);
        let findings = document.into_findings().sorted();
        (properties, findings.iter().map(ToString::to_string).collect())
    }

    fn set(key: &str, value: &str) -> Vec<(String, String)> {
        vec![(key.to_owned(), value.to_owned())]
    }

    #[test]
    fn lines_are_read_as_java_reads_them() {
        for (text, expected) in [
            ("", vec![]),
            ("# a=b\n  ! c=d\n\n   \n", vec![]),
            ("a=b", set("a", "b")),
            ("  a =  b c  \r\n", set("a", "b c")),
            ("a: b", set("a", "b")),
            ("a b", set("a", "b")),
            ("a", set("a", "")),
            ("a==b", set("a", "=b")),
            ("a\\=b\\:\\ c=d", set("a=b: c", "d")),
            ("a=C:\\\\ext\\\\pipe", set("a", "C:\\ext\\pipe")),
            ("a=b\\\n   c\\\n\td", set("a", "bcd")),
            ("a=b\\\\\nc=d", [set("a", "b\\"), set("c", "d")].concat()),
            ("a=b\\", set("a", "b")),
            ("a=\\u4e2d\\t\\u20x", set("a", "\u{4e2d}\t x")),
            ("a=1\na=2", [set("a", "1"), set("a", "2")].concat()),
        ] {
            let found: Vec<_> = entries(text).into_iter().map(|e| (e.key, e.value)).collect();
            assert_eq!(found, expected, "{text:?}");
        }
        let lines: Vec<_> = entries("\na=1\\\n2\nb=3").iter().map(|entry| entry.line).collect();
        assert_eq!(lines, [2, 4]);
    }

    #[test]
    fn directories_of_plugins_are_absolute_or_below_the_data_directory() {
        let dir = |value: &str| read(&format!("pipe_lib_dir={value}")).0.plugins_dir;
        for (value, expected) in [
            ("/opt/pipe", Some("/opt/pipe")),
            ("ext/pipe", Some("/d/ext/pipe")),
            ("ext\\\\pipe", Some("/d/ext/pipe")),
            ("C:\\\\iotdb\\\\pipe", None),
            ("c:/iotdb", None),
            ("\\\\\\\\host\\\\share", None),
            ("", None),
        ] {
            assert_eq!(dir(value), expected.map(PathBuf::from), "{value}");
        }
    }

    #[test]
    fn newer_names_and_later_lines_win() {
        let timeout = |text| read(text).0.seal_timeout.map(|timeout| timeout.as_millis());
        assert_eq!(timeout("pipe_connector_timeout_ms=1"), Some(1));
        assert_eq!(timeout("pipe_sink_timeout_ms=2\npipe_connector_timeout_ms=1"), Some(2));
        assert_eq!(timeout("pipe_sink_timeout_ms=2\npipe_sink_timeout_ms=3"), Some(3));
    }

    #[test]
    fn the_limit_of_all_sinks_is_a_number_above_zero_or_none() {
        for (value, rate) in [
            ("-1", None),
            ("0", None),
            ("1000", Some(1000)),
            ("0.5", Some(1)),
            ("1.5E6", Some(1_500_000)),
            ("NaN", None),
            ("Infinity", None),
        ] {
            let (properties, said) = read(&format!("{RATE_LIMIT}={value}"));
            assert_eq!(properties.rate_limit.map(NonZeroU64::get), rate, "{value}");
            assert!(said.is_empty(), "{said:?}");
        }
        assert_eq!(read(&format!("{RATE_LIMIT}=fast")).1.len(), 1);
    }

    #[test]
    fn what_has_no_effect_is_said_and_what_is_no_value_is_refused() {
        for (text, expected) in [
            ("enable_auto_create_schema=false\ncoordinator_x=1", &[][..]),
            (
                "\npipe_subtask_executor_max_thread_num=5",
                &[
                    "c:2: warning: pipe_subtask_executor_max_thread_num: has no effect: all pipes run on one thread, which waits for none of them",
                ],
            ),
            (
                "pipe_a=1\npipe_b=2\npipe_a=3\ndn_pipe_c=4",
                &["c:2: warning: pipe_b: has no effect here, nor have pipe_a, dn_pipe_c"],
            ),
            (
                "pipe_air_gap_receiver_enabled=yes",
                &[
                    "c:1: error: pipe_air_gap_receiver_enabled: expected true or false, found \"yes\"",
                ],
            ),
            (
                "pipe_air_gap_receiver_port=65536",
                &[
                    "c:1: error: pipe_air_gap_receiver_port: expected a port, 0 to 65535, found \"65536\"",
                ],
            ),
            (
                "pipe_sink_timeout_ms=0",
                &["c:1: error: pipe_sink_timeout_ms: expected more than 0 ms, found \"0\""],
            ),
            (
                "timestamp_precision=s",
                &["c:1: error: timestamp_precision: expected ms, us or ns, found \"s\""],
            ),
            (
                "pipe_lib_dir=D:\\\\pipe",
                &[
                    "c:1: warning: pipe_lib_dir: no directory of this machine, so it has no effect (set plugins.dir)",
                ],
            ),
        ] {
            assert_eq!(read(text).1, expected, "{text}");
        }
    }
}
