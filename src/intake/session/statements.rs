//! Statements of clients: those of pipes go to the pipes, and what clients ask by themselves is answered here.

use tokio::sync::{mpsc, oneshot};

use crate::ops::status::Command;
use crate::pipe::Answer;
use crate::statement::{Parsed, Statement, parse};
use crate::wire::thrift::TSStatus;
use crate::wire::thrift::result::{Column, ColumnKind, ResultSet};
use crate::wire::thrift::status::Code;

/// What a statement asks for, as far as it is decided here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked<'a> {
    /// Something that only the pipes can say.
    OfPipes(&'a str),
    /// Rows that are known.
    Known(ResultSet),
    /// Schema, of which nothing is kept: types come with the data.
    Schema,
    /// What this program does not do.
    Not(Code, &'static str),
}

/// What came of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// There are no rows.
    Done(TSStatus),
    /// There are some, or might be.
    Shown(ResultSet),
}

impl<'a> Asked<'a> {
    /// Clients send texts with and without a semicolon at the end.
    pub(super) fn of(text: &'a str) -> Self {
        let text = text.trim().trim_end_matches(';').trim_end();
        let mut words = text.split_whitespace().map(str::to_ascii_uppercase);
        let words = [words.next(), words.next(), words.next(), words.next()];
        let words = words.each_ref().map(|word| word.as_deref().unwrap_or_default());
        match words {
            // Of the clients of Java: without rows they stay with the address that they were given.
            ["SHOW", "DATANODES", "", _] => Self::Known(nodes(&[
                ("NodeID", ColumnKind::Int32),
                ("Status", ColumnKind::Text),
                ("RpcAddress", ColumnKind::Text),
                ("RpcPort", ColumnKind::Int32),
                ("DataRegionNum", ColumnKind::Int32),
                ("SchemaRegionNum", ColumnKind::Int32),
            ])),
            ["SHOW", "AVAILABLE", "URLS", ""] => Self::Known(nodes(&[
                ("RpcAddress", ColumnKind::Text),
                ("RpcPort", ColumnKind::Int32),
            ])),
            ["SHOW", "VERSION", "", _] => {
                let version = concat!("Penstock ", env!("CARGO_PKG_VERSION")).to_owned();
                let row = vec![Some(version), Some(String::new())];
                Self::Known(ResultSet::of_texts(&["Version", "BuildInfo"], vec![row]))
            }
            ["CREATE" | "DROP", "PIPEPLUGIN", ..] => Self::ON_THE_MACHINE,
            [verb, kind, ..] if is_of_pipes(verb, kind) || parse(text).is_ok() => {
                Self::of_pipes(text)
            }
            ["CREATE", "DATABASE" | "TIMESERIES" | "ALIGNED", ..]
            | ["CREATE" | "SET", "STORAGE", "GROUP", _] => Self::Schema,
            ["SELECT" | "COUNT" | "SHOW" | "LIST" | "EXPLAIN", ..] => {
                Self::Not(Code::UNSUPPORTED_OPERATION, KEEPS_NOTHING)
            }
            _ => Self::Not(
                Code::UNSUPPORTED_OPERATION,
                "this statement is not for Penstock, which carries data: statements of pipes are",
            ),
        }
    }

    /// A text of several statements may begin with any of them.
    fn of_pipes(text: &'a str) -> Self {
        let Ok(parsed) = parse(text) else { return Self::OfPipes(text) };
        let is_of_plugins = |parsed: &Parsed| {
            matches!(
                parsed.statement,
                Statement::CreatePlugin { .. } | Statement::DropPlugin { .. }
            )
        };
        if parsed.iter().any(is_of_plugins) {
            return Self::ON_THE_MACHINE;
        }
        if parsed.len() > 1 {
            return Self::Not(Code::SEMANTIC_ERROR, "one statement at a time");
        }
        Self::OfPipes(text)
    }

    const ON_THE_MACHINE: Self = Self::Not(
        Code::NO_PERMISSION,
        "plug-ins are created and dropped on the machine itself: with the command sql",
    );

    /// Does it.
    pub(super) async fn carry_out(self, commands: &mpsc::Sender<Command>) -> Outcome {
        let text = match self {
            Self::Known(rows) => return Outcome::Shown(rows),
            Self::Schema => return Outcome::Done(Code::SUCCESS.status(NO_SCHEMA)),
            Self::Not(code, why) => return Outcome::Done(code.status(why)),
            Self::OfPipes(text) => text,
        };
        let (reply, answers) = oneshot::channel();
        let stopping = || Outcome::Done(Code::INTERNAL_SERVER_ERROR.status("the node stops"));
        if commands.send(Command::Sql(text.to_owned(), reply)).await.is_err() {
            return stopping();
        }
        match answers.await {
            Ok(mut answers) => answers.pop().map_or_else(stopping, outcome),
            Err(_) => stopping(),
        }
    }
}

