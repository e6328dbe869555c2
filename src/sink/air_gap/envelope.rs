//! What a payload travels in, and how its answer comes back.
//!
//! ```text
//!  over a gate    | prefix, if wrapped | header | version, type | body ... | suffix, if wrapped |      one byte
//!  thrift         | length, head of the call, version and type in it | body ... | 00 00 |             a reply with a status
//! ```
//!
//! The machine is the same: it knows an answer that is 0 and others.

use std::io;

use crate::config::Transport;
use crate::wire::elanguage::{PREFIX, SUFFIX};
use crate::wire::frame::{HEADER_BYTES, write_header};
use crate::wire::request;
use crate::wire::thrift::status::Code;
use crate::wire::thrift::transfer::{HEAD_BYTES_MAX, METHOD, TAIL, TransferHead};
use crate::wire::thrift::{Incoming, LENGTH_BYTES, Protocol, TPipeTransferResp, TSStatus};

/// Bytes in front of a payload, at most.
pub(super) const FRONT_BYTES: usize = PREFIX.len() + HEADER_BYTES;
/// Bytes behind one, at most.
pub(super) const BACK_BYTES: usize = SUFFIX.len();
/// Of a call of thrift's, version and type lie in its head.
const THRIFT_FRONT_BYTES: usize = FRONT_BYTES + request::Head::BYTES;
/// All calls have this one: they follow each other.
const SEQUENCE: i32 = 0;
/// A reply is a status, with a sentence, or one for each part of a batch.
const REPLY_BYTES_MAX: usize = 256 * 1024;

const _: () = assert!(LENGTH_BYTES + HEAD_BYTES_MAX <= THRIFT_FRONT_BYTES);
const _: () = assert!(TAIL.len() <= BACK_BYTES);

/// What payloads of a sink travel in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope {
    /// Air-gap frames, each in the text wrapper that some gates want or not.
    Frames {
        /// Whether they are.
        wrapped: bool,
    },
    /// Calls of `pipeTransfer`.
    Thrift(Protocol),
}

impl Envelope {
    /// That of a sink. Calls are in the binary protocol, which an IoTDB understands unless RPC compression is on there.
    pub(super) const fn of(transport: Transport) -> Self {
        match transport {
            Transport::AirGap { e_language } => Self::Frames { wrapped: e_language },
            Transport::Thrift => Self::Thrift(Protocol::Binary),
        }
    }

    /// Whether the front holds a checksum of the payload.
    pub(super) const fn has_checksum(self) -> bool {
        matches!(self, Self::Frames { .. })
    }

    /// Whether handshakes are compressed as all else is, as stock senders do over a gate.
    pub(super) const fn compresses_handshakes(self) -> bool {
        matches!(self, Self::Frames { .. })
    }

    /// Puts what stands in front of a payload of so many bytes, which begins at [`FRONT_BYTES`] of `bytes`; says where that
    /// begins.
    pub(super) fn open(self, bytes: &mut [u8], payload_bytes: u32, crc: u32) -> usize {
        match self {
            Self::Frames { wrapped } => {
                let front = bytes.get_mut(..FRONT_BYTES).unwrap_or_default();
                if let Some((prefix, header)) = front.split_at_mut_checked(PREFIX.len()) {
                    prefix.copy_from_slice(PREFIX);
                    header.copy_from_slice(&write_header(payload_bytes, crc));
                }
                if wrapped { 0 } else { PREFIX.len() }
            }
            Self::Thrift(protocol) => {
                let front = bytes.get_mut(..THRIFT_FRONT_BYTES).unwrap_or_default();
                let mut head = Vec::with_capacity(LENGTH_BYTES + HEAD_BYTES_MAX);
                let written =
                    called(front, payload_bytes).and_then(|call| call.write(protocol, &mut head));
                debug_assert!(written.is_some(), "a payload is shorter than 2 GiB");
                let start = front.len().saturating_sub(head.len());
                if let Some(place) = front.get_mut(start..) {
                    place.copy_from_slice(&head);
                }
                start
            }
        }
    }

