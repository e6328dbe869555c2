//! One pass over the index: one file.

use super::arena::Arena;
use super::index::{Filed, device_part, group_of};
use super::lone::{LoneAligned, Looking, Next as LoneNext, Seen};
use super::long::{Long, Lying};
use super::maker::Parts;
use super::output::OpenFile;
use super::slots::Slots;
use super::sorter::{Merge, Sorter};
use super::spill::Spill;
use super::wide::{Next, WideAligned, WidePlain};
use super::{Source, TwinError, Unfit, key};
use crate::data::{DataType, Sequence};
use crate::limits::{TWIN_NAMES_BYTES_MAX, TWIN_ORDERS_MAX, TWIN_SLOTS_MAX, TWIN_STEP_BYTES};
use crate::spool::Disk;
use crate::tsfile::device::DeviceId;
use crate::tsfile::write::{Scratch as _, Version};
use crate::wire::columns::Columns;

/// What a turn counts at least.
const RECORD_BYTES: usize = 256;
/// Bytes of memory that a byte of a tablet may take, with its tables.
const HELD_FOR_BYTE: usize = 2;

/// Which file is made: of which group, of which of its orders of devices, and which slot of their series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Which {
    pub(super) group: u16,
    pub(super) order: usize,
    pub(super) slot: usize,
}

/// What a pass has come to.
#[derive(Debug)]
pub(super) struct Pass<D: Disk> {
    which: Which,
    merge: Merge,
    /// The last device of each order, as version 4 has it.
    orders: Vec<DeviceId>,
    /// Whether some device, or some series, goes to a file after this one.
    has_more_orders: bool,
    has_more_slots: bool,
    pub(super) file: Option<OpenFile<D>>,
    /// The device in hand, as its records name it.
    device: Vec<u8>,
    stage: Stage,
}

/// ```text
///  Seeking --> Gathering --all in the arena, written--> Seeking
///                `--the arena was full--> Plain, or Looking --> Aligned or Lone --> Seeking
/// ```
#[derive(Debug)]
enum Stage {
    /// The next device is looked for.
    Seeking,
    /// Its tablets are read; whether some were put away.
    Gathering(bool),
    /// It is merged.
    Plain(Box<WidePlain>, Slots),
    Looking(Box<Looking>),
    Aligned(Box<WideAligned>),
    Lone(Box<LoneAligned>),
}

impl<D: Disk> Pass<D> {
    pub(super) fn new(which: Which) -> Self {
        Self {
            which,
            merge: Merge::default(),
            orders: Vec::new(),
            has_more_orders: false,
            has_more_slots: false,
            file: None,
            device: Vec::new(),
            stage: Stage::Seeking,
        }
    }

    pub(super) const fn which(&self) -> Which {
        self.which
    }

    /// What the next pass makes.
    pub(super) const fn next(&self) -> Which {
        let Which { group, order, slot } = self.which;
        if self.has_more_slots {
            Which { group, order, slot: slot + 1 }
        } else if self.has_more_orders {
            Which { group, order: order + 1, slot: 0 }
        } else {
            Which { group: group + 1, order: 0, slot: 0 }
        }
    }

    /// Goes on; `false` at the end.
    pub(super) fn step<S: Source>(&mut self, parts: &mut Parts<D, S>) -> Result<bool, TwinError> {
        let mut bytes = 0;
        while bytes < TWIN_STEP_BYTES {
            bytes += match std::mem::replace(&mut self.stage, Stage::Seeking) {
                Stage::Seeking => match self.next_device(parts)? {
                    Some(sequence) => self.choose(parts, sequence)?,
                    None => return Ok(false),
                },
                Stage::Gathering(was_full) => self.gather(parts, was_full)?,
                Stage::Plain(wide, slots) => self.merge_plain(parts, wide, slots)?,
                Stage::Looking(looking) => self.look(parts, looking)?,
                Stage::Aligned(wide) => self.merge_aligned(parts, wide)?,
                Stage::Lone(lone) => self.merge_lone(parts, lone)?,
            };
        }
        Ok(true)
    }

    fn id<S: Source>(&self, parts: &Parts<D, S>) -> DeviceId {
        key::device(self.device.get(2..).unwrap_or_default(), parts.version())
    }

    /// Gathers the device or leaves it to another file.
    fn choose<S: Source>(
        &mut self,
        parts: &mut Parts<D, S>,
        sequence: Sequence,
    ) -> Result<usize, TwinError> {
        let id = self.id(parts);
        if self.order_of(&id, parts, sequence)? == self.which.order {
            parts.arena.clear();
            self.stage = Stage::Gathering(false);
        } else {
            self.skip_device(parts)?;
        }
        Ok(RECORD_BYTES)
    }