/// What whoever creates schema is told.
pub(super) const NO_SCHEMA: &str =
    "Success: Penstock keeps no schema, databases and types come with the data";

const KEEPS_NOTHING: &str =
    "Penstock keeps no database: what is written here goes on by its pipes, or lands as TsFiles";

/// Whether the verb is one of pipes: `SHOW PIPES`, `CREATE PIPE`, `SHOW CREATE PIPE`, `SKIP PIPE` and so on.
fn is_of_pipes(verb: &str, kind: &str) -> bool {
    let is_verb = ["CREATE", "ALTER", "START", "STOP", "DROP", "SHOW", "SKIP", "REPLAY"];
    let is_kind = ["PIPE", "PIPES", "PIPEPLUGINS"].contains(&kind);
    is_verb.contains(&verb) && (is_kind || (verb == "SHOW" && kind == "CREATE"))
}

/// A table of nodes without any.
fn nodes(columns: &[(&str, ColumnKind)]) -> ResultSet {
    let column =
        |(name, kind): &(&str, ColumnKind)| Column { name: (*name).to_owned(), kind: *kind };
    ResultSet { columns: columns.iter().map(column).collect(), rows: Vec::new() }
}

/// Warnings are told to whoever can read them: a message of success may say something.
fn outcome(answer: Answer) -> Outcome {
    let Answer { code, message, excerpt, warnings, table } = answer;
    if let Some(table) = table {
        let titles: Vec<&str> = table.columns.iter().map(String::as_str).collect();
        let rows = table.rows.into_iter().map(|row| row.into_iter().map(Some).collect());
        return Outcome::Shown(ResultSet::of_texts(&titles, rows.collect()));
    }
    let parts = std::iter::once(message).chain([excerpt]).chain(warnings);
    let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
    let said = if parts.is_empty() { "Success".to_owned() } else { parts.join("\n") };
    Outcome::Done(Code(i32::from(code)).status(said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_of_pipes_go_to_the_pipes() {
        for text in [
            "SHOW PIPES",
            "show pipe a2b",
            "create pipe a with sink ('sink'='do-nothing-sink')",
            "Show Create Pipe a",
            "SHOW PIPEPLUGINS",
            "alter pipe a modify sink ('a'='b')",
        ] {
            assert_eq!(Asked::of(&format!("  {text} ;\n")), Asked::OfPipes(text));
        }
    }

    #[test]
    fn what_clients_ask_by_themselves_has_columns_and_no_rows() {
        let Asked::Known(rows) = Asked::of("SHOW AVAILABLE URLS") else { panic!() };
        assert_eq!((rows.columns.len(), rows.rows.len()), (2, 0));
        let Asked::Known(rows) = Asked::of("show datanodes;") else { panic!() };
        assert_eq!((rows.columns.len(), rows.rows.len()), (6, 0));
    }

    #[test]
    fn what_is_not_done_is_said() {
        let Asked::Not(code, why) = Asked::of("select * from root.**") else { panic!() };
        assert_eq!(code, Code::UNSUPPORTED_OPERATION);
        assert!(why.contains("keeps no database"), "{why}");
        let create = "create pipeplugin x as 'y' using uri 'file:z'";
        assert!(matches!(Asked::of(create), Asked::Not(Code::NO_PERMISSION, _)));
        for text in [
            "start pipe p; create pipeplugin x as 'y' using uri 'file:z'",
            "show pipes ; drop pipeplugin x",
            "/**/ show pipes; drop pipeplugin x",
        ] {
            let asked = Asked::of(text);
            assert!(!matches!(asked, Asked::OfPipes(_)), "{asked:?}");
        }
        assert!(matches!(
            Asked::of("show pipes; start pipe p"),
            Asked::Not(Code::SEMANTIC_ERROR, _)
        ));
        for text in [
            "create timeseries root.a.b INT32",
            "CREATE ALIGNED TIMESERIES root.a(b INT32)",
            "create database root.a;",
            "set storage group to root.a",
        ] {
            assert_eq!(Asked::of(text), Asked::Schema, "{text}");
        }
        assert!(matches!(Asked::of(""), Asked::Not(..)));
    }

    #[test]
    fn warnings_and_places_are_in_the_message() {
        let answer = Answer { warnings: vec!["a ) is missing".to_owned()], ..Answer::success() };
        let Outcome::Done(status) = outcome(answer) else { panic!() };
        assert_eq!((status.code, status.message.as_deref()), (200, Some("a ) is missing")));
    }
}
