//! What a run holds: its groups, and where the tablets of each device lie.
//!
//! ```text
//!  record of a tablet   u16 group | key of the device (key.rs) | i64 smallest time, sign flipped
//!                       | u64 sequence at its origin | u64 sequence here | u16 segment | u48 offset | u32 bytes
//! ```

use super::key;
use super::{Group, TwinError, Unfit};
use crate::data::{DataType, Family, Sequence};
use crate::limits::{ENTRY_BYTES_MAX, TWIN_GROUPS_MAX};
use crate::spool::{EntryHeader, Place};
use crate::tsfile::write::Version;
use crate::wire::columns::Columns;
use crate::wire::cursor::{Cursor, ReadError};
use crate::wire::node::NodeType;
use crate::wire::request::{RequestType, VERSION};
use crate::wire::tablet::{self, Form, Layout};

/// Bytes behind the key.
const TAIL_BYTES: usize = 36;
const SIGN: u64 = 1 << 63;
/// Bits of an offset in a segment.
const OFFSET_BITS: u32 = 48;

/// The groups of a run, in the order of their first entries; a group's number is its place here.
#[derive(Debug, Default)]
pub(super) struct Groups {
    list: Vec<Met>,
    /// The segments that the tablets lie in.
    segments: Vec<u64>,
}

/// A group, and which entries it has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Met {
    pub(super) group: Group,
    /// Of its origin: parts that a filter cut belong to the entries that they were cut from.
    family: Family,
    /// Sequences here.
    pub(super) first: Sequence,
    pub(super) last: Sequence,
    /// Sequences at the origin.
    pub(super) origin_first: Sequence,
    pub(super) origin_last: Sequence,
}

/// Where a tablet lies, as its record says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filed {
    /// At its origin: of equal times, the greater one wins.
    pub(super) rank: u64,
    pub(super) sequence: Sequence,
    pub(super) place: Place,
    pub(super) bytes: u32,
}

impl Groups {
    pub(super) fn get(&self, number: u16) -> Option<&Met> {
        self.list.get(usize::from(number))
    }

    /// Counts an entry to its group; gives the group's number.
    fn add(&mut self, header: &EntryHeader, is_aligned: bool) -> Result<u16, TwinError> {
        let (sequence, origin) = (header.sequence, header.identity.sequence);
        let precision = header.precision;
        let group = Group { origin: header.identity.origin, is_aligned, precision };
        let family = group.origin.family();
        let is_own = |met: &Met| {
            met.family == family && Group { origin: group.origin, ..met.group } == group
        };
        let number = self.list.iter().position(is_own);
        let Some(met) = number.and_then(|number| self.list.get_mut(number)) else {
            self.list.push(Met {
                group,
                family,
                first: sequence,
                last: sequence,
                origin_first: origin,
                origin_last: origin,
            });
            return short(self.list.len() - 1, TWIN_GROUPS_MAX, sequence, "groups");
        };
        if !group.origin.is_of_parts() {
            // Whole entries name the node that took them in.
            met.group.origin = group.origin;
        }
        met.last = sequence;
        met.origin_first = met.origin_first.min(origin);
        met.origin_last = met.origin_last.max(origin);
        short(number.unwrap_or_default(), TWIN_GROUPS_MAX, sequence, "groups")
    }

    fn segment(&mut self, place: Place, sequence: Sequence) -> Result<u16, TwinError> {
        let known = self.segments.iter().rposition(|segment| *segment == place.segment);
        let number = known.unwrap_or_else(|| {
            self.segments.push(place.segment);
            self.segments.len() - 1
        });
        short(number, usize::from(u16::MAX), sequence, "segments")
    }

    /// Makes the record of a tablet.
    pub(super) fn record(
        &mut self,
        header: &EntryHeader,
        place: Place,
        (device, layout): (&str, &Layout),
        version: Version,
        out: &mut Vec<u8>,
    ) -> Result<(), TwinError> {
        let group = self.add(header, layout.is_aligned)?;
        let segment = self.segment(place, header.sequence)?;
        out.clear();
        out.extend(group.to_be_bytes());
        key::put_device(device, version, out);
        out.extend((layout.time_range.min.cast_unsigned() ^ SIGN).to_be_bytes());
        out.extend(header.identity.sequence.0.to_be_bytes());
        out.extend(header.sequence.0.to_be_bytes());
        let place = u64::from(segment) << OFFSET_BITS | place.offset;
        out.extend(place.to_be_bytes());
        out.extend(header.payload_bytes.to_be_bytes());
        Ok(())
    }

    /// What the tail of a record says.
    pub(super) fn filed(&self, record: &[u8]) -> Option<Filed> {
        let (_, tail) = record.split_at_checked(record.len().checked_sub(TAIL_BYTES)?)?;
        let (words, bytes) = tail.as_chunks::<8>();
        let [_, rank, sequence, place] = words else { return None };
        let place = u64::from_be_bytes(*place);
        let segment = usize::try_from(place >> OFFSET_BITS).ok()?;
        let segment = *self.segments.get(segment)?;
        let offset = place & ((1 << OFFSET_BITS) - 1);
        Some(Filed {
            rank: u64::from_be_bytes(*rank),
            sequence: Sequence(u64::from_be_bytes(*sequence)),
            place: Place { segment, offset },
            bytes: u32::from_be_bytes(bytes.try_into().ok()?),
        })
    }
}

/// Group and key of the device of a record.
pub(super) fn device_part(record: &[u8]) -> &[u8] {
    record.get(..record.len().saturating_sub(TAIL_BYTES)).unwrap_or_default()
}

/// The group of a record.
pub(super) fn group_of(record: &[u8]) -> u16 {
    record.first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes))
}

fn short(
    number: usize,
    max: usize,
    sequence: Sequence,
    what: &'static str,
) -> Result<u16, TwinError> {
    match u16::try_from(number) {
        Ok(short) if number < max => Ok(short),
        _ => Err(TwinError::TooMany { sequence, what, max: max as u64 }),
    }
}

/// Looks through the payload of a tablet that lies in memory; its columns are put into the emptied table.
pub(super) fn scan_memory(payload: &[u8], columns: &mut Columns) -> Result<Layout, Unfit> {
    scan(&mut Cursor::memory(payload), columns).map_err(|error| match error {
        ReadError::Malformed(error) => Unfit::Malformed(error),
        // Bytes in memory do not fail.
        ReadError::Disk { .. } => Unfit::NotATablet,
    })?
}

/// Looks through the payload of a tablet; its columns are put into the emptied table.
pub(super) fn scan(
    cursor: &mut Cursor<'_>,
    columns: &mut Columns,
) -> Result<Result<Layout, Unfit>, ReadError> {
    let is_tablet = cursor.i8("version")? == VERSION
        && cursor.i16("type")? == RequestType::TabletInsertNode.code()
        && NodeType::read(cursor)? == NodeType::InsertTablet;
    if !is_tablet {
        return Ok(Err(Unfit::NotATablet));
    }
    let layout = tablet::scan(cursor, Form::Node, columns)?;
    if columns.iter().any(|column| column.data_type == Some(DataType::Object)) {
        return Ok(Err(Unfit::Object));
    }
    Ok(Ok(layout))
}

const _: () = assert!(ENTRY_BYTES_MAX < u32::MAX as usize);