    /// Notes the next device of the group; gives one of its entries.
    fn next_device<S: Source>(
        &mut self,
        parts: &Parts<D, S>,
    ) -> Result<Option<Sequence>, TwinError> {
        while let Some(record) = peek(&mut self.merge, &parts.tablets)? {
            if group_of(record) > self.which.group {
                return Ok(None);
            }
            if group_of(record) == self.which.group {
                self.device.clear();
                self.device.extend_from_slice(device_part(record));
                return Ok(parts.groups.filed(record).map(|filed| filed.sequence));
            }
            take(&mut self.merge, &parts.tablets)?;
        }
        Ok(None)
    }

    fn skip_device<S: Source>(&mut self, parts: &Parts<D, S>) -> Result<(), TwinError> {
        while let Some(record) = peek(&mut self.merge, &parts.tablets)?
            && device_part(record) == self.device
        {
            take(&mut self.merge, &parts.tablets)?;
        }
        Ok(())
    }

    /// The first order of devices in which this one ascends.
    fn order_of<S: Source>(
        &mut self,
        id: &DeviceId,
        parts: &Parts<D, S>,
        sequence: Sequence,
    ) -> Result<usize, TwinError> {
        let writer = parts.settings.writer;
        if writer.version != Version::V3 || !writer.both_orders {
            return Ok(0);
        }
        let id = DeviceId::segmented(&id.path());
        let found = self.orders.iter().position(|last| *last < id);
        let order = found.unwrap_or(self.orders.len());
        match self.orders.get_mut(order) {
            Some(last) => *last = id,
            None if order < TWIN_ORDERS_MAX => self.orders.push(id),
            None => {
                let (what, max) = ("orders of devices", TWIN_ORDERS_MAX as u64);
                return Err(TwinError::TooMany { sequence, what, max });
            }
        }
        self.has_more_orders |= order > self.which.order;
        Ok(order)
    }

    /// Reads the next tablet of the device, or writes it if there is none; gives the bytes read or written.
    fn gather<S: Source>(
        &mut self,
        parts: &mut Parts<D, S>,
        was_full: bool,
    ) -> Result<usize, TwinError> {
        let record = peek(&mut self.merge, &parts.tablets)?;
        let record = record.filter(|record| device_part(record) == self.device);
        let Some(filed) = record.and_then(|record| parts.groups.filed(record)) else {
            return self.write(parts, was_full);
        };
        take(&mut self.merge, &parts.tablets)?;
        let wanted = filed.bytes as usize;
        if wanted > parts.budget.whole_bytes() {
            self.stage = Stage::Gathering(self.gather_long(parts, filed)? || was_full);
            return Ok(wanted);
        }
        let is_full = !parts.arena.is_empty()
            && parts.arena.held_bytes() + HELD_FOR_BYTE * wanted > parts.budget.arena_bytes;
        if is_full {
            self.spill(parts)?;
        }
        self.stage = Stage::Gathering(was_full || is_full);
        let unfit = |why| TwinError::Unfit { sequence: filed.sequence, why };
        if parts.source.read_at(filed.place, parts.arena.room(wanted))? < wanted {
            return Err(unfit(Unfit::NotATablet));
        }
        parts.arena.take_in(filed).map_err(unfit)?;
        Ok(wanted)
    }

    /// Reads a tablet that is too long for the arena; says whether something of the device was put away.
    fn gather_long<S: Source>(
        &self,
        parts: &mut Parts<D, S>,
        filed: Filed,
    ) -> Result<bool, TwinError> {
        let is_aligned = self.is_aligned(parts);
        let Parts { source, slices, scratch, middle, arena, budget, window, .. } = parts;
        let mut spill = Spill::new(slices, scratch, is_aligned, *middle);
        let lying = Lying::new(source, filed.sequence, filed.place, filed.bytes);
        let mut columns = Columns::new();
        let mut cursor = lying.open(window)?;
        let layout = lying.scan(&mut cursor, &mut columns)?;
        let mut long = Long { cursor, filed, layout, columns: &mut columns, row: 0 };
        if long.is_direct(is_aligned, budget).map_err(|error| lying.failed(error))? {
            long.file(&lying, &mut spill)?;
            return Ok(true);
        }
        let mut is_put_away = false;
        while long.take(arena, budget.whole_bytes()).map_err(|error| lying.failed(error))? {
            if arena.held_bytes() + HELD_FOR_BYTE * budget.whole_bytes() > budget.arena_bytes {
                spill.empty(arena, budget)?;
                is_put_away = true;
            }
        }
        Ok(is_put_away)
    }

