//! Tablets that make one request.
//!
//! ```text
//!  alone    | 01 0002 | node |                                            PipeTransferTabletInsertNodeReq
//!  a batch  | 01 0006 | i32 0 | i32 n | node | node | .. | i32 0 |        PipeTransferTabletBatchReq: no log entries, n nodes, no tablets
//! ```
//!
//! Every IoTDB takes both. A node ends by itself, so only one that ends where its payload does may be followed by another.

use std::time::Instant;

use super::super::OwnTrouble;
use super::super::frame_buffer::{BuildError, FrameBuffer};
use crate::data::Sequence;
use crate::limits::AHEAD_ENTRIES_MAX;
use crate::spool::{EntryHeader, ReadError};
use crate::wire::bytes::Writer;
use crate::wire::request::{Head, RequestType};
use crate::wire::trim::TABLET_HEAD;

/// What is known of the tablets of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Batch {
    /// The first entry, and the last one.
    pub(super) first: Sequence,
    pub(super) last: Sequence,
    /// When the first one was put in.
    pub(super) since: Instant,
    entries: u32,
}

/// Whether a tablet was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    Done,
    /// There is no room for it behind others.
    Full,
    /// It is no node that another one may follow, or larger than a request.
    Unfit,
}

impl Batch {
    /// Puts the tablet `header` behind those of `batch`; `fill` reads its payload. `bytes_max` is how long the request gets
    /// with more than one; none for a request of a single tablet.
    ///
    /// # Errors
    /// If it cannot be read. Nothing of it is in the buffer then.
    pub(super) fn put(
        batch: &mut Option<Self>,
        buffer: &mut FrameBuffer,
        (header, now): (&EntryHeader, Instant),
        bytes_max: Option<usize>,
        fill: impl FnOnce(&mut [u8]) -> Result<(), ReadError>,
    ) -> Result<Put, OwnTrouble> {
        let count = usize::try_from(header.payload_bytes).unwrap_or(usize::MAX);
        let more = count.saturating_add(COUNT_BYTES);
        let is_full = match (&*batch, bytes_max) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(batch), Some(most)) => {
                batch.entries >= AHEAD_ENTRIES_MAX
                    || buffer.payload_bytes().saturating_add(more) > most
            }
        };
        if is_full {
            return Ok(Put::Full);
        }
        if batch.is_none() {
            buffer.begin(|writer| begin(writer, bytes_max.is_some())).map_err(BuildError::from)?;
        }
        if !buffer.has_room(more) {
            return Ok(if batch.is_some() { Put::Full } else { Put::Unfit });
        }
        if bytes_max.is_none() {
            buffer.append(count, fill)?;
        } else if !buffer.append_node(count, fill, |payload| ends_by_itself(payload, header))? {
            return Ok(Put::Unfit);
        }
        let new = Self { first: header.sequence, last: header.sequence, since: now, entries: 0 };
        let batch = batch.get_or_insert(new);
        (batch.last, batch.entries) = (header.sequence, batch.entries + 1);
        Ok(Put::Done)
    }

    /// Ends the request in the buffer; says how many bytes its frame has.
    ///
    /// # Errors
    /// If it cannot be compressed.
    pub(super) fn finish(
        &self,
        buffer: &mut FrameBuffer,
        is_batch: bool,
    ) -> Result<u64, BuildError> {
        if is_batch {
            buffer.overwrite(COUNT_AT, &self.entries.to_be_bytes());
            buffer.put(&[0; COUNT_BYTES]);
        }
        let frame = buffer.finish(None)?;
        Ok(u64::try_from(frame.len()).unwrap_or(u64::MAX))
    }
}

fn begin(writer: &mut Writer<'_>, is_batch: bool) {
    if is_batch {
        Head::of(RequestType::TabletBatch).write(writer);
        writer.i32(0);
        writer.i32(0);
    }
}

/// Whether the node in a payload ends with its plan node id and no children, as those of the spool do.
fn ends_by_itself(payload: &[u8], header: &EntryHeader) -> bool {
    let id = header.identity.plan_node_id();
    let node = payload.strip_suffix(&[0; 4]);
    payload.starts_with(&TABLET_HEAD) && node.is_some_and(|node| node.ends_with(id.as_bytes()))
}

const COUNT_BYTES: usize = 4;
/// Where the number of nodes lies.
const COUNT_AT: usize = Head::BYTES + COUNT_BYTES;
