//! Builds one frame in the sink's buffer and writes it to its line.

use tokio::task::yield_now;

use super::OwnTrouble;
use super::feed::Feed;
use super::frame_buffer::{BuildError, FrameBuffer, Streamed, read_exactly};
use super::line::Line;
use super::transfer::{Files, Transfer};
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
    pub(super) line: &'s mut Line,
}

impl<F: Feed> Outgoing<'_, F> {
    /// Writes `frame`, or as much of it as the machine wants; says how many bytes it has.
    ///
    /// # Errors
    /// If it cannot be built. Part of it may have been written then.
    pub(super) async fn write(self, frame: Frame) -> Result<u64, OwnTrouble> {
        match (frame, self.transfer) {
            (Frame::HandshakeV2 | Frame::HandshakeV1, _) => self.write_handshake(frame).await,
            (Frame::Whole, Some(Transfer::Stored { payload_bytes, crc })) => {
                self.write_stored(*payload_bytes, *crc).await
            }
            (Frame::Whole, Some(Transfer::Request(file))) => {
                self.buffer.begin(|_| ()).map_err(BuildError::from)?;
                let count = usize::try_from(file.len()).unwrap_or(usize::MAX);
                self.write_with_file(file, 0, count).await
            }
            (Frame::Piece { file, start, bytes }, Some(Transfer::Files(files))) => {
                self.write_piece(files, file, start, bytes).await
            }
            (Frame::Seal, Some(Transfer::Files(files))) => {
                self.buffer.begin(|writer| files.write_seal(writer)).map_err(BuildError::from)?;
                self.write_built(None).await
            }
            // Whoever delivers a transfer keeps it: these frames are not of it.
            (Frame::Whole | Frame::Piece { .. } | Frame::Seal, _) => Ok(0),
        }
    }

    async fn write_handshake(self, frame: Frame) -> Result<u64, OwnTrouble> {
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
        self.write_built(None).await
    }

    async fn write_stored(self, count: usize, crc: u32) -> Result<u64, OwnTrouble> {
        self.buffer.begin(|_| ()).map_err(BuildError::from)?;
        if !self.buffer.has_room(count) {
            return Err(BuildError::Room { count }.into());
        }
        self.buffer.append(count, |into| self.feed.read_payload(into))?;
        self.write_built(Some(crc)).await
    }

    async fn write_piece(
        self,
        files: &Files<F::File>,
        index: usize,
        start: u64,
        count: usize,
    ) -> Result<u64, OwnTrouble> {
        let Some(file) = files.file(index) else { return Ok(0) };
        let begun = self.buffer.begin(|writer| files.write_head(index, start, count, writer));
        begun.map_err(BuildError::from)?;
        self.write_with_file(file, start, count).await
    }

    /// The payload was begun; `count` bytes of the file from `start` follow.
    async fn write_with_file(
        self,
        file: &F::File,
        start: u64,
        count: usize,
    ) -> Result<u64, OwnTrouble> {
        if self.buffer.has_room(count) {
            self.buffer.append(count, |into| read_exactly(file, start, into))?;
            return self.write_built(None).await;
        }
        let mut streamed = Streamed::new(self.buffer, start, count);
        while streamed.hash(self.buffer, file)? {
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

    async fn write_built(self, crc: Option<u32>) -> Result<u64, OwnTrouble> {
        let bytes = self.buffer.finish(crc)?;
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.line.write(bytes).await;
        Ok(count)
    }
}
