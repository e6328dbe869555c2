//! Tablets that come encoded: what sessions of Java 2.0 send from ten rows on, unless they are told not to.
//!
//! ```text
//!  timestamps   encoded times                                  } each compressed as a whole, and its length before that
//!  values       columns, encoded, one behind the other; bitmaps } as i32 behind it, unless the compressor is none
//!
//!  column   as a page of a TsFile, but PLAIN: that is the form of a tablet that is not encoded
//! ```
//!
//! Defined by `TabletEncoder` of IoTDB's session and `TabletDecoder` of its server. A column says nowhere how long it is:
//! each begins where the decoder of the one before it ends. What comes out is an ordinary tablet, and no larger than one may be.

use crate::data::DataType;
use crate::limits::REQUEST_MEMORY_BYTES_MAX;
use crate::tsfile::compression::Compression;
use crate::tsfile::encoding::{Encoding, Values, decode_front};
use crate::wire::bytes::{Reader, Writer};
use crate::wire::thrift::inserts::{
    Packing, Refusal, TabletOf, check_size, column_bytes, measured, put_request, refusal, too_large,
};
use crate::wire::thrift::status::Code;

/// Makes the request that an encoded tablet is, in `payload`, which is emptied.
///
/// # Errors
/// As [`TabletOf::check`]; and if something cannot be decoded, with the name of the column.
pub(super) fn write_encoded(
    tablet: &TabletOf<'_>,
    packing: Packing<'_>,
    payload: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let (types, rows) = tablet.check_head()?;
    let Some(encodings) = packing.encodings else {
        return Err(flaw(tablet.device, "its encodings are missing"));
    };
    if encodings.len() != types.len() + 1 {
        let (encodings, columns) = (encodings.len(), types.len());
        let what =
            format!("{encodings} encodings are not those of the times and {columns} columns");
        return Err(flaw(tablet.device, &what));
    }
    check_size(least_bytes(&types, rows))?;
    let mut encodings = encodings.iter();
    let mut scratch = Vec::new();
    let mut out = Writer::into_vec(payload, REQUEST_MEMORY_BYTES_MAX);
    put_request(&mut out, |out| tablet.put_head(out));
    out.finish().map_err(|_| too_large())?;
    let of_times = encodings.next().unwrap_or_default();
    let rest = undo(tablet.times, packing.compressor, &mut scratch)
        .and_then(|encoded| column(DataType::Int64, of_times, encoded, rows, payload))
        .map_err(|why| why.at(tablet.device, "its times"))?;
    if !rest.is_empty() {
        let what = format!("its times: {} bytes follow the last of them", rest.len());
        return Err(flaw(tablet.device, &what));
    }
    let start = payload.len();
    let mut rest = undo(tablet.values, packing.compressor, &mut scratch)
        .map_err(|why| why.at(tablet.device, "its values"))?;
    for ((data_type, encoding), name) in types.iter().zip(encodings).zip(tablet.measurements.iter())
    {
        rest = column(*data_type, encoding, rest, rows, payload)
            .map_err(|why| why.at(tablet.device, name))?;
    }
    let (bitmaps, has_bitmaps) = (rest, !rest.is_empty());
    let values = payload.get(start..).unwrap_or_default();
    tablet.check_cells(&types, rows, values, bitmaps)?;
    let more = measured(|out| tablet.put_tail(out)) + 1 + bitmaps.len();
    check_size(payload.len() + more)?;
    // The bitmaps stand in front of the values there.
    payload.push(has_bitmaps.into());
    payload.extend_from_slice(bitmaps);
    if let Some(behind_times) = payload.get_mut(start..) {
        behind_times.rotate_right(1 + bitmaps.len());
    }
    tablet.put_tail(&mut Writer::append(payload, more));
    Ok(())
}

/// Bytes that times and values take at least.
fn least_bytes(types: &[DataType], rows: usize) -> usize {
    let of_columns = types.iter().map(|it| it.value_bytes().unwrap_or(size_of::<i32>()));
    let row = size_of::<i64>() + of_columns.sum::<usize>();
    row.saturating_mul(rows)
}

