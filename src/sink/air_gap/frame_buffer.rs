//! The one buffer of a sink, in which its frames are built.
//!
//! ```text
//!  0                        79                                       in one piece, written in one go
//!  |          front         | payload ...                | tail |
//!                ^ start    ^ BEGIN                      ^ end        front and tail are the envelope's
//! ```
//!
//! A payload that fits is built whole, compressed if the sink does that, and checked off with its CRC. A
//! larger one is streamed through the same buffer in two passes over its file: one for the CRC, which
//! stands in front of the payload, one for the bytes. So memory does not grow with a piece; nor with the pipes that send
//! files, as all but a few of them stream each piece in small chunks. A trailer ends the payload of a request that is no
//! tablet.

use std::ops::Range;
use std::{io, mem};

use thiserror::Error;

use super::envelope::{BACK_BYTES, Envelope, FRONT_BYTES};
use super::large::Large;
use super::settings::Packing;
use super::transfer::Trailer;
use crate::data::ReadAt;
use crate::limits::{KIB, MIB, REQUEST_MEMORY_BYTES_MAX};
use crate::spool::Rotten;
use crate::wire::WireError;
use crate::wire::bytes::Writer;
use crate::wire::compressed::{self, CompressedError};
use crate::wire::request::{Head, RequestType};
use crate::wire::trim::TABLET_HEAD;

/// Where the payload begins.
const BEGIN: usize = FRONT_BYTES;
/// Bytes of a file that are read at a time by who has a large frame.
const CHUNK_BYTES: usize = MIB;
/// The same by others. A piece that is no longer is built whole by anybody.
const SMALL_CHUNK_BYTES: usize = 32 * KIB;
/// What a sink keeps while it has nothing to send: two pages.
const KEPT_BYTES: usize = 8 * KIB - 64;

