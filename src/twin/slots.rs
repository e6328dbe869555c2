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
    /// Columns in each slot.
    counts: Vec<usize>,
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
    /// For a device of which each slot takes so many series.
    pub(super) const fn new(columns_max: usize) -> Self {
        Self { columns_max, counts: Vec::new(), last: None }
    }

    /// The slot of the next series; and if its name had another type before, that type.
    pub(super) fn next(&mut self, name: &str, data_type: DataType) -> (usize, Option<DataType>) {
        let before = self.last.take().filter(|(last, _, _)| last == name);
        let least = before.as_ref().map_or(0, |(_, _, slot)| slot + 1);
        let free = self.counts.iter().skip(least).position(|count| *count < self.columns_max);
        let slot = free.map_or_else(|| self.counts.len().max(least), |free| least + free);
        if self.counts.len() <= slot {
            self.counts.resize(slot + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(slot) {
            *count += 1;
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
        let mut slots = Slots::new(usize::MAX);
        let mut next = |name, data_type| slots.next(name, data_type);
        assert_eq!(next("a", DataType::Int32), (0, None));
        assert_eq!(next("a", DataType::Float), (1, Some(DataType::Int32)));
        assert_eq!(next("a", DataType::Text), (2, Some(DataType::Int32)));
        assert_eq!(next("b", DataType::Int32), (0, None));
    }

    #[test]
    fn a_wide_device_goes_on_in_the_next_slot() {
        let mut slots = Slots::new(2);
        let mut next = |name, data_type| slots.next(name, data_type).0;
        assert_eq!(next("a", DataType::Int32), 0);
        assert_eq!(next("b", DataType::Int32), 0);
        assert_eq!(next("b", DataType::Int64), 1);
        assert_eq!(next("c", DataType::Int32), 1);
        assert_eq!(next("d", DataType::Int32), 2);
        assert_eq!(next("d", DataType::Int64), 3, "never beside a column of its name");
    }
}
