//! Names of pipes and plug-ins.
//!
//! A name stands bare if it is a run of letters, digits, `_ : @ # $ { }` and Chinese that is not a number,
//! otherwise in back quotes, with those within doubled (`SqlLexer.g4`: `ID`, `QUOTED_ID`).

use std::fmt::{self, Write as _};

use thiserror::Error;

/// A pipe's name; upper and lower case differ.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PipeName(String);

/// A plug-in's name; upper and lower case do not differ, and IoTDB shows it in upper case
/// (`PipePluginMeta`).
#[derive(Debug, Clone)]
pub struct PluginName {
    spelled: String,
    upper: String,
}

/// Why a pipe cannot be created under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PipeNameError {
    /// It has no letter, or too many.
    #[error("a pipe's name has 1 to {PIPE_NAME_BYTES_MAX} bytes")]
    Length,
    /// It begins with `__`.
    #[error("names that begin with __ are reserved")]
    Reserved,
    /// It cannot be a directory, or cannot be shown.
    #[error("the name becomes a directory and cannot be one")]
    NoDirectory,
}

impl PipeName {
    /// A name for something that may be there.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a pipe can be created under it.
    ///
    /// # Errors
    /// If the name is too long, reserved, or no name of a directory.
    pub fn check(&self) -> Result<(), PipeNameError> {
        let name = self.as_str();
        if name.is_empty() || name.len() > PIPE_NAME_BYTES_MAX {
            Err(PipeNameError::Length)
        } else if name.starts_with("__") {
            Err(PipeNameError::Reserved)
        } else if matches!(name, "." | "..")
            || name.contains(['/', '\\'])
            || name.contains(char::is_control)
        {
            Err(PipeNameError::NoDirectory)
        } else {
            Ok(())
        }
    }
}

impl PluginName {
    /// A name in any case.
    pub fn new(name: impl Into<String>) -> Self {
        let spelled = name.into();
        Self { upper: spelled.to_uppercase(), spelled }
    }

    /// The name, in upper case.
    pub fn as_str(&self) -> &str {
        &self.upper
    }

    /// The name as it was written, for messages.
    pub fn spelled(&self) -> &str {
        &self.spelled
    }
}

impl PartialEq for PluginName {
    fn eq(&self, other: &Self) -> bool {
        self.upper == other.upper
    }
}

impl Eq for PluginName {}

/// As it stands in a statement.
impl fmt::Display for PipeName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(&self.0, out)
    }
}

/// As it stands in a statement.
impl fmt::Display for PluginName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(&self.spelled, out)
    }
}

/// Whether a letter may stand in a bare name.
pub fn is_name_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric()
        || matches!(letter, '_' | ':' | '@' | '#' | '$' | '{' | '}')
        || (('\u{2e80}'..='\u{9fff}').contains(&letter) && !letter.is_whitespace())
}

/// Whether `word` is a name without back quotes.
pub(super) fn is_bare_name(word: &str) -> bool {
    !word.is_empty()
        && word.chars().all(is_name_letter)
        && !word.bytes().all(|byte| byte.is_ascii_digit())
}

fn write_name(name: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    // A name that is a word of the grammar would be understood bare, but not by everybody.
    let is_keyword = KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(name));
    if is_bare_name(name) && !is_keyword {
        return out.write_str(name);
    }
    out.write_char('`')?;
    for letter in name.chars() {
        if letter == '`' {
            out.write_char('`')?;
        }
        out.write_char(letter)?;
    }
    out.write_char('`')
}

/// The name becomes a directory and a part of file names.
pub const PIPE_NAME_BYTES_MAX: usize = 64;

/// Every word of the grammar.
pub const KEYWORDS: &[&str] = &[
    "ALTER",
    "AS",
    "BY",
    "CONNECTOR",
    "CREATE",
    "DROP",
    "ENTRY",
    "EXISTS",
    "EXTRACTOR",
    "FROM",
    "IF",
    "MODIFY",
    "NOT",
    "PIPE",
    "PIPEPLUGIN",
    "PIPEPLUGINS",
    "PIPES",
    "PROCESSOR",
    "REPLACE",
    "REPLAY",
    "SHOW",
    "SINK",
    "SKIP",
    "SOURCE",
    "START",
    "STOP",
    "TO",
    "URI",
    "USED",
    "USING",
    "WHERE",
    "WITH",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_they_must_be() {
        for (name, written) in [
            ("A2B", "A2B"),
            ("1p", "1p"),
            ("a:b@{c}#$_", "a:b@{c}#$_"),
            ("\u{7ba1}\u{9053}", "\u{7ba1}\u{9053}"),
            ("12", "`12`"),
            ("p-1", "`p-1`"),
            ("a`b", "`a``b`"),
            ("with", "`with`"),
            ("", "``"),
            ("a\u{3000}b", "`a\u{3000}b`"),
        ] {
            assert_eq!(PipeName::new(name).to_string(), written);
        }
        assert_eq!(PluginName::new("my-sink").to_string(), "`my-sink`");
    }

    #[test]
    fn a_name_becomes_a_directory() {
        let check = |name: &str| PipeName::new(name).check();
        assert_eq!(check("A2B"), Ok(()));
        assert_eq!(check("p 1.0"), Ok(()));
        assert_eq!(check(""), Err(PipeNameError::Length));
        assert_eq!(check(&"x".repeat(PIPE_NAME_BYTES_MAX + 1)), Err(PipeNameError::Length));
        assert_eq!(check("__p"), Err(PipeNameError::Reserved));
        for name in [".", "..", "a/b", "a\\b", "a\0b", "a\nb"] {
            assert_eq!(check(name), Err(PipeNameError::NoDirectory), "{name:?}");
        }
    }
}
