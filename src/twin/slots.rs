//! Which file a series goes to.
//!
//! A file has one type for a series, and an aligned device that is too wide for the writer's memory goes on in another
//! file. Slot 0 is the first file of a group; series come by name, then by type.

use super::Conflict;
use crate::data::DataType;

/// Conflicts that are told; more are only counted.
const CONFLICTS_MAX: usize = 16;

/// Deals the series of one device to slots.
#[derive(Debug)]
pub(super) struct Slots {
    columns_max: usize,
    names_max: usize,
    /// Columns in each slot, and bytes of their names.
    counts: Vec<(usize, usize)>,
    /// The series before: name, first type, slot.
    last: Option<(String, DataType, usize)>,
}

/// Series that came with more than one type.
#[derive(Debug, Default, Clone)]
pub(super) struct Conflicts {
    pub(super) list: Vec<Conflict>,
    pub(super) count: u64,
}

impl Slots {
    /// For a device of which each slot takes so many series, with so many bytes of names, or one.
    pub(super) const fn new(columns_max: usize, names_max: usize) -> Self {
        Self { columns_max, names_max, counts: Vec::new(), last: None }
    }

    /// How many there are.
    pub(super) const fn count(&self) -> usize {
        self.counts.len()
    }

    /// The slot of the next series; and if its name had another type before, that type.
    pub(super) fn next(&mut self, name: &str, data_type: DataType) -> (usize, Option<DataType>) {
        let before = self.last.take().filter(|(last, _, _)| last == name);
        let least = before.as_ref().map_or(0, |(_, _, slot)| slot + 1);
        let has_room = |(count, bytes): &(usize, usize)| {
            *count < self.columns_max && bytes + name.len() <= self.names_max
        };
        let free = self.counts.iter().skip(least).position(has_room);
        let slot = free.map_or_else(|| self.counts.len().max(least), |free| least + free);
        if self.counts.len() <= slot {
            self.counts.resize(slot + 1, (0, 0));
        }
        if let Some((count, bytes)) = self.counts.get_mut(slot) {
            *count += 1;
            *bytes += name.len();
        }
        let other = before.map(|(_, first, _)| first);
        self.last = Some((name.to_owned(), other.unwrap_or(data_type), slot));
        (slot, other)
    }
}

impl Conflicts {
    pub(super) fn add(&mut self, device: &str, series: &str, types: [DataType; 2]) {
        self.count += 1;
        if self.list.len() < CONFLICTS_MAX {
            let (device, series) = (device.to_owned(), series.to_owned());
            self.list.push(Conflict { device, series, types });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_one_series_go_to_different_slots() {
        let mut slots = Slots::new(usize::MAX, usize::MAX);
        let mut next = |name, data_type| slots.next(name, data_type);
        assert_eq!(next("a", DataType::Int32), (0, None));
        assert_eq!(next("a", DataType::Float), (1, Some(DataType::Int32)));
        assert_eq!(next("a", DataType::Text), (2, Some(DataType::Int32)));
        assert_eq!(next("b", DataType::Int32), (0, None));
    }

    #[test]
    fn long_names_fill_a_slot() {
        let mut slots = Slots::new(usize::MAX, 5);
        let mut next = |name| slots.next(name, DataType::Int32).0;
        assert_eq!(["aaaa", "bb", "c", "ddddddd", "ee"].map(&mut next), [0, 1, 0, 2, 1]);
    }

    #[test]
    fn a_wide_device_goes_on_in_the_next_slot() {
        let mut slots = Slots::new(2, usize::MAX);
        let mut next = |name, data_type| slots.next(name, data_type).0;
        assert_eq!(next("a", DataType::Int32), 0);
        assert_eq!(next("b", DataType::Int32), 0);
        assert_eq!(next("b", DataType::Int64), 1);
        assert_eq!(next("c", DataType::Int32), 1);
        assert_eq!(next("d", DataType::Int32), 2);
        assert_eq!(next("d", DataType::Int64), 3, "never beside a column of its name");
    }
}
