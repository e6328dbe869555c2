//! Answers as people and scripts read them.

use std::io::{self, Write};
use std::iter;
use std::time::Duration;

use super::Format;
use crate::ops::human::Line;
use crate::pipe::{Answer, Table};
use crate::statement::columns;

/// Prints answers; what failed only as JSON, since the caller says it otherwise.
pub(super) fn answers(
    answers: &[Answer],
    format: Format,
    cost: Duration,
    out: &mut impl Write,
) -> io::Result<()> {
    if format == Format::Json {
        let text = serde_json::to_string_pretty(answers).map_err(io::Error::other)?;
        return writeln!(out, "{text}");
    }
    for answer in answers.iter().filter(|answer| answer.is_success()) {
        match (&answer.table, format) {
            (Some(rows), Format::Csv) => csv(rows, out)?,
            (Some(rows), _) => table(rows, out)?,
            (None, Format::Table) => writeln!(out, "Msg: The statement is executed successfully.")?,
            (None, _) => {}
        }
    }
    if format == Format::Table && answers.last().is_some_and(Answer::is_success) {
        writeln!(out, "It costs {:.3}s", cost.as_secs_f64())?;
    }
    Ok(())
}

/// What there is to say besides.
pub(super) fn warnings(answers: &[Answer], out: &mut impl Write) -> io::Result<()> {
    answers
        .iter()
        .flat_map(|answer| &answer.warnings)
        .try_for_each(|warning| writeln!(out, "warning: {}", Line(warning)))
}

/// What went wrong: `1107: MESSAGE`, for a mistake in the text with its line and a caret.
pub(super) fn failure(answer: &Answer) -> String {
    let Answer { code, message, excerpt, .. } = answer;
    let line = if excerpt.is_empty() { "" } else { "\n" };
    format!("{code}: {message}{line}{excerpt}")
}

/// As IoTDB's command line prints a table: each cell at the right.
fn table(table: &Table, out: &mut impl Write) -> io::Result<()> {
    let lines: Vec<Vec<String>> = iter::once(&table.columns)
        .chain(&table.rows)
        .map(|cells| cells.iter().map(|cell| flat(cell)).collect())
        .collect();
    let widths: Vec<usize> = (0..table.columns.len())
        .map(|column| {
            lines.iter().filter_map(|cells| cells.get(column)).map(|cell| columns(cell)).max()
        })
        .map(Option::unwrap_or_default)
        .collect();
    let segment = |width: &usize| iter::once("+").chain(iter::repeat_n("-", *width));
    let rule: String = widths.iter().flat_map(segment).collect();
    writeln!(out, "{rule}+")?;
    for (index, cells) in lines.iter().enumerate() {
        for (cell, width) in cells.iter().zip(&widths) {
            write!(out, "|{}{cell}", " ".repeat(width.saturating_sub(columns(cell))))?;
        }
        writeln!(out, "|")?;
        if index == 0 {
            writeln!(out, "{rule}+")?;
        }
    }
    match table.rows.len() {
        0 => writeln!(out, "Empty set."),
        count => writeln!(out, "{rule}+\nTotal line number = {count}"),
    }
}

/// One line, without anything that a terminal would obey.
fn flat(cell: &str) -> String {
    let blank = |letter: char| if letter.is_control() { ' ' } else { letter };
    let cell: String = cell.chars().map(blank).collect();
    Line(&cell).to_string()
}

/// RFC 4180, but with line feeds alone.
fn csv(table: &Table, out: &mut impl Write) -> io::Result<()> {
    for cells in iter::once(&table.columns).chain(&table.rows) {
        let cells: Vec<_> = cells.iter().map(|cell| quoted(cell)).collect();
        writeln!(out, "{}", cells.join(","))?;
    }
    Ok(())
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(rows: &[&[&str]]) -> Answer {
        let cells = |row: &&[&str]| row.iter().map(|cell| (*cell).to_owned()).collect();
        let columns = vec!["ID".to_owned(), "State".to_owned()];
        Answer::shown(Table { columns, rows: rows.iter().map(cells).collect() })
    }

    fn printed(answer: Answer, format: Format) -> String {
        let mut out = Vec::new();
        answers(&[answer], format, Duration::from_millis(1234), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn tables_look_as_those_of_iotdb() {
        let rows: &[&[&str]] = &[&["A2B", "RUNNING"], &["\u{7ba1}\u{9053}x\n", "STOPPED"]];
        let expected = "\
+------+-------+
|    ID|  State|
+------+-------+
|   A2B|RUNNING|
|\u{7ba1}\u{9053}x |STOPPED|
+------+-------+
Total line number = 2
It costs 1.234s
";
        assert_eq!(printed(shown(rows), Format::Table), expected);
        let expected = "+--+-----+\n|ID|State|\n+--+-----+\nEmpty set.\nIt costs 1.234s\n";
        assert_eq!(printed(shown(&[]), Format::Table), expected);
        let done = "Msg: The statement is executed successfully.\nIt costs 1.234s\n";
        assert_eq!(printed(Answer::success(), Format::Table), done);
    }

    #[test]
    fn scripts_read_csv_and_json() {
        let rows: &[&[&str]] = &[&["a", "{k=v, \"x\"}"]];
        assert_eq!(printed(shown(rows), Format::Csv), "ID,State\na,\"{k=v, \"\"x\"\"}\"\n");
        assert_eq!(printed(Answer::success(), Format::Csv), "");
        let text = printed(Answer::refused(1107, "no"), Format::Json);
        let read: Vec<Answer> = serde_json::from_str(&text).unwrap();
        assert_eq!(read, [Answer::refused(1107, "no")]);
    }

    #[test]
    fn a_failure_has_code_message_and_place() {
        assert_eq!(failure(&Answer::refused(1806, "gone")), "1806: gone");
        let parsed = crate::statement::parse("show pipez").unwrap_err();
        let answer = super::super::not_parsed(parsed);
        let said = failure(&answer);
        assert!(said.starts_with("700: ") && said.ends_with("show pipez\n     ^"), "{said}");
    }
}
