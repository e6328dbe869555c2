//! IoTDB's client RPC, as its clients and pipes speak it on port 6667: messages, without I/O.
//!
//! ```text
//!  | i32 length | message |                                        one frame, big-endian, length without itself
//!               | head: method, kind, sequence | struct |          binary or compact, as the first byte says
//!                                              | field 1 or -1 |   of a call: the argument
//!                                              | field 0 |         of a reply: the result
//! ```
//!
//! Defined by thrift's `TFramedTransport`, `TBinaryProtocol` and `TCompactProtocol`, and by IoTDB's `client.thrift` and
//! `common.thrift`, service `IClientRPCService`. The codec is Apache's crate; the structs in `generated` are made from
//! `iotdb.thrift`. A call of `pipeTransfer` may be as long as a piece of a file, so its body is not read here: see
//! [`transfer`].

mod bounded;
pub mod calls;
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    clippy::expect_used,
    clippy::use_self,
    clippy::or_fun_call,
    clippy::needless_pass_by_ref_mut,
    missing_docs,
    reason = "made by thrift's compiler"
)]
#[rustfmt::skip]
mod generated;
pub mod infer;
pub mod inserts;
pub mod result;
pub mod status;
#[cfg(test)]
mod tests;
pub mod transfer;
pub mod view;

pub use generated::*;

use thrift::protocol::{
    TBinaryInputProtocol, TBinaryOutputProtocol, TCompactInputProtocol, TCompactOutputProtocol,
    TFieldIdentifier, TInputProtocol, TMessageIdentifier, TMessageType, TOutputProtocol,
    TSerializable, TStructIdentifier, TType,
};
use thrift::{ApplicationError, ApplicationErrorKind, TConfiguration};

use self::bounded::Bounded;
use self::view::View;

/// Which of thrift's encodings a connection uses. A stock server speaks one of them; we speak what the first frame does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `TBinaryProtocol`: the default of IoTDB and of all its clients.
    Binary,
    /// `TCompactProtocol`: what IoTDB calls RPC compression.
    Compact,
}

/// Why a message is not what it should be, or does not fit.
#[derive(Debug, thiserror::Error)]
pub enum ThriftError {
    /// What the codec says.
    #[error("{}", said(.0))]
    Codec(#[from] thrift::Error),
    /// The reply is to another call.
    #[error("expected a reply to {expected}, got one to {got}")]
    OutOfStep {
        /// Method and sequence of the call.
        expected: String,
        /// Those of the reply.
        got: String,
    },
    /// The far side has answered with thrift's own exception: it does not know the method, or could not read it.
    #[error("the far side answered: {0}")]
    Exception(String),
    /// There is no argument or result in the struct.
    #[error("field {0} is missing")]
    Missing(i16),
    /// What is read where it lies is not what it should be.
    #[error("{0}")]
    Malformed(&'static str),
}

/// What stands in front of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The method.
    pub method: String,
    /// Whether the other end waits for a reply.
    pub kind: TMessageType,
    /// What the reply has to repeat.
    pub sequence: i32,
}

/// The argument's field of nearly all methods.
pub const ARGUMENT: i16 = 1;
/// The argument's field of methods whose IDL gives it no id: `pipeTransfer`, `pipeSubscribe`, `handshake`.
pub const UNNUMBERED: i16 = -1;
/// The result's field.
const RESULT: i16 = 0;
/// Structs within structs; a status within a status is the deepest that there is.
const DEPTH_MAX: usize = 16;

impl Protocol {
    /// The protocol of a message that begins with this byte; `None` for what is no thrift.
    pub const fn of(first: u8) -> Option<Self> {
        match first {
            // 0x00: without a version, as libthrift reads it, too.
            0x80 | 0x00 => Some(Self::Binary),
            0x82 => Some(Self::Compact),
            _ => None,
        }
    }

    fn input(self, frame: &[u8]) -> Result<Bounded<'_>, ThriftError> {
        let most = Some(frame.len().max(1));
        let config = TConfiguration::builder()
            .max_message_size(most)
            .max_frame_size(most)
            .max_container_size(most)
            .max_string_size(most)
            .max_recursion_depth(Some(DEPTH_MAX))
            .build()?;
        Ok(Bounded::new(match self {
            Self::Binary => Box::new(TBinaryInputProtocol::with_config(frame, false, config)),
            Self::Compact => Box::new(TCompactInputProtocol::with_config(frame, config)),
        }))
    }

