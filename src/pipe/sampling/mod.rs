//! Sampling: which points of each series a pipe sends (`down-sampling` processors).
//!
//! ```text
//!  payload of a tablet -- scan --> each column: Rule over its points, with the series' State
//!                                       |
//!          as it is <-- all stay -------+---- some stay --> written anew, the rest null or gone
//!                                       +---- none stays -> nothing is sent
//! ```
//!
//! | file | has |
//! |---|---|
//! | `rule.rs` | what makes a point stay, one series at a time |
//! | `series.rs` | the states of all series, by a hash of device and measurement |
//! | `rewrite.rs` | the tablet that is left |
//!
//! Nothing here reads a clock or a disk. The states are lost at a restart, as stock's are: the first point of a series
//! stays then. So are those of series beyond the limit never kept: their points all stay.

mod rewrite;
mod rule;
mod series;
#[cfg(test)]
mod tests;

use crate::data::{Identity, Precision, TimeRange};
use crate::limits::SAMPLED_SERIES_MAX;
use crate::statement::Processor;
use crate::wire::columns::Columns;
use crate::wire::cursor::{Cursor, ReadError};
use crate::wire::node::{NodeType, skip_tail};
use crate::wire::request::{Head, RequestType};
use crate::wire::tablet::{self, Form, Layout};
use crate::wire::values::Tablet;

use rule::Rule;
use series::Series;

/// Samples the tablets of one pipe, one after the other.
#[derive(Debug)]
pub struct Sampler {
    processor: Processor,
    /// Tells processors apart.
    tag: u32,
    series: Series,
    columns: Columns,
    /// Whether each cell stays, column by column.
    kept: Vec<bool>,
    out: Vec<u8>,
}

/// What is left of a tablet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampled<'a> {
    /// All of it.
    Whole,
    /// This: an air-gap payload of type 2 under this identity, and the times that it covers.
    Part(&'a [u8], Identity, TimeRange),
    /// None of its points.
    Nothing,
}

impl Sampler {
    /// One that has seen nothing; none if all points stay.
    pub fn new(processor: Processor) -> Option<Self> {
        let is_some = processor != Processor::DoNothing;
        is_some.then(|| Self {
            processor,
            tag: crc32fast::hash(format!("{processor:?}").as_bytes()),
            series: Series::new(SAMPLED_SERIES_MAX),
            columns: Columns::new(),
            kept: Vec::new(),
            out: Vec::new(),
        })
    }

    /// Samples the payload of the tablet entry with this identity, whose times are in units of `precision`. What is no tablet of the tree
    /// model stays as it is.
    ///
    /// # Errors
    /// If it is no request.
    pub fn sample(
        &mut self,
        payload: &[u8],
        identity: Identity,
        precision: Precision,
    ) -> Result<Sampled<'_>, ReadError> {
        let mut cursor = Cursor::memory(payload);
        let Some(layout) = scan(&mut cursor, &mut self.columns)? else {
            return Ok(Sampled::Whole);
        };
        skip_tail(&mut cursor)?;
        let tablet = Tablet::new(payload, layout, &self.columns);
        let rule = Rule::new(&self.processor, precision);
        self.kept.clear();
        self.kept.reserve(tablet.rows() * tablet.columns().len());
        let device = self.series.device(tablet.device());
        let (mut points, mut stay) = (0_usize, 0_usize);
        for column in tablet.columns() {
            let mut state = self.series.state(device, column.name());
            for (time, value) in tablet.times().zip(column.values()) {
                let stays = value.is_some_and(|value| match &mut state {
                    Some(state) => rule.stays(state, time, value),
                    None => true,
                });
                points += usize::from(value.is_some());
                stay += usize::from(stays);
                self.kept.push(stays);
            }
        }
        if stay == points {
            return Ok(Sampled::Whole);
        }
        if stay == 0 {
            return Ok(Sampled::Nothing);
        }
        // It is not the entry: others may send that, or other parts of it, to the same receiver.
        let identity = Identity { origin: identity.origin.of_samples(self.tag), ..identity };
        let range = rewrite::write(&tablet, &self.kept, identity, &mut self.out);
        Ok(Sampled::Part(&self.out, identity, range))
    }

    /// Series that the limit leaves out, whose points all stay; counted by tablets.
    pub const fn unsampled(&self) -> u64 {
        self.series.left_out()
    }
}

/// The tablet of a payload; none if it is another request.
fn scan(cursor: &mut Cursor<'_>, columns: &mut Columns) -> Result<Option<Layout>, ReadError> {
    let (version, code) = (cursor.i8("version")?, cursor.i16("type")?);
    let head = Head::of(RequestType::TabletInsertNode);
    if (version, code) != (head.version, head.code)
        || NodeType::read(cursor)? != NodeType::InsertTablet
    {
        return Ok(None);
    }
    tablet::scan(cursor, Form::Node, columns).map(Some)
}
