//! What `SHOW` shows: stock's columns in stock's order, then ours.
//!
//! | column | has |
//! |---|---|
//! | `ID` .. `EstimatedRemainingSeconds` | as `ColumnHeaderConstant` of 1.3.2 and later; the time is that of the server's zone |
//! | `RemainingBytes` | bytes of segments and files before it |
//! | `LastAnswerAgeSeconds` | since the far side last answered anything; empty if it never did |
//! | `OldestUnsentArrival` | when the oldest entry came that has not been sent; empty if nothing waits |

use super::live::Pipes;
use crate::keep::spool_handle::Ended;
use crate::node::NodeError;
use crate::ops::board::{PipeRow, PipeState};
use crate::ops::clock::{self, EpochMillis};
use crate::ops::stamp::{Loop, Operation};
use crate::ops::zone::local_text;
use crate::pipe::{Pipe, Table};
use crate::spool::{ConsumerId, Disk, Reader};
use crate::statement::{BUILT_IN_SHOWN, Cell, CreatePipe, PipeName, Statement};

/// What the spool says about a pipe.
struct Backlog<D: Disk> {
    entries: u64,
    bytes: u64,
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
            ["it has no place in the spool", "Unknown", "Unknown", "", "", ""].map(str::to_owned),
        );
        return Ok(cells);
    };
    if let Some(state) = cells.get_mut(STATE) {
        row.state().name().clone_into(state);
    }
    let backlog = backlog(pipes, consumer).await?;
    let now = clock::now();
    let age = row.last_answer.age(now).map_or_else(String::new, |age| age.as_secs().to_string());
    let oldest = backlog.as_ref().map_or_else(String::new, |backlog| oldest(pipes, backlog));
    let (entries, bytes) = backlog.map_or((0, 0), |backlog| (backlog.entries, backlog.bytes));
    cells.extend([
        row.message(),
        entries.to_string(),
        seconds_left(row, entries, bytes),
        bytes.to_string(),
        age,
        oldest,
    ]);
    Ok(cells)
}

/// Counted now; none if the pipe has no place.
async fn backlog<D: Disk>(
    pipes: &Pipes<D>,
    consumer: ConsumerId,
) -> Result<Option<Backlog<D>>, NodeError> {
    let counted = pipes.around.spool.call(move |spool| {
        let position = spool.cursor(consumer)?.position;
        let (entries, bytes) = spool.remaining(position);
        Some(Backlog { entries, bytes, reader: spool.reader(position) })
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

/// With two decimals; a year where nothing moves, as stock says it.
fn seconds_left(row: &PipeRow, entries: u64, bytes: u64) -> String {
    if entries == 0 {
        return "0.00".to_owned();
    }
    let rate = row.rate(clock::now());
    if rate == 0 || row.state() == PipeState::Stopped {
        return "31536000.00".to_owned();
    }
    let hundredths = u128::from(bytes) * 100 / u128::from(rate);
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

/// `SHOW PIPEPLUGINS`: what is built in, with the place in this program instead of a class.
pub(super) fn plugins() -> Table {
    let mut table = table(&["PluginName", "PluginType", "ClassName", "PluginJar"]);
    for (name, place) in BUILT_IN_SHOWN.into_iter().zip(PLUGIN_PLACES) {
        table.rows.push([name, "Builtin", place, ""].map(str::to_owned).into());
    }
    table
}

fn table(columns: &[&str]) -> Table {
    Table { columns: columns.iter().map(|title| (*title).to_owned()).collect(), rows: Vec::new() }
}

const PIPE_COLUMNS: [&str; 12] = [
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
];
const STATE: usize = 2;
/// In the order of [`BUILT_IN_SHOWN`].
const PLUGIN_PLACES: [&str; BUILT_IN_SHOWN.len()] = [
    "penstock::pipe",
    "penstock::sink::nothing",
    "penstock::sink::air_gap",
    "penstock::spool",
    "(not in this build)",
    "(not in this build)",
];
