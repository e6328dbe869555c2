//! Slices: type 400, a part of a request that is too large for one frame.
//!
//! ```text
//!  | i32 order id | i16 origin type | i32 origin body bytes | binary part | i32 index | i32 count |
//! ```
//!
//! Defined by `PipeTransferSliceReq` and `PipeTransferSliceReqHandler`. Slices of one request agree in
//! all but part and index, and come in order, without another request between them. Every slice is
//! answered; the answer to the last one is the answer to the whole.

use thiserror::Error;

use super::bytes::{Reader, WireError, Writer};
use super::request::{Head, VERSION};

/// One slice; its part lies in the request's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice<'a> {
    /// What all slices have in common.
    pub whole: Whole,
    /// Place among the slices, from 0.
    pub index: u32,
    /// The part of the body.
    pub part: &'a [u8],
}

/// The request that slices are parts of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole {
    /// A counter of the sending process.
    pub order: i32,
    /// Code of the request's type; its version is 1.
    pub code: i16,
    /// Bytes of the request's body.
    pub body_bytes: u32,
    /// Number of slices.
    pub count: u32,
}

impl Whole {
    /// Version and type of the request, which go in front of the collected body.
    pub const fn head(&self) -> Head {
        Head { version: VERSION, code: self.code }
    }
}

impl<'a> Slice<'a> {
    /// Reads the body of a type 400.
    ///
    /// # Errors
    /// [`WireError`] if a field is missing or a number negative.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        let order = reader.i32("order id")?;
        let code = reader.i16("origin type")?;
        let body_bytes = unsigned(reader, "origin body size")?;
        let part = reader.binary(reader.left(), "slice")?;
        let index = unsigned(reader, "slice index")?;
        let count = unsigned(reader, "slice count")?;
        Ok(Self { whole: Whole { order, code, body_bytes, count }, index, part })
    }

    /// Writes the body.
    pub fn write(&self, writer: &mut Writer<'_>) {
        writer.i32(self.whole.order);
        writer.i16(self.whole.code);
        writer.put(&self.whole.body_bytes.to_be_bytes());
        writer.binary(self.part);
        writer.put(&self.index.to_be_bytes());
        writer.put(&self.whole.count.to_be_bytes());
    }
}

fn unsigned(reader: &mut Reader<'_>, what: &'static str) -> Result<u32, WireError> {
    let offset = reader.offset();
    let got = reader.i32(what)?;
    u32::try_from(got).map_err(|_| WireError::Value {
        what,
        offset,
        expected: "a number not below 0",
        got: i64::from(got),
    })
}

/// Cuts `body` into slices of at most `part_bytes`; `None` if the numbers do not fit the format.
pub fn cut(
    order: i32,
    code: i16,
    body: &[u8],
    part_bytes: u32,
) -> Option<impl Iterator<Item = Slice<'_>>> {
    let body_bytes = u32::try_from(i32::try_from(body.len()).ok()?).ok()?;
    let count = body_bytes.div_ceil(part_bytes.max(1));
    let whole = Whole { order, code, body_bytes, count };
    let parts = body.chunks(usize::try_from(part_bytes.max(1)).ok()?);
    Some((0..).zip(parts).map(move |(index, part)| Slice { whole, index, part }))
}

/// Why a slice does not continue the request that is being collected. All that was collected is
/// dropped then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SliceError {
    /// Not the next one.
    #[error("slice {got} came where {expected} was due")]
    OutOfOrder {
        /// The index that was due.
        expected: u32,
        /// The index that came.
        got: u32,
    },
    /// Of another request than the slices before it.
    #[error("slice of {got:?} among slices of {expected:?}")]
    OtherRequest {
        /// What is being collected.
        expected: Whole,
        /// What the slice says.
        got: Whole,
    },
    /// The request is larger than the limit.
    #[error("sliced request of {body_bytes} bytes is above the limit of {max}")]
    TooLong {
        /// Bytes of the request's body.
        body_bytes: u32,
        /// The limit.
        max: u32,
    },
    /// The parts are together not as long as the request.
    #[error("slices hold {got} bytes, the request has {expected}")]
    SizeDiffers {
        /// Bytes of the request's body.
        expected: u32,
        /// Bytes of the slices so far.
        got: u64,
    },
}

/// Keeps the order of slices; the parts themselves are kept by the caller, one behind the other.
#[derive(Debug, Clone, Default)]
pub struct Assembly {
    current: Option<Progress>,
}

#[derive(Debug, Clone, Copy)]
struct Progress {
    whole: Whole,
    next: u32,
    held: u32,
}

/// What to do with an accepted slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Where its part begins in the request's body, in bytes.
    pub offset: u32,
    /// The body is complete with it.
    pub is_last: bool,
}

impl Assembly {
    /// Takes the next slice of a request of at most `max` bytes of body.
    ///
    /// # Errors
    /// [`SliceError`]; nothing is collected any more then, and the caller drops what it kept.
    pub fn accept(&mut self, slice: &Slice<'_>, max: u32) -> Result<Place, SliceError> {
        let outcome = self.place(slice, max);
        match &outcome {
            Ok((_, progress)) => self.current = *progress,
            Err(_) => self.current = None,
        }
        outcome.map(|(place, _)| place)
    }

    /// Forgets a request that is not complete: any request of another type does this.
    pub const fn clear(&mut self) {
        self.current = None;
    }

    /// Slices were taken, and more are due.
    pub const fn is_collecting(&self) -> bool {
        self.current.is_some()
    }

