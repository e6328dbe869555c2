//! The prompt: history, and completion of keywords and names of pipes.
//!
//! A statement may take several lines: it ends with a semicolon, or where it is whole. The history is that of the
//! session and lies in no file, since statements have secrets in them.

use std::io::Write;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Config, Context, Editor, Helper};

use super::Session;
use crate::cli::CliError;
use crate::statement::{KEYWORDS, PipeName, is_name_letter, parse};

/// Reads and carries out statements until `quit`, or the end of the input.
pub(super) fn run(session: &Session<'_>, out: &mut impl Write) -> Result<(), CliError> {
    let mut words = Words { pipes: pipes(session)? };
    let mut editor =
        Editor::<Words, MemHistory>::with_history(Config::default(), MemHistory::new())
            .map_err(not_edited)?;
    writeln!(out, "Pipe statements; \"help\" says which, \"quit\" ends.")?;
    out.flush()?;
    loop {
        editor.set_helper(Some(words));
        let line = match editor.readline(PROMPT) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => String::new(),
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(not_edited(error)),
        };
        match line.trim().trim_end_matches(';').to_ascii_lowercase().as_str() {
            "" => {}
            "quit" | "exit" => return Ok(()),
            "help" | "?" => out.write_all(HELP.as_bytes())?,
            _ => carry_out(session, &line, out)?,
        }
        out.flush()?;
        // It is in memory only.
        let _is_new = editor.add_history_entry(line.as_str()).unwrap_or_default();
        words = Words { pipes: pipes(session)? };
    }
}

/// A statement that fails ends nothing; a node that is gone does.
fn carry_out(session: &Session<'_>, line: &str, out: &mut impl Write) -> Result<(), CliError> {
    match session.run(line, out) {
        Err(CliError::Statement(said)) => Ok(writeln!(out, "Msg: {said}")?),
        ended => ended.map(|_| ()),
    }
}

/// Names of the pipes that there are, as they stand in statements.
fn pipes(session: &Session<'_>) -> Result<Vec<String>, CliError> {
    let rows = session.ask("SHOW PIPES")?.table.unwrap_or_default().rows;
    let names = rows.into_iter().filter_map(|row| row.into_iter().next());
    Ok(names.map(|name| PipeName::new(name).to_string()).collect())
}

fn not_edited(error: ReadlineError) -> CliError {
    CliError::Output(std::io::Error::other(error))
}

/// What can be completed.
struct Words {
    pipes: Vec<String>,
}

impl Words {
    /// Where the word before `position` begins, and what it may become.
    fn candidates(&self, line: &str, position: usize) -> (usize, Vec<String>) {
        let before = line.get(..position).unwrap_or(line);
        let word_bytes: usize = before
            .chars()
            .rev()
            .take_while(|letter| is_name_letter(*letter) || *letter == '`')
            .map(char::len_utf8)
            .sum();
        let start = before.len() - word_bytes;
        let word = before.get(start..).unwrap_or_default();
        let fits = |candidate: &str| {
            let begin = candidate.get(..word.len());
            begin.is_some_and(|begin| begin.eq_ignore_ascii_case(word))
        };
        let keywords = KEYWORDS.iter().copied().filter(|word| fits(word)).map(str::to_owned);
        let pipes = self.pipes.iter().filter(|name| name.starts_with(word)).cloned();
        (start, pipes.chain(keywords).collect())
    }
}

impl Completer for Words {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.candidates(line, position))
    }
}

impl Validator for Words {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let is_whole = is_whole(context.input());
        Ok(if is_whole { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

/// Whether nothing has to follow: a line that ends, is a word of the prompt, is empty, or can be carried out. What is
/// wrong before its end is whole, too: more would not help.
fn is_whole(input: &str) -> bool {
    let text = input.trim_end();
    let is_word = !text.trim_start().contains(char::is_whitespace);
    if is_word || text.ends_with(';') || input.ends_with("\n\n") {
        return true;
    }
    parse(text).err().is_none_or(|error| !error.is_unfinished(text))
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {}

impl Helper for Words {}

const PROMPT: &str = "penstock> ";
const HELP: &str = "\
CREATE PIPE name [WITH SOURCE ('k'='v', ..)] [WITH PROCESSOR (..)] WITH SINK (..)
ALTER PIPE name [MODIFY|REPLACE SOURCE|PROCESSOR|SINK (..)]
START PIPE name    STOP PIPE name    DROP PIPE name
SHOW PIPES    SHOW PIPE name    SHOW CREATE PIPE name    SHOW PIPES WHERE SINK USED BY name
SHOW PIPEPLUGINS
A statement ends with a semicolon, or where it is whole. quit ends the session.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_and_names_of_pipes_are_completed() {
        let words = Words { pipes: vec!["A2B".to_owned(), "`p-1`".to_owned()] };
        let completed = |line: &str| words.candidates(line, line.len());
        assert_eq!(completed("sh"), (0, vec!["SHOW".to_owned()]));
        assert_eq!(completed("show cr"), (5, vec!["CREATE".to_owned()]));
        assert_eq!(completed("stop pipe A2").1, ["A2B"]);
        assert_eq!(completed("stop pipe a2").1, [""; 0], "upper and lower case of names differ");
        assert_eq!(completed("stop pipe `p"), (10, vec!["`p-1`".to_owned()]));
        assert_eq!(completed("stop pipe zz").1, [""; 0]);
        // Within a line, and beside letters of several bytes.
        assert_eq!(
            words.candidates("st pipe A2B", 2),
            (0, vec!["START".to_owned(), "STOP".to_owned()])
        );
        assert_eq!(completed("\u{7ba1} sto"), (4, vec!["STOP".to_owned()]));
        assert_eq!(words.candidates("\u{7ba1}", 1).1, [""; 0], "not a place between letters");
    }

    #[test]
    fn a_statement_goes_on_until_it_is_whole() {
        for whole in [
            "",
            "quit",
            "show pipes",
            "show pipes;",
            "create pipe p\nwith sink ('sink'='x')",
            "create pipe p;",
            "show pipez now",
            "create pipe p\n\n",
        ] {
            assert!(is_whole(whole), "{whole:?}");
        }
        for part in
            ["create pipe p", "create pipe p\nwith sink (", "create pipe p with sink ('k'='v"]
        {
            assert!(!is_whole(part), "{part:?}");
        }
    }
}