    /// Bytes at the begin of a payload that are told in front of it, and are not in it.
    pub(super) const fn taken_bytes(self) -> usize {
        match self {
            Self::Frames { .. } => 0,
            Self::Thrift(_) => request::Head::BYTES,
        }
    }

    /// What stands behind a payload.
    pub(super) const fn tail(self) -> &'static [u8] {
        match self {
            Self::Frames { wrapped: true } => SUFFIX,
            Self::Frames { wrapped: false } => &[],
            Self::Thrift(_) => &TAIL,
        }
    }
}

/// The call that a payload becomes, whose version and type are the last bytes of `front`.
fn called(front: &[u8], payload_bytes: u32) -> Option<TransferHead> {
    let [version, high, low] = *front.last_chunk()?;
    Some(TransferHead {
        sequence: SEQUENCE,
        version: i8::from_be_bytes([version]),
        request_type: i16::from_be_bytes([high, low]),
        body_bytes: payload_bytes.checked_sub(u32::try_from(request::Head::BYTES).ok()?)?,
    })
}

/// How answers come.
#[derive(Debug)]
pub(super) enum Answers {
    /// A byte each.
    Bytes,
    /// A reply each.
    Replies(Replies),
}

/// A reply that comes.
#[derive(Debug)]
pub(super) struct Replies {
    protocol: Protocol,
    /// What has come of it.
    bytes: Vec<u8>,
    refusal: Refusal,
}

/// What the far side has said to what it refused last.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    /// Code and message; empty if it did not say.
    pub(super) said: String,
    pub(super) why: Why,
}

/// Why something was refused, as far as it makes a difference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Why {
    /// A byte does not say.
    #[default]
    Unknown,
    /// The far side does not know the type of the request.
    Type,
    /// The data is such that it may be refused for ever: its schema has another type, or the user may not write it.
    Conflict,
    /// The node is short of memory or disk, cannot write now, or does not know who speaks: that ends, or a person ends it
    /// over there.
    Passing,
    /// Whatever else it says.
    Other,
}

impl Why {
    const fn of(code: Code) -> Self {
        match code {
            Code::PIPE_TYPE_ERROR => Self::Type,
            Code::PIPE_RECEIVER_USER_CONFLICT
            | Code::PIPE_RECEIVER_PARALLEL_OR_USER_CONFLICT
            | Code::NO_PERMISSION => Self::Conflict,
            Code::PIPE_RECEIVER_TEMPORARY_UNAVAILABLE
            | Code::PIPE_CONFIG_RECEIVER_HANDSHAKE_NEEDED
            | Code::PIPE_TRANSFER_SLICE_OUT_OF_ORDER
            | Code::EXECUTE_STATEMENT_ERROR
            | Code::INTERNAL_SERVER_ERROR
            | Code::SYSTEM_READ_ONLY
            | Code::WRITE_PROCESS_REJECT
            | Code::DISK_SPACE_INSUFFICIENT
            | Code::WRONG_LOGIN_PASSWORD
            | Code::NOT_LOGIN
            | Code::USER_NOT_EXIST
            | Code::USER_LOGIN_LOCKED => Self::Passing,
            Code(_) => Self::Other,
        }
    }
}

/// An answer of the far side.
const ACCEPTED: u8 = 0x00;
const REFUSED: u8 = 0xFF;

impl Answers {
    pub(super) fn of(envelope: Envelope) -> Self {
        match envelope {
            Envelope::Frames { .. } => Self::Bytes,
            Envelope::Thrift(protocol) => {
                Self::Replies(Replies { protocol, bytes: Vec::new(), refusal: Refusal::default() })
            }
        }
    }

