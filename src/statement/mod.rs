//! Pipe statements: text to typed values, and back.
//!
//! ```text
//!  text -- lexer --> tokens -- parser --> Statement + Warnings     700: what is wrong, where, what was expected
//!                                            |
//!                          Definition (three lists of attributes, as they were written)
//!                                            |
//!                               check against the table (`known`)   1107: stock's message, remarks by name
//!                                            |
//!                                 PipeSettings (every value in force)
//! ```
//!
//! The grammar is that of IoTDB (`IoTDBSqlParser.g4`), read a little more kindly: comments are white
//! space, and a comma or a parenthesis that can only have been forgotten is a [`Warning`]. `[[pipe]]` of the
//! configuration comes in at the [`Definition`]. Nothing here recurses, so that no text can exhaust the stack;
//! what a text may hold is bounded by `limits`.
//!
//! | statement | value |
//! |---|---|
//! | `CREATE PIPE [IF NOT EXISTS] p [WITH SOURCE (..)] [WITH PROCESSOR (..)] WITH SINK (..)` | [`CreatePipe`] |
//! | `CREATE PIPE [IF NOT EXISTS] p (..)` | [`CreatePipe`] with a sink only |
//! | `ALTER PIPE [IF EXISTS] p [MODIFY\|REPLACE SOURCE (..)] [.. PROCESSOR (..)] [.. SINK (..)]` | [`AlterPipe`] |
//! | `START\|STOP PIPE p`, `DROP PIPE [IF EXISTS] p` | [`Statement::StartPipe`] and so on |
//! | `SHOW PIPES`, `SHOW PIPE p`, `SHOW PIPES WHERE SINK USED BY p`, `SHOW CREATE PIPE p` | [`Statement::ShowPipes`] and so on |
//! | `SKIP PIPE p ENTRY n`, `REPLAY PIPE p FROM n TO m` | [`Statement::SkipEntry`], [`Statement::Replay`] |
//! | `CREATE PIPEPLUGIN [IF NOT EXISTS] x AS 'command' USING URI 'file:..'` | [`CreatePlugin`] |
//! | `DROP PIPEPLUGIN [IF EXISTS] x`, `SHOW PIPEPLUGINS` | [`Statement::DropPlugin`], [`Statement::ShowPlugins`] |

mod attributes;
mod changes;
mod check;
mod error;
mod known;
mod lexer;
mod likeness;
mod moment;
mod name;
mod node_urls;
mod parser;
mod pattern;
mod place;
mod plugin;
mod print;
mod processor;
mod remark;
mod secret;
mod settings;
mod sink;
mod source;

pub use attributes::{Attribute, Attributes, Side, Value};
pub use changes::Changes;
pub use error::{Fault, StatementError, StatusCode};
pub use known::{BUILT_IN_SHOWN, Plugin};
pub use likeness::nearest;
pub use moment::{Bounds, Clock, Moment};
pub use name::{
    KEYWORDS, PIPE_NAME_BYTES_MAX, PipeName, PipeNameError, PluginName, is_name_letter,
};
pub use node_urls::{NodeUrl, NodeUrlError, NodeUrls};
pub use parser::parse;
pub use place::{Place, columns, excerpt};
pub use plugin::PluginError;
pub use print::{Cell, Revealed};
pub use remark::{Remark, Weight};
pub use secret::Secret;
pub use settings::{
    AirGapSink, Batch, Checked, DeadBand, Externals, GateOrder, LoadStrategy, Loose, PipeSettings,
    Processor, RealtimeFirst, RealtimeMode, Sink, Source, Surroundings, ThriftSink, Transport,
    TrustStore,
};

#[cfg(test)]
mod tests;

use crate::data::Sequence;

