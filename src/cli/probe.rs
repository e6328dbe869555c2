//! `check --connect`: tries each target of each pipe, all of them at once.
//!
//! A connection shows that the gate is there: it ends TCP itself. What is behind it shows in the
//! answer to a handshake. That is sent only if `timestamp_precision` is configured, since a Penstock
//! receiver keeps the precision of the first peer that it accepts, and a check must not decide it.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::CliError;
use crate::config::{AirGapSink, Config, NodeUrl, Transport};
use crate::data::Precision;
use crate::limits::{HANDSHAKE_BYTES_MAX, TARGET_CHECK_MAX};
use crate::ops::clock;
use crate::ops::secret;
use crate::wire::answer::Answer;
use crate::wire::bytes::Writer;
use crate::wire::frame;
use crate::wire::handshake::Offer;
use crate::wire::request::{Head, RequestType};
use crate::wire::thrift::status::Code;
use crate::wire::thrift::transfer::METHOD;
use crate::wire::thrift::{
    Incoming, LENGTH_BYTES, Protocol, TPipeTransferReq, TPipeTransferResp, TSStatus, UNNUMBERED,
    write_call,
};

/// Tries all targets and prints what each did: connections for [`TARGET_CHECK_MAX`] at most, then handshakes for as long as their
/// pipe waits for one.
///
/// # Errors
/// If any did not do as it should.
pub(super) fn all(config: &Config, out: &mut impl Write) -> Result<(), CliError> {
    writeln!(out, "\nTARGETS")?;
    let started = clock::now();
    let sinks = config.pipes.iter().filter_map(|pipe| Some((&pipe.name, pipe.sink.as_ref()?)));
    let targets: Vec<_> = sinks
        .flat_map(|(name, sink)| sink.targets.iter().map(move |target| (name, sink, target)))
        .collect();
    let longest = targets.iter().map(|(_, sink, _)| sink.handshake_timeout).max();
    let (told, found) = mpsc::channel();
    for (index, (_, sink, target)) in targets.iter().enumerate() {
        let (config, sink, target) = (config.clone(), (*sink).clone(), (*target).clone());
        let told = told.clone();
        // A name that nobody resolves holds its thread, and no other one.
        thread::spawn(move || {
            let said = one(&config, &sink, &target, started);
            // Nobody may wait any more.
            let _late = told.send((index, said, millis_since(started))).is_err();
        });
    }
    drop(told);
    let until = started + TARGET_CHECK_MAX + longest.unwrap_or_default() + SLACK;
    let mut said: Vec<Option<(io::Result<String>, u128)>> = targets.iter().map(|_| None).collect();
    while let Ok((index, one, millis)) =
        found.recv_timeout(until.saturating_duration_since(clock::now()))
    {
        if let Some(place) = said.get_mut(index) {
            *place = Some((one, millis));
        }
    }
    let mut count = 0;
    for ((name, _, target), said) in targets.iter().zip(said) {
        let unresolved =
            || (Err(io::Error::other("its name is not resolved")), millis_since(started));
        let (said, millis) = said.unwrap_or_else(unresolved);
        let said = said.unwrap_or_else(|error| {
            count += 1;
            format!("failed: {error}")
        });
        writeln!(out, "  {name} -> {target}: {said} ({millis} ms)")?;
    }
    let of = targets.len();
    if of == 0 {
        writeln!(out, "  no pipe is configured")?;
    }
    if count == 0 { Ok(()) } else { Err(CliError::Unreachable { count, of }) }
}

