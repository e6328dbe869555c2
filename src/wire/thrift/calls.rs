//! The calls that write, read where they lie: see [`super::view`].
//!
//! Fields have the numbers of IoTDB's `client.thrift`: `TSInsertTabletReq`, `TSInsertTabletsReq`, and those of records, in
//! which a `String` in the name says that values are texts.

use super::ThriftError;
use super::inserts::{Cells, Packing, RecordOf, Refusal, TabletOf, same_lengths, table_model};
use super::view::{Element, ListOf, View};

type Names<'a> = ListOf<'a, &'a str>;
type Binaries<'a> = ListOf<'a, &'a [u8]>;

/// A call of `insertTablet`.
#[derive(Debug, Clone, Copy)]
pub struct TabletCall<'a> {
    /// The tablet; its times and values are encoded if there is a `packing`.
    pub tablet: TabletOf<'a>,
    /// How they are: sessions of Java 2.0 encode tablets of ten rows and more.
    pub packing: Option<Packing<'a>>,
    is_of_table: bool,
}

impl<'a> TabletCall<'a> {
    /// Reads it.
    ///
    /// # Errors
    /// [`ThriftError`].
    pub fn read(mut view: View<'a>) -> Result<Self, ThriftError> {
        let (mut device, mut measurements, mut values, mut times) = (None, None, None, None);
        let (mut types, mut rows, mut encodings, mut compressor) = (None, None, None, None);
        let (mut is_aligned, mut is_of_table, mut is_packed) = (false, false, false);
        view.fields(|field, view| {
            match field.id {
                2 => device = field.value(view)?,
                3 => measurements = field.value(view)?,
                4 => values = field.value(view)?,
                5 => times = field.value(view)?,
                6 => types = field.value(view)?,
                7 => rows = field.value(view)?,
                8 => is_aligned = field.truth(view)?,
                9 => is_of_table = field.truth(view)?,
                11 => is_packed = field.truth(view)?,
                12 => encodings = field.value(view)?,
                13 => compressor = field.value(view)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let tablet = TabletOf {
            device: device.ok_or(ThriftError::Missing(2))?,
            measurements: measurements.ok_or(ThriftError::Missing(3))?,
            values: values.ok_or(ThriftError::Missing(4))?,
            times: times.ok_or(ThriftError::Missing(5))?,
            types: types.ok_or(ThriftError::Missing(6))?,
            rows: rows.ok_or(ThriftError::Missing(7))?,
            is_aligned,
        };
        let packing = Packing { encodings, compressor: compressor.unwrap_or(0) };
        Ok(Self { tablet, packing: is_packed.then_some(packing), is_of_table })
    }

    /// The tablet.
    ///
    /// # Errors
    /// It is of the table model.
    pub fn tablet(&self) -> Result<TabletOf<'a>, Refusal> {
        if self.is_of_table { Err(table_model()) } else { Ok(self.tablet) }
    }
}

/// A call of `insertTablets`.
#[derive(Debug, Clone, Copy)]
pub struct TabletsCall<'a> {
    devices: Names<'a>,
    measurements: ListOf<'a, Names<'a>>,
    values: Binaries<'a>,
    times: Binaries<'a>,
    types: ListOf<'a, ListOf<'a, i32>>,
    rows: ListOf<'a, i32>,
    is_aligned: bool,
}

impl<'a> TabletsCall<'a> {
    /// Reads it.
    ///
    /// # Errors
    /// [`ThriftError`].
    pub fn read(mut view: View<'a>) -> Result<Self, ThriftError> {
        let (mut devices, mut measurements, mut values) = (None, None, None);
        let (mut times, mut types, mut rows, mut is_aligned) = (None, None, None, false);
        view.fields(|field, view| {
            match field.id {
                2 => devices = field.value(view)?,
                3 => measurements = field.value(view)?,
                4 => values = field.value(view)?,
                5 => times = field.value(view)?,
                6 => types = field.value(view)?,
                7 => rows = field.value(view)?,
                8 => is_aligned = field.truth(view)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(Self {
            devices: devices.ok_or(ThriftError::Missing(2))?,
            measurements: measurements.ok_or(ThriftError::Missing(3))?,
            values: values.ok_or(ThriftError::Missing(4))?,
            times: times.ok_or(ThriftError::Missing(5))?,
            types: types.ok_or(ThriftError::Missing(6))?,
            rows: rows.ok_or(ThriftError::Missing(7))?,
            is_aligned,
        })
    }

    /// How many tablets there are.
    ///
    /// # Errors
    /// The lists are not of one length.
    pub fn count(&self) -> Result<usize, Refusal> {
        let lengths = [
            self.measurements.len(),
            self.values.len(),
            self.times.len(),
            self.types.len(),
            self.rows.len(),
        ];
        same_lengths(self.devices.len(), &lengths)
    }

    /// The tablets.
    pub fn tablets(self) -> impl Iterator<Item = TabletOf<'a>> {
        let lists = self.devices.iter().zip(self.measurements.iter()).zip(self.values.iter());
        let lists = lists.zip(self.times.iter()).zip(self.types.iter()).zip(self.rows.iter());
        lists.map(move |(((((device, measurements), values), times), types), rows)| TabletOf {
            device,
            measurements,
            values,
            times,
            types,
            rows,
            is_aligned: self.is_aligned,
        })
    }
}

/// A call that writes rows: one, or several of any devices or of one.
#[derive(Debug, Clone, Copy)]
pub enum RecordsCall<'a> {
    /// `insertRecord`, `insertStringRecord`; the table model is told by the second.
    One(RecordOf<'a>, bool),
    /// The others.
    Several(Several<'a>),
}

/// Rows as lists.
#[derive(Debug, Clone, Copy)]
pub struct Several<'a> {
    devices: Devices<'a>,
    measurements: ListOf<'a, Names<'a>>,
    values: Values<'a>,
    times: ListOf<'a, i64>,
    is_aligned: bool,
}

#[derive(Debug, Clone, Copy)]
enum Devices<'a> {
    One(&'a str),
    Each(Names<'a>),
}

#[derive(Debug, Clone, Copy)]
enum Values<'a> {
    Cells(Binaries<'a>),
    Texts(ListOf<'a, Names<'a>>),
}

impl<'a> RecordsCall<'a> {
    /// Reads the argument of such a method.
    ///
    /// # Errors
    /// [`ThriftError`].
    pub fn read(method: &str, view: View<'a>) -> Result<Self, ThriftError> {
        let are_texts = method.contains("String");
        if method.ends_with("Record") {
            return read_one(view, are_texts);
        }
        read_several(view, are_texts, method.ends_with("OneDevice"))
    }

    /// How many rows there are.
    ///
    /// # Errors
    /// The lists are not of one length, or the row is of the table model.
    pub fn count(&self) -> Result<usize, Refusal> {
        match self {
            Self::One(_, true) => Err(table_model()),
            Self::One(_, false) => Ok(1),
            Self::Several(several) => {
                let values = match several.values {
                    Values::Cells(list) => list.len(),
                    Values::Texts(list) => list.len(),
                };
                let times = several.times.len();
                let devices = match several.devices {
                    Devices::One(_) => times,
                    Devices::Each(list) => list.len(),
                };
                same_lengths(devices, &[several.measurements.len(), values, times])
            }
        }
    }

    /// The rows.
    pub fn records(self) -> impl Iterator<Item = RecordOf<'a>> {
        let (one, several) = match self {
            Self::One(record, _) => (Some(record), None),
            Self::Several(several) => (None, Some(several)),
        };
        one.into_iter().chain(several.into_iter().flat_map(Several::records))
    }
}

impl<'a> Several<'a> {
    fn records(self) -> impl Iterator<Item = RecordOf<'a>> {
        let (one, each) = match self.devices {
            Devices::One(device) => (Some(device), None),
            Devices::Each(list) => (None, Some(list)),
        };
        let devices = one.into_iter().cycle().chain(each.into_iter().flat_map(ListOf::iter));
        let (cells, texts) = match self.values {
            Values::Cells(list) => (Some(list), None),
            Values::Texts(list) => (None, Some(list)),
        };
        let cells = cells.into_iter().flat_map(ListOf::iter).map(Cells::Tagged);
        let cells = cells.chain(texts.into_iter().flat_map(ListOf::iter).map(Cells::Texts));
        let lists = devices.zip(self.measurements.iter()).zip(cells).zip(self.times.iter());
        lists.map(move |(((device, measurements), cells), time)| RecordOf {
            device,
            measurements,
            cells,
            time,
            is_aligned: self.is_aligned,
        })
    }
}

fn read_one(mut view: View<'_>, are_texts: bool) -> Result<RecordsCall<'_>, ThriftError> {
    let (mut device, mut measurements, mut cells, mut time) = (None, None, None, None);
    let (mut is_aligned, mut is_of_table) = (false, false);
    view.fields(|field, view| {
        match field.id {
            2 => device = field.value(view)?,
            3 => measurements = field.value(view)?,
            4 if are_texts => cells = field.value(view)?.map(Cells::Texts),
            4 => cells = field.value(view)?.map(Cells::Tagged),
            5 => time = field.value(view)?,
            6 => is_aligned = field.truth(view)?,
            // Of texts it is a time limit.
            7 if !are_texts => is_of_table = field.truth(view)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let record = RecordOf {
        device: device.ok_or(ThriftError::Missing(2))?,
        measurements: measurements.ok_or(ThriftError::Missing(3))?,
        cells: cells.ok_or(ThriftError::Missing(4))?,
        time: time.ok_or(ThriftError::Missing(5))?,
        is_aligned,
    };
    Ok(RecordsCall::One(record, is_of_table))
}

fn read_several(
    mut view: View<'_>,
    are_texts: bool,
    is_of_one: bool,
) -> Result<RecordsCall<'_>, ThriftError> {
    let (mut devices, mut measurements, mut values, mut times) = (None, None, None, None);
    let mut is_aligned = false;
    view.fields(|field, view| {
        match field.id {
            2 if is_of_one => devices = field.value(view)?.map(Devices::One),
            2 => devices = field.value(view)?.map(Devices::Each),
            3 => measurements = field.value(view)?,
            4 if are_texts => values = field.value(view)?.map(Values::Texts),
            4 => values = field.value(view)?.map(Values::Cells),
            5 => times = field.value(view)?,
            6 => is_aligned = field.truth(view)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(RecordsCall::Several(Several {
        devices: devices.ok_or(ThriftError::Missing(2))?,
        measurements: measurements.ok_or(ThriftError::Missing(3))?,
        values: values.ok_or(ThriftError::Missing(4))?,
        times: times.ok_or(ThriftError::Missing(5))?,
        is_aligned,
    }))
}

/// The statement, or the statements, of a call: field 2 of `TSExecuteStatementReq` and `TSExecuteBatchStatementReq`.
///
/// # Errors
/// [`ThriftError`].
pub fn statement<'a, T: Element<'a>>(mut view: View<'a>) -> Result<T, ThriftError> {
    let mut found = None;
    view.fields(|field, view| {
        if field.id == 2 {
            found = field.value(view)?;
        }
        Ok(field.id == 2)
    })?;
    found.ok_or(ThriftError::Missing(2))
}

/// Version, type and body of a call of `pipeTransfer` that is not in the form that all writers make.
///
/// # Errors
/// [`ThriftError`].
pub fn transfer(mut view: View<'_>) -> Result<(i8, i16, &[u8]), ThriftError> {
    let (mut version, mut request_type, mut body) = (None, None, None);
    view.fields(|field, view| {
        match field.id {
            1 => version = field.value(view)?,
            2 => request_type = field.value(view)?,
            3 => body = field.value(view)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok((
        version.ok_or(ThriftError::Missing(1))?,
        request_type.ok_or(ThriftError::Missing(2))?,
        body.ok_or(ThriftError::Missing(3))?,
    ))
}
