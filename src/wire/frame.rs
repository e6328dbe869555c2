//! The air-gap frame, and a decoder that takes it apart while it arrives.
//!
//! ```text
//!            0        4        8                16
//!  [prefix]  | length | length | checksum       | payload ...        |  [suffix]
//!   0 or 63  | u31    | again  | CRC-32 as i64  | length - 8 bytes   |   0 or 15
//! ```
//!
//! `length` counts checksum and payload, hence is at least 11: a payload is version (i8), type
//! (i16) and body. The CRC-32 (IEEE) covers the payload as sent, the upper half of its eight bytes
//! is zero. Prefix and suffix are the [E-language wrapper](super::elanguage). Defined by
//! `IoTDBAirGapSink` and `IoTDBAirGapReceiver`.
//!
//! The decoder's states; any error is final, because nothing tells where the next frame begins:
//!
//! ```text
//!            +-- "<!System" --> Prefix --+
//!            |                           v
//!   Lengths -+-- two equal words ---> Checksum --Begin--> Payload -+--> Suffix --+
//!      ^                                                           |             |
//!      +------------------------------ End ------------------------+-------------+
//! ```

use std::ops::Range;

use thiserror::Error;

use super::elanguage::{MARK, PREFIX, SUFFIX};

/// Bytes of a frame before its payload: two lengths and the checksum.
pub const HEADER_BYTES: usize = 16;
/// Smallest payload: version and type.
pub const PAYLOAD_BYTES_MIN: u32 = 3;
/// Largest payload that the length word can say.
pub const PAYLOAD_BYTES_MAX: u32 = i32::MAX as u32 - CHECKSUM_BYTES;

const CHECKSUM_BYTES: u32 = 8;
/// What the decoder collects before it acts: two length words, or the checksum.
const WORD_BYTES: usize = 8;

/// Length and checksum of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the payload.
    pub payload_bytes: u32,
    /// CRC-32 of the payload.
    pub crc: u32,
}

impl Header {
    /// Reads a header; `max_payload` bounds the payload in bytes.
    ///
    /// # Errors
    /// Every [`FrameError`] but [`FrameError::NestedPrefix`] and [`FrameError::Checksum`].
    pub fn parse(bytes: &[u8; HEADER_BYTES], max_payload: u32) -> Result<Self, FrameError> {
        let [l0, l1, l2, l3, l4, l5, l6, l7, checksum @ ..] = *bytes;
        let payload_bytes = parse_lengths([l0, l1, l2, l3, l4, l5, l6, l7], max_payload)?;
        Ok(Self { payload_bytes, crc: parse_checksum(checksum)? })
    }

    /// The header's bytes.
    pub fn emit(self) -> [u8; HEADER_BYTES] {
        let length = self.payload_bytes.saturating_add(CHECKSUM_BYTES).to_be_bytes();
        let mut out = [0; HEADER_BYTES];
        let (lengths, checksum) = out.split_at_mut(WORD_BYTES);
        let (first, second) = lengths.split_at_mut(4);
        first.copy_from_slice(&length);
        second.copy_from_slice(&length);
        checksum.copy_from_slice(&u64::from(self.crc).to_be_bytes());
        out
    }
}

/// The sixteen bytes in front of a payload that is streamed after them.
pub fn write_header(payload_bytes: u32, crc: u32) -> [u8; HEADER_BYTES] {
    Header { payload_bytes, crc }.emit()
}

/// CRC-32 of a payload that lies in several parts.
pub fn checksum(payload_parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in payload_parts {
        hasher.update(part);
    }
    hasher.finalize()
}

/// Appends a whole frame to `out`: for small payloads; large ones are streamed behind
/// [`write_header`].
///
/// # Errors
/// [`FrameError::TooShort`] or [`FrameError::TooLong`] if the payload fits no frame; `out` is as it
/// was then.
pub fn emit(payload_parts: &[&[u8]], wrapped: bool, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let total: usize = payload_parts.iter().map(|part| part.len()).sum();
    let payload_bytes = u32::try_from(total).unwrap_or(u32::MAX);
    check_payload_bytes(payload_bytes, PAYLOAD_BYTES_MAX)?;
    if wrapped {
        out.extend_from_slice(PREFIX);
    }
    out.extend_from_slice(&write_header(payload_bytes, checksum(payload_parts)));
    for part in payload_parts {
        out.extend_from_slice(part);
    }
    if wrapped {
        out.extend_from_slice(SUFFIX);
    }
    Ok(())
}