    /// Takes what `read` gives: an answer if it is whole then. None: more has to come.
    ///
    /// # Errors
    /// What `read` fails with, [`io::ErrorKind::UnexpectedEof`] where there is an end in place of an answer, and
    /// [`io::ErrorKind::InvalidData`] for what is no reply.
    pub(super) fn take(
        &mut self,
        mut read: impl FnMut(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<Option<u8>> {
        match self {
            Self::Bytes => {
                let mut byte = [0];
                match read(&mut byte)? {
                    0 => Err(io::ErrorKind::UnexpectedEof.into()),
                    _ => Ok(Some(u8::from_be_bytes(byte))),
                }
            }
            Self::Replies(replies) => replies.take(read),
        }
    }

    /// A new connection begins.
    pub(super) fn begin(&mut self) {
        if let Self::Replies(replies) = self {
            replies.bytes = Vec::new();
        }
    }

    /// What the far side has said to what it refused last.
    pub(super) const fn refusal(&self) -> &Refusal {
        const UNKNOWN: &Refusal = &Refusal { said: String::new(), why: Why::Unknown };
        match self {
            Self::Bytes => UNKNOWN,
            Self::Replies(replies) => &replies.refusal,
        }
    }
}

impl Replies {
    /// Never more than the reply has: what comes behind it was not asked for, and is found there by the next look.
    fn take(
        &mut self,
        mut read: impl FnMut(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<Option<u8>> {
        loop {
            let wanted = match self.bytes.first_chunk() {
                Some(length) => LENGTH_BYTES + length_of(*length)?,
                None => LENGTH_BYTES,
            };
            let have = self.bytes.len();
            if have == wanted && have > LENGTH_BYTES {
                let reply = std::mem::take(&mut self.bytes);
                return self.read(reply.get(LENGTH_BYTES..).unwrap_or_default()).map(Some);
            }
            self.bytes.resize(wanted, 0);
            let room = self.bytes.get_mut(have..).unwrap_or_default();
            let got = read(room);
            self.bytes.truncate(have + got.as_ref().map_or(0, |count| *count));
            match got {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    fn read(&mut self, message: &[u8]) -> io::Result<u8> {
        let reply = Incoming::read(self.protocol, message)
            .and_then(|reply| reply.result::<TPipeTransferResp>(METHOD, SEQUENCE));
        let status = match reply {
            Ok(reply) => reply.status,
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        };
        // That it has the data already is what a stock sender takes for an acceptance, too.
        if status.is_success() || Code(status.code) == Code::PIPE_RECEIVER_IDEMPOTENT_CONFLICT {
            self.refusal = Refusal::default();
            return Ok(ACCEPTED);
        }
        self.refusal = Refusal { said: sentence(&status), why: Why::of(Code(status.code)) };
        Ok(REFUSED)
    }
}

fn length_of(length: [u8; LENGTH_BYTES]) -> io::Result<usize> {
    let stated = usize::try_from(i32::from_be_bytes(length)).unwrap_or(0);
    if (1..=REPLY_BYTES_MAX).contains(&stated) {
        return Ok(stated);
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "its reply is no frame"))
}

/// Code and message; of several, those of the first that failed.
fn sentence(status: &TSStatus) -> String {
    let within = status.sub_status.iter().flatten().find(|one| !one.is_success());
    let message = status.message.as_deref().filter(|message| !message.is_empty());
    match (message, within) {
        (None, Some(within)) => sentence(within),
        (message, _) => {
            let text: String = message.unwrap_or_default().chars().take(SENTENCE_MAX).collect();
            format!("{} {text}", status.code).trim_end().to_owned()
        }
    }
}

/// Characters of a message that are shown: some hold whole statements.
const SENTENCE_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::thrift::{Head, write_reply};
    use thrift::protocol::TMessageType;

    fn reply(status: TSStatus) -> Vec<u8> {
        let call = Head { method: METHOD.to_owned(), kind: TMessageType::Call, sequence: SEQUENCE };
        let mut frame = Vec::new();
        let result = TPipeTransferResp::new(status, None);
        write_reply(Protocol::Binary, &call, &result, &mut frame).unwrap();
        frame
    }

    /// Takes answers from bytes that come in portions.
    fn taken(answers: &mut Answers, bytes: &[u8], portion: usize) -> io::Result<Option<u8>> {
        let mut rest = bytes;
        loop {
            let taken = take_from(answers, &mut rest, portion)?;
            if taken.is_some() || rest.is_empty() {
                assert!(rest.is_empty() || taken.is_none(), "more was taken than the reply");
                return Ok(taken);
            }
        }
    }

    /// The same while a portion lasts.
    fn take_from(
        answers: &mut Answers,
        rest: &mut &[u8],
        portion: usize,
    ) -> io::Result<Option<u8>> {
        let (mut now, later) = rest.split_at(rest.len().min(portion));
        let taken = answers.take(|room| match room.len().min(now.len()) {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => {
                room[..count].copy_from_slice(&now[..count]);
                now = &now[count..];
                Ok(count)
            }
        });
        assert!(now.is_empty() || taken.is_err(), "the reply lasts as long as its bytes");
        *rest = later;
        taken
    }

    #[test]
    fn a_reply_may_come_in_any_portions_and_its_status_decides() {
        let mut answers = Answers::of(Envelope::Thrift(Protocol::Binary));
        for portion in [1, 3, 1000] {
            let ok = reply(Code::SUCCESS.status(""));
            assert_eq!(taken(&mut answers, &ok, portion).unwrap(), Some(ACCEPTED));
            let refused = reply(Code::PIPE_RECEIVER_TEMPORARY_UNAVAILABLE.status("later"));
            assert_eq!(taken(&mut answers, &refused, portion).unwrap(), Some(REFUSED));
            assert_eq!(answers.refusal().said, "1808 later");
            assert_eq!(answers.refusal().why, Why::Passing);
            for code in [400, 1809] {
                let again = reply(TSStatus::new(code, None, None, None, None));
                assert_eq!(taken(&mut answers, &again, portion).unwrap(), Some(ACCEPTED));
            }
        }
        let within = Box::new(Code::ILLEGAL_PATH.status("root..a"));
        let several = TSStatus::new(1810, None, vec![within], None, None);
        assert_eq!(taken(&mut answers, &reply(several), 7).unwrap(), Some(REFUSED));
        assert_eq!(
            (answers.refusal().said.as_str(), answers.refusal().why),
            ("509 root..a", Why::Conflict)
        );
    }

    #[test]
    fn what_can_be_refused_for_ever_is_told_from_what_passes() {
        let why = |code| Why::of(Code(code));
        let conflicts = [803, 1810, 1815];
        assert!(conflicts.into_iter().all(|code| why(code) == Why::Conflict));
        assert_eq!(why(1801), Why::Type);
        let passing = [301, 305, 600, 606, 611, 801, 802, 804, 822, 1808, 1811, 1812];
        assert!(passing.into_iter().all(|code| why(code) == Why::Passing));
        let others = [509, 700, 1107, 1800, 1802, 1803, 1804];
        assert!(others.into_iter().all(|code| why(code) == Why::Other));
    }

    #[test]
    fn what_is_no_reply_is_an_error() {
        for bytes in [&b"HTTP/1.1"[..], &[0, 0, 0, 0], &[0, 0, 0, 2, 1, 2]] {
            let mut answers = Answers::of(Envelope::Thrift(Protocol::Binary));
            let error = taken(&mut answers, bytes, 100).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{bytes:?}");
        }
        let mut answers = Answers::of(Envelope::Thrift(Protocol::Binary));
        let ended = answers.take(|_| Ok(0)).unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_payload_becomes_a_call() {
        for protocol in [Protocol::Binary, Protocol::Compact] {
            let envelope = Envelope::Thrift(protocol);
            let payload = [1, 0, 2, 0xAA, 0xBB];
            let mut bytes = vec![0; FRONT_BYTES];
            bytes.extend_from_slice(&payload);
            bytes.extend_from_slice(envelope.tail());
            let start = envelope.open(&mut bytes, 5, 0);
            let mut expected = Vec::new();
            let head = TransferHead { sequence: 0, version: 1, request_type: 2, body_bytes: 2 };
            head.write(protocol, &mut expected).unwrap();
            expected.extend_from_slice(&[0xAA, 0xBB, 0, 0]);
            assert_eq!(bytes[start..], expected);
        }
    }
}
