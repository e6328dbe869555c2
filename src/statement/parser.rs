//! The grammar (`IoTDBSqlParser.g4`, `ASTVisitor`): tokens to statements, one token ahead.

use std::ops::Range;

use super::attributes::{Attributes, Side};
use super::error::{Fault, StatementError};
use super::lexer::{Broken, Kind, Lexer, Token, unquoted};
use super::name::{PipeName, PluginName, is_bare_name};
use super::place::Place;
use super::{AlterPipe, Change, CreatePipe, CreatePlugin, Definition, Parsed, Statement, Warning};
use crate::data::Sequence;
use crate::limits::{ATTRIBUTES_MAX, MISPRINTS_MAX, STATEMENT_BYTES_MAX, STATEMENTS_MAX};

/// Reads statements, with `;` between them. One that is wrong makes all of them wrong, so that nothing
/// is done by halves.
///
/// # Errors
/// With the place of the first mistake; also if there is no statement, or too much of it.
pub fn parse(text: &str) -> Result<Vec<Parsed>, StatementError> {
    if text.len() > STATEMENT_BYTES_MAX {
        return Err(StatementError::new(Fault::TooLong, "", 0, String::new()));
    }
    let mut parser = Parser::new(text)?;
    let mut list = Vec::new();
    loop {
        while parser.take_symbol(';')? {}
        if parser.token.kind == Kind::End {
            break;
        }
        if list.len() == STATEMENTS_MAX {
            return Err(parser.fault(Fault::TooManyStatements));
        }
        let statement = parser.statement()?;
        list.push(Parsed { statement, warnings: std::mem::take(&mut parser.warnings) });
        if !matches!(parser.token.kind, Kind::Symbol(';') | Kind::End) {
            return Err(parser.after_the_end());
        }
    }
    if list.is_empty() { Err(parser.fault(Fault::Empty)) } else { Ok(list) }
}

/// The next token, and what was read kindly.
struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    token: Token<'a>,
    warnings: Vec<Warning>,
}