/// Why a frame could not be built. Nothing of it was sent.
#[derive(Debug, Error)]
pub(super) enum BuildError {
    /// The file cannot be read.
    #[error("reading {wanted} bytes at {offset}: {source}")]
    Read {
        /// Where.
        offset: u64,
        /// How many.
        wanted: usize,
        /// What the disk says.
        source: io::Error,
    },
    /// The file is not what was taken in.
    #[error(transparent)]
    Rotten(#[from] Rotten),
    /// The payload is larger than an entry can be.
    #[error("a payload of {count} bytes, an entry holds at most {}", REQUEST_MEMORY_BYTES_MAX)]
    Room {
        /// Its bytes.
        count: usize,
    },
    /// The payload is not one.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The codec failed.
    #[error(transparent)]
    Compressed(#[from] CompressedError),
}

/// The buffer; see the module's page.
#[derive(Debug)]
pub(super) struct FrameBuffer {
    /// Of full length, or empty while the sink rests; what lies behind `end` is garbage.
    bytes: Vec<u8>,
    /// Where the payload ends, so far.
    end: usize,
    /// Where the finished frame begins and ends.
    start: usize,
    frame_end: usize,
    /// No frame has ended further back since the memory was taken: the system has given us what lies before.
    touched: usize,
    /// Until the memory is given back.
    large: Option<Large>,
    envelope: Envelope,
    packing: Packing,
    /// Result of the compressors; empty without them.
    packed: Vec<u8>,
    spare: Vec<u8>,
}

impl FrameBuffer {
    /// A buffer for payloads of up to [`REQUEST_MEMORY_BYTES_MAX`], which is taken with the first frame.
    pub(super) fn new(envelope: Envelope, packing: Packing) -> Self {
        Self {
            bytes: Vec::new(),
            end: BEGIN,
            start: 0,
            frame_end: 0,
            touched: 0,
            large: None,
            envelope,
            packing,
            packed: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Gives the memory back until the next frame is begun, unless only small frames were in it: most pipes have nothing
    /// to send most of the time.
    pub(super) fn rest(&mut self) {
        if self.touched > KEPT_BYTES {
            (self.bytes, self.packed, self.spare) = (Vec::new(), Vec::new(), Vec::new());
            (self.end, self.frame_end, self.touched) = (BEGIN, 0, 0);
            self.large = None;
        }
    }

    /// Compresses in this memory from now on, and gives that of its own: buffers that are finished one after the other need
    /// one between them.
    pub(super) fn swap_packing_memory(&mut self, other: &mut (Vec<u8>, Vec<u8>)) {
        mem::swap(&mut self.packed, &mut other.0);
        mem::swap(&mut self.spare, &mut other.1);
    }

    fn take(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = vec![0; BEGIN + REQUEST_MEMORY_BYTES_MAX + BACK_BYTES];
            if !self.packing.compressors.is_empty() {
                self.packed.reserve_exact(REQUEST_MEMORY_BYTES_MAX);
                self.spare.reserve_exact(REQUEST_MEMORY_BYTES_MAX);
            }
        }
    }

    /// Begins a payload and lets `write` write it, or the head of it.
    pub(super) fn begin(&mut self, write: impl FnOnce(&mut Writer<'_>)) -> Result<(), WireError> {
        self.take();
        let room = BEGIN..BEGIN + REQUEST_MEMORY_BYTES_MAX;
        let mut writer = Writer::into_slice(self.bytes.get_mut(room).unwrap_or_default());
        write(&mut writer);
        self.end = BEGIN + writer.finish()?;
        Ok(())
    }

    /// Whether the payload takes `more` bytes without being streamed.
    pub(super) fn has_room(&self, more: usize) -> bool {
        self.payload_bytes().saturating_add(more) <= REQUEST_MEMORY_BYTES_MAX
    }

    /// Whether `count` bytes of a file may lie in it at a time. What is compressed has to.
    pub(super) fn may_hold(&mut self, count: usize) -> bool {
        count <= SMALL_CHUNK_BYTES || !self.packing.compressors.is_empty() || self.is_large()
    }

    fn is_large(&mut self) -> bool {
        self.large = self.large.take().or_else(Large::take);
        self.large.is_some()
    }

    /// Bytes of the payload so far.
    pub(super) fn payload_bytes(&self) -> usize {
        self.end - BEGIN
    }

    /// Appends `count` bytes to the payload, for which there is room, and lets `fill` fill them;
    /// returns them.
    pub(super) fn append<E>(
        &mut self,
        count: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<&[u8], E> {
        let room = self.end..self.end + count;
        fill(self.bytes.get_mut(room.clone()).unwrap_or_default())?;
        self.end += count;
        Ok(self.bytes.get(room).unwrap_or_default())
    }

    /// Appends a payload of `count` bytes without its version and type, for which there is room behind at least as many
    /// bytes, unless `is_right` says of the whole one that it is not.
    pub(super) fn append_node<E>(
        &mut self,
        count: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
        is_right: impl FnOnce(&[u8]) -> bool,
    ) -> Result<bool, E> {
        // These three bytes are read over, and put back.
        let from = self.end.saturating_sub(Head::BYTES);
        let room = self.bytes.get_mut(from..from + count).unwrap_or_default();
        let before = room.first_chunk::<{ Head::BYTES }>().copied();
        let filled = fill(room);
        let is_right = filled.is_ok() && before.is_some() && is_right(room);
        if let (Some(before), Some(begin)) = (before, room.first_chunk_mut()) {
            *begin = before;
        }
        if is_right {
            self.end = from + count;
        }
        filled.map(|()| is_right)
    }

    /// Writes over bytes of the payload from `offset` on, which are there.
    pub(super) fn overwrite(&mut self, offset: usize, bytes: &[u8]) {
        self.put_at(BEGIN + offset, bytes);
    }

    /// Appends bytes to the payload, for which there is room.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.end = self.put_at(self.end, bytes);
    }

    /// Says where they end.
    fn put_at(&mut self, at: usize, bytes: &[u8]) -> usize {
        match self.bytes.get_mut(at..at + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                at + bytes.len()
            }
            None => at,
        }
    }

    /// Ends the frame and returns it; `crc` is the payload's, if it is known already.
    pub(super) fn finish(&mut self, crc: Option<u32>) -> Result<&[u8], BuildError> {
        self.touched = self.touched.max(self.end);
        let crc = if self.packing.compressors.is_empty() { crc } else { self.compress(crc)? };
        self.close(crc);
        Ok(self.frame())
    }

    /// The same for a handshake.
    pub(super) fn finish_handshake(&mut self) -> Result<&[u8], BuildError> {
        if self.envelope.compresses_handshakes() {
            return self.finish(None);
        }
        self.close(None);
        Ok(self.frame())
    }

    fn close(&mut self, crc: Option<u32>) {
        let payload = self.bytes.get(BEGIN..self.end).unwrap_or_default();
        let crc = match crc {
            Some(crc) => crc,
            None if self.envelope.has_checksum() => crc32fast::hash(payload),
            None => 0,
        };
        self.put_front(payload.len(), crc);
        self.frame_end = self.put_tail(self.end);
    }

    /// The frame that was finished last, until another one is begun.
    pub(super) fn frame(&self) -> &[u8] {
        self.bytes.get(self.start..self.frame_end).unwrap_or_default()
    }

    /// What stands in front of the payload; the first bytes of that may become part of it.
    fn put_front(&mut self, payload_bytes: usize, crc: u32) {
        let payload_bytes = u32::try_from(payload_bytes).unwrap_or(u32::MAX);
        self.start = self.envelope.open(&mut self.bytes, payload_bytes, crc);
    }

    /// Says where the frame ends whose payload ends at `end`.
    fn put_tail(&mut self, end: usize) -> usize {
        self.put_at(end, self.envelope.tail())
    }

    /// Replaces the payload by a type 300 with it, whose CRC is not known then; unless that is no shorter. Every receiver
    /// takes it either way.
    fn compress(&mut self, crc: Option<u32>) -> Result<Option<u32>, BuildError> {
        let payload = self.bytes.get(BEGIN..self.end).unwrap_or_default();
        let Packing { compressors, zstd_level } = &self.packing;
        let (packed, spare) = (&mut self.packed, &mut self.spare);
        compressed::compress_at(*zstd_level, compressors, payload, packed, spare)?;
        if Head::BYTES + self.packed.len() >= self.payload_bytes() {
            return Ok(crc);
        }
        let packed = mem::take(&mut self.packed);
        let written = self.begin(|writer| {
            Head::of(RequestType::Compressed).write(writer);
            writer.put(&packed);
        });
        self.packed = packed;
        written?;
        Ok(None)
    }
}

/// A payload larger than the buffer: a head that lies in it, bytes of a file, and perhaps a trailer.
#[derive(Debug)]
pub(super) struct Streamed {
    hasher: crc32fast::Hasher,
    trailer: Option<Trailer>,
    /// The file's part of the payload.
    start: u64,
    count: usize,
    /// Of these bytes, those that the pass has done.
    done: usize,
    /// Bytes that are read at a time.
    chunk_bytes: usize,
    head_bytes: usize,
    /// Bytes at the file's begin that the front tells, and what they are.
    taken_bytes: usize,
    taken: [u8; Head::BYTES],
}

impl Streamed {
    /// After the head was begun in `buffer`: `count` bytes of the file from `start` follow it, and `trailer` unless
    /// they are a tablet.
    pub(super) fn new(
        buffer: &mut FrameBuffer,
        start: u64,
        count: usize,
        trailer: Option<Trailer>,
    ) -> Self {
        buffer.touched = buffer.bytes.len();
        let chunk_bytes = if buffer.is_large() { CHUNK_BYTES } else { SMALL_CHUNK_BYTES };
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(buffer.bytes.get(BEGIN..buffer.end).unwrap_or_default());
        let head_bytes = buffer.payload_bytes();
        let taken_bytes = buffer.envelope.taken_bytes().saturating_sub(head_bytes);
        let (done, taken) = (0, [0; Head::BYTES]);
        Self { hasher, trailer, start, count, done, chunk_bytes, head_bytes, taken_bytes, taken }
    }

    /// First pass: reads the next chunk for the CRC, and returns it with its offset in the file. `None` when
    /// there was none left; then the pass is over, and the opening ready to be sent.
    pub(super) fn hash<'b, F: ReadAt>(
        &mut self,
        buffer: &'b mut FrameBuffer,
        file: &F,
    ) -> Result<Option<(u64, &'b [u8])>, BuildError> {
        let from = BEGIN + self.head_bytes;
        let offset = self.offset();
        let is_first = self.done == 0;
        let Some(chunk) = self.read(buffer, from, file)? else {
            let mut hasher = self.hasher.clone();
            hasher.update(self.trailer());
            buffer.put_at(
                BEGIN + self.head_bytes,
                self.taken.get(..self.taken_bytes).unwrap_or_default(),
            );
            buffer.put_front(self.payload_bytes(), hasher.finalize());
            self.done = 0;
            return Ok(None);
        };
        let bytes = buffer.bytes.get(chunk).unwrap_or_default();
        self.hasher.update(bytes);
        if is_first {
            self.begins_with(bytes);
        }
        Ok(Some((offset, bytes)))
    }

    /// What the file's first bytes say of the whole.
    fn begins_with(&mut self, bytes: &[u8]) {
        if bytes.starts_with(&TABLET_HEAD) {
            self.trailer = None;
        }
        for (taken, byte) in self.taken.iter_mut().zip(bytes) {
            *taken = *byte;
        }
    }

    /// What goes out first: front and head.
    pub(super) fn opening<'b>(&self, buffer: &'b FrameBuffer) -> &'b [u8] {
        let end = BEGIN + self.head_bytes + self.taken_bytes;
        buffer.bytes.get(buffer.start..end).unwrap_or_default()
    }

