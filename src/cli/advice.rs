//! Advice for stock IoTDB peers: what has to be set over there, and why.

use std::io::{self, Write};

use crate::config::{Config, Transport};
use crate::limits::PIECE_BYTES_DEFAULT;

/// Prints what concerns this configuration.
pub(super) fn print(config: &Config, out: &mut impl Write) -> io::Result<()> {
    if config.gate.enabled {
        writeln!(out, "\nIF A STOCK IOTDB SENDS TO THIS GATE")?;
        FOR_SENDERS.iter().try_for_each(|(advice, why)| item(advice, why, out))?;
    }
    let sinks = || config.pipes.iter().filter_map(|pipe| pipe.sink.as_ref());
    let mut gates = sinks().filter(|sink| sink.transport != Transport::Thrift).peekable();
    if sinks().next().is_some() {
        writeln!(out, "\nIF A STOCK IOTDB RECEIVES FROM A PIPE")?;
        let of_gates = gates.peek().map_or(&[][..], |_| FOR_GATES);
        let mut advice = of_gates.iter().chain(FOR_RECEIVERS);
        advice.try_for_each(|(advice, why)| item(advice, why, out))?;
    }
    let large = |bytes: usize| bytes > PIECE_BYTES_DEFAULT;
    if gates.any(|sink| large(sink.piece_bytes)) {
        let advice = "leave air-gap.piece-bytes at 1 MiB";
        item(advice, "its receiver refuses frames above 1/64 of its heap", out)?;
    }
    Ok(())
}

fn item(advice: &str, why: &str, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "  - {advice}\n      {why}")
}

const FOR_SENDERS: &[(&str, &str)] = &[
    (
        "'sink.exception.conflict.retry-max-time-seconds'='-1' on 1.3, '3600' on 2.0",
        "otherwise it drops what was refused for 60 s, and says so only in its log",
    ),
    (
        "'sink.enable-send-tsfile-limit'='false' on 2.0",
        "otherwise small files leave at about six a second",
    ),
    (
        "CREATE PIPEPLUGIN for the air-gap sink where SHOW PIPEPLUGINS does not list it",
        "the published 1.3.3 and 2.0.10 contain the class and do not register it",
    ),
];

const FOR_GATES: &[(&str, &str)] = &[
    (
        "pipe_air_gap_receiver_enabled=true, then restart it; the port is 9780",
        "it is off by default, and read at the start only",
    ),
    ("never expose 9780 beyond the gate", "a header of 16 bytes makes it allocate up to 2 GiB"),
];

const FOR_RECEIVERS: &[(&str, &str)] = &[
    (
        "the same timestamp_precision as the data's",
        "it refuses the handshake otherwise, over a gate without a reason",
    ),
    (
        "watch its log and its free memory",
        "it answers OK for values that it cut to another type, and refuses when its memory is short",
    ),
];
