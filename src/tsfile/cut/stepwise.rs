//! A cut in steps.
//!
//! ```text
//!  Cutting --step--> the next devices, chunks and groups, until enough bytes were worked through
//!     |                  one chunk, or one group of an aligned device, is the least
//!     +-- holds where the index stands, the device in hand and the place in its lists of chunks
//! ```

use std::io;

use super::aligned::Aligned;
use super::{Ahead, CutError, Cutter, Selection, schemas_of};
use crate::data::{self, ReadAt};
use crate::tsfile::read::{
    ChunkCursor, Deletions, Device, DevicesAt, Gone, Series, SeriesAt, SeriesOf, TsFile,
};
use crate::tsfile::tail::Summary;
use crate::tsfile::write::{Column, Scratch, Writer};

/// Devices and series that one step goes over, whatever they cost.
const STEP_RECORDS: usize = 4096;

/// What is cut, and how much memory it may take.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// What was deleted of the file.
    pub deletions: &'a Deletions,
    /// What is kept.
    pub selection: &'a Selection,
    /// Columns of an aligned device that are kept, at most: about 500 bytes each.
    pub columns_max: usize,
    /// Rows of a group of an aligned device of which a part is kept, at most: about 24 bytes each.
    pub rows_max: usize,
}

impl<'a> Plan<'a> {
    /// For as much memory as it takes.
    pub const fn unlimited(deletions: &'a Deletions, selection: &'a Selection) -> Self {
        Self { deletions, selection, columns_max: usize::MAX, rows_max: usize::MAX }
    }
}

/// A cut that waits for its next step.
#[derive(Debug)]
pub struct Cutting {
    summary: Summary,
    walked: u64,
    /// `None` once it is over.
    devices: Option<DevicesAt>,
    hand: Option<Hand<SeriesAt>>,
}

/// The device in hand.
#[derive(Debug)]
enum Hand<L> {
    Plain(Box<Plain<L>>),
    Aligned(Box<Aligned>),
}

/// One that is not aligned.
#[derive(Debug)]
struct Plain<L> {
    device: Device,
    wanted: data::Series,
    list: L,
    /// Its first series, which said that it is not aligned.
    first: Option<Series>,
    /// The writer knows of it.
    is_begun: bool,
    open: Option<Open>,
}

/// The series in hand.
#[derive(Debug)]
struct Open {
    series: Series,
    chunks: ChunkCursor,
    gone: Vec<Gone>,
}

impl Cutting {
    /// Begins to cut a file into one that has nothing yet, is of the same version and takes devices in the order of
    /// that version alone.
    ///
    /// # Errors
    /// [`CutError`].
    pub fn new<R: ReadAt, W: io::Write, S: Scratch>(
        file: &TsFile<R>,
        writer: &mut Writer<W, S>,
    ) -> Result<Self, CutError> {
        if file.summary().schemas > 0 {
            writer.set_schemas(schemas_of(file)?);
        }
        let devices = Some(file.devices()?.pause());
        Ok(Self { summary: *file.summary(), walked: 0, devices, hand: None })
    }

    /// Bytes of the index that it has gone through, and about how many there are in a file of so many bytes.
    pub const fn walked_of(&self, file_bytes: u64) -> (u64, u64) {
        (self.walked, file_bytes.saturating_sub(self.summary.separator))
    }

    /// Works through about so many bytes more of the file that it was begun with. False once it is over, as after an
    /// error.
    ///
    /// # Errors
    /// [`CutError`].
    pub fn step<R: ReadAt, W: io::Write, S: Scratch>(
        &mut self,
        file: R,
        plan: &Plan<'_>,
        writer: &mut Writer<W, S>,
        bytes: u64,
    ) -> Result<bool, CutError> {
        let Some(devices) = self.devices.take() else { return Ok(false) };
        let file = TsFile::resume(file, self.summary, self.walked);
        let ahead = Ahead::new(file.file());
        let mut cutter = Cutter::new(&file, plan, &ahead);
        let mut devices = devices.resume(&file);
        let mut hand = self.hand.take().map(|hand| hand.map(|list| list.resume(&file)));
        let mut records = 0;
        while cutter.worked.saturating_add(file.walked() - self.walked) < bytes
            && (records < STEP_RECORDS || bytes == u64::MAX)
        {
            records += 1;
            hand = match hand {
                Some(hand) => cutter.go_on(hand, writer)?,
                None => match devices.next()? {
                    Some(device) => cutter.begin(device, writer)?,
                    None => return Ok(false),
                },
            };
        }
        self.devices = Some(devices.pause());
        self.hand = hand.map(|hand| hand.map(SeriesOf::pause));
        self.walked = file.walked();
        Ok(true)
    }
}