/// Why a stream of bytes is not a stream of frames. Each is the peer's (or the gate's) doing, and
/// each ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The two length words disagree: the stream is out of step.
    #[error("length words disagree: {first} and {second}")]
    LengthsDiffer {
        /// The first word.
        first: u32,
        /// The second word.
        second: u32,
    },
    /// The length leaves no room for checksum, version and type.
    #[error("length {length} is below 11")]
    TooShort {
        /// The length word.
        length: u32,
    },
    /// The payload is above the limit.
    #[error("payload of {payload_bytes} bytes is above the limit of {max}")]
    TooLong {
        /// Bytes of the payload, by the length word.
        payload_bytes: u32,
        /// The limit.
        max: u32,
    },
    /// A prefix stands where the inner frame should begin.
    #[error("E-language prefix within an E-language prefix")]
    NestedPrefix,
    /// The upper half of the checksum is not zero.
    #[error("upper half of the checksum is {got:#010x}, expected 0")]
    ChecksumUpperHalf {
        /// What stands there.
        got: u32,
    },
    /// The payload is not what was sent.
    #[error("checksum of the payload is {got:#010x}, the header says {expected:#010x}")]
    Checksum {
        /// What the header says.
        expected: u32,
        /// What the payload has.
        got: u32,
    },
}

/// What [`Decoder::push`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A frame begins; its payload is within the limit.
    Begin {
        /// Bytes of the payload that follow.
        payload_bytes: u32,
        /// In the E-language wrapper.
        wrapped: bool,
    },
    /// The next bytes of the payload, as a range of the pushed input.
    Payload(Range<usize>),
    /// The frame is complete, its checksum right, its suffix consumed.
    End,
    /// All input is consumed, and there is no event yet.
    More,
}

/// Takes frames apart while they arrive, split at any byte. Allocates nothing and copies nothing but
/// the eight bytes of a header word.
#[derive(Debug, Clone)]
pub struct Decoder {
    state: State,
    max_payload: u32,
    word: [u8; WORD_BYTES],
    word_filled: usize,
    wrapped: bool,
    /// Whether the payload is held against its checksum.
    checked: bool,
    crc: crc32fast::Hasher,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Collects two length words, or the mark of a prefix.
    Lengths,
    /// Skips the rest of a prefix.
    Prefix { left: usize },
    /// Collects the checksum.
    Checksum { payload_bytes: u32 },
    /// Passes the payload on.
    Payload { left: u32, expected: u32 },
    /// Skips the suffix, whose content nobody compares.
    Suffix { left: usize },
    /// Stays here.
    Failed(FrameError),
}

impl Decoder {
    /// A decoder at the start of a stream; `max_payload` bounds a payload in bytes.
    pub fn new(max_payload: u32) -> Self {
        Self {
            state: State::Lengths,
            max_payload,
            word: [0; WORD_BYTES],
            word_filled: 0,
            wrapped: false,
            checked: true,
            crc: crc32fast::Hasher::new(),
        }
    }

    /// The same for a stream that does not leave the program: nobody makes a checksum for it, and it is not compared.
    pub fn unchecked(max_payload: u32) -> Self {
        Self { checked: false, ..Self::new(max_payload) }
    }

    /// Changes the limit for frames that have not begun.
    pub const fn set_max_payload(&mut self, max_payload: u32) {
        self.max_payload = max_payload;
    }

    /// Stands between two frames: nothing of the next one has arrived.
    pub fn is_between_frames(&self) -> bool {
        self.state == State::Lengths && self.word_filled == 0 && !self.wrapped
    }

    /// Takes the next bytes. Returns how many of them were consumed and what they meant; the caller
    /// pushes the rest again, and goes on (with an empty rest, too) until the event is
    /// [`Event::More`].
    ///
    /// # Errors
    /// A [`FrameError`]; the decoder has lost its place then, and repeats the error for ever.
    pub fn push(&mut self, input: &[u8]) -> (usize, Result<Event, FrameError>) {
        let mut consumed = 0;
        loop {
            let rest = input.get(consumed..).unwrap_or_default();
            let before = self.state;
            let (taken, event) = self.step(rest);
            consumed += taken;
            // A change of state without an event (prefix skipped, lengths read) is worth another turn.
            // A payload event is always the first turn's: the state before it ends with an event.
            match event {
                Ok(Event::More) if self.state != before => {}
                Err(error) => {
                    self.state = State::Failed(error);
                    return (consumed, Err(error));
                }
                event => return (consumed, event),
            }
        }
    }

