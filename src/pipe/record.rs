//! One pipe as the bytes of its file.
//!
//! ```text
//!  penstock-pipe 1 5e1c0f3a       version; CRC32 of all that follows this line, in hexadecimal
//!  created 1763861164000          milliseconds since the epoch: created, or last altered
//!  born 1763861164000             the same: created; absent where an older version created it
//!  border 4711                    first entry that is not history
//!  desired running                running, stopped, orphaned, dropped
//!  why the program ..             absent unless an error has stopped it
//!  stanza 0123..ef                32 digits; absent where no stanza was applied
//!  CREATE PIPE a WITH SINK (..)   to the end of the file, with its secrets
//! ```

use thiserror::Error;

use super::sealed::{seal, unseal};
use super::{Desired, Pipe, StanzaHash};
use crate::data::Sequence;
use crate::statement::{CreatePipe, Parsed, Revealed, Statement, parse};

/// Why a file is not the record of a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RecordError {
    /// It does not begin as one, or a later version wrote it.
    #[error("it is no record of a pipe, or one of a later version")]
    Version,
    /// The bytes are not those that were written.
    #[error("its checksum is wrong")]
    Checksum,
    /// A line is missing, or makes no sense.
    #[error("its line {0:?} is missing, or makes no sense")]
    Line(&'static str),
}

/// The file of a pipe.
pub(super) fn encode(pipe: &Pipe) -> String {
    let statement = Statement::CreatePipe(CreatePipe {
        name: pipe.name.clone(),
        if_not_exists: false,
        definition: pipe.definition.clone(),
    });
    let stanza = pipe.stanza.map_or_else(String::new, |hash| format!("stanza {}\n", hex(hash)));
    let born = pipe.born_ms.map_or_else(String::new, |born| format!("born {born}\n"));
    let why = pipe.why.as_ref().map_or_else(String::new, |why| format!("why {why}\n"));
    let rest = format!(
        "created {}\n{born}border {}\ndesired {}\n{why}{stanza}{}",
        pipe.created_ms,
        pipe.border,
        pipe.desired.word(),
        Revealed(&statement),
    );
    seal(MAGIC, &rest)
}

/// The pipe of a file.
///
/// # Errors
/// If the bytes are not those that [`encode`] made.
pub(super) fn decode(bytes: &[u8]) -> Result<Pipe, RecordError> {
    let mut rest = unseal(MAGIC, bytes)?;
    let created_ms = number(&mut rest, "created")?;
    let born_ms = line(&mut rest, "born")
        .map(|digits| digits.parse().map_err(|_| RecordError::Line("born")))
        .transpose()?;
    let border = Sequence(number(&mut rest, "border")?);
    let desired = line(&mut rest, "desired")
        .and_then(Desired::from_word)
        .ok_or(RecordError::Line("desired"))?;
    let why = line(&mut rest, "why").map(str::to_owned);
    let stanza = line(&mut rest, "stanza")
        .map(|digits| unhex(digits).ok_or(RecordError::Line("stanza")))
        .transpose()?;
    let CreatePipe { name, definition, .. } = statement(rest).ok_or(RecordError::Line("CREATE"))?;
    Ok(Pipe { name, definition, created_ms, born_ms, border, desired, why, stanza })
}

/// Takes the line that begins with `word`, if it is the next one.
fn line<'a>(rest: &mut &'a str, word: &str) -> Option<&'a str> {
    let (value, after) = rest.strip_prefix(word)?.strip_prefix(' ')?.split_once('\n')?;
    *rest = after;
    Some(value)
}

fn number<T: std::str::FromStr>(rest: &mut &str, word: &'static str) -> Result<T, RecordError> {
    line(rest, word).and_then(|digits| digits.parse().ok()).ok_or(RecordError::Line(word))
}

fn statement(text: &str) -> Option<CreatePipe> {
    let mut parsed = parse(text).ok()?.into_iter();
    match (parsed.next(), parsed.next()) {
        (Some(Parsed { statement: Statement::CreatePipe(create), .. }), None) => Some(create),
        _ => None,
    }
}

fn hex(hash: StanzaHash) -> String {
    format!("{:032x}", u128::from_be_bytes(hash.0))
}

fn unhex(digits: &str) -> Option<StanzaHash> {
    let number = u128::from_str_radix(digits, 16).ok()?;
    (digits.len() == 32).then_some(StanzaHash(number.to_be_bytes()))
}

const MAGIC: &str = "penstock-pipe 1 ";