    fn place(&self, slice: &Slice<'_>, max: u32) -> Result<(Place, Option<Progress>), SliceError> {
        let whole = slice.whole;
        let before = self.current.unwrap_or(Progress { whole, next: 0, held: 0 });
        if before.whole != whole {
            return Err(SliceError::OtherRequest { expected: before.whole, got: whole });
        }
        if whole.body_bytes > max {
            return Err(SliceError::TooLong { body_bytes: whole.body_bytes, max });
        }
        if slice.index != before.next || slice.index >= whole.count {
            return Err(SliceError::OutOfOrder { expected: before.next, got: slice.index });
        }
        let next = before.next + 1;
        let is_last = next == whole.count;
        let total = u64::from(before.held) + slice.part.len() as u64;
        let held = u32::try_from(total)
            .ok()
            .filter(|held| *held == whole.body_bytes || (!is_last && *held < whole.body_bytes));
        let Some(held) = held else {
            return Err(SliceError::SizeDiffers { expected: whole.body_bytes, got: total });
        };
        let progress = (!is_last).then_some(Progress { whole, next, held });
        Ok((Place { offset: before.held, is_last }, progress))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The two slices of the specification, without version and type.
    const FIRST: &[u8] = b"\0\0\0\0\0\x05\0\0\0\x14\0\0\0\x0a\0\0\0\x08a.tsfi\0\0\0\0\0\0\0\x02";
    const SECOND: &[u8] =
        b"\0\0\0\0\0\x05\0\0\0\x14\0\0\0\x0ale\0\0\0\0\0\0\0\x07\0\0\0\x01\0\0\0\x02";
    const BODY: &[u8] = b"\0\0\0\x08a.tsfile\0\0\0\0\0\0\0\x07";

    fn read(body: &[u8]) -> Result<Slice<'_>, WireError> {
        let mut reader = Reader::new(body);
        let slice = Slice::read(&mut reader)?;
        reader.finish()?;
        Ok(slice)
    }

    #[test]
    fn the_slices_of_the_specification_are_cut_and_collected() {
        let slices: Vec<_> = cut(0, 5, BODY, 10).expect("fits").collect();
        assert_eq!(slices, [read(FIRST).expect("legal"), read(SECOND).expect("legal")]);
        let mut out = Vec::new();
        let mut writer = Writer::into_vec(&mut out, 64);
        slices[1].write(&mut writer);
        assert_eq!(writer.finish(), Ok(32));
        assert_eq!(out, SECOND);

        let mut assembly = Assembly::default();
        assert_eq!(assembly.accept(&slices[0], 20), Ok(Place { offset: 0, is_last: false }));
        assert!(assembly.is_collecting());
        assert_eq!(assembly.accept(&slices[1], 20), Ok(Place { offset: 10, is_last: true }));
        assert!(!assembly.is_collecting());
    }

    #[test]
    fn every_short_body_is_refused() {
        for end in 0..FIRST.len() {
            assert!(read(&FIRST[..end]).is_err(), "{end}");
        }
        assert!(read(&[FIRST, &[0]].concat()).is_err());
    }

    #[test]
    fn whatever_is_out_of_step_drops_what_was_collected() {
        let slices: Vec<_> = cut(7, 5, BODY, 5).expect("fits").collect();
        let other = Slice { whole: Whole { order: 8, ..slices[1].whole }, ..slices[1] };
        let long = Slice { part: BODY, ..slices[1] };
        let short = Slice { part: &[], ..slices[3] };
        let after = |taken: usize, slice: &Slice<'_>| {
            let mut assembly = Assembly::default();
            for good in &slices[..taken] {
                assembly.accept(good, 20).expect("in order");
            }
            let outcome = assembly.accept(slice, 20);
            assert_eq!(outcome.is_ok(), assembly.is_collecting());
            outcome.map_err(|error| error.to_string()).err().unwrap_or_default()
        };
        assert_eq!(after(0, &slices[1]), "slice 1 came where 0 was due");
        assert_eq!(after(1, &slices[0]), "slice 0 came where 1 was due");
        assert!(after(1, &other).starts_with("slice of Whole { order: 8"));
        assert_eq!(after(1, &long), "slices hold 25 bytes, the request has 20");
        assert_eq!(after(3, &short), "slices hold 15 bytes, the request has 20");
        assert_eq!(after(1, &slices[1]), "");
    }

    #[test]
    fn a_request_above_the_limit_is_refused_at_its_first_slice() {
        let slice = read(FIRST).expect("legal");
        let error = SliceError::TooLong { body_bytes: 20, max: 19 };
        assert_eq!(Assembly::default().accept(&slice, 19), Err(error));
        let empty = Slice { whole: Whole { count: 0, ..slice.whole }, ..slice };
        assert!(Assembly::default().accept(&empty, 20).is_err());
    }

    proptest! {
        #[test]
        fn what_is_cut_is_collected_whole(
            body in proptest::collection::vec(any::<u8>(), 1..300),
            part_bytes in 1_u32..320,
        ) {
            let mut assembly = Assembly::default();
            let mut collected = Vec::new();
            let mut is_complete = false;
            for slice in cut(1, 2, &body, part_bytes).expect("fits") {
                let place = assembly.accept(&slice, 300).expect("in order");
                prop_assert_eq!(usize::try_from(place.offset), Ok(collected.len()));
                collected.extend_from_slice(slice.part);
                is_complete = place.is_last;
            }
            prop_assert!(is_complete);
            prop_assert_eq!(collected, body);
        }
    }
}