    fn step(&mut self, input: &[u8]) -> (usize, Result<Event, FrameError>) {
        match self.state {
            State::Lengths => self.lengths(input),
            State::Prefix { left } => {
                let taken = left.min(input.len());
                self.state = match left - taken {
                    0 => State::Lengths,
                    left => State::Prefix { left },
                };
                (taken, Ok(Event::More))
            }
            State::Checksum { payload_bytes } => self.checksum(input, payload_bytes),
            State::Payload { left, expected } => self.payload(input, left, expected),
            State::Suffix { left } => {
                let taken = left.min(input.len());
                let event = match left - taken {
                    0 => self.end(),
                    left => {
                        self.state = State::Suffix { left };
                        Event::More
                    }
                };
                (taken, Ok(event))
            }
            State::Failed(error) => (0, Err(error)),
        }
    }

    fn lengths(&mut self, input: &[u8]) -> (usize, Result<Event, FrameError>) {
        let (taken, Some(word)) = self.collect(input) else {
            return (input.len(), Ok(Event::More));
        };
        let next = match (word == MARK, self.wrapped) {
            (true, true) => Err(FrameError::NestedPrefix),
            (true, false) => {
                self.wrapped = true;
                Ok(State::Prefix { left: PREFIX.len() - WORD_BYTES })
            }
            (false, _) => parse_lengths(word, self.max_payload)
                .map(|payload_bytes| State::Checksum { payload_bytes }),
        };
        let event = next.map(|state| {
            self.state = state;
            Event::More
        });
        (taken, event)
    }

    fn checksum(&mut self, input: &[u8], payload_bytes: u32) -> (usize, Result<Event, FrameError>) {
        let (taken, Some(word)) = self.collect(input) else {
            return (input.len(), Ok(Event::More));
        };
        let event = parse_checksum(word).map(|expected| {
            self.crc.reset();
            self.state = State::Payload { left: payload_bytes, expected };
            Event::Begin { payload_bytes, wrapped: self.wrapped }
        });
        (taken, event)
    }

    fn payload(
        &mut self,
        input: &[u8],
        left: u32,
        expected: u32,
    ) -> (usize, Result<Event, FrameError>) {
        if left == 0 {
            return (0, self.check(expected));
        }
        let wanted = usize::try_from(left).unwrap_or(usize::MAX);
        let part = input.get(..wanted).unwrap_or(input);
        if part.is_empty() {
            return (0, Ok(Event::More));
        }
        if self.checked {
            self.crc.update(part);
        }
        // Not above `left`, which is a u32.
        let taken = u32::try_from(part.len()).unwrap_or(left);
        self.state = State::Payload { left: left - taken, expected };
        (part.len(), Ok(Event::Payload(0..part.len())))
    }

    fn check(&mut self, expected: u32) -> Result<Event, FrameError> {
        let got = self.crc.clone().finalize();
        if self.checked && got != expected {
            return Err(FrameError::Checksum { expected, got });
        }
        if !self.wrapped {
            return Ok(self.end());
        }
        self.state = State::Suffix { left: SUFFIX.len() };
        Ok(Event::More)
    }

    const fn end(&mut self) -> Event {
        self.state = State::Lengths;
        self.wrapped = false;
        Event::End
    }

    /// Fills the word; returns how many bytes that took, and the word once it is full.
    fn collect(&mut self, input: &[u8]) -> (usize, Option<[u8; WORD_BYTES]>) {
        let mut taken = 0;
        let empty = self.word.iter_mut().skip(self.word_filled);
        for (place, byte) in empty.zip(input) {
            *place = *byte;
            taken += 1;
        }
        self.word_filled += taken;
        if self.word_filled < WORD_BYTES {
            return (taken, None);
        }
        self.word_filled = 0;
        (taken, Some(self.word))
    }
}

fn parse_lengths(word: [u8; WORD_BYTES], max_payload: u32) -> Result<u32, FrameError> {
    let (first, second) = halves(word);
    if first != second {
        return Err(FrameError::LengthsDiffer { first, second });
    }
    let payload_bytes =
        first.checked_sub(CHECKSUM_BYTES).ok_or(FrameError::TooShort { length: first })?;
    check_payload_bytes(payload_bytes, max_payload.min(PAYLOAD_BYTES_MAX))?;
    Ok(payload_bytes)
}

