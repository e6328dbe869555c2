//! What `SHOW` shows: stock's columns in stock's order, then ours.
//!
//! | column | has |
//! |---|---|
//! | `ID` .. `EstimatedRemainingSeconds` | as `ColumnHeaderConstant` of 1.3.2 and later; the time is that of the server's zone |
//! | `RemainingBytes` | bytes of segments and files before it |
//! | `LastAnswerAgeSeconds` | since the far side last answered anything; empty if it never did |
//! | `OldestUnsentArrival` | when the oldest entry came that has not been sent; empty if nothing waits |
//! | `Unit` | `tablets` or `files`: in which unit it sends tablets at the moment |
//! | `BacklogRemainingSeconds`, `FreshRemainingSeconds` | of each lane, by its share of the present rate; empty while there is one lane |

use super::live::Pipes;
use crate::data::Sequence;
use crate::keep::spool_handle::Ended;
use crate::node::NodeError;
use crate::ops::board::{PipeRow, PipeState};
use crate::ops::clock::{self, EpochMillis};
use crate::ops::stamp::{Loop, Operation};
use crate::ops::zone::local_text;
use crate::pipe::{Pipe, Plugin, Table};
use crate::spool::{ConsumerId, Disk, Reader};
use crate::statement::{BUILT_IN_SHOWN, Cell, CreatePipe, PipeName, Statement};

/// What the spool says about a pipe.
struct Backlog<D: Disk> {
    entries: u64,
    bytes: u64,
    /// Of these, entries and bytes that overtake the others.
    fresh: Option<(u64, u64)>,
    reader: Reader<D>,
}

/// `SHOW PIPES` and its kin, for the pipes of these names.
pub(super) async fn pipes<D: Disk>(
    pipes: &Pipes<D>,
    names: &[PipeName],
) -> Result<Table, NodeError> {
    let mut table = table(&PIPE_COLUMNS);
    for name in names {
        let Some(pipe) = pipes.book.registry().find(name) else { continue };
        table.rows.push(row(pipes, pipe).await?);
    }
    Ok(table)
}

async fn row<D: Disk>(pipes: &Pipes<D>, pipe: &Pipe) -> Result<Vec<String>, NodeError> {
    let mut cells = vec![
        pipe.name.as_str().to_owned(),
        local_text(EpochMillis(pipe.created_ms)),
        PipeState::Stopped.name().to_owned(),
        Cell(&pipe.definition.source).to_string(),
        Cell(&pipe.definition.processor).to_string(),
        Cell(&pipe.definition.sink).to_string(),
    ];
    let Some((consumer, row)) = pipes.row(&pipe.name) else {
        cells.extend(
            ["it has no place in the spool", "Unknown", "Unknown", "", "", "", "", "", ""]
                .map(str::to_owned),
        );
        return Ok(cells);
    };
    if let Some(state) = cells.get_mut(STATE) {
        row.state().name().clone_into(state);
    }
    let backlog = backlog(pipes, consumer, row).await?;
    let now = clock::now();
    let age = row.last_answer.age(now).map_or_else(String::new, |age| age.as_secs().to_string());
    let oldest = backlog.as_ref().map_or_else(String::new, |backlog| oldest(pipes, backlog));
    let lanes = backlog.as_ref().map_or_else(Default::default, |backlog| lanes(row, backlog));
    let (entries, bytes) = backlog.map_or((0, 0), |backlog| (backlog.entries, backlog.bytes));
    cells.extend([
        row.message(),
        entries.to_string(),
        seconds_left(row, entries, bytes, 100),
        bytes.to_string(),
        age,
        oldest,
        row.unit().name().to_owned(),
    ]);
    cells.extend(lanes);
    Ok(cells)
}

/// Counted now; none if the pipe has no place.
async fn backlog<D: Disk>(
    pipes: &Pipes<D>,
    consumer: ConsumerId,
    row: &PipeRow,
) -> Result<Option<Backlog<D>>, NodeError> {
    let fresh = row.fresh();
    let counted = pipes.around.spool.call(move |spool| {
        let cursor = spool.cursor(consumer)?;
        let (entries, bytes) = spool.waiting(cursor);
        let fresh = fresh.map(|(next, _)| spool.remaining(Sequence(next)));
        Some(Backlog { entries, bytes, fresh, reader: spool.reader(cursor.position) })
    });
    counted.await.map_err(|Ended| NodeError::ThreadEnded("spool"))
}

