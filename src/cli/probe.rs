//! `check --connect`: tries each target of each pipe.
//!
//! A connection shows that the gate is there: it ends TCP itself. What is behind it shows in the
//! answer to a handshake. That is sent only if `timestamp_precision` is configured, since a Penstock
//! receiver keeps the precision of the first peer that it accepts, and a check must not decide it.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Instant;

use super::CliError;
use crate::config::{AirGapSink, Config, NodeUrl};
use crate::data::Precision;
use crate::limits::HANDSHAKE_BYTES_MAX;
use crate::ops::clock;
use crate::ops::secret;
use crate::wire::answer::Answer;
use crate::wire::bytes::Writer;
use crate::wire::frame;
use crate::wire::handshake::Offer;
use crate::wire::request::{Head, RequestType};

/// Tries all targets and prints what each did.
///
/// # Errors
/// If any did not do as it should.
pub(super) fn all(config: &Config, out: &mut impl Write) -> Result<(), CliError> {
    writeln!(out, "\nTARGETS")?;
    let (mut count, mut of) = (0, 0);
    for pipe in &config.pipes {
        let sinks = pipe.sink.iter();
        for (sink, target) in sinks.flat_map(|s| s.targets.iter().map(move |target| (s, target))) {
            let started = clock::now();
            let said = match one(config, sink, target) {
                Ok(said) => said,
                Err(error) => {
                    count += 1;
                    format!("failed: {error}")
                }
            };
            of += 1;
            let millis = millis_since(started);
            writeln!(out, "  {} -> {target}: {said} ({millis} ms)", pipe.name)?;
        }
    }
    if of == 0 {
        writeln!(out, "  no pipe is configured")?;
    }
    if count == 0 { Ok(()) } else { Err(CliError::Unreachable { count, of }) }
}

fn one(config: &Config, sink: &AirGapSink, target: &NodeUrl) -> io::Result<String> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (target.host.as_str(), target.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, sink.handshake_timeout) {
            Ok(stream) => {
                return match config.timestamp_precision {
                    Some(precision) => shake_hands(stream, config, sink, precision),
                    None => Ok("the gate takes connections; set timestamp_precision to try a \
                                handshake as well"
                        .to_owned()),
                };
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn shake_hands(
    mut stream: TcpStream,
    config: &Config,
    sink: &AirGapSink,
    precision: Precision,
) -> io::Result<String> {
    let password = secret::reveal(&sink.password)?;
    let offer = Offer {
        cluster_id: config.cluster_id.as_deref().unwrap_or(CLUSTER_ID),
        precision: precision.text(),
        username: &sink.user,
        password: &password,
        convert_on_type_mismatch: sink.convert_on_type_mismatch,
        load_asynchronously: false,
        validate_ts_file: sink.load_validation,
        mark_as_pipe_request: sink.mark_as_pipe_request,
        skip_if_no_privileges: sink.skip_if_no_privileges,
    };
    let (mut payload, mut bytes) = (Vec::new(), Vec::new());
    let mut writer = Writer::into_vec(&mut payload, HANDSHAKE_BYTES_MAX);
    Head::of(RequestType::HandshakeDataNodeV2).write(&mut writer);
    offer.write(&mut writer);
    frame::emit(&[&payload], sink.e_language, &mut bytes)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    stream.set_read_timeout(Some(sink.handshake_timeout))?;
    stream.set_write_timeout(Some(sink.handshake_timeout))?;
    stream.write_all(&bytes)?;
    let mut answer = [0];
    stream.read_exact(&mut answer).map_err(|error| silence(&error))?;
    let [byte] = answer;
    match Answer::from_byte(byte) {
        Answer::Accepted => Ok("accepts the handshake".to_owned()),
        Answer::Refused => {
            let message = format!(
                "refuses the handshake with 0x{byte:02x}: another timestamp precision, user or \
                 password, or a version before 1.3.1"
            );
            Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
        }
    }
}

/// What it means that no answer came.
fn silence(error: &io::Error) -> io::Error {
    let ended = [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset];
    let message = if ended.contains(&error.kind()) {
        "the gate took the connection and ended it: nothing may be listening behind it"
    } else {
        "no answer to the handshake: the far side may be down, or the gate holds it back"
    };
    io::Error::new(error.kind(), message)
}

fn millis_since(started: Instant) -> u128 {
    clock::now().saturating_duration_since(started).as_millis()
}

/// Any text unlike the receiver's own.
const CLUSTER_ID: &str = "penstock-check";
