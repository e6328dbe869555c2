//! What holds for any input: shared by the fuzz targets and by the test that runs their corpus.

use penstock::data::ReadAt;
use penstock::wire::bytes::Writer;
use penstock::wire::cursor::ReadError;
use penstock::wire::frame::{self, Decoder, Event, FrameError};
use penstock::wire::piece::{HEAD_BYTES_MAX, PieceHead};
use penstock::wire::request::Request;
use penstock::wire::split::{Content, PART_BYTES_MAX, Part, Scratch, Splitter};

/// Small enough for the fuzzer to reach.
const PAYLOAD_BYTES_MAX: u32 = 1 << 16;

/// A stream means the same however it is split, no byte is consumed twice, and a frame that was
/// decoded is encoded to the same payload.
pub(crate) fn frame(bytes: &[u8]) {
    let whole = decode(bytes, bytes.len().max(1));
    assert_eq!(whole, decode(bytes, 1));
    assert_eq!(whole, decode(bytes, 17));
    for (wrapped, payload) in whole.0 {
        let mut again = Vec::new();
        frame::emit(&[&payload], wrapped, &mut again).expect("it was a frame");
        assert_eq!(decode(&again, 64), (vec![(wrapped, payload)], None));
    }
}

/// A request that was decoded is encoded to the same bytes; the head of a piece is the same from the
/// first bytes as from all of them; undoing stays within its limit.
pub(crate) fn request(bytes: &[u8]) {
    let head = PieceHead::parse(bytes);
    if bytes.len() >= HEAD_BYTES_MAX {
        assert_ne!(head, Ok(None));
    }
    let Ok(request) = Request::decode(bytes) else { return };
    let mut out = Vec::new();
    let mut writer = Writer::into_vec(&mut out, bytes.len());
    request.write(&mut writer);
    assert_eq!(writer.finish(), Ok(bytes.len()));
    assert_eq!(out, bytes);
    match request {
        Request::Piece(whole, piece) => {
            assert_eq!(head, Ok(Some(whole)));
            assert_eq!(whole.head_bytes + piece.len(), bytes.len());
        }
        Request::Compressed(compressed) => undo(&compressed),
        _ => {}
    }
}

fn undo(compressed: &penstock::wire::compressed::Compressed<'_>) {
    const MAX: usize = 1 << 16;
    let (mut out, mut spare) = (Vec::new(), Vec::new());
    if let Ok(inner) = compressed.undo(&mut out, &mut spare, MAX) {
        assert!(compressed.steps.is_empty() || inner.len() <= MAX);
        let _inner = Request::decode(inner);
    }
    assert!(out.capacity() <= MAX && spare.capacity() <= MAX);
}

/// Framing and payload of each whole frame, and how the stream ended.
type Decoded = (Vec<(bool, Vec<u8>)>, Option<FrameError>);

fn decode(bytes: &[u8], step: usize) -> Decoded {
    let mut decoder = Decoder::new(PAYLOAD_BYTES_MAX);
    let mut frames = Vec::new();
    let mut current = (false, Vec::new());
    for mut piece in bytes.chunks(step) {
        loop {
            let (taken, event) = decoder.push(piece);
            match event {
                Ok(Event::Begin { wrapped, .. }) => current = (wrapped, Vec::new()),
                Ok(Event::Payload(range)) => current.1.extend_from_slice(&piece[range]),
                Ok(Event::End) => frames.push(std::mem::take(&mut current)),
                Ok(Event::More) => break assert_eq!(taken, piece.len()),
                Err(error) => return (frames, Some(error)),
            }
            piece = &piece[taken..];
        }
    }
    (frames, None)
}

/// A request of rows is refused as a whole, or gives parts within the limit, each of which is a request
/// that gives itself; from disk they are the same as from memory.
pub(crate) fn split(bytes: &[u8]) {
    let Ok(parts) = cut(&bytes) else {
        assert!(cut(&Spilled(bytes)).is_err());
        return;
    };
    assert_eq!(cut(&Spilled(bytes)).expect("it is no other from disk"), parts);
    for (part, mut payload) in parts {
        assert!(payload.len() <= PART_BYTES_MAX && part.rows > 0);
        match part.content {
            Content::Large { .. } => continue,
            Content::Tablet => payload.extend([0; 8]),
            Content::Opaque => {}
        }
        let again = cut(&payload.as_slice()).expect("a part is a request");
        assert_eq!(again.len(), 1);
        assert!(payload.starts_with(&again[0].1));
        assert_eq!((again[0].0.rows, again[0].0.time_range), (part.rows, part.time_range));
    }
}

/// A request as it lies in a spill file.
struct Spilled<'a>(&'a [u8]);

impl ReadAt for Spilled<'_> {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> std::io::Result<usize> {
        self.0.read_at(offset, into)
    }
}

fn cut(request: &dyn ReadAt) -> Result<Vec<(Part, Vec<u8>)>, ReadError> {
    let (mut scratch, mut out) = (Scratch::new(), Vec::new());
    let mut splitter = Splitter::new(request, &mut scratch)?;
    let mut parts = Vec::new();
    while let Some(part) = splitter.next(&mut out)? {
        parts.push((part, out.clone()));
    }
    Ok(parts)
}