    /// Second pass: the next chunk, the last one with trailer and suffix. `None` after it.
    pub(super) fn chunk<'b, F: ReadAt>(
        &mut self,
        buffer: &'b mut FrameBuffer,
        file: &F,
    ) -> Result<Option<&'b [u8]>, BuildError> {
        let taken = if self.done == 0 { self.taken_bytes } else { 0 };
        let Some(mut chunk) = self.read(buffer, 0, file)? else { return Ok(None) };
        chunk.start += taken;
        if self.done < self.count {
            return Ok(buffer.bytes.get(chunk));
        }
        let end = buffer.put_at(chunk.end, self.trailer());
        let end = buffer.put_tail(end);
        Ok(buffer.bytes.get(chunk.start..end))
    }

    fn trailer(&self) -> &[u8] {
        self.trailer.as_ref().map_or(&[], |trailer| trailer.as_bytes())
    }

    fn payload_bytes(&self) -> usize {
        self.head_bytes + self.count + self.trailer().len()
    }

    /// Bytes of the file that this pass has read.
    pub(super) fn done_bytes(&self) -> u64 {
        u64::try_from(self.done).unwrap_or(u64::MAX)
    }

    /// Bytes of the whole frame.
    pub(super) fn frame_bytes(&self, buffer: &FrameBuffer) -> u64 {
        let around = BEGIN - buffer.start + buffer.envelope.tail().len();
        let bytes = self.payload_bytes() + around;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// Where in the file the next chunk begins.
    fn offset(&self) -> u64 {
        self.start.saturating_add(self.done_bytes())
    }

    /// Reads the next chunk to `from` in the buffer.
    fn read<F: ReadAt>(
        &mut self,
        buffer: &mut FrameBuffer,
        from: usize,
        file: &F,
    ) -> Result<Option<Range<usize>>, BuildError> {
        let count = (self.count - self.done).min(self.chunk_bytes);
        if count == 0 {
            return Ok(None);
        }
        let chunk = from..from + count;
        buffer.touched = buffer.touched.max(chunk.end);
        read_exactly(file, self.offset(), buffer.bytes.get_mut(chunk.clone()).unwrap_or_default())?;
        self.done += count;
        Ok(Some(chunk))
    }
}

