//! `sql`: pipe statements to a running node.
//!
//! ```text
//!  argument, -f FILE, standard input, prompt --> parse: one mistake, and nothing is sent
//!                                                  |
//!                             one request a statement, up to the first that fails
//!                                                  |
//!                                            table, JSON, CSV
//! ```

mod print;
mod prompt;

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{CliError, Ending, Options, status};
use crate::config::Role;
use crate::limits::STATEMENT_BYTES_MAX;
use crate::ops::clock;
use crate::pipe::Answer;
use crate::statement::{Parsed, Revealed, StatementError, parse};

#[derive(Debug, Args)]
pub(super) struct SqlArguments {
    /// Statements, with semicolons between them; without: standard input, on a terminal a prompt
    #[arg(conflicts_with = "file")]
    statements: Option<String>,
    /// Reads the statements from a file
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// How answers are printed
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// How answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// As IoTDB's command line prints them
    Table,
    /// One list with an answer for each statement
    Json,
    /// Titles and rows
    Csv,
}

/// Where statements go.
struct Session<'a> {
    socket: &'a Path,
    format: Format,
}

/// `sql`.
pub(super) fn sql(
    role: Role,
    options: &Options,
    arguments: &SqlArguments,
    out: &mut impl Write,
) -> Result<Ending, CliError> {
    let socket = status::socket(role, options)?;
    let session = Session { socket: &socket, format: arguments.format };
    let text = match (&arguments.statements, &arguments.file) {
        (Some(text), _) => text.clone(),
        (None, Some(path)) => {
            let read = File::open(path).and_then(read_bounded);
            read.map_err(|cause| CliError::NoFile { path: path.clone(), cause })?
        }
        (None, None) if io::stdin().is_terminal() => {
            prompt::run(&session, out)?;
            return Ok(Ending::Done);
        }
        (None, None) => read_bounded(io::stdin().lock())?,
    };
    session.run(&text, out)
}

impl Session<'_> {
    /// Carries out a text of statements, up to the first that fails, and prints the answers.
    fn run(&self, text: &str, out: &mut impl Write) -> Result<Ending, CliError> {
        let begin = clock::now();
        let answers = match parse(text) {
            Ok(parsed) => self.send(&parsed)?,
            Err(error) => vec![not_parsed(error)],
        };
        print::warnings(&answers, &mut io::stderr().lock())?;
        print::answers(&answers, self.format, clock::now() - begin, out)?;
        match answers.last().filter(|last| !last.is_success()) {
            Some(last) => Err(CliError::Statement(print::failure(last))),
            None => Ok(Ending::Done),
        }
    }

    fn send(&self, parsed: &[Parsed]) -> Result<Vec<Answer>, CliError> {
        let mut answers = Vec::new();
        for Parsed { statement, warnings } in parsed {
            let mut answer = self.ask(&Revealed(statement).to_string())?;
            answer.warnings.splice(0..0, warnings.iter().map(ToString::to_string));
            let is_last = !answer.is_success();
            answers.push(answer);
            if is_last {
                break;
            }
        }
        Ok(answers)
    }

    /// The answer to one statement.
    fn ask(&self, statement: &str) -> Result<Answer, CliError> {
        let text = status::ask(self.socket, "/sql", Some(statement.to_owned()))?;
        let mut answers: Vec<Answer> =
            serde_json::from_str(&text).map_err(|_| CliError::Unexpected)?;
        answers.pop().ok_or(CliError::Unexpected)
    }
}

fn not_parsed(error: StatementError) -> Answer {
    let (code, message) = (error.code().number(), error.message());
    Answer { excerpt: error.excerpt, ..Answer::refused(code, message) }
}

/// Reads a text that is at most a byte longer than what a node takes, so that its length is complained of.
fn read_bounded(from: impl Read) -> io::Result<String> {
    let limit = u64::try_from(STATEMENT_BYTES_MAX).unwrap_or(u64::MAX);
    let mut text = String::new();
    from.take(limit + 1).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_end_is_read_no_further_than_it_has_to_be() {
        let text = read_bounded(io::repeat(b'x')).unwrap();
        assert_eq!(text.len(), STATEMENT_BYTES_MAX + 1);
        let answer = not_parsed(parse(&text).unwrap_err());
        assert_eq!(answer.code, 700);
        assert!(answer.message.contains("longer than 65536 bytes"), "{answer:?}");
    }
}