const fn check_payload_bytes(payload_bytes: u32, max: u32) -> Result<(), FrameError> {
    if payload_bytes < PAYLOAD_BYTES_MIN {
        return Err(FrameError::TooShort { length: payload_bytes + CHECKSUM_BYTES });
    }
    if payload_bytes > max {
        return Err(FrameError::TooLong { payload_bytes, max });
    }
    Ok(())
}

fn parse_checksum(word: [u8; WORD_BYTES]) -> Result<u32, FrameError> {
    match halves(word) {
        (0, crc) => Ok(crc),
        (got, _) => Err(FrameError::ChecksumUpperHalf { got }),
    }
}

const fn halves(word: [u8; WORD_BYTES]) -> (u32, u32) {
    let [h0, h1, h2, h3, l0, l1, l2, l3] = word;
    (u32::from_be_bytes([h0, h1, h2, h3]), u32::from_be_bytes([l0, l1, l2, l3]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The V1 handshake of the specification: `01 0001 00000002 "ms"`.
    const V1: [u8; 25] = [
        0, 0, 0, 0x11, 0, 0, 0, 0x11, 0, 0, 0, 0, 0x4d, 0xde, 0xea, 0x5b, 1, 0, 1, 0, 0, 0, 2,
        b'm', b's',
    ];

    fn wrapped(frame: &[u8]) -> Vec<u8> {
        [PREFIX.as_slice(), frame, SUFFIX.as_slice()].concat()
    }

    #[test]
    fn a_stream_within_the_program_has_no_checksum() {
        let mut frame = V1;
        frame[15] ^= 1;
        let mut checked = Decoder::new(100);
        assert_eq!(checked.push(&frame[..16]).0, 16);
        assert_eq!(checked.push(&frame[16..]).0, 9);
        assert!(matches!(checked.push(&[]).1, Err(FrameError::Checksum { .. })));
        let mut unchecked = Decoder::unchecked(100);
        unchecked.push(&frame[..16]).1.unwrap();
        assert_eq!(unchecked.push(&frame[16..]), (9, Ok(Event::Payload(0..9))));
        assert_eq!(unchecked.push(&[]), (0, Ok(Event::End)));
    }

    #[derive(Default)]
    struct Frames {
        done: Vec<(bool, Vec<u8>)>,
        current: (bool, Vec<u8>),
    }

    impl Frames {
        /// Pushes one piece of a stream to its end.
        fn push(&mut self, decoder: &mut Decoder, mut piece: &[u8]) -> Result<(), FrameError> {
            loop {
                let (taken, event) = decoder.push(piece);
                match event? {
                    Event::Begin { wrapped, .. } => self.current = (wrapped, Vec::new()),
                    Event::Payload(range) => self.current.1.extend(&piece[range]),
                    Event::End => self.done.push(std::mem::take(&mut self.current)),
                    Event::More if taken == piece.len() => return Ok(()),
                    Event::More => panic!("stopped at {taken} of {}", piece.len()),
                }
                piece = &piece[taken..];
            }
        }
    }

    /// All payloads of a stream that arrives in pieces of `step` bytes.
    fn decode(stream: &[u8], step: usize, max: u32) -> Result<Vec<(bool, Vec<u8>)>, FrameError> {
        let mut decoder = Decoder::new(max);
        let mut frames = Frames::default();
        for piece in stream.chunks(step) {
            frames.push(&mut decoder, piece)?;
        }
        Ok(frames.done)
    }

    #[test]
    fn the_handshake_of_the_specification_is_read_and_written() {
        let mut out = Vec::new();
        emit(&[&V1[16..17], &V1[17..]], false, &mut out).expect("fits");
        assert_eq!(out, V1);
        out.clear();
        emit(&[&V1[16..]], true, &mut out).expect("fits");
        assert_eq!(out, wrapped(&V1));
        assert_eq!(out.len(), 103);
        for step in 1..=V1.len() {
            assert_eq!(decode(&V1, step, 9), Ok(vec![(false, V1[16..].to_vec())]));
        }
        for step in 1..=out.len() {
            assert_eq!(decode(&out, step, 9), Ok(vec![(true, V1[16..].to_vec())]));
        }
    }

    #[test]
    fn each_frame_of_a_connection_has_its_own_framing() {
        let stream = [V1.to_vec(), wrapped(&V1), V1.to_vec()].concat();
        let payload = V1[16..].to_vec();
        assert_eq!(
            decode(&stream, 7, 64),
            Ok(vec![(false, payload.clone()), (true, payload.clone()), (false, payload)])
        );
    }

    #[test]
    fn the_answer_to_a_wrapped_frame_waits_for_its_suffix() {
        let stream = wrapped(&V1);
        assert_eq!(decode(&stream[..102], 102, 9), Ok(vec![]));
    }

    #[test]
    fn a_nested_prefix_is_an_error() {
        let stream = wrapped(&wrapped(&V1));
        assert_eq!(decode(&stream, 5, 9), Err(FrameError::NestedPrefix));
    }

    fn lengths(first: u32, second: u32) -> Vec<u8> {
        [first.to_be_bytes(), second.to_be_bytes()].concat()
    }

    #[test]
    fn lengths_are_judged_before_the_checksum_arrives() {
        for (first, second, error) in [
            (17, 18, FrameError::LengthsDiffer { first: 17, second: 18 }),
            (0, 0, FrameError::TooShort { length: 0 }),
            (7, 7, FrameError::TooShort { length: 7 }),
            (10, 10, FrameError::TooShort { length: 10 }),
            (18, 18, FrameError::TooLong { payload_bytes: 10, max: 9 }),
            (0x7fff_ffff, 0x7fff_ffff, FrameError::TooLong { payload_bytes: 0x7fff_fff7, max: 9 }),
            (u32::MAX, u32::MAX, FrameError::TooLong { payload_bytes: u32::MAX - 8, max: 9 }),
        ] {
            assert_eq!(decode(&lengths(first, second), 3, 9), Err(error));
        }
        let mut decoder = Decoder::new(u32::MAX);
        assert!(matches!(
            decoder.push(&lengths(0x8000_0000, 0x8000_0000)),
            (8, Err(FrameError::TooLong { max: PAYLOAD_BYTES_MAX, .. }))
        ));
    }

    #[test]
    fn an_error_is_final() {
        let mut decoder = Decoder::new(9);
        let error = FrameError::LengthsDiffer { first: 1, second: 2 };
        assert_eq!(decoder.push(&lengths(1, 2)), (8, Err(error)));
        assert_eq!(decoder.push(&V1), (0, Err(error)));
    }

    #[test]
    fn the_upper_half_of_the_checksum_is_zero() {
        let mut frame = V1;
        frame[8] = 1;
        assert_eq!(decode(&frame, 25, 9), Err(FrameError::ChecksumUpperHalf { got: 0x0100_0000 }));
    }

    #[test]
    fn each_flipped_bit_is_found() {
        for bit in 0..V1.len() * 8 {
            let mut frame = V1;
            frame[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&frame, 25, 64).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_new_limit_holds_from_the_next_frame() {
        let mut decoder = Decoder::new(4);
        decoder.set_max_payload(9);
        assert!(matches!(decoder.push(&V1), (16, Ok(Event::Begin { payload_bytes: 9, .. }))));
        decoder.set_max_payload(4);
        assert_eq!(decoder.push(&V1[16..]), (9, Ok(Event::Payload(0..9))));
        assert!(!decoder.is_between_frames());
        assert_eq!(decoder.push(&[]), (0, Ok(Event::End)));
        assert!(decoder.is_between_frames());
        assert!(matches!(decoder.push(&V1), (8, Err(FrameError::TooLong { .. }))));
    }

    #[test]
    fn header_round_trips() {
        let header = Header { payload_bytes: 9, crc: 0x4dde_ea5b };
        assert_eq!(header.emit(), V1[..16]);
        assert_eq!(Header::parse(&header.emit(), 9), Ok(header));
    }

    #[test]
    fn a_payload_that_fits_no_frame_is_not_written() {
        let mut out = vec![1];
        assert_eq!(emit(&[&[1, 2]], true, &mut out), Err(FrameError::TooShort { length: 10 }));
        assert_eq!(out, [1]);
    }

    proptest! {
        #[test]
        fn frames_round_trip_however_they_are_split(
            frames in proptest::collection::vec(
                (any::<bool>(), proptest::collection::vec(any::<u8>(), 3..200)), 1..5),
            step in 1_usize..300,
        ) {
            let mut stream = Vec::new();
            for (wrapped, payload) in &frames {
                emit(&[payload], *wrapped, &mut stream).expect("fits");
            }
            prop_assert_eq!(decode(&stream, step, 200), Ok(frames));
        }

        #[test]
        fn no_input_panics(
            stream in proptest::collection::vec(any::<u8>(), 0..300),
            step in 1_usize..300,
        ) {
            let _outcome = decode(&stream, step, 100);
        }
    }
}
