//! Requests that come in slices, type 400: put together in a file, in order, or not at all.
//!
//! ```text
//!  payload:  | i8 1 | i16 400 | i32 order | i16 type | i32 size | i32 count, bytes | i32 index | i32 slices |
//!            +---------------------- head, 17 bytes ----------------------+        +------- tail ---------+
//! ```
//!
//! Defined by `PipeTransferSliceReq`. The first slice says what the whole is; each later one has to
//! agree and to be the next. A request of any other type drops what was collected.

use super::store::FileKey;
use super::verdict::Case;
use crate::limits;
use crate::wire::bytes::{Reader, WireError};
use crate::wire::request::{Head, VERSION};

/// Bytes before the slice itself.
pub(super) const HEAD_BYTES: usize = Head::BYTES + 4 + 2 + 4 + 4;
/// Bytes after it.
pub(super) const TAIL_BYTES: usize = 8;

/// One slice, without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice {
    order: i32,
    code: i16,
    whole_bytes: u64,
    pub(super) bytes: u64,
    index: i32,
    count: i32,
}

impl Slice {
    /// Reads a slice from the first and the last bytes of a payload of `payload_bytes`.
    pub(super) fn read(head: &[u8], tail: &[u8], payload_bytes: u64) -> Result<Self, Case> {
        let slice = Self::fields(head, tail).map_err(|_| Case::Lengths)?;
        let around = (HEAD_BYTES + TAIL_BYTES) as u64;
        if slice.bytes + around != payload_bytes || slice.index < 0 || slice.count < 1 {
            return Err(Case::Lengths);
        }
        Ok(slice)
    }

    fn fields(head: &[u8], tail: &[u8]) -> Result<Self, WireError> {
        let mut head = Reader::new(head);
        Head::read(&mut head)?;
        let order = head.i32("order id")?;
        let code = head.i16("origin type")?;
        let max = limits::SLICED_BYTES_MAX;
        let whole_bytes = head.count(max, "origin size")? as u64;
        let bytes = head.count(max, "slice length")? as u64;
        let mut tail = Reader::new(tail);
        let (index, count) = (tail.i32("slice index")?, tail.i32("slice count")?);
        Ok(Self { order, code, whole_bytes, bytes, index, count })
    }
}

/// What was collected on one connection.
#[derive(Debug)]
pub(super) struct Slices {
    first: Slice,
    /// Slices that have been taken.
    taken: i32,
    /// Their bytes.
    bytes: u64,
    /// The request as far as it has come, version and type included.
    pub(super) file: FileKey,
}

impl Slices {
    /// What begins with `slice`, collected in `file`, which begins with [`Slices::head`].
    pub(super) const fn begin(slice: Slice, file: FileKey) -> Result<Self, Case> {
        if slice.index == 0 {
            Ok(Self { first: slice, taken: 0, bytes: 0, file })
        } else {
            Err(Case::OutOfPlace)
        }
    }

    /// Version and type of the whole request.
    pub(super) const fn head(slice: &Slice) -> [u8; Head::BYTES] {
        let [high, low] = slice.code.to_be_bytes();
        [VERSION.cast_unsigned(), high, low]
    }

    /// Whether `slice` is the next one.
    pub(super) fn check(&self, slice: &Slice) -> Result<(), Case> {
        let first = &self.first;
        let same = (first.order, first.code, first.whole_bytes, first.count)
            == (slice.order, slice.code, slice.whole_bytes, slice.count);
        if !same || slice.index != self.taken || slice.index >= slice.count {
            return Err(Case::OutOfPlace);
        }
        if self.bytes + slice.bytes > first.whole_bytes {
            return Err(Case::Lengths);
        }
        Ok(())
    }

    /// The slice's bytes are in the file. `true`: the request is whole.
    pub(super) fn take(&mut self, slice: &Slice) -> Result<bool, Case> {
        self.taken += 1;
        self.bytes += slice.bytes;
        match (self.taken == self.first.count, self.bytes == self.first.whole_bytes) {
            (true, false) => Err(Case::Lengths),
            (whole, _) => Ok(whole),
        }
    }
}

/// Keeps the last bytes of a stream.
pub(super) fn roll<const N: usize>(tail: &mut [u8; N], bytes: &[u8]) {
    if let Some(last) = bytes.last_chunk() {
        *tail = *last;
        return;
    }
    tail.rotate_left(bytes.len());
    let kept = N - bytes.len();
    tail.iter_mut().skip(kept).zip(bytes).for_each(|(to, from)| *to = *from);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::LinkId;

    const FILE: FileKey = FileKey { link: LinkId(1), number: 1 };

    fn slice(index: i32, count: i32, bytes: u64) -> Slice {
        Slice { order: 7, code: 5, whole_bytes: 25, bytes, index, count }
    }

    #[test]
    fn head_and_tail_say_what_a_slice_is() {
        // 18.14 of the format's examples: the first half of a seal of 25 bytes.
        let head = [1, 1, 0x90, 0, 0, 0, 7, 0, 5, 0, 0, 0, 25, 0, 0, 0, 10, 9, 9];
        let tail = [0, 0, 0, 0, 0, 0, 0, 2];
        let around = (HEAD_BYTES + TAIL_BYTES) as u64;
        assert_eq!(HEAD_BYTES, 17);
        assert_eq!(Slice::read(&head, &tail, around + 10), Ok(slice(0, 2, 10)));
        assert_eq!(Slice::read(&head, &tail, around + 11), Err(Case::Lengths));
        assert_eq!(Slice::read(&head[..16], &tail, around + 10), Err(Case::Lengths));
        assert_eq!(Slice::read(&head, &[0xff; 8], around + 10), Err(Case::Lengths));
    }

    #[test]
    fn slices_are_taken_in_order_and_to_the_stated_size_only() {
        let mut slices = Slices::begin(slice(0, 3, 10), FILE).unwrap();
        slices.check(&slice(0, 3, 10)).unwrap();
        assert_eq!(slices.take(&slice(0, 3, 10)), Ok(false));
        assert_eq!(slices.check(&slice(0, 3, 10)), Err(Case::OutOfPlace));
        assert_eq!(slices.check(&slice(2, 3, 10)), Err(Case::OutOfPlace));
        assert_eq!(slices.check(&slice(1, 4, 10)), Err(Case::OutOfPlace));
        let other = Slice { order: 8, ..slice(1, 3, 10) };
        assert_eq!(slices.check(&other), Err(Case::OutOfPlace));
        assert_eq!(slices.check(&slice(1, 3, 16)), Err(Case::Lengths));
        assert_eq!(slices.take(&slice(1, 3, 10)), Ok(false));
        assert_eq!(slices.take(&slice(2, 3, 5)), Ok(true));
        assert!(Slices::begin(slice(1, 3, 10), FILE).is_err());
    }

    #[test]
    fn a_request_that_ends_short_is_refused() {
        let mut slices = Slices::begin(slice(0, 1, 24), FILE).unwrap();
        assert_eq!(slices.take(&slice(0, 1, 24)), Err(Case::Lengths));
    }

    #[test]
    fn the_last_bytes_are_kept_however_they_come() {
        let bytes: Vec<u8> = (0..40).collect();
        for split in 1..12 {
            let mut tail = [0; TAIL_BYTES];
            bytes.chunks(split).for_each(|part| roll(&mut tail, part));
            assert_eq!(tail, bytes[32..]);
        }
    }
}
