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
//! counts. Blanks around values do not, as with IoTDB. A file that is no UTF-8 is ISO 8859-1 ([`decode`]), as it is to Java.
//!
//! The file was written for another program, so no single value in it keeps a node from its start: one that cannot be is left
//! out with a warning, which says what is taken instead.

use std::collections::HashMap;
use std::iter::Peekable;
use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::Chars;
use std::time::Duration;

use super::document::Document;
use super::finding::{Finding, Place, Severity};
use super::sections::FRAME_BYTES;
use crate::data::Precision;
use crate::limits::{FRAME_BYTES_MAX_DEFAULT, SEAL_TIMEOUT_DEFAULT};

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
            gate_enabled: find("pipe_air_gap_receiver_enabled")
                .and_then(|entry| reading.flag(entry)),
            gate_port: find("pipe_air_gap_receiver_port").and_then(|entry| reading.port(entry)),
            max_frame_bytes: find("pipe_air_gap_receiver_max_payload_size_in_bytes")
                .and_then(|entry| reading.frame_bytes(entry)),
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

    /// A value that cannot be; `instead` is taken.
    fn leave_out(&mut self, entry: &Entry, expected: &str, instead: &str) {
        let mut found: String = entry.value.chars().take(SHOWN_LETTERS).collect();
        if found.len() < entry.value.len() {
            found.push_str("..");
        }
        let message = format!("expected {expected}, found {found:?}");
        self.note(Severity::Warning, entry, &message, &format!("taken instead: {instead}"));
    }

    fn flag(&mut self, entry: &Entry) -> Option<bool> {
        match entry.value.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                let instead = "gate.enabled; by default false in a sender, true in a receiver";
                self.leave_out(entry, "true or false", instead);
                None
            }
        }
    }

    fn number(
        &mut self,
        entry: &Entry,
        range: RangeInclusive<u64>,
        (what, instead): (&str, &str),
    ) -> Option<u64> {
        let number = entry.value.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let expected = format!("{what} from {} to {}", range.start(), range.end());
            self.leave_out(entry, &expected, instead);
        }
        number
    }

    fn port(&mut self, entry: &Entry) -> Option<u16> {
        let words = ("a port", "that of gate.listen, by default 9780");
        let port = self.number(entry, 0..=u16::MAX.into(), words)?;
        u16::try_from(port).ok()
    }

    fn frame_bytes(&mut self, entry: &Entry) -> Option<u64> {
        let instead = format!("gate.max_frame_bytes, by default {FRAME_BYTES_MAX_DEFAULT}");
        self.number(entry, FRAME_BYTES, ("bytes", &instead))
    }

    /// The bounds are those of a sink's own attribute.
    fn millis(&mut self, entry: &Entry) -> Option<Duration> {
        let millis = SEAL_TIMEOUT_DEFAULT.as_millis();
        let instead = format!("{millis} ms, unless a pipe has its own air-gap.seal-timeout-ms");
        let millis = self.number(entry, 1..=DAY_MILLIS, ("milliseconds", &instead))?;
        Some(Duration::from_millis(millis))
    }

    /// Bytes a second: a double in stock's table; zero and below mean no limit.
    fn rate(&mut self, entry: &Entry) -> Option<NonZeroU64> {
        let Ok(rate) = entry.value.parse::<f64>() else {
            self.leave_out(entry, "a number of bytes per second, or -1", "no limit");
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
                let instead = "timestamp_precision, by default that of the first peer";
                self.leave_out(entry, "ms, us or ns", instead);
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
        let about_pipes = || (0..).zip(entries).filter(|(_, entry)| is_about_pipes(&entry.key));
        let last: HashMap<&str, usize> =
            about_pipes().map(|(index, entry)| (entry.key.as_str(), index)).collect();
        let (mut others, mut unnamed) = (Vec::new(), 0_usize);
        let mut first = None;
        for (index, entry) in about_pipes() {
            let is_last = last.get(entry.key.as_str()) == Some(&index);
            if !is_last || HONOURED.contains(&entry.key.as_str()) {
                continue;
            }
            let known = USELESS.iter().find(|(keys, ..)| keys.contains(&entry.key.as_str()));
            if let Some((_, message, hint)) = known {
                self.note(Severity::Warning, entry, message, hint);
            } else if first.is_none() {
                first = Some(entry);
            } else if others.len() < NAMED_MAX - 1 {
                others.push(entry.key.as_str());
            } else {
                unnamed += 1;
            }
        }
        if let Some(first) = first {
            let mut message = "has no effect here".to_owned();
            if !others.is_empty() {
                message = format!("{message}, nor have {}", others.join(", "));
            }
            if unnamed > 0 {
                message = format!("{message} and {unnamed} more");
            }
            self.note(Severity::Warning, first, &message, "");
        }
    }
}