/// Why times, values or a column are not what they should be.
enum Flaw {
    /// In words.
    Is(String),
    /// It becomes larger than a request may be.
    TooLarge,
}

impl Flaw {
    fn at(self, device: &str, name: &str) -> Refusal {
        match self {
            Self::Is(why) => flaw(device, &format!("{name}: {why}")),
            Self::TooLarge => too_large(),
        }
    }
}

fn flaw(device: &str, what: &str) -> Refusal {
    refusal(Code::ILLEGAL_PARAMETER, &format!("{device}: {what}"))
}

/// What was compressed: itself, or `scratch`, which is replaced.
fn undo<'a>(bytes: &'a [u8], code: i8, scratch: &'a mut Vec<u8>) -> Result<&'a [u8], Flaw> {
    let known = u8::try_from(code).ok().and_then(Compression::from_code);
    let compression = known.ok_or_else(|| Flaw::Is(format!("there is no compressor {code}")))?;
    if compression == Compression::None {
        return Ok(bytes);
    }
    let (stored, stated) = bytes
        .split_last_chunk()
        .ok_or_else(|| Flaw::Is("they end before their length".to_owned()))?;
    let stated = i32::from_be_bytes(*stated);
    let length = usize::try_from(stated)
        .map_err(|_| Flaw::Is(format!("they are {stated} bytes long, it says")))?;
    if length > REQUEST_MEMORY_BYTES_MAX {
        return Err(Flaw::TooLarge);
    }
    compression.undo(stored, length, scratch).map_err(|error| Flaw::Is(error.to_string()))
}

/// Decodes a column, puts it behind what `out` holds in the form of a tablet, and gives back what follows it.
fn column<'a>(
    data_type: DataType,
    encoding: i8,
    input: &'a [u8],
    rows: usize,
    out: &mut Vec<u8>,
) -> Result<&'a [u8], Flaw> {
    let known = u8::try_from(encoding).ok().and_then(Encoding::from_code);
    let encoding = known.ok_or_else(|| {
        Flaw::Is(format!(
            "encoding {encoding} is not known here: choose another one, or let the session be built with \
             enableIoTDBRpcCompression(false)"
        ))
    })?;
    if encoding == Encoding::Plain {
        return plain(data_type, input, rows, out);
    }
    let mut values = Values::of(data_type);
    let rest = decode_front(data_type, encoding, input, rows, &mut values)
        .map_err(|error| Flaw::Is(error.to_string()))?;
    let room = REQUEST_MEMORY_BYTES_MAX.saturating_sub(out.len());
    let mut out = Writer::append(out, room);
    match &values {
        Values::Booleans(list) => list.iter().for_each(|value| out.bool(*value)),
        Values::Integers(list) => list.iter().for_each(|value| out.i32(*value)),
        Values::Longs(list) => list.iter().for_each(|value| out.i64(*value)),
        Values::Floats(list) => list.iter().for_each(|value| out.put(&value.to_be_bytes())),
        Values::Doubles(list) => list.iter().for_each(|value| out.put(&value.to_be_bytes())),
        Values::Binaries(list) => list.iter().for_each(|value| out.binary(value)),
    }
    out.finish().map_err(|_| Flaw::TooLarge)?;
    Ok(rest)
}

/// The same for a column that has the form of a tablet already.
fn plain<'a>(
    data_type: DataType,
    input: &'a [u8],
    rows: usize,
    out: &mut Vec<u8>,
) -> Result<&'a [u8], Flaw> {
    let mut reader = Reader::new(input);
    let values =
        column_bytes(&mut reader, data_type, rows).map_err(|error| Flaw::Is(error.to_string()))?;
    let mut out = Writer::append(out, REQUEST_MEMORY_BYTES_MAX.saturating_sub(out.len()));
    out.put(values);
    out.finish().map_err(|_| Flaw::TooLarge)?;
    Ok(reader.rest())
}