/// Fills `into` from a file.
pub(super) fn read_exactly<F: ReadAt>(
    file: &F,
    offset: u64,
    into: &mut [u8],
) -> Result<(), BuildError> {
    let wanted = into.len();
    let failed = |source| BuildError::Read { offset, wanted, source };
    match file.read_at(offset, into).map_err(failed)? {
        got if got == wanted => Ok(()),
        _ => Err(failed(io::ErrorKind::UnexpectedEof.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::bytes::Reader;
    use crate::wire::compressed::{Compressed, Compressor};
    use crate::wire::elanguage::{PREFIX, SUFFIX};

    /// Takes a frame apart by hand: payload, after lengths and checksum were compared.
    fn payload_of(frame: &[u8]) -> &[u8] {
        let length = u32::from_be_bytes(frame[..4].try_into().unwrap()) as usize;
        assert_eq!(frame[..4], frame[4..8]);
        assert_eq!(frame.len(), 8 + length);
        let payload = &frame[16..];
        assert_eq!(frame[8..12], [0; 4]);
        assert_eq!(frame[12..16], crc32fast::hash(payload).to_be_bytes());
        payload
    }

    fn unwrapped(frame: &[u8]) -> &[u8] {
        frame.strip_prefix(PREFIX).unwrap().strip_suffix(SUFFIX).unwrap()
    }

    fn packing(compressors: &[Compressor]) -> Packing {
        Packing { compressors: compressors.iter().copied().collect(), ..Packing::default() }
    }

    fn streamed(wrapped: bool, file: &[u8], start: u64, count: usize) -> Vec<u8> {
        let mut buffer = FrameBuffer::new(Envelope::Frames { wrapped }, Packing::default());
        buffer.begin(|writer| writer.put(b"\x01\0\x04head")).unwrap();
        let mut streamed = Streamed::new(&mut buffer, start, count, None);
        while streamed.hash(&mut buffer, &file).unwrap().is_some() {}
        let mut frame = streamed.opening(&buffer).to_vec();
        while let Some(chunk) = streamed.chunk(&mut buffer, &file).unwrap() {
            frame.extend_from_slice(chunk);
        }
        assert_eq!(streamed.frame_bytes(&buffer), frame.len() as u64);
        frame
    }

    fn noise(count: usize) -> Vec<u8> {
        let mut random = crate::link::backoff::Random::new(5);
        (0..count).map(|_| random.next_u64().to_be_bytes()[0]).collect()
    }

    #[test]
    fn frame_has_lengths_checksum_and_payload() {
        let mut buffer = FrameBuffer::new(Envelope::Frames { wrapped: false }, Packing::default());
        buffer.begin(|writer| writer.put(b"\x01\0\x04head")).unwrap();
        buffer
            .append(4, |into| {
                into.copy_from_slice(b"body");
                Ok::<_, BuildError>(())
            })
            .unwrap();
        let frame = buffer.finish(None).unwrap();
        assert_eq!(payload_of(frame), b"\x01\0\x04headbody");
    }

    /// Frames of a stock 1.3.3 sender, wrapped and plain.
    const CAPTURES: [&[u8]; 4] = [
        include_bytes!("../../../tests/golden/iotdb-1.3.3/005-2-tablet-alltypes.bin"),
        include_bytes!("../../../tests/golden/iotdb-1.3.3/047-100-delete-data.bin"),
        include_bytes!("../../../tests/golden/iotdb-1.3.3/021-51-elang-handshake.bin"),
        include_bytes!("../../../tests/golden/iotdb-1.3.3/022-3-elang-raw.bin"),
    ];

    #[test]
    fn captured_frames_come_out_byte_for_byte() {
        for capture in CAPTURES {
            let wrapped = capture.starts_with(PREFIX);
            let payload = if wrapped { unwrapped(capture) } else { capture };
            let payload = payload_of(payload);
            let mut buffer = FrameBuffer::new(Envelope::Frames { wrapped }, Packing::default());
            buffer.begin(|writer| writer.put(payload)).unwrap();
            assert_eq!(buffer.finish(None).unwrap(), capture);
            buffer.begin(|_| ()).unwrap();
            let filled = buffer.append(payload.len(), |into| {
                into.copy_from_slice(payload);
                Ok::<_, BuildError>(())
            });
            filled.unwrap();
            assert_eq!(buffer.finish(Some(crc32fast::hash(payload))).unwrap(), capture);
        }
    }

    #[test]
    fn captured_compressed_frames_differ_in_the_codec_s_choices_only() {
        let captures: [(Compressor, &[u8]); 5] = [
            (
                Compressor::Snappy,
                include_bytes!("../../../tests/golden/iotdb-1.3.3/024-300-snappy-tablet.bin"),
            ),
            (
                Compressor::Gzip,
                include_bytes!("../../../tests/golden/iotdb-1.3.3/026-300-gzip-tablet.bin"),
            ),
            (
                Compressor::Lz4,
                include_bytes!("../../../tests/golden/iotdb-1.3.3/028-300-lz4-tablet.bin"),
            ),
            (
                Compressor::Zstd,
                include_bytes!("../../../tests/golden/iotdb-1.3.3/030-300-zstd-tablet.bin"),
            ),
            (
                Compressor::Lzma2,
                include_bytes!("../../../tests/golden/iotdb-1.3.3/032-300-lzma2-tablet.bin"),
            ),
        ];
        for (compressor, capture) in captures {
            let theirs = payload_of(capture);
            let (mut inner, mut again) = (Vec::new(), Vec::new());
            let stated = u32::from_be_bytes(theirs[5..9].try_into().unwrap()) as usize;
            compressor.undo(&theirs[9..], stated, &mut inner).unwrap();
            let mut buffer =
                FrameBuffer::new(Envelope::Frames { wrapped: false }, packing(&[compressor]));
            buffer.begin(|writer| writer.put(&inner)).unwrap();
            let ours = payload_of(buffer.finish(None).unwrap());
            assert_eq!(ours[..9], theirs[..9], "version, type, count, id, stated length");
            compressor.undo(&ours[9..], stated, &mut again).unwrap();
            assert_eq!(again, inner);
        }
    }

    #[test]
    fn known_checksum_is_taken_over() {
        let mut buffer = FrameBuffer::new(Envelope::Frames { wrapped: false }, Packing::default());
        buffer.begin(|writer| writer.put(b"abc")).unwrap();
        let frame = buffer.finish(Some(0x0102_0304)).unwrap();
        assert_eq!(frame[8..16], [0, 0, 0, 0, 1, 2, 3, 4]);
    }

    #[test]
    fn wrapped_frame_stands_between_prefix_and_suffix() {
        let mut buffer = FrameBuffer::new(Envelope::Frames { wrapped: true }, Packing::default());
        buffer.begin(|writer| writer.put(b"\x01\0\x05")).unwrap();
        assert_eq!(payload_of(unwrapped(buffer.finish(None).unwrap())), b"\x01\0\x05");
        buffer.begin(|writer| writer.put(b"\x01\0\x06")).unwrap();
        assert_eq!(payload_of(unwrapped(buffer.finish(None).unwrap())), b"\x01\0\x06");
    }

    #[test]
    fn compressed_frame_holds_the_payload_as_type_300() {
        for compressors in [&[Compressor::Lz4][..], &[Compressor::Zstd, Compressor::Gzip]] {
            let mut buffer =
                FrameBuffer::new(Envelope::Frames { wrapped: true }, packing(compressors));
            for body in [vec![7; 100_000], [noise(MIB), vec![7; 20_000]].concat()] {
                buffer.begin(|writer| writer.put(&body)).unwrap();
                let frame = buffer.finish(Some(1)).unwrap();
                let rest = payload_of(unwrapped(frame)).strip_prefix(b"\x01\x01\x2c").unwrap();
                let request = Compressed::read(&mut Reader::new(rest)).unwrap();
                assert_eq!(request.steps.len(), compressors.len());
                let (mut out, mut spare) = (Vec::new(), Vec::new());
                assert_eq!(request.undo(&mut out, &mut spare, 2 * MIB).unwrap(), body);
            }
        }
    }

    #[test]
    fn what_does_not_get_shorter_is_sent_as_it_is_and_fits_up_to_the_last_byte() {
        for compressor in [
            Compressor::Snappy,
            Compressor::Gzip,
            Compressor::Lz4,
            Compressor::Zstd,
            Compressor::Lzma2,
        ] {
            let mut buffer =
                FrameBuffer::new(Envelope::Frames { wrapped: true }, packing(&[compressor]));
            for count in [0, 1, 100, REQUEST_MEMORY_BYTES_MAX] {
                let body = noise(count);
                buffer.begin(|writer| writer.put(&body)).unwrap();
                let frame = buffer.finish(Some(crc32fast::hash(&body))).unwrap();
                assert!(payload_of(unwrapped(frame)) == body, "{compressor:?}, {count}");
            }
        }
    }

    #[test]
    fn a_buffer_that_rests_has_no_memory_of_large_frames() {
        for compressors in [&[][..], &[Compressor::Lz4]] {
            let mut buffer =
                FrameBuffer::new(Envelope::Frames { wrapped: true }, packing(compressors));
            let kept = |buffer: &FrameBuffer| {
                buffer.bytes.capacity() + buffer.packed.capacity() + buffer.spare.capacity()
            };
            assert_eq!(kept(&buffer), 0);
            for (count, is_kept) in [(4096, true), (20_000, false), (4096, true), (MIB, false)] {
                let body = noise(count);
                buffer.begin(|writer| writer.put(&body)).unwrap();
                assert_eq!(payload_of(unwrapped(buffer.finish(None).unwrap())), body);
                buffer.rest();
                assert_eq!(kept(&buffer) > 0, is_kept, "{count}");
            }
            buffer.begin(|writer| writer.put(b"head")).unwrap();
            let _streamed = Streamed::new(&mut buffer, 0, 2 * MIB, None);
            buffer.rest();
            assert_eq!(kept(&buffer), 0);
        }
    }

    #[test]
    fn payload_above_the_room_is_an_error() {
        let mut buffer = FrameBuffer::new(Envelope::Frames { wrapped: false }, Packing::default());
        assert!(buffer.has_room(REQUEST_MEMORY_BYTES_MAX));
        let long = vec![0; REQUEST_MEMORY_BYTES_MAX + 1];
        assert!(buffer.begin(|writer| writer.put(&long)).is_err());
        buffer.begin(|writer| writer.put(&long[1..])).unwrap();
        assert!(!buffer.has_room(1));
    }

    #[test]
    fn streamed_frame_equals_one_in_one_piece() {
        for count in [1, MIB, MIB + 1, 3 * MIB + 17] {
            let file = noise(count + 10);
            let payload = [b"\x01\0\x04head", &file[10..]].concat();
            assert_eq!(payload_of(&streamed(false, &file, 10, count)), payload);
            assert_eq!(payload_of(unwrapped(&streamed(true, &file, 10, count))), payload);
        }
    }

    #[test]
    fn file_that_is_too_short_is_found_before_anything_is_sent() {
        let file = noise(100);
        let mut buffer = FrameBuffer::new(Envelope::Frames { wrapped: false }, Packing::default());
        buffer.begin(|writer| writer.put(b"head")).unwrap();
        let mut streamed = Streamed::new(&mut buffer, 50, 51, None);
        let error = streamed.hash(&mut buffer, &&file[..]).unwrap_err();
        assert!(matches!(error, BuildError::Read { offset: 50, wanted: 51, .. }), "{error}");
    }
}
