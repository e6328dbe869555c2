//! One pass over the index: one file.

use super::arena::Series;
use super::index::{device_part, group_of};
use super::maker::Parts;
use super::output::OpenFile;
use super::slots::Slots;
use super::sorter::{Merge, Sorter};
use super::{Source, TwinError, Unfit, key};
use crate::data::Sequence;
use crate::limits::{TWIN_ARENA_BYTES, TWIN_COLUMNS_MAX, TWIN_ORDERS_MAX, TWIN_STEP_BYTES};
use crate::spool::Disk;
use crate::tsfile::device::DeviceId;
use crate::tsfile::write::Version;

/// Memory of the tablets of one device.
const DEVICE_BYTES_MAX: usize = 16 * TWIN_ARENA_BYTES;

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
    device: Vec<u8>,
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
            let Some(sequence) = self.next_device(parts)? else { return Ok(false) };
            let id = key::device(self.device.get(2..).unwrap_or_default(), parts.version());
            if self.order_of(&id, parts, sequence)? == self.which.order {
                bytes += self.gather(parts)?;
                self.write(parts, &id)?;
            } else {
                self.skip_device(parts)?;
            }
        }
        Ok(true)
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

    /// Reads the tablets of the device; gives their bytes.
    fn gather<S: Source>(&mut self, parts: &mut Parts<D, S>) -> Result<usize, TwinError> {
        let mut bytes = 0;
        parts.arena.clear();
        while let Some(record) = peek(&mut self.merge, &parts.tablets)?
            && device_part(record) == self.device
        {
            let Some(filed) = parts.groups.filed(record) else { break };
            take(&mut self.merge, &parts.tablets)?;
            let unfit = |why| TwinError::Unfit { sequence: filed.sequence, why };
            let wanted = filed.bytes as usize;
            let room = parts.arena.room(wanted);
            if parts.source.read_at(filed.place, room)? < wanted {
                return Err(unfit(Unfit::NotATablet));
            }
            parts.arena.take_in(filed).map_err(unfit)?;
            bytes += wanted;
            if parts.arena.held_bytes() > DEVICE_BYTES_MAX {
                let (what, max) = ("bytes of one device", DEVICE_BYTES_MAX as u64);
                return Err(TwinError::TooMany { sequence: filed.sequence, what, max });
            }
        }
        parts.arena.sort();
        Ok(bytes)
    }

    fn write<S: Source>(
        &mut self,
        parts: &mut Parts<D, S>,
        id: &DeviceId,
    ) -> Result<(), TwinError> {
        let is_aligned = parts.groups.get(self.which.group).is_some_and(|met| met.group.is_aligned);
        if is_aligned { self.write_aligned(parts, id) } else { self.write_plain(parts, id) }
    }

    fn write_plain<S: Source>(
        &mut self,
        parts: &mut Parts<D, S>,
        id: &DeviceId,
    ) -> Result<(), TwinError> {
        let arena = std::mem::take(&mut parts.arena);
        let mut slots = Slots::new(usize::MAX);
        let mut is_begun = false;
        let mut from = 0;
        while let Some((series, next)) = arena.series(from) {
            from = next;
            let Some(series) = series else { continue };
            if !self.is_wanted(&mut slots, &series, id, parts) {
                continue;
            }
            let file = self.open(parts)?;
            if !std::mem::replace(&mut is_begun, true) {
                file.device(id)?;
            }
            file.series(&arena, &series)?;
        }
        parts.arena = arena;
        Ok(())
    }

    fn write_aligned<S: Source>(
        &mut self,
        parts: &mut Parts<D, S>,
        id: &DeviceId,
    ) -> Result<(), TwinError> {
        let arena = std::mem::take(&mut parts.arena);
        let mut slots = Slots::new(TWIN_COLUMNS_MAX);
        let mut wanted = Vec::new();
        let mut from = 0;
        while let Some((series, next)) = arena.series(from) {
            from = next;
            let Some(series) = series else { continue };
            if self.is_wanted(&mut slots, &series, id, parts) {
                wanted.push(series);
            }
        }
        if !wanted.is_empty() {
            self.open(parts)?.aligned(id, &arena, &wanted)?;
        }
        drop(wanted);
        parts.arena = arena;
        Ok(())
    }

    fn is_wanted<S: Source>(
        &mut self,
        slots: &mut Slots,
        series: &Series<'_>,
        id: &DeviceId,
        parts: &mut Parts<D, S>,
    ) -> bool {
        let (slot, other) = slots.next(&series.name, series.data_type);
        self.has_more_slots |= slot > self.which.slot;
        if let Some(other) = other.filter(|_| self.which.slot == 0) {
            parts.conflicts.add(&id.path(), &series.name, [other, series.data_type]);
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

fn peek<'a, D: Disk>(
    merge: &'a mut Merge,
    sorter: &Sorter<D>,
) -> Result<Option<&'a [u8]>, TwinError> {
    merge.peek(sorter).map_err(TwinError::disk("read", sorter.scratch().path()))
}

fn take<D: Disk>(merge: &mut Merge, sorter: &Sorter<D>) -> Result<(), TwinError> {
    merge.take(sorter).map_err(TwinError::disk("read", sorter.scratch().path()))
}
