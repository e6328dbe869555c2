//! What the sink sends, byte for byte, without its line: for simulators, which play line and clock themselves.

use std::fmt;

use super::OwnTrouble;
use super::builder::{Builder, Built, transfer_of};
use super::checking::Checking;
use super::feed::Feed;
use super::frame_buffer::{BuildError, FrameBuffer};
use super::settings::AirGapSettings;
use super::transfer::Transfer;
use crate::data::Sequence;
use crate::link::sender::{Delivery, Frame, Settings};
use crate::spool::EntryHeader;
use crate::tsfile::{TsFileError, tail};

/// The entries of a feed, and their frames.
pub struct Load<F: Feed> {
    settings: AirGapSettings,
    feed: F,
    buffer: FrameBuffer,
    checking: Checking,
    current: Option<(EntryHeader, Transfer<F::File>)>,
    /// What can never be sent, and why.
    refused: Option<(EntryHeader, String)>,
}

/// Why there is no entry or no frame.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct LoadError(#[from] OwnTrouble);

impl<F: Feed> Load<F> {
    /// The load of a sink with these settings.
    pub fn new(settings: AirGapSettings, feed: F) -> Self {
        let buffer = FrameBuffer::new(settings.envelope, settings.packing.clone());
        let (checking, current, refused) = (Checking::default(), None, None);
        Self { settings, feed, buffer, checking, current, refused }
    }

    /// Settings of the machine that sends it.
    pub fn sender_settings(&self) -> Settings {
        self.settings.of_sender()
    }

    /// The entry that is to be carried now, until it was delivered.
    ///
    /// # Errors
    /// If the spool cannot be read, or the entry can never be sent: then [`Load::put_aside`] is the way on.
    pub fn entry(&mut self) -> Result<Option<(EntryHeader, Delivery)>, LoadError> {
        if self.current.is_none() {
            let next = self.feed.next_entry().map_err(OwnTrouble::from)?;
            let Some(header) = next else { return Ok(None) };
            let transfer = transfer_of(&mut self.feed, &header)?;
            let sound = match transfer {
                Ok(transfer) => match transfer.ts_file().map(tail::check) {
                    Some(Err(TsFileError::Read { source, offset })) => {
                        let trouble = BuildError::Read { offset, wanted: 1, source };
                        return Err(OwnTrouble::from(trouble).into());
                    }
                    Some(Err(flaw)) => Err(flaw.to_string()),
                    Some(Ok(_)) | None => Ok(transfer),
                },
                Err(why) => Err(why),
            };
            match sound {
                Ok(transfer) => self.current = Some((header, transfer)),
                Err(why) => {
                    self.refused = Some((header, why.clone()));
                    return Err(OwnTrouble::PutAside { sequence: header.sequence.0, why }.into());
                }
            }
        }
        Ok(self.current.as_ref().map(|(header, transfer)| (*header, transfer.delivery())))
    }

    /// Takes what [`Load::entry`] refused out of the pipe, to where a person finds it. False if nothing was refused, or
    /// it could not be kept.
    pub async fn put_aside(&mut self) -> bool {
        let Some((header, why)) = self.refused.take() else { return false };
        let is_aside = self.feed.put_aside(&header, &why).await;
        if is_aside {
            self.feed.advance(&header);
        }
        is_aside
    }

    /// All bytes of a frame.
    ///
    /// # Errors
    /// If it cannot be built, among others because a file has rotted.
    pub fn frame(&mut self, frame: Frame) -> Result<Vec<u8>, LoadError> {
        let mut builder = Builder {
            offer: self.settings.offer(self.settings.precision),
            transfer: self.current.as_ref().map(|(_, transfer)| transfer),
            feed: &mut self.feed,
            buffer: &mut self.buffer,
            checking: &mut self.checking,
        };
        match builder.build(frame)? {
            Built::Whole => Ok(builder.buffer.frame().to_vec()),
            Built::Nothing => Ok(Vec::new()),
            Built::Head(index, named, mut streamed) => {
                while builder.hash((index, named), &mut streamed).map_err(OwnTrouble::from)? {}
                let mut bytes = streamed.opening(builder.buffer).to_vec();
                while let Some(chunk) =
                    streamed.chunk(builder.buffer, &named.file).map_err(OwnTrouble::from)?
                {
                    bytes.extend_from_slice(chunk);
                }
                Ok(bytes)
            }
        }
    }

    /// Everything below was delivered, gone past, or is not there; 0 while something is sent once more.
    pub fn position(&self) -> Sequence {
        self.feed.position()
    }

    /// Whether nothing will ever come any more.
    pub fn is_over(&self) -> bool {
        self.current.is_none() && self.feed.is_over()
    }

    /// The far side has the entry; the feed goes on.
    pub fn delivered(&mut self) -> Option<EntryHeader> {
        let (header, _) = self.current.take()?;
        self.feed.advance(&header);
        Some(header)
    }
}

impl<F: Feed> fmt::Debug for Load<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Load").finish_non_exhaustive()
    }
}
