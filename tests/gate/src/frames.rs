//! Watches the forward stream: where frames end, and whether they are in E-language form.
//!
//! ```text
//! [63 bytes prefix] length:4 length:4 | checksum:8 payload | [15 bytes suffix]
//!                                     '---- length ------'
//! ```
//! The watch keeps eight bytes of its own and never holds the stream back. The format is IoTDB's
//! (`IoTDBAirGapSink`, `AirGapELanguageConstant`); this is an independent reading of it.

/// What stands before a wrapped frame.
pub const E_PREFIX: &[u8; 63] =
    b"<!System=IoTDB Version=1.0 Code=UTF-8 Data=1.0!>\n<block:=Free>\n";
/// What stands behind a wrapped frame.
pub const E_SUFFIX: &[u8; 15] = b"\n</block:=Free>";

const HEAD_BYTES: usize = 8;

/// Follows the frames of one connection.
#[derive(Debug)]
pub(crate) struct FrameWatch {
    e_language_only: bool,
    wrapped: bool,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// The two length words, of which `have` bytes are in; `inner` after a prefix.
    Head { words: [u8; HEAD_BYTES], have: usize, inner: bool },
    /// The rest of the prefix.
    Prefix { at: usize },
    /// Checksum and payload.
    Body { left: u64 },
    /// The suffix.
    Suffix { at: usize },
    /// The stream is out of step: frames cannot be told any more.
    Lost,
}

const START: State = State::Head { words: [0; HEAD_BYTES], have: 0, inner: false };

/// What the watch saw at the end of the bytes it used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// A whole frame has passed.
    FrameEnd,
    /// The length words make no sense; told once.
    OutOfStep,
    /// The last byte used is not E-language, and only that may pass.
    NotELanguage,
}

impl FrameWatch {
    /// A watch over a new stream.
    pub(crate) fn new(e_language_only: bool) -> Self {
        Self { e_language_only, wrapped: false, state: START }
    }

    /// Looks at bytes; says how many it used, and what it saw behind them.
    pub(crate) fn push(&mut self, input: &[u8]) -> (usize, Option<Sight>) {
        let mut used = 0;
        while let Some(rest) = input.get(used..).filter(|rest| !rest.is_empty()) {
            let (taken, sight) = self.step(rest);
            used += taken;
            if sight.is_some() {
                return (used, sight);
            }
        }
        (used, None)
    }

    /// One state's worth of bytes; `rest` is not empty, at least one byte is used.
    fn step(&mut self, rest: &[u8]) -> (usize, Option<Sight>) {
        match self.state {
            State::Head { words, have, inner } => self.head(words, have, inner, rest),
            State::Prefix { at } => self.constant(E_PREFIX, at, rest),
            State::Suffix { at } => self.constant(E_SUFFIX, at, rest),
            State::Body { left } => self.body(left, rest),
            State::Lost => (rest.len(), None),
        }
    }

    fn head(
        &mut self,
        mut words: [u8; HEAD_BYTES],
        have: usize,
        inner: bool,
        rest: &[u8],
    ) -> (usize, Option<Sight>) {
        let wanted = HEAD_BYTES.saturating_sub(have).min(rest.len());
        for (to, from) in words.iter_mut().skip(have).zip(rest) {
            *to = *from;
        }
        let have = have + wanted;
        if self.e_language_only && !inner && !E_PREFIX.starts_with(words.get(..have).unwrap_or(&[]))
        {
            return self.lose(wanted, Sight::NotELanguage);
        }
        if have < HEAD_BYTES {
            self.state = State::Head { words, have, inner };
            return (wanted, None);
        }
        if !inner && E_PREFIX.starts_with(&words) {
            self.wrapped = true;
            self.state = State::Prefix { at: HEAD_BYTES };
            return (wanted, None);
        }
        match body_bytes(words) {
            Some(left) => {
                self.state = State::Body { left };
                (wanted, None)
            }
            None => self.lose(wanted, Sight::OutOfStep),
        }
    }

