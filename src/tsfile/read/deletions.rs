//! Modification files: what was deleted of a file after it was written.
//!
//! ```text
//!  .mods    a line each: DELETION,<pattern>,<file offset>,<first time>,<last time>      (1.3)
//!           only chunks before the file offset; without it and the first time: DELETION,<pattern>,<n>,<last>
//!  .mods2   records to the end of the file                                              (2.0)
//!           u8 1 | i64 first time | i64 last time | vstr pattern
//!           u8 0 | i64 | i64 | vstr table | predicate | svar count, count x vstr measurement (0: all)
//!  predicate  u8 0 | u8 1, device of version 4 | u8 2, vstr text, svar segment | u8 3, svar count, predicates
//! ```
//!
//! Both times are included. A last line without its line end, and what follows an unknown line or record, is left out
//! ([`Deletions::is_partial`]): servers cut the one off and lose the others. Defined by `ModificationFile` and `TreeDeletionEntry` of `IoTDB`.

use thiserror::Error;

use super::index::read_segments;
use crate::data::{ReadAt, TimeRange, path};
use crate::limits::{TSFILE_DELETIONS_MAX, WRAPPERS_MAX};
use crate::tsfile::device::DeviceId;
use crate::tsfile::window::{TsFileError, Window};

/// What was deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deletions {
    list: Vec<Deletion>,
    is_partial: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Deletion {
    what: What,
    times: TimeRange,
    /// Only chunks that begin before it.
    before: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// Series of the tree model.
    Pattern(String),
    /// Columns of a table; none named: all.
    Table { name: String, rows: Predicate, columns: Vec<String> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Predicate {
    All,
    Device(DeviceId),
    Segment(String, usize),
    Both(Vec<Self>),
}

/// Times of a series that are gone from chunks before an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(crate) times: TimeRange,
    pub(crate) before: u64,
}

/// Why a modification file cannot be read.
#[derive(Debug, Error)]
pub enum DeletionsError {
    /// More deletions than are kept.
    #[error("more than {TSFILE_DELETIONS_MAX} deletions")]
    Many,
    /// A record is flawed.
    #[error(transparent)]
    Flawed(#[from] TsFileError),
}

impl Deletions {
    /// Reads the text of 1.3.
    ///
    /// # Errors
    /// [`DeletionsError::Many`].
    pub fn from_lines(text: &[u8]) -> Result<Self, DeletionsError> {
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let mut deletions = Self { is_partial: whole < text.len(), ..Self::default() };
        let lines = text.get(..whole).unwrap_or_default();
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let line = std::str::from_utf8(line).ok();
            let Some(deletion) = line.and_then(|line| from_line(line.trim_end())) else {
                deletions.is_partial = true;
                break;
            };
            deletions.add(deletion)?;
        }
        Ok(deletions)
    }

    /// Reads the records of 2.0.
    ///
    /// # Errors
    /// [`DeletionsError`].
    pub fn from_records<R: ReadAt + ?Sized>(file: &R) -> Result<Self, DeletionsError> {
        let mut deletions = Self::default();
        let mut window = Window::new(file, 0, file.len());
        while window.left() > 0 {
            let kind = window.u8("kind of deletion")?;
            if kind > 1 {
                deletions.is_partial = true;
                break;
            }
            let times = TimeRange { min: window.i64("first time")?, max: window.i64("last time")? };
            let name = window.text("deleted path")?.unwrap_or_default();
            let what = if kind == 1 { What::Pattern(name) } else { table(&mut window, name)? };
            deletions.add(Deletion { what, times, before: u64::MAX })?;
        }
        Ok(deletions)
    }

    fn add(&mut self, deletion: Deletion) -> Result<(), DeletionsError> {
        if self.list.len() >= TSFILE_DELETIONS_MAX {
            return Err(DeletionsError::Many);
        }
        self.list.push(deletion);
        Ok(())
    }

    /// Whether nothing was deleted.
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether there is more in the file than these: a last line without its end, or what nobody here understands.
    pub const fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.list.len()
    }

    /// What is gone of a series, replacing `gone`.
    pub(crate) fn of_series(&self, device: &DeviceId, measurement: &str, gone: &mut Vec<Gone>) {
        gone.clear();
        if self.list.is_empty() {
            return;
        }
        let mut path = device.path();
        path.push('.');
        path.push_str(measurement);
        let applies = |deletion: &&Deletion| match &deletion.what {
            What::Pattern(pattern) => path::matches(pattern, &path),
            What::Table { name, rows, columns } => {
                name == device.table()
                    && rows.holds(device)
                    && (columns.is_empty() || columns.iter().any(|column| column == measurement))
            }
        };
        let found = self.list.iter().filter(applies);
        gone.extend(found.map(|deletion| Gone { times: deletion.times, before: deletion.before }));
    }
}

impl Predicate {
    fn holds(&self, device: &DeviceId) -> bool {
        match self {
            Self::All => true,
            Self::Device(id) => id == device,
            // The first segment is the table.
            Self::Segment(text, index) => {
                let segment = device.segments().get(index + 1).and_then(Option::as_deref);
                segment == Some(text)
            }
            Self::Both(list) => list.iter().all(|predicate| predicate.holds(device)),
        }
    }
}