/// What somebody wants done with pipes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// `CREATE PIPE`.
    CreatePipe(CreatePipe),
    /// `ALTER PIPE`.
    AlterPipe(AlterPipe),
    /// `START PIPE`.
    StartPipe {
        /// Which one.
        name: PipeName,
    },
    /// `STOP PIPE`.
    StopPipe {
        /// Which one.
        name: PipeName,
    },
    /// `DROP PIPE`.
    DropPipe {
        /// Which one.
        name: PipeName,
        /// Whether one that is not there is success.
        if_exists: bool,
    },
    /// `SHOW PIPES`.
    ShowPipes,
    /// `SHOW PIPE p`: one row, or none.
    ShowPipe {
        /// Which one.
        name: PipeName,
    },
    /// `SHOW PIPES WHERE SINK USED BY p`: all pipes with the same attributes of the sink.
    ShowPipesUsing {
        /// Whose sink.
        name: PipeName,
    },
    /// `SHOW CREATE PIPE p`.
    ShowCreatePipe {
        /// Which one.
        name: PipeName,
    },
    /// `SKIP PIPE p ENTRY n`: to the dead letters with it.
    SkipEntry {
        /// Of which pipe.
        name: PipeName,
        /// Which entry.
        entry: Sequence,
    },
    /// `REPLAY PIPE p FROM n TO m`: dead letters and retained entries once more.
    Replay {
        /// Of which pipe.
        name: PipeName,
        /// The first entry.
        first: Sequence,
        /// The last entry, not below the first.
        last: Sequence,
    },
    /// `CREATE PIPEPLUGIN`.
    CreatePlugin(CreatePlugin),
    /// `DROP PIPEPLUGIN`.
    DropPlugin {
        /// Which one.
        name: PluginName,
        /// Whether one that is not there is success.
        if_exists: bool,
    },
    /// `SHOW PIPEPLUGINS`.
    ShowPlugins,
}

/// `CREATE PIPE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatePipe {
    /// Its name, which is fit for a directory.
    pub name: PipeName,
    /// Whether one that is there already is success.
    pub if_not_exists: bool,
    /// What it does.
    pub definition: Definition,
}

/// What a pipe does, as it was written: the attributes of its three parts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Definition {
    /// `WITH SOURCE`; empty without the clause.
    pub source: Attributes,
    /// `WITH PROCESSOR`; empty without the clause.
    pub processor: Attributes,
    /// `WITH SINK`.
    pub sink: Attributes,
}

/// `ALTER PIPE`. Without any change it only clears what went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterPipe {
    /// Which one.
    pub name: PipeName,
    /// Whether one that is not there is success.
    pub if_exists: bool,
    /// What becomes of its source.
    pub source: Option<Change>,
    /// What becomes of its processor.
    pub processor: Option<Change>,
    /// What becomes of its sink.
    pub sink: Option<Change>,
}

/// What becomes of one part of a pipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// `MODIFY`: these attributes replace those with the same meaning, however spelled; the others stay.
    Modify(Attributes),
    /// `REPLACE`: these attributes and no others.
    Replace(Attributes),
}

/// `CREATE PIPEPLUGIN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatePlugin {
    /// Its name.
    pub name: PluginName,
    /// Whether one that is there already is success.
    pub if_not_exists: bool,
    /// What is run: where IoTDB names a class.
    pub command: String,
    /// Where the executable lies: `file:..`.
    pub uri: String,
}

/// A statement that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// What it says.
    pub statement: Statement,
    /// What was read as if it were written otherwise.
    pub warnings: Vec<Warning>,
}

/// Something that IoTDB would have refused, and what it was taken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where.
    pub place: Place,
    /// What is missing, or too much.
    pub message: String,
}

/// `line 1:42: MESSAGE`.
impl std::fmt::Display for Warning {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "line {}: {}", self.place, self.message)
    }
}

impl Definition {
    /// The attributes of one part.
    pub const fn side(&self, side: Side) -> &Attributes {
        match side {
            Side::Source => &self.source,
            Side::Processor => &self.processor,
            Side::Sink => &self.sink,
        }
    }

    /// The plug-in that its sink names, if it names one.
    pub fn sink_plugin(&self) -> Option<PluginName> {
        let named = self.sink.find(Side::Sink, Side::Sink.name())?;
        Some(PluginName::new(named.value.reveal()))
    }

    /// What the pipe does after `alter`.
    #[must_use]
    pub fn altered(&self, alter: &AlterPipe) -> Self {
        Self {
            source: self.source.changed(Side::Source, alter.source.as_ref()),
            processor: self.processor.changed(Side::Processor, alter.processor.as_ref()),
            sink: self.sink.changed(Side::Sink, alter.sink.as_ref()),
        }
    }
}