    fn constant(&mut self, text: &[u8], at: usize, rest: &[u8]) -> (usize, Option<Sight>) {
        let expected = text.get(at..).unwrap_or_default();
        let taken = expected.len().min(rest.len());
        if self.e_language_only && expected.get(..taken) != rest.get(..taken) {
            return self.lose(taken, Sight::NotELanguage);
        }
        let at = at + taken;
        let whole = at == text.len();
        let prefix = matches!(self.state, State::Prefix { .. });
        self.state = match (prefix, whole) {
            (true, true) => State::Head { words: [0; HEAD_BYTES], have: 0, inner: true },
            (true, false) => State::Prefix { at },
            (false, true) => START,
            (false, false) => State::Suffix { at },
        };
        if whole && !prefix {
            self.wrapped = false;
        }
        (taken, (whole && !prefix).then_some(Sight::FrameEnd))
    }

    fn body(&mut self, left: u64, rest: &[u8]) -> (usize, Option<Sight>) {
        let available = u64::try_from(rest.len()).unwrap_or(u64::MAX);
        if available < left {
            self.state = State::Body { left: left - available };
            return (rest.len(), None);
        }
        let taken = usize::try_from(left).unwrap_or(rest.len());
        if self.wrapped {
            self.state = State::Suffix { at: 0 };
            return (taken, None);
        }
        self.state = START;
        (taken, Some(Sight::FrameEnd))
    }

    fn lose(&mut self, used: usize, sight: Sight) -> (usize, Option<Sight>) {
        self.state = State::Lost;
        (used, Some(sight))
    }
}

/// Bytes of checksum and payload, if the two words agree and are positive.
fn body_bytes(words: [u8; HEAD_BYTES]) -> Option<u64> {
    let both = u64::from_be_bytes(words);
    let length = both & u64::from(u32::MAX);
    (both >> 32 == length && i32::try_from(length).is_ok_and(|length| length > 0)).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload + 8).unwrap().to_be_bytes();
        let mut bytes = [length, length].concat();
        bytes.extend(vec![0x11; payload + 8]);
        bytes
    }

    fn wrapped(payload: usize) -> Vec<u8> {
        [&E_PREFIX[..], &frame(payload), &E_SUFFIX[..]].concat()
    }

    /// Ends of frames when the stream is cut into pieces of this size, and what stopped the watch.
    fn ends(stream: &[u8], piece: usize, e_language_only: bool) -> (Vec<usize>, Option<Sight>) {
        let mut watch = FrameWatch::new(e_language_only);
        let (mut found, mut at) = (Vec::new(), 0);
        while at < stream.len() {
            let end = (at / piece * piece + piece).min(stream.len());
            let (used, sight) = watch.push(&stream[at..end]);
            assert!(used > 0 && at + used <= end);
            at += used;
            match sight {
                Some(Sight::FrameEnd) => found.push(at),
                Some(other) => return (found, Some(other)),
                None => {}
            }
        }
        (found, None)
    }

    #[test]
    fn frames_end_where_they_end_at_any_segmentation() {
        let stream = [frame(3), wrapped(100), frame(1)].concat();
        let expected = vec![19, 19 + 63 + 116 + 15, 19 + 63 + 116 + 15 + 17];
        for piece in 1..=stream.len() {
            assert_eq!(ends(&stream, piece, false), (expected.clone(), None), "piece {piece}");
        }
    }

    #[test]
    fn lengths_that_disagree_or_are_not_positive_lose_the_step() {
        for head in [[0, 0, 0, 9, 0, 0, 0, 8], [0; 8], [0xff; 8]] {
            assert_eq!(ends(&head, 3, false), (vec![], Some(Sight::OutOfStep)));
        }
        let mut watch = FrameWatch::new(false);
        assert_eq!(watch.push(&[0; 8]), (8, Some(Sight::OutOfStep)));
        assert_eq!(watch.push(&frame(3)), (19, None));
    }

    #[test]
    fn only_e_language_passes_when_asked() {
        let good = [wrapped(3), wrapped(5)].concat();
        for piece in 1..20 {
            assert_eq!(ends(&good, piece, true).0.len(), 2);
        }
        let mut watch = FrameWatch::new(true);
        assert_eq!(watch.push(&frame(3)[..1]), (1, Some(Sight::NotELanguage)));
    }

    #[test]
    fn each_wrong_byte_of_the_wrapper_is_seen() {
        let good = wrapped(3);
        for at in (0..63).chain(good.len() - 15..good.len()) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(ends(&bad, 7, true), (vec![], Some(Sight::NotELanguage)), "byte {at}");
        }
    }
}