type Read<T> = Result<T, StatementError>;

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Read<Self> {
        let mut lexer = Lexer::new(text);
        let token = lexer.next_token().map_err(|broken| error_of(text, broken))?;
        Ok(Self { text, lexer, token, warnings: Vec::new() })
    }

    fn statement(&mut self) -> Read<Statement> {
        let expected = "CREATE, ALTER, START, STOP, DROP, SHOW, SKIP or REPLAY";
        let Some(verb) = self.take_one_of(VERBS)? else { return Err(self.unexpected(expected)) };
        match verb {
            "CREATE" => self.create(),
            "ALTER" => self.alter(),
            "START" => Ok(Statement::StartPipe { name: self.pipe()? }),
            "STOP" => Ok(Statement::StopPipe { name: self.pipe()? }),
            "DROP" => self.drop_one(),
            "SHOW" => self.show(),
            "SKIP" => self.skip(),
            _ => self.replay(),
        }
    }

    fn create(&mut self) -> Read<Statement> {
        if self.take_word("PIPEPLUGIN")? {
            return self.create_plugin();
        }
        if !self.take_word("PIPE")? {
            return Err(self.unexpected("PIPE or PIPEPLUGIN"));
        }
        let if_not_exists = self.condition(&["NOT", "EXISTS"])?;
        let at = self.token;
        let name = PipeName::new(self.name(PIPE_NAME)?);
        if self.is_missing_name(at, &name) {
            return Err(self.unexpected_at(at, PIPE_NAME, "the pipe's name is missing"));
        }
        name.check().map_err(|fault| self.error(fault.into(), at.start, "choose another name"))?;
        let definition = self.definition()?;
        Ok(Statement::CreatePipe(CreatePipe { name, if_not_exists, definition }))
    }

    /// Whether what was taken for a name is the `WITH` of the first clause.
    fn is_missing_name(&self, at: Token<'a>, name: &PipeName) -> bool {
        let is_with = name.as_str().eq_ignore_ascii_case("WITH");
        is_with && matches!(at.kind, Kind::Word(_)) && side_of(self.token).is_some()
    }

    fn definition(&mut self) -> Read<Definition> {
        let mut definition = Definition::default();
        if self.token.kind == Kind::Symbol('(') {
            definition.sink = self.attributes(Side::Sink)?;
            return Ok(definition);
        }
        let mut last = None;
        loop {
            if !self.take_word("WITH")? {
                let expected = match last {
                    None => "WITH or '('",
                    Some(Side::Source) => "WITH PROCESSOR or WITH SINK",
                    Some(Side::Processor | Side::Sink) => "WITH SINK",
                };
                return Err(self.unexpected(expected));
            }
            let side = self.side(last)?;
            let attributes = self.attributes(side)?;
            match side {
                Side::Source => definition.source = attributes,
                Side::Processor => definition.processor = attributes,
                Side::Sink => {
                    definition.sink = attributes;
                    return Ok(definition);
                }
            }
            last = Some(side);
        }
    }

    /// The word for a part that may follow the part `last`.
    fn side(&mut self, last: Option<Side>) -> Read<Side> {
        let (expected, first) = match last {
            None => ("SOURCE, PROCESSOR or SINK", 0),
            Some(Side::Source) => ("PROCESSOR or SINK", 1),
            Some(Side::Processor) => ("SINK", 2),
            Some(Side::Sink) => ("the end of the statement", 3),
        };
        let found = side_of(self.token);
        let Some(side) = found.filter(|side| rank(*side) >= first) else {
            let hint = if found.is_some() { ORDER } else { "" };
            return Err(self.unexpected_at(self.token, expected, hint));
        };
        self.advance()?;
        Ok(side)
    }

    fn alter(&mut self) -> Read<Statement> {
        self.expect_word("PIPE")?;
        let if_exists = self.condition(&["EXISTS"])?;
        let name = PipeName::new(self.name(PIPE_NAME)?);
        let (mut changes, mut last) = ([None, None, None], None);
        while let Some(verb) = self.take_one_of(&["MODIFY", "REPLACE"])? {
            let side = self.side(last)?;
            let attributes = self.attributes(side)?;
            let change = if verb == "MODIFY" { Change::Modify } else { Change::Replace };
            if let Some(place) = changes.get_mut(rank(side)) {
                *place = Some(change(attributes));
            }
            last = Some(side);
        }
        let [source, processor, sink] = changes;
        Ok(Statement::AlterPipe(AlterPipe { name, if_exists, source, processor, sink }))
    }

    fn drop_one(&mut self) -> Read<Statement> {
        if self.take_word("PIPEPLUGIN")? {
            let if_exists = self.condition(&["EXISTS"])?;
            let name = PluginName::new(self.name(PLUGIN_NAME)?);
            return Ok(Statement::DropPlugin { name, if_exists });
        }
        if !self.take_word("PIPE")? {
            return Err(self.unexpected("PIPE or PIPEPLUGIN"));
        }
        let if_exists = self.condition(&["EXISTS"])?;
        let name = PipeName::new(self.name(PIPE_NAME)?);
        Ok(Statement::DropPipe { name, if_exists })
    }

    fn show(&mut self) -> Read<Statement> {
        let expected = "PIPES, PIPE, PIPEPLUGINS or CREATE PIPE";
        let words = &["PIPES", "PIPE", "PIPEPLUGINS", "CREATE"];
        match self.take_one_of(words)? {
            Some("PIPES") => self.show_pipes(),
            Some("PIPE") => {
                let name = PipeName::new(self.name(PIPE_NAME)?);
                self.take_full_stop()?;
                Ok(Statement::ShowPipe { name })
            }
            Some("PIPEPLUGINS") => Ok(Statement::ShowPlugins),
            Some(_) => Ok(Statement::ShowCreatePipe { name: self.pipe()? }),
            None => Err(self.unexpected(expected)),
        }
    }

    fn show_pipes(&mut self) -> Read<Statement> {
        if !self.take_word("WHERE")? {
            return Ok(Statement::ShowPipes);
        }
        if self.take_one_of(&["SINK", "CONNECTOR"])?.is_none() {
            return Err(self.unexpected("SINK or CONNECTOR"));
        }
        self.expect_word("USED")?;
        self.expect_word("BY")?;
        Ok(Statement::ShowPipesUsing { name: PipeName::new(self.name(PIPE_NAME)?) })
    }

    /// The user guide prints a full stop after `SHOW PIPE <name>`, and people paste it.
    fn take_full_stop(&mut self) -> Read<()> {
        let stop = self.token.start;
        if self.take_symbol('.')? {
            self.warn(stop, "the '.' at the end is too much: read as if it were not there");
        }
        Ok(())
    }

    fn skip(&mut self) -> Read<Statement> {
        let name = self.pipe()?;
        self.expect_word("ENTRY")?;
        Ok(Statement::SkipEntry { name, entry: self.number()? })
    }

    fn replay(&mut self) -> Read<Statement> {
        let name = self.pipe()?;
        self.expect_word("FROM")?;
        let first = self.number()?;
        self.expect_word("TO")?;
        let at = self.token.start;
        let last = self.number()?;
        if last < first {
            return Err(self.error(Fault::Backwards, at, ""));
        }
        Ok(Statement::Replay { name, first, last })
    }

    fn create_plugin(&mut self) -> Read<Statement> {
        let if_not_exists = self.condition(&["NOT", "EXISTS"])?;
        let name = PluginName::new(self.name(PLUGIN_NAME)?);
        self.expect_word("AS")?;
        let (command, _) = self.text("the command in quotes")?;
        self.expect_word("USING")?;
        self.expect_word("URI")?;
        let (uri, _) = self.text("the URI in quotes")?;
        Ok(Statement::CreatePlugin(CreatePlugin { name, if_not_exists, command, uri }))
    }

    fn pipe(&mut self) -> Read<PipeName> {
        self.expect_word("PIPE")?;
        Ok(PipeName::new(self.name(PIPE_NAME)?))
    }

    /// `IF` with `words` behind it; an `IF` without them is a name.
    fn condition(&mut self, words: &[&str]) -> Read<bool> {
        if !is_word(self.token, "IF") {
            return Ok(false);
        }
        let mut ahead = self.lexer.clone();
        for word in words {
            if !ahead.next_token().is_ok_and(|token| is_word(token, word)) {
                return Ok(false);
            }
        }
        self.lexer = ahead;
        self.advance()?;
        Ok(true)
    }

    fn name(&mut self, expected: &'static str) -> Read<String> {
        let name = match self.token.kind {
            Kind::Word(word) if is_bare_name(word) => word.to_owned(),
            Kind::Name(raw) if !raw.is_empty() => unquoted(raw, '`').into_owned(),
            Kind::Word(number) => {
                let hint = format!("a name of digits needs back quotes: `{number}`");
                return Err(self.unexpected_at(self.token, expected, &hint));
            }
            Kind::Text { .. } => {
                let hint = "a name stands bare or in back quotes";
                return Err(self.unexpected_at(self.token, expected, hint));
            }
            Kind::Name(_) | Kind::Symbol(_) | Kind::End => return Err(self.unexpected(expected)),
        };
        self.advance()?;
        if self.token.kind == Kind::Symbol('-') {
            let hint = format!("a name with other letters needs back quotes: `{name}-...`");
            return Err(self.unexpected_at(self.token, "the rest of the statement", &hint));
        }
        Ok(name)
    }

    fn number(&mut self) -> Read<Sequence> {
        let Kind::Word(word) = self.token.kind else {
            return Err(self.unexpected("the number of an entry"));
        };
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
        let Some(number) = word.parse().ok().filter(|_| is_number) else {
            return Err(self.fault(Fault::Number { number: clipped(word) }));
        };
        self.advance()?;
        Ok(Sequence(number))
    }

    /// `( 'k' = 'v' , .. )`, with the comma and the parenthesis that the user guide forgets.
    fn attributes(&mut self, side: Side) -> Read<Attributes> {
        if !self.take_symbol('(')? {
            return Err(self.unexpected("'('"));
        }
        let mut attributes = Attributes::default();
        loop {
            if self.take_symbol(')')? || self.take_missing_parenthesis() {
                return Ok(attributes);
            }
            if attributes.len() == ATTRIBUTES_MAX {
                return Err(self.fault(Fault::TooManyAttributes));
            }
            let (key, _) = self.text("a key in quotes or ')'")?;
            if !self.take_symbol('=')? {
                return Err(self.unexpected("'='"));
            }
            let (value, span) = self.text("a value in quotes")?;
            attributes.push(side, key, value, span);
            self.separator()?;
        }
    }

    /// A comma; or what comes after the last attribute; or the next key, whose comma was forgotten.
    fn separator(&mut self) -> Read<()> {
        if self.take_symbol(',')? || self.token.kind == Kind::Symbol(')') {
            return Ok(());
        }
        let is_key = matches!(self.token.kind, Kind::Text { .. });
        if is_key && self.warnings.len() < MISPRINTS_MAX && self.is_next(Kind::Symbol('=')) {
            let key = self.token_text();
            self.warn(
                self.token.start,
                &format!("a ',' is missing before {key}: read as if it were there"),
            );
            return Ok(());
        }
        if self.is_next_clause() {
            return Ok(());
        }
        let hint = match self.token.kind {
            Kind::End | Kind::Symbol(';') => "a ')' is missing at the end",
            Kind::Word(_) => "a quote may be missing before",
            Kind::Name(_) | Kind::Text { .. } | Kind::Symbol(_) => "",
        };
        Err(self.unexpected_at(self.token, "',' or ')'", hint))
    }

    /// Whether a clause begins where the parenthesis of the last one should close.
    fn take_missing_parenthesis(&mut self) -> bool {
        let is_missing = self.is_next_clause();
        if is_missing {
            let word = self.token_text();
            self.warn(
                self.token.start,
                &format!("a ')' is missing before {word}: read as if it were there"),
            );
        }
        is_missing
    }

    fn is_next_clause(&self) -> bool {
        let begins = ["WITH", "MODIFY", "REPLACE"].iter().any(|word| is_word(self.token, word));
        begins && self.lexer.clone().next_token().is_ok_and(|token| side_of(token).is_some())
    }

    /// A text in quotes, and where it stands.
    fn text(&mut self, expected: &'static str) -> Read<(String, Range<usize>)> {
        let token = self.token;
        let Kind::Text { raw, quote } = token.kind else {
            let hint = match token.kind {
                Kind::Word(word) => format!("write '{}'", clipped(word)),
                Kind::Symbol('\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}') => {
                    "this is a quote of word processors: write '".to_owned()
                }
                Kind::Name(_) | Kind::Text { .. } | Kind::Symbol(_) | Kind::End => String::new(),
            };
            return Err(self.unexpected_at(token, expected, &hint));
        };
        self.advance()?;
        Ok((unquoted(raw, quote).into_owned(), token.start..token.end))
    }

    fn expect_word(&mut self, word: &'static str) -> Read<()> {
        if self.take_word(word)? { Ok(()) } else { Err(self.unexpected(word)) }
    }

    fn take_word(&mut self, word: &str) -> Read<bool> {
        let is_it = is_word(self.token, word);
        if is_it {
            self.advance()?;
        }
        Ok(is_it)
    }

    fn take_one_of(&mut self, words: &[&'static str]) -> Read<Option<&'static str>> {
        let found = words.iter().copied().find(|word| is_word(self.token, word));
        if found.is_some() {
            self.advance()?;
        }
        Ok(found)
    }

    fn take_symbol(&mut self, symbol: char) -> Read<bool> {
        let is_it = self.token.kind == Kind::Symbol(symbol);
        if is_it {
            self.advance()?;
        }
        Ok(is_it)
    }

    fn advance(&mut self) -> Read<()> {
        self.token = self.lexer.next_token().map_err(|broken| error_of(self.text, broken))?;
        Ok(())
    }

    fn is_next(&self, kind: Kind<'_>) -> bool {
        self.lexer.clone().next_token().is_ok_and(|token| token.kind == kind)
    }

    fn token_text(&self) -> String {
        clipped(self.text.get(self.token.start..self.token.end).unwrap_or_default())
    }

    fn warn(&mut self, offset: usize, message: &str) {
        let place = Place::of(self.text, offset);
        self.warnings.push(Warning { place, message: message.to_owned() });
    }

    fn after_the_end(&self) -> StatementError {
        let hint = if is_word(self.token, "WITH") { ORDER } else { "" };
        self.unexpected_at(self.token, "';' or the end of the statement", hint)
    }

    fn unexpected(&self, expected: &'static str) -> StatementError {
        self.unexpected_at(self.token, expected, "")
    }

    fn unexpected_at(&self, at: Token<'a>, expected: &'static str, hint: &str) -> StatementError {
        let found = match at.kind {
            Kind::Word(word) => clipped(word),
            Kind::Name(name) => format!("`{}`", clipped(name)),
            Kind::Text { .. } => "a text in quotes".to_owned(), // which may be a secret
            Kind::Symbol(symbol) => format!("'{symbol}'"),
            Kind::End => "the end".to_owned(),
        };
        self.error(Fault::Unexpected { expected, found }, at.start, hint)
    }

    fn fault(&self, fault: Fault) -> StatementError {
        self.error(fault, self.token.start, "")
    }

    fn error(&self, fault: Fault, offset: usize, hint: &str) -> StatementError {
        StatementError::new(fault, self.text, offset, hint.to_owned())
    }
}

fn error_of(text: &str, broken: Broken) -> StatementError {
    StatementError::new(broken.fault, text, broken.offset, String::new())
}

fn is_word(token: Token<'_>, word: &str) -> bool {
    matches!(token.kind, Kind::Word(written) if written.eq_ignore_ascii_case(word))
}

/// The part that a word names.
fn side_of(token: Token<'_>) -> Option<Side> {
    let names = |side: &Side| side.names().iter().any(|name| is_word(token, name));
    [Side::Source, Side::Processor, Side::Sink].into_iter().find(names)
}

const fn rank(side: Side) -> usize {
    match side {
        Side::Source => 0,
        Side::Processor => 1,
        Side::Sink => 2,
    }
}

/// As much of a wrong text as a message shows.
fn clipped(text: &str) -> String {
    text.chars().take(64).collect()
}

const VERBS: &[&str] = &["CREATE", "ALTER", "START", "STOP", "DROP", "SHOW", "SKIP", "REPLAY"];
const PIPE_NAME: &str = "a pipe's name";
const PLUGIN_NAME: &str = "a plug-in's name";
const ORDER: &str = "the order is SOURCE, PROCESSOR, SINK, each at most once";
