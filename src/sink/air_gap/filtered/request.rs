//! What becomes of a request that lies in the spool as a file, as it was too long for an entry or for memory.
//!
//! It is judged as one in an entry is. Data is never cut: what is so long is a single row.

use std::io;

use super::files::Lie;
use super::scratch::Buffers;
use crate::data::ReadAt;
use crate::limits::{MIB, SPLIT_WINDOW_BYTES};
use crate::pipe::source::{Filter, Verdict};
use crate::spool::EntryHeader;
use crate::wire::bytes::Reader;
use crate::wire::columns::Columns;
use crate::wire::cursor::{Cursor, ReadError};
use crate::wire::plan::PlanKind;
use crate::wire::request::Head;
use crate::wire::row::{self, RowForm};
use crate::wire::tablet::{self, Form, Layout};
use crate::wire::trim::TABLET_HEAD;
use crate::wire::trim_row::ROW_HEAD;

/// Longest deletion that is read to be cut; its paths would have a thousand bytes each.
const DELETION_BYTES_MAX: u64 = 4 * MIB as u64;

/// What becomes of it; a part is left in `buffers`.
///
/// # Errors
/// If it cannot be read.
pub(super) fn verdict<T: ReadAt>(
    filter: &mut Filter,
    header: &EntryHeader,
    file: &T,
    buffers: &mut Buffers,
) -> io::Result<Verdict> {
    let mut head = [0; TABLET_HEAD.len()];
    if file.read_at(0, &mut head)? < head.len() {
        // It is not what was taken in, which the sink finds.
        return Ok(Verdict::Whole);
    }
    if head == TABLET_HEAD || head == ROW_HEAD {
        return match lie_of_data(filter, header, file) {
            Ok(Lie::Outside) => Ok(Verdict::Skip),
            Ok(Lie::Inside | Lie::Across) | Err(ReadError::Malformed(_)) => Ok(Verdict::Whole),
            Err(ReadError::Disk { error, .. }) => Err(error),
        };
    }
    if kind(&head) != Some(PlanKind::Delete) || !filter.takes_plans(PlanKind::Delete) {
        return Ok(filter.request(header, &head, &mut buffers.part));
    }
    let bytes = file.len();
    if bytes > DELETION_BYTES_MAX {
        return Ok(if filter.takes_all(header) {
            Verdict::Whole
        } else {
            Verdict::Unfit(format!(
                "a deletion of {bytes} bytes is too long to be cut, {DELETION_BYTES_MAX} are read"
            ))
        });
    }
    buffers.payload.resize(usize::try_from(bytes).unwrap_or_default(), 0);
    if file.read_at(0, &mut buffers.payload)? < buffers.payload.len() {
        return Ok(Verdict::Whole);
    }
    Ok(filter.request(header, &buffers.payload, &mut buffers.part))
}

/// The kind of a plan by its first bytes.
fn kind(head: &[u8]) -> Option<PlanKind> {
    let request_type = Head::read(&mut Reader::new(head)).ok()?.known().ok()?;
    PlanKind::of_request(request_type, head)
}

/// How a tablet or a row lies to what is sent: read through a window, however long its values are.
fn lie_of_data<T: ReadAt>(
    filter: &Filter,
    header: &EntryHeader,
    file: &T,
) -> Result<Lie, ReadError> {
    let Some((matcher, times)) = filter.selection(header) else { return Ok(Lie::Outside) };
    let mut window = vec![0; SPLIT_WINDOW_BYTES];
    let mut cursor = Cursor::new(file, &mut window)?;
    let is_row = cursor.peek(ROW_HEAD.len(), "head of a request")? == ROW_HEAD;
    cursor.skip(ROW_HEAD.len(), "head of a request")?;
    let mut columns = Columns::new();
    let Layout { device_at, device_bytes, time_range, .. } = if is_row {
        row::scan(&mut cursor, RowForm::Node, &mut columns)?.as_tablet()
    } else {
        tablet::scan(&mut cursor, Form::Node, &mut columns)?
    };
    let mut text = |at: usize, bytes: usize| -> Result<String, ReadError> {
        cursor.seek(at + 4);
        Ok(String::from_utf8_lossy(cursor.peek(bytes, "name")?).into_owned())
    };
    let series = matcher.series(&text(device_at, device_bytes)?);
    let mut wants = filter.is_every_series();
    for column in columns.iter() {
        wants =
            wants || series.wants(&text(column.name_at as usize, usize::from(column.name_bytes))?);
    }
    Ok(if wants { Lie::of_times(times, time_range) } else { Lie::Outside })
}
