//! Builds one frame in the sink's buffer and writes it to its line.
//!
//! Once a frame has left, the buffer is free: nothing is ever resumed, so nobody reads it again. The next
//! piece is read into it while the far side still has the last one, and costs no time then.

use tokio::task::yield_now;

use super::OwnTrouble;
use super::checking::Checking;
use super::feed::Feed;
use super::frame_buffer::{BuildError, FrameBuffer, Streamed, read_exactly};
use super::line::Line;
use super::transfer::{Files, NamedFile, Transfer};
use crate::data::ReadAt;
use crate::link::sender::Frame;
use crate::ops::board::Crossing;
use crate::ops::clock;
use crate::wire::handshake::{Offer, write_v1};
use crate::wire::request::{Head, RequestType};

/// Everything that a frame is made from, and where it goes.
pub(super) struct Outgoing<'s, F: Feed> {
    pub(super) offer: Offer<'s>,
    /// The entry that is carried; handshakes need none.
    pub(super) transfer: Option<&'s Transfer<F::File>>,
    /// Where its progress is shown.
    pub(super) crossing: Option<&'s Crossing>,
    pub(super) feed: &'s mut F,
    pub(super) buffer: &'s mut FrameBuffer,
    /// Compares the transfer's files with what was taken in.
    pub(super) checking: &'s mut Checking,
    pub(super) line: &'s mut Line,
}

/// What was built.
enum Built<'s, F> {
    /// The whole frame.
    Whole,
    /// Its head; the rest, of the file with this index, is streamed.
    Head(usize, &'s NamedFile<F>, Streamed),
    /// Nothing: the frame is not of this transfer. Whoever delivers a transfer keeps it.
    Nothing,
}

impl<'s, F: Feed> Outgoing<'s, F> {
    /// Builds a frame that may be written later; false if it has to be built again then.
    ///
    /// # Errors
    /// If it cannot be built.
    pub(super) fn prepare(mut self, frame: Frame) -> Result<bool, OwnTrouble> {
        self.build(frame).map(|built| matches!(built, Built::Whole))
    }

    /// Writes `frame`, or as much of it as the machine wants; says how many bytes it has. If it was
    /// `prepared`, it lies in the buffer.
    ///
    /// # Errors
    /// If it cannot be built. Part of it may have been written then.
    pub(super) async fn write(mut self, frame: Frame, prepared: bool) -> Result<u64, OwnTrouble> {
        let built = if prepared { Built::Whole } else { self.build(frame)? };
        match built {
            Built::Whole => {
                let bytes = self.buffer.frame();
                self.line.write(bytes).await;
                Ok(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            }
            Built::Head(index, file, streamed) => self.stream((index, file), streamed).await,
            Built::Nothing => Ok(0),
        }
    }

    fn build(&mut self, frame: Frame) -> Result<Built<'s, F::File>, OwnTrouble> {
        match (frame, self.transfer) {
            (Frame::HandshakeV2 | Frame::HandshakeV1, _) => self.build_handshake(frame),
            (Frame::Whole, Some(Transfer::Stored { payload_bytes, crc })) => {
                self.build_stored(*payload_bytes, *crc)
            }
            (Frame::Whole, Some(Transfer::Request(request))) => {
                self.buffer.begin(|_| ()).map_err(BuildError::from)?;
                let count = usize::try_from(request.file.len()).unwrap_or(usize::MAX);
                self.build_with_file((0, request), 0, count)
            }
            (Frame::Piece { file, start, bytes }, Some(Transfer::Files(files))) => {
                self.build_piece(files, file, start, bytes)
            }
            (Frame::Seal, Some(Transfer::Files(files))) => {
                self.buffer.begin(|writer| files.write_seal(writer)).map_err(BuildError::from)?;
                self.finish(None)
            }
            (Frame::Whole | Frame::Piece { .. } | Frame::Seal, _) => Ok(Built::Nothing),
        }
    }

    fn build_handshake(&mut self, frame: Frame) -> Result<Built<'s, F::File>, OwnTrouble> {
        let offer = self.offer;
        let begun = self.buffer.begin(|writer| {
            if frame == Frame::HandshakeV1 {
                Head::of(RequestType::HandshakeDataNodeV1).write(writer);
                write_v1(writer, offer.precision);
            } else {
                Head::of(RequestType::HandshakeDataNodeV2).write(writer);
                offer.write(writer);
            }
        });
        begun.map_err(BuildError::from)?;
        self.finish(None)
    }

    fn build_stored(&mut self, count: usize, crc: u32) -> Result<Built<'s, F::File>, OwnTrouble> {
        self.buffer.begin(|_| ()).map_err(BuildError::from)?;
        if !self.buffer.has_room(count) {
            return Err(BuildError::Room { count }.into());
        }
        self.buffer.append(count, |into| self.feed.read_payload(into))?;
        self.finish(Some(crc))
    }

    fn build_piece(
        &mut self,
        files: &'s Files<F::File>,
        index: usize,
        start: u64,
        count: usize,
    ) -> Result<Built<'s, F::File>, OwnTrouble> {
        let Some(file) = files.file(index) else { return Ok(Built::Nothing) };
        let begun = self.buffer.begin(|writer| files.write_head(index, start, count, writer));
        begun.map_err(BuildError::from)?;
        self.build_with_file((index, file), start, count)
    }

    /// The payload was begun; `count` bytes of the file from `start` follow.
    fn build_with_file(
        &mut self,
        (index, named): (usize, &'s NamedFile<F::File>),
        start: u64,
        count: usize,
    ) -> Result<Built<'s, F::File>, OwnTrouble> {
        if !self.buffer.has_room(count) {
            return Ok(Built::Head(index, named, Streamed::new(self.buffer, start, count)));
        }
        let bytes = self.buffer.append(count, |into| read_exactly(&named.file, start, into))?;
        let checked = self.checking.take((index, start), bytes, || named.check());
        checked.map_err(BuildError::from)?;
        self.finish(None)
    }

    fn finish(&mut self, crc: Option<u32>) -> Result<Built<'s, F::File>, OwnTrouble> {
        self.buffer.finish(crc)?;
        Ok(Built::Whole)
    }

    /// Two passes over the file: the CRC, which binds the second pass to what was checked in the first; then
    /// the bytes.
    async fn stream(
        self,
        (index, named): (usize, &NamedFile<F::File>),
        mut streamed: Streamed,
    ) -> Result<u64, OwnTrouble> {
        let file = &named.file;
        while let Some((offset, bytes)) = streamed.hash(self.buffer, file)? {
            let checked = self.checking.take((index, offset), bytes, || named.check());
            checked.map_err(BuildError::from)?;
            self.line.made_progress();
            yield_now().await;
        }
        if !self.line.write(streamed.opening(self.buffer)).await {
            return Ok(0);
        }
        let before = self.line.sender.accepted_bytes();
        while let Some(chunk) = streamed.chunk(self.buffer, file)? {
            if !self.line.write(chunk).await {
                return Ok(0);
            }
            if let Some(crossing) = self.crossing {
                crossing.progress(before.saturating_add(streamed.done_bytes()), clock::now());
            }
        }
        Ok(streamed.frame_bytes(self.buffer))
    }
}
