//! What a stock IoTDB 1.3.3 was recorded to answer to statements, one after the other, against a real node: codes,
//! messages, columns and rows. Where ours differs on purpose, `docs/statements.md` has a row; each of its rows is true.

#![expect(clippy::unwrap_used, reason = "a rig that cannot be set up fails its test")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use penstock_acceptance::{Answer, Site};

const RECORDED: &str = include_str!("../../golden/iotdb-1.3.3/statements.txt");
const PAGE: &str = include_str!("../../../docs/statements.md");

/// Where the recorded far side listened.
const FAR_SIDE: &str = "29781";
/// A pipe to a sink that this build lacks was there all the time, and is left out.
const OTHER: &str = "u1";
/// Far sides that were made for one statement each.
const OF_THEIR_OWN: [&str; 3] = ["29821", "29822", "29823"];

/// A statement and what came of it.
#[derive(Debug, Default)]
struct Recording {
    statement: String,
    code: u64,
    message: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

#[test]
fn a_stock_iotdb_was_recorded_with_the_same_answers_or_the_page_says_why_not() {
    let far = Site::outer();
    let node =
        Site::inner_with(&[("compat.create_checks_target", "true"), ("plugins.allow", "true")]);
    let port = far.gate.port().to_string();
    let mut differing = differences();
    let mut wrong = Vec::new();
    let mut played = 0;
    for recording in recordings().iter().filter(|one| is_played(one)) {
        played += 1;
        let answer = node.sql(&recording.statement.replace(FAR_SIDE, &port));
        let (ours, theirs) = (said(&answer, &port), recording.said());
        let statement = recording.statement.replace("\n  ", "");
        let told = differing.remove(&(statement.clone(), theirs.clone()));
        if ours != *told.as_ref().unwrap_or(&theirs) {
            wrong.push(format!("| `{statement}` | `{theirs}` | `{ours}` |"));
        }
        if answer.has_table() {
            let columns = answer.columns();
            assert_eq!(columns.get(..recording.columns.len()).unwrap(), recording.columns);
        }
        // What only ours creates is not in the way of what was recorded next.
        if answer.code() == 200 && recording.code != 200 {
            node.done("drop pipe if exists p");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(played > 100, "{played}");
    assert!(differing.is_empty(), "not recorded: {differing:?}");
}

fn is_played(recording: &Recording) -> bool {
    let text = recording.statement.to_lowercase();
    let is_of_pipes = text.contains("pipe") && !text.contains("airgapx");
    is_of_pipes && !OF_THEIR_OWN.iter().any(|port| text.contains(port))
}

/// The second part: the first was taken from a release without a sink for gates.
fn recordings() -> Vec<Recording> {
    let (_, rest) = RECORDED.split_once("==== Part 2").unwrap();
    let (part, _) = rest.split_once("==== Part 3").unwrap();
    let mut recordings: Vec<Recording> = Vec::new();
    for line in part.lines() {
        if let Some(statement) = line.strip_prefix("> ") {
            recordings.push(Recording { statement: statement.to_owned(), ..Recording::default() });
        } else if let Some(recording) = recordings.last_mut() {
            recording.take(line);
        }
    }
    recordings
}

impl Recording {
    fn take(&mut self, line: &str) {
        let cells = |text: &str| text.split('|').map(|cell| cell.trim().to_owned()).collect();
        let text = line.trim_start();
        if text.starts_with("OK (200)") {
            self.code = 200;
        } else if let Some(error) = text.strip_prefix("ERROR ") {
            let (code, message) = error.split_once(": ").unwrap();
            self.code = code.parse().unwrap();
            // The coordinator's own number.
            let inner = message.starts_with("ProcedureId").then(|| message.split_once(" because "));
            inner.flatten().map_or(message, |(_, inner)| inner).clone_into(&mut self.message);
        } else if let Some(columns) = text.strip_prefix("columns: ") {
            self.code = 200;
            self.columns = cells(columns);
        } else if let Some(row) = text.strip_prefix("row: ") {
            self.rows.push(cells(row));
        } else if self.code == 0 && !text.is_empty() && !text.starts_with('(') {
            self.statement.push('\n');
            self.statement.push_str(line);
        }
    }

    fn said(&self) -> String {
        let rows = self.rows.iter().map(|row| row.iter().map(String::as_str).collect());
        form(self.code, &self.message, &self.columns, rows)
    }
}

fn said(answer: &Answer, port: &str) -> String {
    let message = bare(answer.message()).replace(port, FAR_SIDE);
    if answer.code() != 200 || !answer.has_table() {
        return form(answer.code(), &message, &[], [].into_iter());
    }
    let columns: Vec<String> = answer.columns().into_iter().map(str::to_owned).collect();
    let rows = answer.rows();
    let text = form(200, "", &columns, rows.into_iter());
    text.replace(port, FAR_SIDE)
}

/// A message without the attribute that it is about, which stands before it, and without the hint behind it.
fn bare(message: &str) -> &str {
    let after = |part: &str| {
        let rest = message.strip_prefix(part)?;
        let (key, text) = rest.split_once(": ")?;
        (key.is_empty() || key.starts_with(" \"")).then_some(text)
    };
    let Some(text) = ["source", "processor", "sink"].into_iter().find_map(after) else {
        // What was found at each target stands behind stock's sentence.
        let of_targets = [" not available.", " SSL transmission"];
        let is_of_targets = |text: &str| of_targets.iter().any(|end| text.ends_with(end));
        let found = message.rsplit_once(" (").filter(|(text, _)| is_of_targets(text));
        return found.map_or(message, |(text, _)| text);
    };
    let hint = text.rsplit_once(" (").filter(|_| text.ends_with(')'));
    hint.map_or(text, |(text, _)| text)
}

/// What is compared, in one line: of syntax errors the place; of tables the cells of stock's columns
/// that no clock decides.
fn form<'a>(
    code: u64,
    message: &str,
    columns: &[String],
    rows: impl Iterator<Item = Vec<&'a str>>,
) -> String {
    let told = |index: &usize| {
        columns.get(*index).is_some_and(|title| !CHANGING.contains(&title.as_str()))
    };
    let rows: Vec<String> = rows
        .filter(|row| row.first() != Some(&OTHER))
        .map(|row| {
            let cells = (0..row.len().min(STOCK_COLUMNS)).filter(told);
            cells.filter_map(|index| row.get(index).copied()).collect::<Vec<_>>().join(", ")
        })
        .collect();
    let place = message.split_once(" line ").filter(|_| code == 700);
    let message = place.map_or(message, |(_, rest)| rest.split(' ').next().unwrap_or_default());
    format!("{code} {message}{}", rows.join("; ")).trim().to_owned()
}

/// By statement and what stock said to it, what ours says, as the page has it.
fn differences() -> BTreeMap<(String, String), String> {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let mut cells = row.split(" | ").map(|cell| cell.trim_matches('`').to_owned());
        let mut cell = || cells.next().unwrap();
        ((cell(), cell()), cell())
    })
    .collect()
}