    fn is_aligned<S: Source>(&self, parts: &Parts<D, S>) -> bool {
        parts.groups.get(self.which.group).is_some_and(|met| met.group.is_aligned)
    }

    /// Empties the arena.
    fn spill<S: Source>(&self, parts: &mut Parts<D, S>) -> Result<(), TwinError> {
        let is_aligned = self.is_aligned(parts);
        let Parts { slices, scratch, middle, arena, budget, .. } = parts;
        Spill::new(slices, scratch, is_aligned, *middle).empty(arena, budget)
    }

    /// Writes the device from the arena, or begins to merge it.
    fn write<S: Source>(
        &mut self,
        parts: &mut Parts<D, S>,
        was_full: bool,
    ) -> Result<usize, TwinError> {
        let bytes = parts.arena.held_bytes();
        let id = self.id(parts);
        if was_full {
            self.spill(parts)?;
            // Its memory is needed for the merge.
            parts.arena = Arena::default();
            let slices = &mut parts.slices;
            slices.end().map_err(TwinError::disk("write", slices.scratch().path()))?;
            self.stage = if self.is_aligned(parts) {
                Stage::Looking(Box::new(Looking::new(self.which.slot, &parts.budget)))
            } else {
                Stage::Plain(Box::default(), Slots::new(usize::MAX, usize::MAX))
            };
            return Ok(bytes);
        }
        parts.arena.sort();
        let arena = std::mem::take(&mut parts.arena);
        let written = if self.is_aligned(parts) {
            self.write_aligned(parts, &arena, &id)
        } else {
            self.write_plain(parts, &arena, &id)
        };
        parts.arena = arena;
        written.map(|()| bytes)
    }

    fn write_plain<S: Source>(
        &mut self,
        parts: &mut Parts<D, S>,
        arena: &Arena,
        id: &DeviceId,
    ) -> Result<(), TwinError> {
        let mut slots = Slots::new(usize::MAX, usize::MAX);
        let mut is_begun = false;
        let mut from = 0;
        while let Some((series, next)) = arena.series(from) {
            from = next;
            let Some(series) = series else { continue };
            if !self.is_wanted(&mut slots, (&series.name, series.data_type), id, parts) {
                continue;
            }
            let file = self.open(parts)?;
            if !std::mem::replace(&mut is_begun, true) {
                file.device(id)?;
            }
            file.series(arena, &series)?;
        }
        Ok(())
    }

