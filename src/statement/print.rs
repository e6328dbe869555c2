//! Statements as text: for people with stars for secrets, and as they are for the pipe's own file.
//!
//! What is printed parses to the same value again.

use std::fmt::{self, Write as _};

use super::attributes::{Attribute, Attributes, Side, Value};
use super::{AlterPipe, Change, CreatePipe, CreatePlugin, Statement};

/// A statement with its secrets: for a file that only the node reads.
#[derive(Clone, Copy)]
pub struct Revealed<'a>(pub &'a Statement);

/// Attributes as a cell of `SHOW PIPES`: `{k=v, k=v}` by key, with stars for secrets.
#[derive(Debug, Clone, Copy)]
pub struct Cell<'a>(pub &'a Attributes);

impl fmt::Display for Statement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_statement(self, Show::Masked, out)
    }
}

impl fmt::Display for Revealed<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_statement(self.0, Show::Secrets, out)
    }
}

/// As little as of the statement itself.
impl fmt::Debug for Revealed<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, out)
    }
}

impl fmt::Display for Cell<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_char('{')?;
        for (index, Attribute { spelled, value, .. }) in self.0.sorted().into_iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(out, "{comma}{spelled}={value}")?;
        }
        out.write_char('}')
    }
}

/// Whether secrets are written.
#[derive(Debug, Clone, Copy)]
enum Show {
    Masked,
    Secrets,
}

fn write_statement(statement: &Statement, show: Show, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    match statement {
        Statement::CreatePipe(create) => write_create(create, show, out),
        Statement::AlterPipe(alter) => write_alter(alter, show, out),
        Statement::StartPipe { name } => write!(out, "START PIPE {name}"),
        Statement::StopPipe { name } => write!(out, "STOP PIPE {name}"),
        Statement::DropPipe { name, if_exists } => {
            write!(out, "DROP PIPE {}{name}", if_exists_text(*if_exists))
        }
        Statement::ShowPipes => out.write_str("SHOW PIPES"),
        Statement::ShowPipe { name } => write!(out, "SHOW PIPE {name}"),
        Statement::ShowPipesUsing { name } => {
            write!(out, "SHOW PIPES WHERE SINK USED BY {name}")
        }
        Statement::ShowCreatePipe { name } => write!(out, "SHOW CREATE PIPE {name}"),
        Statement::SkipEntry { name, entry } => {
            write!(out, "SKIP PIPE {name} ENTRY {}", entry.0)
        }
        Statement::Replay { name, first, last } => {
            write!(out, "REPLAY PIPE {name} FROM {} TO {}", first.0, last.0)
        }
        Statement::CreatePlugin(create) => write_create_plugin(create, out),
        Statement::DropPlugin { name, if_exists } => {
            write!(out, "DROP PIPEPLUGIN {}{name}", if_exists_text(*if_exists))
        }
        Statement::ShowPlugins => out.write_str("SHOW PIPEPLUGINS"),
    }
}

fn write_create(create: &CreatePipe, show: Show, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let condition = if create.if_not_exists { "IF NOT EXISTS " } else { "" };
    write!(out, "CREATE PIPE {condition}{}", create.name)?;
    for side in [Side::Source, Side::Processor, Side::Sink] {
        let attributes = create.definition.side(side);
        if side == Side::Sink || !attributes.is_empty() {
            write!(out, " WITH {} ", side.name().to_uppercase())?;
            write_attributes(attributes, show, out)?;
        }
    }
    Ok(())
}

fn write_alter(alter: &AlterPipe, show: Show, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(out, "ALTER PIPE {}{}", if_exists_text(alter.if_exists), alter.name)?;
    let changes = [
        (Side::Source, &alter.source),
        (Side::Processor, &alter.processor),
        (Side::Sink, &alter.sink),
    ];
    for (side, change) in changes {
        let (verb, attributes) = match change {
            None => continue,
            Some(Change::Modify(attributes)) => ("MODIFY", attributes),
            Some(Change::Replace(attributes)) => ("REPLACE", attributes),
        };
        write!(out, " {verb} {} ", side.name().to_uppercase())?;
        write_attributes(attributes, show, out)?;
    }
    Ok(())
}

fn write_create_plugin(create: &CreatePlugin, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let condition = if create.if_not_exists { "IF NOT EXISTS " } else { "" };
    write!(out, "CREATE PIPEPLUGIN {condition}{} AS ", create.name)?;
    write_text(&create.command, out)?;
    out.write_str(" USING URI ")?;
    write_text(&create.uri, out)
}

fn write_attributes(
    attributes: &Attributes,
    show: Show,
    out: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    out.write_char('(')?;
    for (index, Attribute { spelled, value, .. }) in attributes.iter().enumerate() {
        out.write_str(if index == 0 { "" } else { ", " })?;
        write_text(spelled, out)?;
        out.write_char('=')?;
        match (value, show) {
            (Value::Plain(text), _) | (Value::Secret(text), Show::Secrets) => {
                write_text(text, out)?;
            }
            (Value::Secret(_), Show::Masked) => write_text(&value.to_string(), out)?,
        }
    }
    out.write_char(')')
}

/// A text in quotes, with those within doubled.
fn write_text(text: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    out.write_char('\'')?;
    for letter in text.chars() {
        if letter == '\'' {
            out.write_char('\'')?;
        }
        out.write_char(letter)?;
    }
    out.write_char('\'')
}

const fn if_exists_text(if_exists: bool) -> &'static str {
    if if_exists { "IF EXISTS " } else { "" }
}