/// Columns that stock has in all of its tables of pipes.
const STOCK_COLUMNS: usize = 9;
/// Columns whose cells depend on the time, or on what was in flight; and the class, which is the place in this program.
const CHANGING: [&str; 5] = [
    "CreationTime",
    "ExceptionMessage",
    "RemainingEventCount",
    "EstimatedRemainingSeconds",
    "ClassName",
];

#[test]
fn statements_larger_than_any_are_refused_in_bounded_time_and_memory() {
    let node = Site::inner();
    let peak = || node.node.peak_memory().unwrap();
    node.done("show pipes");
    let spent = || node.node.processor_time().unwrap();
    let (before, started) = (peak(), spent());
    let attributes: Vec<_> = (0..10_000).map(|number| format!("'a{number}'='b'")).collect();
    let texts = [
        " ".repeat(1 << 20),
        "(".repeat(1 << 20),
        "create pipe p (".repeat(70_000),
        "/*".repeat(1 << 19),
        format!("create pipe p with sink ({})", attributes.join(",")),
        format!("create pipe p with sink ({})", "'a'='b' ".repeat(130_000)),
    ];
    let file = node.data_dir().join("statements.sql");
    for text in texts {
        let (code, answer) = post(&node, &text);
        assert_eq!(code, 413, "{answer}");
        // As much of it as a text may have.
        let (code, answer) = post(&node, text.get(..65_000).unwrap());
        assert!(code == 200 && answer.contains("\"code\": 700"), "{code} {answer}");
        assert!(answer.len() < 4096, "{}", answer.len());
        fs::write(&file, &text).unwrap();
        let (is_done, _, said) = node.sql_command(&["-f", file.to_str().unwrap()]);
        assert!(!is_done && said.len() < 4096, "{}", said.len());
    }
    let took = spent().saturating_sub(started);
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(peak() - before <= 1 << 20, "{before} {}", peak());
}

/// Sends a statement past the command line, which has limits of its own: status and body of the answer.
fn post(node: &Site, text: &str) -> (u16, String) {
    let mut socket = UnixStream::connect(node.data_dir().join("control.sock")).unwrap();
    let head = format!(
        "POST /sql HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        text.len()
    );
    // A node that has seen enough closes.
    let _sent = socket.write_all(head.as_bytes()).and_then(|()| socket.write_all(text.as_bytes()));
    let mut answer = Vec::new();
    let _closed = socket.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    (code.unwrap_or_default(), answer)
}
