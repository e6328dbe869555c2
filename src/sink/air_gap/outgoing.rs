//! Writes one frame to its line.
//!
//! Once a frame has left, the buffer is free: nothing is ever resumed, so nobody reads it again. The next
//! piece is read into it while the far side still has the last one, and costs no time then.

use tokio::task::yield_now;

use super::OwnTrouble;
use super::builder::{Builder, Built};
use super::feed::Feed;
use super::frame_buffer::Streamed;
use super::line::Line;
use super::transfer::NamedFile;
use crate::link::sender::Frame;
use crate::ops::board::Crossing;
use crate::ops::clock;

/// What a frame is made from, and where it goes.
pub(super) struct Outgoing<'s, F: Feed> {
    pub(super) builder: Builder<'s, F>,
    /// Where its progress is shown.
    pub(super) crossing: Option<&'s Crossing>,
    pub(super) line: &'s mut Line,
}

impl<F: Feed> Outgoing<'_, F> {
    /// Builds a frame that may be written later; false if it has to be built again then.
    ///
    /// # Errors
    /// If it cannot be built.
    pub(super) fn prepare(mut self, frame: Frame) -> Result<bool, OwnTrouble> {
        self.builder.build(frame).map(|built| matches!(built, Built::Whole))
    }

    /// Writes `frame`, or as much of it as the machine wants; says how many bytes it has. If it was
    /// `prepared`, it lies in the buffer.
    ///
    /// # Errors
    /// If it cannot be built. Part of it may have been written then.
    pub(super) async fn write(mut self, frame: Frame, prepared: bool) -> Result<u64, OwnTrouble> {
        let built = if prepared { Built::Whole } else { self.builder.build(frame)? };
        match built {
            Built::Whole => {
                let bytes = self.builder.buffer.frame();
                self.line.write(bytes).await;
                Ok(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            }
            Built::Head(index, file, streamed) => self.stream((index, file), streamed).await,
            Built::Nothing => Ok(0),
        }
    }

    /// Two passes over the file: the CRC, then the bytes.
    async fn stream(
        self,
        named: (usize, &NamedFile<F::File>),
        mut streamed: Streamed,
    ) -> Result<u64, OwnTrouble> {
        let Self { mut builder, crossing, line } = self;
        while builder.hash(named, &mut streamed)? {
            line.made_progress();
            yield_now().await;
        }
        if !line.write(streamed.opening(builder.buffer)).await {
            return Ok(0);
        }
        let before = line.sender.accepted_bytes();
        while let Some(chunk) = streamed.chunk(builder.buffer, &named.1.file)? {
            if !line.write(chunk).await {
                return Ok(0);
            }
            if let Some(crossing) = crossing {
                crossing.progress(before.saturating_add(streamed.done_bytes()), clock::now());
            }
        }
        Ok(streamed.frame_bytes(builder.buffer))
    }
}
