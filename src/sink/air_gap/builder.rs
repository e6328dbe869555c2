//! From an entry of the spool to the bytes of one frame in the sink's buffer. Nothing here waits.

use tokio::task::yield_now;

use super::OwnTrouble;
use super::checking::Checking;
use super::feed::Feed;
use super::frame_buffer::{BuildError, FrameBuffer, Streamed, read_exactly};
use super::transfer::{Files, NamedFile, Trailer, Transfer};
use crate::data::ReadAt;
use crate::link::sender::Frame;
use crate::spool::{EntryHeader, Kind, ReadError};
use crate::tsfile::{TsFileError, tail};
use crate::wire::handshake::{Offer, write_v1};
use crate::wire::request::{Head, RequestType};
use crate::wire::trailer::TRAILER_BYTES;
use crate::wire::trim::TABLET_HEAD;

/// Everything that a frame is made from.
pub(super) struct Builder<'s, F: Feed> {
    pub(super) offer: Offer<'s>,
    /// The entry that is carried; handshakes need none.
    pub(super) transfer: Option<&'s Transfer<F::File>>,
    pub(super) feed: &'s mut F,
    pub(super) buffer: &'s mut FrameBuffer,
    /// Compares the transfer's files with what was taken in.
    pub(super) checking: &'s mut Checking,
}

/// What was built.
pub(super) enum Built<'s, F> {
    /// The whole frame.
    Whole,
    /// Its head; the rest, of the file with this index, is streamed.
    Head(usize, &'s NamedFile<F>, Streamed),
    /// Nothing: the frame is not of this transfer. Whoever delivers a transfer keeps it.
    Nothing,
}

impl<'s, F: Feed> Builder<'s, F> {
    /// Builds a frame in the buffer.
    ///
    /// # Errors
    /// If it cannot be built.
    pub(super) fn build(&mut self, frame: Frame) -> Result<Built<'s, F::File>, OwnTrouble> {
        match (frame, self.transfer) {
            (Frame::HandshakeV2 | Frame::HandshakeV1, _) => self.build_handshake(frame),
            (Frame::Whole, Some(Transfer::Stored { payload_bytes, crc, trailer })) => {
                self.build_stored(*payload_bytes, *crc, trailer)
            }
            (Frame::Whole, Some(Transfer::Request(request, trailer))) => {
                self.buffer.begin(|_| ()).map_err(BuildError::from)?;
                let count = usize::try_from(request.file.len()).unwrap_or(usize::MAX);
                self.build_with_file((0, request), 0, count, Some(trailer))
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
        self.buffer.finish_handshake()?;
        Ok(Built::Whole)
    }

    fn build_stored(
        &mut self,
        count: usize,
        crc: u32,
        trailer: &Trailer,
    ) -> Result<Built<'s, F::File>, OwnTrouble> {
        self.buffer.begin(|_| ()).map_err(BuildError::from)?;
        if !self.buffer.has_room(count.saturating_add(TRAILER_BYTES)) {
            return Err(BuildError::Room { count }.into());
        }
        let payload = self.buffer.append(count, |into| self.feed.read_payload(into))?;
        if payload.starts_with(&TABLET_HEAD) {
            return self.finish(Some(crc));
        }
        self.buffer.put(trailer.as_bytes());
        let mut with_trailer = crc32fast::Hasher::new_with_initial(crc);
        with_trailer.update(trailer.as_bytes());
        self.finish(Some(with_trailer.finalize()))
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
        self.build_with_file((index, file), start, count, None)
    }

    /// The payload was begun; `count` bytes of the file from `start` follow, and the trailer unless they are a tablet.
    fn build_with_file(
        &mut self,
        (index, named): (usize, &'s NamedFile<F::File>),
        start: u64,
        count: usize,
        trailer: Option<&Trailer>,
    ) -> Result<Built<'s, F::File>, OwnTrouble> {
        let whole_bytes = count.saturating_add(trailer.map_or(0, |_| TRAILER_BYTES));
        if !self.buffer.has_room(whole_bytes) || !self.buffer.may_hold(count) {
            let streamed = Streamed::new(self.buffer, start, count, trailer.copied());
            return Ok(Built::Head(index, named, streamed));
        }
        let bytes = self.buffer.append(count, |into| read_exactly(&named.file, start, into))?;
        let checked = self.checking.take((index, start), bytes, || named.check());
        checked.map_err(BuildError::from)?;
        let trailer = trailer.filter(|_| !bytes.starts_with(&TABLET_HEAD));
        if let Some(trailer) = trailer {
            self.buffer.put(trailer.as_bytes());
        }
        self.finish(None)
    }

    fn finish(&mut self, crc: Option<u32>) -> Result<Built<'s, F::File>, OwnTrouble> {
        self.buffer.finish(crc)?;
        Ok(Built::Whole)
    }

    /// Goes on with the first pass over a file that is streamed, by one chunk: the CRC, which binds the second
    /// pass to what was checked in the first. False at its end.
    ///
    /// # Errors
    /// If the file cannot be read, or is not what was taken in.
    pub(super) fn hash(
        &mut self,
        (index, named): (usize, &NamedFile<F::File>),
        streamed: &mut Streamed,
    ) -> Result<bool, BuildError> {
        let is_first = streamed.done_bytes() == 0;
        let Some((offset, bytes)) = streamed.hash(self.buffer, &named.file)? else {
            return Ok(false);
        };
        if is_first {
            self.checking.take((index, offset), bytes, || named.check())?;
        } else {
            self.checking.take_more(bytes)?;
        }
        Ok(true)
    }
}

/// What has to be carried for the feed's present entry. The inner error says why it can never be sent.
///
/// # Errors
/// If the spool cannot be read.
pub(super) fn transfer_of<F: Feed>(
    feed: &mut F,
    header: &EntryHeader,
) -> Result<Result<Transfer<F::File>, String>, OwnTrouble> {
    if let Some(objection) = feed.objection() {
        return Ok(Err(objection.to_owned()));
    }
    if header.kind != Kind::File {
        return Ok(Ok(Transfer::stored(header)));
    }
    let files = match feed.open_files() {
        Ok(files) => files,
        Err(gone @ ReadError::File { .. }) => return Ok(Err(gone.to_string())),
        Err(error) => return Err(error.into()),
    };
    let transfer = match Transfer::of_files(header.identity, files) {
        Ok(transfer) => transfer,
        Err(unsendable) => return Ok(Err(unsendable.to_string())),
    };
    Ok(Ok(transfer))
}

/// Whether both ends of the transfer's `TsFile` are sound; others have their turn meanwhile. The inner error says why it
/// can never be sent.
///
/// # Errors
/// If it cannot be read.
pub(super) async fn check_ends<T: ReadAt>(
    transfer: &Transfer<T>,
) -> Result<Result<(), String>, OwnTrouble> {
    let Some(file) = transfer.ts_file() else { return Ok(Ok(())) };
    let checked = async {
        let mut check = tail::Check::new(file)?;
        while check.step(file)?.is_none() {
            yield_now().await;
        }
        Ok(())
    };
    match checked.await {
        Ok(()) => Ok(Ok(())),
        Err(TsFileError::Read { source, offset }) => {
            Err(BuildError::Read { offset, wanted: 1, source }.into())
        }
        Err(flaw) => Ok(Err(format!("not a whole TsFile: {flaw}"))),
    }
}