    fn output(self, frame: &mut Vec<u8>) -> Box<dyn TOutputProtocol + '_> {
        match self {
            Self::Binary => Box::new(TBinaryOutputProtocol::new(frame, true)),
            Self::Compact => Box::new(TCompactOutputProtocol::new(frame)),
        }
    }
}

/// A message that has come, read as far as its head.
pub struct Incoming<'a> {
    /// What stands in front.
    pub head: Head,
    message: &'a [u8],
    protocol: Protocol,
    input: Bounded<'a>,
}

impl<'a> Incoming<'a> {
    /// Reads the head of `message`: a frame without its length.
    ///
    /// # Errors
    /// [`ThriftError::Codec`] if it is none.
    pub fn read(protocol: Protocol, message: &'a [u8]) -> Result<Self, ThriftError> {
        let mut input = protocol.input(message)?;
        let head = input.read_message_begin()?;
        let head =
            Head { method: head.name, kind: head.message_type, sequence: head.sequence_number };
        Ok(Self { head, message, protocol, input })
    }

    /// The argument of a call.
    ///
    /// # Errors
    /// [`ThriftError::Codec`] if it is malformed, or larger in memory than [`limits::THRIFT_MEMORY_BYTES_MAX`];
    /// [`ThriftError::Missing`].
    pub fn argument<T: TSerializable>(self, id: i16) -> Result<T, ThriftError> {
        self.field(id, T::read_from_in_protocol)
    }

    /// The argument of a call, to be read where it lies: what may be large.
    ///
    /// # Errors
    /// [`ThriftError::Malformed`]; [`ThriftError::Missing`].
    pub fn view(&self, id: i16) -> Result<View<'a>, ThriftError> {
        View::argument(self.protocol, self.message, id)
    }

    /// The argument of a call that is a number.
    ///
    /// # Errors
    /// As [`Incoming::argument`].
    pub fn number(self, id: i16) -> Result<i64, ThriftError> {
        self.field(id, |input| input.read_i64())
    }

    fn field<T>(
        mut self,
        id: i16,
        read: impl Fn(&mut dyn TInputProtocol) -> thrift::Result<T>,
    ) -> Result<T, ThriftError> {
        let mut found = None;
        self.input.read_struct_begin()?;
        loop {
            let field = self.input.read_field_begin()?;
            if field.field_type == TType::Stop {
                return found.ok_or(ThriftError::Missing(id));
            }
            if field.id == Some(id) {
                found = Some(read(&mut self.input)?);
            } else {
                self.input.skip(field.field_type)?;
            }
            self.input.read_field_end()?;
        }
    }

    /// The result that a reply holds.
    ///
    /// # Errors
    /// [`ThriftError::OutOfStep`] if it answers another call than that of `method` with this `sequence`;
    /// [`ThriftError::Exception`] if it is one; [`ThriftError::Codec`].
    pub fn result<T: TSerializable>(
        mut self,
        method: &str,
        sequence: i32,
    ) -> Result<T, ThriftError> {
        if self.head.kind == TMessageType::Exception {
            let error = thrift::Error::read_application_error_from_in_protocol(&mut self.input)?;
            return Err(ThriftError::Exception(error.message));
        }
        if self.head.method != method || self.head.sequence != sequence {
            let got = format!("{} {}", self.head.method, self.head.sequence);
            return Err(ThriftError::OutOfStep { expected: format!("{method} {sequence}"), got });
        }
        self.argument(RESULT)
    }
}

impl std::fmt::Debug for Incoming<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Incoming").field("head", &self.head).finish_non_exhaustive()
    }
}

/// Puts the frame of a call with its length behind what `frame` holds.
///
/// # Errors
/// [`ThriftError::Codec`] if it is longer than a length can say.
pub fn write_call(
    protocol: Protocol,
    method: &str,
    sequence: i32,
    argument: (i16, &impl TSerializable),
    frame: &mut Vec<u8>,
) -> Result<(), ThriftError> {
    let head = TMessageIdentifier::new(method, TMessageType::Call, sequence);
    write(protocol, &head, frame, |output| write_field(output, argument.0, argument.1))
}