fn is_about_pipes(key: &str) -> bool {
    ["pipe_", "dn_pipe_", "cn_pipe_"].iter().any(|start| key.starts_with(start))
}

/// Keys without an effect that one remark names.
const NAMED_MAX: usize = 20;
/// Letters of a value that a remark shows.
const SHOWN_LETTERS: usize = 100;
const DAY_MILLIS: u64 = 86_400_000;

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
        "has no effect: iotdb-thrift-sink has four connections for tablets, any other pipe has one at a time",
        "",
    ),
];

/// The text of a file with these bytes: UTF-8, as IoTDB writes it, or else ISO 8859-1, as `java.util.Properties` is by its
/// definition. There every byte is a letter.
pub fn decode(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| error.as_bytes().iter().map(|byte| char::from(*byte)).collect())
}

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
    fn of_many_keys_without_effect_twenty_are_named() {
        let lines: Vec<String> = (0..70_000).map(|number| format!("pipe_{number}=1")).collect();
        let text = lines.join("\n");
        let (_, said) = read(&text);
        assert_eq!(said.len(), 1);
        assert!(said[0].starts_with("c:1: warning: pipe_0: has no effect here, nor have pipe_1, "));
        assert!(said[0].ends_with(", pipe_18, pipe_19 and 69980 more"), "{}", said[0]);
    }

    #[test]
    fn a_value_of_any_length_is_shown_in_short() {
        let (_, said) = read(&format!("timestamp_precision={}", "\u{e4}".repeat(5000)));
        assert!(said[0].len() < 500 && said[0].contains("\u{e4}..\""), "{}", said[0]);
    }

    #[test]
    fn a_file_that_is_no_utf_8_is_read_as_java_reads_it() {
        assert_eq!(decode(b"a=\xe4\xff".to_vec()), "a=\u{e4}\u{ff}");
        assert_eq!(decode("a=\u{e4}".into()), "a=\u{e4}");
    }

    #[test]
    fn what_has_no_effect_is_said_and_what_is_no_value_is_left_out() {
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
                    "c:1: warning: pipe_air_gap_receiver_enabled: expected true or false, found \"yes\" (taken instead: gate.enabled; by default false in a sender, true in a receiver)",
                ],
            ),
            (
                "pipe_air_gap_receiver_port=65536",
                &[
                    "c:1: warning: pipe_air_gap_receiver_port: expected a port from 0 to 65535, found \"65536\" (taken instead: that of gate.listen, by default 9780)",
                ],
            ),
            (
                "pipe_sink_timeout_ms=0",
                &[
                    "c:1: warning: pipe_sink_timeout_ms: expected milliseconds from 1 to 86400000, found \"0\" (taken instead: 900000 ms, unless a pipe has its own air-gap.seal-timeout-ms)",
                ],
            ),
            (
                "pipe_air_gap_receiver_max_payload_size_in_bytes=1",
                &[
                    "c:1: warning: pipe_air_gap_receiver_max_payload_size_in_bytes: expected bytes from 4096 to 2146435072, found \"1\" (taken instead: gate.max_frame_bytes, by default 67108864)",
                ],
            ),
            (
                "timestamp_precision=s",
                &[
                    "c:1: warning: timestamp_precision: expected ms, us or ns, found \"s\" (taken instead: timestamp_precision, by default that of the first peer)",
                ],
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