    fn write_aligned<S: Source>(
        &mut self,
        parts: &mut Parts<D, S>,
        arena: &Arena,
        id: &DeviceId,
    ) -> Result<(), TwinError> {
        let mut slots = Slots::new(parts.budget.columns, TWIN_NAMES_BYTES_MAX);
        let mut wanted = Vec::new();
        let mut from = 0;
        while let Some((series, next)) = arena.series(from) {
            from = next;
            let Some(series) = series else { continue };
            if self.is_wanted(&mut slots, (&series.name, series.data_type), id, parts) {
                wanted.push(series);
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let rows = parts.budget.rows;
        self.open(parts)?.aligned(id, arena, &wanted, rows)
    }

    fn is_wanted<S: Source>(
        &mut self,
        slots: &mut Slots,
        (name, data_type): (&str, DataType),
        id: &DeviceId,
        parts: &mut Parts<D, S>,
    ) -> bool {
        let (slot, other) = slots.next(name, data_type);
        self.has_more_slots |= slot > self.which.slot;
        if let Some(other) = other.filter(|_| self.which.slot == 0) {
            parts.conflicts.add(&id.path(), name, [other, data_type]);
        }
        slot == self.which.slot
    }

    fn open<S: Source>(&mut self, parts: &Parts<D, S>) -> Result<&mut OpenFile<D>, TwinError> {
        let file = match self.file.take() {
            Some(file) => file,
            None => OpenFile::create(&parts.disk, &parts.settings, parts.made.twins.len())?,
        };
        Ok(self.file.insert(file))
    }
}

/// A device that is merged from slices.
impl<D: Disk> Pass<D> {
    /// Looks at the next series of an aligned device, and begins to merge it behind the last.
    fn look<S: Source>(
        &mut self,
        parts: &mut Parts<D, S>,
        mut looking: Box<Looking>,
    ) -> Result<usize, TwinError> {
        let id = self.id(parts);
        if let Some(bytes) = looking.step(parts, &id)? {
            self.stage = Stage::Looking(looking);
            return Ok(bytes);
        }
        match LoneAligned::of(parts, looking.seen, self.which.slot)? {
            Ok(lone) => self.stage = Stage::Lone(Box::new(lone)),
            Err(seen) => self.begin_wide(parts, &id, seen)?,
        }
        Ok(RECORD_BYTES)
    }

    fn begin_wide<S: Source>(
        &mut self,
        parts: &mut Parts<D, S>,
        id: &DeviceId,
        seen: Seen,
    ) -> Result<(), TwinError> {
        if seen.slots > TWIN_SLOTS_MAX {
            // Half a run needs less.
            let (what, max) = ("files for one device", TWIN_SLOTS_MAX as u64);
            return Err(TwinError::TooMany { sequence: parts.middle, what, max });
        }
        self.has_more_slots |= seen.has_more_slots;
        if seen.columns.is_empty() {
            return self.end_merge(parts);
        }
        self.open(parts)?.begin_aligned(id, &seen.columns)?;
        let wide = WideAligned::new(seen.columns, seen.times, parts.budget.rows);
        self.stage = Stage::Aligned(Box::new(wide));
        Ok(())
    }

    fn merge_lone<S: Source>(
        &mut self,
        parts: &mut Parts<D, S>,
        mut lone: Box<LoneAligned>,
    ) -> Result<usize, TwinError> {
        match lone.step(parts, self.file.as_mut())? {
            LoneNext::Worked(bytes) => {
                self.stage = Stage::Lone(lone);
                return Ok(bytes);
            }
            LoneNext::Several => {
                let id = self.id(parts);
                self.begin_wide(parts, &id, lone.seen)?;
            }
            LoneNext::OneGroup(page_ends) => {
                self.has_more_slots |= lone.seen.has_more_types;
                if !lone.seen.has_type {
                    self.end_merge(parts)?;
                    return Ok(RECORD_BYTES);
                }
                let id = self.id(parts);
                lone.begin(&id, page_ends, self.open(parts)?)?;
                self.stage = Stage::Lone(lone);
            }
            LoneNext::End => self.end_merge(parts)?,
        }
        Ok(RECORD_BYTES)
    }

    fn end_merge<S: Source>(&mut self, parts: &mut Parts<D, S>) -> Result<(), TwinError> {
        self.stage = Stage::Seeking;
        let Parts { slices, scratch, .. } = parts;
        let cleared = slices.clear().and_then(|()| scratch.clear());
        cleared.map_err(TwinError::disk("clear", scratch.path()))
    }

    fn merge_plain<S: Source>(
        &mut self,
        parts: &mut Parts<D, S>,
        mut wide: Box<WidePlain>,
        mut slots: Slots,
    ) -> Result<usize, TwinError> {
        let bytes = match wide.step(parts, self.file.as_mut())? {
            Next::End => {
                self.end_merge(parts)?;
                return Ok(RECORD_BYTES);
            }
            Next::Points(points) => 16 * points,
            Next::Series(name, data_type) => {
                let id = self.id(parts);
                let is_wanted = self.is_wanted(&mut slots, (&name, data_type), &id, parts);
                if is_wanted && !wide.is_begun {
                    self.open(parts)?.device(&id)?;
                    wide.is_begun = true;
                }
                if is_wanted {
                    self.open(parts)?.begin_series(name, data_type)?;
                } else {
                    wide.skip();
                }
                RECORD_BYTES
            }
        };
        self.stage = Stage::Plain(wide, slots);
        Ok(bytes)
    }

    fn merge_aligned<S: Source>(
        &mut self,
        parts: &mut Parts<D, S>,
        mut wide: Box<WideAligned>,
    ) -> Result<usize, TwinError> {
        let Some(bytes) = wide.step(parts, self.open(parts)?)? else {
            self.end_merge(parts)?;
            return Ok(RECORD_BYTES);
        };
        self.stage = Stage::Aligned(wide);
        Ok(bytes)
    }
}

fn peek<'a, D: Disk>(
    merge: &'a mut Merge,
    sorter: &Sorter<D>,
) -> Result<Option<&'a [u8]>, TwinError> {
    merge.peek(sorter).map_err(TwinError::disk("read", sorter.scratch().path()))
}

fn take<D: Disk>(merge: &mut Merge, sorter: &Sorter<D>) -> Result<(), TwinError> {
    merge.take(sorter).map_err(TwinError::disk("read", sorter.scratch().path()))
}