fn from_line(line: &str) -> Option<Deletion> {
    let rest = line.strip_prefix("DELETION,")?;
    let (rest, last) = rest.rsplit_once(',')?;
    let max = last.parse().ok()?;
    let (rest, second) = rest.rsplit_once(',')?;
    let second: i64 = second.parse().ok()?;
    let long = rest
        .rsplit_once(',')
        .and_then(|(pattern, offset)| Some((pattern.to_owned(), offset.parse::<i64>().ok()?)));
    Some(match long {
        Some((pattern, offset)) => Deletion {
            what: What::Pattern(pattern),
            times: TimeRange { min: second, max },
            before: u64::try_from(offset).unwrap_or_default(),
        },
        None => Deletion {
            what: What::Pattern(rest.to_owned()),
            times: TimeRange { min: i64::MIN, max },
            before: u64::MAX,
        },
    })
}

fn table<R: ReadAt + ?Sized>(
    window: &mut Window<'_, R>,
    name: String,
) -> Result<What, TsFileError> {
    let rows = predicate(window, WRAPPERS_MAX)?;
    let offset = window.offset();
    let count = signed_count(window, offset)?;
    let columns: Result<Vec<_>, _> =
        (0..count).map(|_| window.text("deleted column").map(Option::unwrap_or_default)).collect();
    Ok(What::Table { name, rows, columns: columns? })
}

fn predicate<R: ReadAt + ?Sized>(
    window: &mut Window<'_, R>,
    depth: usize,
) -> Result<Predicate, TsFileError> {
    let offset = window.offset();
    let kind = window.u8("predicate")?;
    Ok(match kind {
        0 => Predicate::All,
        1 => Predicate::Device(read_segments(window)?),
        2 => {
            let text = window.text("segment")?.unwrap_or_default();
            let index = window.var("segment index")?;
            Predicate::Segment(text, (index / 2) as usize)
        }
        3 if depth > 0 => {
            let count = signed_count(window, offset)?;
            let list: Result<_, _> = (0..count).map(|_| predicate(window, depth - 1)).collect();
            Predicate::Both(list?)
        }
        got => return Err(TsFileError::Unknown { what: "predicate", offset, got }),
    })
}

/// A count as a zig-zag number; each thing has a byte at least.
fn signed_count<R: ReadAt + ?Sized>(
    window: &mut Window<'_, R>,
    offset: u64,
) -> Result<u32, TsFileError> {
    let got = window.var("count")?;
    let most = i128::from(window.left()) * 2;
    crate::tsfile::window::within("count", offset, got.into(), 0, most)?;
    Ok(got / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(deletions: &Deletions, device: &str, measurement: &str) -> Vec<(i64, i64, u64)> {
        let mut gone = Vec::new();
        deletions.of_series(&DeviceId::segmented(device), measurement, &mut gone);
        gone.iter().map(|gone| (gone.times.min, gone.times.max, gone.before)).collect()
    }

    #[test]
    fn lines_of_1_3_are_read() {
        let text = b"DELETION,root.sg.d1.s1,228,1000,2000\r\nDELETION,root.`a,b`.**,9,-5,7\n\
            DELETION,root.sg.d1.*,3,50\nDELETION,root.sg.d1.s1,228,1,2";
        let deletions = Deletions::from_lines(text).expect("few");
        assert_eq!(deletions.len(), 3, "the last line has no end");
        assert!(deletions.is_partial());
        assert_eq!(
            gone(&deletions, "root.sg.d1", "s1"),
            [(1000, 2000, 228), (i64::MIN, 50, u64::MAX)]
        );
        assert_eq!(gone(&deletions, "root.`a,b`.d", "x"), [(-5, 7, 9)]);
        assert_eq!(gone(&deletions, "root.sg.d2", "s1"), []);
        let cut = Deletions::from_lines(b"WHAT\nDELETION,root.a.b,1,2,3\n").expect("few");
        assert!(cut.is_empty() && cut.is_partial());
        let whole = Deletions::from_lines(b"DELETION,root.a.b,1,2,3\n").expect("few");
        assert!(whole.len() == 1 && !whole.is_partial());
        assert!(!Deletions::from_lines(b"").expect("none").is_partial());
    }

    #[test]
    fn records_of_2_0_are_read() {
        let mut bytes = b"\x01\0\0\0\0\0\0\x03\xe8\0\0\0\0\0\0\x07\xd0\x1aroot.sg.d1.s1".to_vec();
        bytes
            .extend(b"\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x09\x02t\x03\x04\x02\x02x\0\x00\x02\x02f");
        let deletions = Deletions::from_records(&bytes[..]).expect("legal");
        assert_eq!(gone(&deletions, "root.sg.d1", "s1"), [(1000, 2000, u64::MAX)]);
        assert!(!deletions.is_partial());
        let later = [&bytes[..], b"\x02later"].concat();
        assert!(Deletions::from_records(&later[..]).expect("legal").is_partial());
        let mut found = Vec::new();
        for (tag, column, count) in [("x", "f", 1), ("y", "f", 0), ("x", "g", 0)] {
            let id = DeviceId::of_segments(vec![Some("t".to_owned()), Some(tag.to_owned())]);
            deletions.of_series(&id, column, &mut found);
            assert_eq!(found.len(), count, "{tag} {column}");
        }
        for length in 0..bytes.len() {
            let _outcome = Deletions::from_records(&bytes[..length]);
        }
    }
}