/// The same for the reply to a call.
///
/// # Errors
/// As [`write_call`].
pub fn write_reply(
    protocol: Protocol,
    call: &Head,
    result: &impl TSerializable,
    frame: &mut Vec<u8>,
) -> Result<(), ThriftError> {
    let head = TMessageIdentifier::new(call.method.as_str(), TMessageType::Reply, call.sequence);
    write(protocol, &head, frame, |output| write_field(output, RESULT, result))
}

/// The same for a reply that is a number, as that of `requestStatementId`.
///
/// # Errors
/// As [`write_call`].
pub fn write_number(
    protocol: Protocol,
    call: &Head,
    number: i64,
    frame: &mut Vec<u8>,
) -> Result<(), ThriftError> {
    let head = TMessageIdentifier::new(call.method.as_str(), TMessageType::Reply, call.sequence);
    write(protocol, &head, frame, |output| {
        output.write_struct_begin(&TStructIdentifier::new("result"))?;
        output.write_field_begin(&TFieldIdentifier::new("success", TType::I64, RESULT))?;
        output.write_i64(number)?;
        output.write_field_end()?;
        output.write_field_stop()?;
        output.write_struct_end()
    })
}

/// The same for what no result can say: thrift's own exception. Clients take it for a broken connection, so it is only for
/// methods that IoTDB does not have, and for calls that cannot be read.
///
/// # Errors
/// As [`write_call`].
pub fn write_exception(
    protocol: Protocol,
    call: &Head,
    kind: ApplicationErrorKind,
    message: &str,
    frame: &mut Vec<u8>,
) -> Result<(), ThriftError> {
    let head =
        TMessageIdentifier::new(call.method.as_str(), TMessageType::Exception, call.sequence);
    let error = ApplicationError::new(kind, message);
    write(protocol, &head, frame, |output| {
        thrift::Error::write_application_error_to_out_protocol(&error, output)
    })
}

fn write(
    protocol: Protocol,
    head: &TMessageIdentifier,
    frame: &mut Vec<u8>,
    body: impl FnOnce(&mut dyn TOutputProtocol) -> thrift::Result<()>,
) -> Result<(), ThriftError> {
    let start = frame.len();
    frame.extend_from_slice(&[0; LENGTH_BYTES]);
    {
        let mut output = protocol.output(frame);
        output.write_message_begin(head)?;
        body(&mut *output)?;
        output.write_message_end()?;
        output.flush()?;
    }
    let length = frame.len() - start - LENGTH_BYTES;
    let length = i32::try_from(length).map_err(|_| too_large("message", i32::MAX as usize))?;
    if let Some(place) = frame.get_mut(start..start + LENGTH_BYTES) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

fn write_field(
    output: &mut dyn TOutputProtocol,
    id: i16,
    value: &impl TSerializable,
) -> thrift::Result<()> {
    output.write_struct_begin(&TStructIdentifier::new("struct"))?;
    output.write_field_begin(&TFieldIdentifier::new("field", TType::Struct, id))?;
    value.write_to_out_protocol(output)?;
    output.write_field_end()?;
    output.write_field_stop()?;
    output.write_struct_end()
}

/// The codec's own words for an error are less than what it knows.
fn said(error: &thrift::Error) -> &str {
    match error {
        thrift::Error::Transport(error) => &error.message,
        thrift::Error::Protocol(error) => &error.message,
        thrift::Error::Application(error) => &error.message,
        thrift::Error::User(_) => "not a message of IoTDB's",
    }
}

/// What is larger than `most` bytes.
fn too_large(what: &str, most: usize) -> thrift::Error {
    let message = format!("{what} of more than {most} bytes");
    thrift::Error::Protocol(thrift::ProtocolError::new(
        thrift::ProtocolErrorKind::SizeLimit,
        message,
    ))
}

/// Bytes of a frame's length.
pub const LENGTH_BYTES: usize = 4;