/// When the oldest entry came that was not sent yet.
fn oldest<D: Disk>(pipes: &Pipes<D>, backlog: &Backlog<D>) -> String {
    let _within = pipes.around.board.stamps.of(Loop::Main).within(Operation::Read);
    match backlog.reader.another().next_entry() {
        Ok(Some(entry)) if entry.header.arrival.trusted => {
            local_text(EpochMillis(entry.header.arrival.wall_ms))
        }
        Ok(Some(_)) => "undated".to_owned(),
        Ok(None) => String::new(),
        Err(error) => format!("unreadable: {error}"),
    }
}

/// How long each lane takes: the backlog's, and the fresh one's.
fn lanes<D: Disk>(row: &PipeRow, backlog: &Backlog<D>) -> [String; 2] {
    let Some(((_, percent), (entries, bytes))) = row.fresh().zip(backlog.fresh) else {
        return Default::default();
    };
    let behind = (backlog.entries.saturating_sub(entries), backlog.bytes.saturating_sub(bytes));
    // A lane that is alone has all of the link.
    let share = |percent, others: u64| if others > 0 { percent } else { 100 };
    [
        seconds_left(row, behind.0, behind.1, share(100_u8.saturating_sub(percent), entries)),
        seconds_left(row, entries, bytes, share(percent, behind.0)),
    ]
}

/// At so many percent of the present rate, with two decimals; a year where nothing moves, as stock says it.
fn seconds_left(row: &PipeRow, entries: u64, bytes: u64, percent: u8) -> String {
    if entries == 0 {
        return "0.00".to_owned();
    }
    let rate = row.rate(clock::now());
    if rate == 0 || row.state() == PipeState::Stopped {
        return "31536000.00".to_owned();
    }
    let rate = u128::from(rate) * u128::from(percent.max(1));
    let hundredths = u128::from(bytes) * 10_000 / rate;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// `SHOW CREATE PIPE`.
pub(super) fn create(pipe: &Pipe) -> Table {
    let statement = Statement::CreatePipe(CreatePipe {
        name: pipe.name.clone(),
        if_not_exists: false,
        definition: pipe.definition.clone(),
    });
    let mut table = table(&["Pipe", "Create Pipe"]);
    table.rows.push(vec![pipe.name.as_str().to_owned(), statement.to_string()]);
    table
}

/// `SHOW PIPEPLUGINS`: what is built in, with the place in this program instead of a class, and what people have
/// created, with what is run.
pub(super) fn plugins(external: &[Plugin]) -> Table {
    let mut table = table(&["PluginName", "PluginType", "ClassName", "PluginJar"]);
    for (name, place) in BUILT_IN_SHOWN.into_iter().zip(PLUGIN_PLACES) {
        table.rows.push([name, "Builtin", place, ""].map(str::to_owned).into());
    }
    for plugin in external {
        let (name, command) = (plugin.name.as_str().to_owned(), plugin.command.clone());
        table.rows.push(vec![name, "External".to_owned(), command, plugin.file_name()]);
    }
    table.rows.sort_unstable();
    table
}

fn table(columns: &[&str]) -> Table {
    Table { columns: columns.iter().map(|title| (*title).to_owned()).collect(), rows: Vec::new() }
}

const PIPE_COLUMNS: [&str; 15] = [
    "ID",
    "CreationTime",
    "State",
    "PipeSource",
    "PipeProcessor",
    "PipeSink",
    "ExceptionMessage",
    "RemainingEventCount",
    "EstimatedRemainingSeconds",
    "RemainingBytes",
    "LastAnswerAgeSeconds",
    "OldestUnsentArrival",
    "Unit",
    "BacklogRemainingSeconds",
    "FreshRemainingSeconds",
];
const STATE: usize = 2;
/// In the order of [`BUILT_IN_SHOWN`].
const PLUGIN_PLACES: [&str; BUILT_IN_SHOWN.len()] = [
    "penstock::pipe",
    "penstock::sink::nothing",
    "penstock::sink::air_gap",
    "penstock::spool",
    "penstock::sink::air_gap",
    "(not in this build)",
];