impl<L> Hand<L> {
    fn map<M>(self, with: impl FnOnce(L) -> M) -> Hand<M> {
        match self {
            Self::Aligned(aligned) => Hand::Aligned(aligned),
            Self::Plain(plain) => {
                let Plain { device, wanted, list, first, is_begun, open } = *plain;
                let list = with(list);
                Hand::Plain(Box::new(Plain { device, wanted, list, first, is_begun, open }))
            }
        }
    }
}

impl<'f, R: ReadAt> Cutter<'f, R> {
    /// Takes a device in hand, if it has anything that is wanted.
    fn begin<W: io::Write, S: Scratch>(
        &mut self,
        device: Device,
        writer: &mut Writer<W, S>,
    ) -> Result<Option<Hand<SeriesOf<'f, R>>>, CutError> {
        let wanted = self.plan.selection.of_device(&device.id);
        if wanted == data::Series::None {
            return Ok(None);
        }
        let mut list = self.spare.take().unwrap_or_else(|| SeriesOf::new(self.file));
        list.enter(&device)?;
        let Some(first) = list.next()? else { return Ok(None) };
        if !first.is_time() {
            let (first, is_begun, open) = (Some(first), false, None);
            let plain = Plain { device, wanted, list, first, is_begun, open };
            return Ok(Some(Hand::Plain(Box::new(plain))));
        }
        let columns = self.wanted_columns(&device, &wanted, &mut list)?;
        self.spare = Some(list);
        if columns.is_empty() {
            return Ok(None);
        }
        let aligned = self.begin_aligned(device, &first, columns, writer)?;
        Ok(Some(Hand::Aligned(Box::new(aligned))))
    }

    fn wanted_columns(
        &mut self,
        device: &Device,
        wanted: &data::Series,
        list: &mut SeriesOf<'_, R>,
    ) -> Result<Vec<Series>, CutError> {
        let max = self.plan.columns_max;
        let mut columns = Vec::new();
        while let Some(series) = list.next()? {
            if wanted.wants(&series.name) && self.has_points(&series)? {
                columns.push(series);
            }
            if columns.len() > max {
                let (device, what) = (device.id.path(), "columns that are wanted");
                return Err(CutError::Wide { device, what, got: columns.len(), max });
            }
        }
        Ok(columns)
    }

    /// Goes on with a device; `None` at its end.
    fn go_on<W: io::Write, S: Scratch>(
        &mut self,
        mut hand: Hand<SeriesOf<'f, R>>,
        writer: &mut Writer<W, S>,
    ) -> Result<Option<Hand<SeriesOf<'f, R>>>, CutError> {
        let goes_on = match &mut hand {
            Hand::Aligned(aligned) => self.next_group(aligned, writer)?,
            Hand::Plain(plain) => self.go_on_plain(plain, writer)?,
        };
        if goes_on {
            return Ok(Some(hand));
        }
        if let Hand::Plain(plain) = hand {
            self.spare = Some(plain.list);
        }
        Ok(None)
    }

    fn go_on_plain<W: io::Write, S: Scratch>(
        &mut self,
        plain: &mut Plain<SeriesOf<'f, R>>,
        writer: &mut Writer<W, S>,
    ) -> Result<bool, CutError> {
        if let Some(open) = &mut plain.open {
            std::mem::swap(&mut self.gone, &mut open.gone);
            let goes_on = self.next_chunk(&open.series, &mut open.chunks, writer);
            std::mem::swap(&mut self.gone, &mut open.gone);
            if !goes_on? {
                plain.open = None;
            }
            return Ok(true);
        }
        let next = match plain.first.take() {
            Some(first) => Some(first),
            None => plain.list.next()?,
        };
        let Some(series) = next else { return Ok(false) };
        let Some(data_type) = series.value_type else { return Ok(true) };
        if !plain.wanted.wants(&series.name) || !self.has_points(&series)? {
            return Ok(true);
        }
        if !std::mem::replace(&mut plain.is_begun, true) {
            writer.device(&plain.device.id)?;
        }
        writer.series(Column::new(&*series.name, data_type))?;
        let mut gone = Vec::new();
        self.plan.deletions.of_series(&plain.device.id, &series.name, &mut gone);
        let chunks = self.file.cursor(&series);
        plain.open = Some(Open { series, chunks, gone });
        Ok(true)
    }
}