fn one(
    config: &Config,
    sink: &AirGapSink,
    target: &NodeUrl,
    started: Instant,
) -> io::Result<String> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (target.host.as_str(), target.port).to_socket_addrs()? {
        let left = TARGET_CHECK_MAX.saturating_sub(clock::now().saturating_duration_since(started));
        if left.is_zero() {
            let seconds = TARGET_CHECK_MAX.as_secs();
            let message = format!("no connection within {seconds} s; the last address: {last}");
            return Err(io::Error::new(io::ErrorKind::TimedOut, message));
        }
        match TcpStream::connect_timeout(&address, sink.handshake_timeout.min(left)) {
            Ok(stream) => {
                let Some(precision) = config.timestamp_precision else {
                    return Ok(taken(sink.transport).to_owned());
                };
                return shake_hands(stream, config, sink, precision);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// What a connection alone shows.
const fn taken(transport: Transport) -> &'static str {
    match transport {
        Transport::AirGap { .. } => {
            "the gate takes connections; set timestamp_precision to try a handshake as well"
        }
        Transport::Thrift => {
            "it takes connections; set timestamp_precision to try a handshake as well"
        }
    }
}

fn shake_hands(
    stream: TcpStream,
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
    stream.set_read_timeout(Some(sink.handshake_timeout))?;
    stream.set_write_timeout(Some(sink.handshake_timeout))?;
    match sink.transport {
        Transport::AirGap { e_language } => over_a_gate(stream, &offer, e_language),
        Transport::Thrift => by_thrift(stream, &offer),
    }
}

fn over_a_gate(mut stream: TcpStream, offer: &Offer<'_>, wrapped: bool) -> io::Result<String> {
    let (mut payload, mut bytes) = (Vec::new(), Vec::new());
    let mut writer = Writer::into_vec(&mut payload, HANDSHAKE_BYTES_MAX);
    Head::of(RequestType::HandshakeDataNodeV2).write(&mut writer);
    offer.write(&mut writer);
    frame::emit(&[&payload], wrapped, &mut bytes).map_err(invalid)?;
    stream.write_all(&bytes)?;
    let mut answer = [0];
    stream.read_exact(&mut answer).map_err(|error| silence(&error, OF_A_GATE))?;
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

fn by_thrift(mut stream: TcpStream, offer: &Offer<'_>) -> io::Result<String> {
    let (mut body, mut bytes) = (Vec::new(), Vec::new());
    offer.write(&mut Writer::into_vec(&mut body, HANDSHAKE_BYTES_MAX));
    let Head { version, code } = Head::of(RequestType::HandshakeDataNodeV2);
    let call = TPipeTransferReq::new(version, code, body);
    write_call(Protocol::Binary, METHOD, 0, (UNNUMBERED, &call), &mut bytes).map_err(invalid)?;
    stream.write_all(&bytes)?;
    let mut length = [0; LENGTH_BYTES];
    stream.read_exact(&mut length).map_err(|error| silence(&error, OF_A_NODE))?;
    let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > HANDSHAKE_BYTES_MAX {
        return Err(invalid("what it answers is no reply of an IoTDB's client service"));
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).map_err(|error| silence(&error, OF_A_NODE))?;
    let reply = Incoming::read(Protocol::Binary, &message)
        .and_then(|reply| reply.result::<TPipeTransferResp>(METHOD, 0));
    let TSStatus { code, message, .. } = reply.map_err(invalid)?.status;
    if Code(code) == Code::SUCCESS {
        return Ok("accepts the handshake".to_owned());
    }
    let message = format!("refuses the handshake: {code} {}", message.unwrap_or_default());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, message.trim_end()))
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// What it means that a connection was ended, and that no answer came.
type Silence = [&'static str; 2];
const OF_A_GATE: Silence = [
    "the gate took the connection and ended it: nothing may be listening behind it",
    "no answer to the handshake: the far side may be down, or the gate holds it back",
];
const OF_A_NODE: Silence = [
    "it took the connection and ended it: the port is not of IoTDB's client service, or that wants TLS or RPC compression",
    "no answer to the handshake: the far side may be busy, or want TLS",
];

fn silence(error: &io::Error, [ended, silent]: Silence) -> io::Error {
    let kinds = [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset];
    io::Error::new(error.kind(), if kinds.contains(&error.kind()) { ended } else { silent })
}

fn millis_since(started: Instant) -> u128 {
    clock::now().saturating_duration_since(started).as_millis()
}

/// For threads to tell what they found.
const SLACK: Duration = Duration::from_millis(500);
/// Any text unlike the receiver's own.
const CLUSTER_ID: &str = "penstock-check";
