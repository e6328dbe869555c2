//! The sections of the file, each with its defaults and rules.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use super::document::{Document, Section};
use super::properties::Properties;
use super::read::listen;
use super::value::{Size, Span};
use super::{
    CompatConfig, Credentials, GateConfig, InboxConfig, IntakeConfig, LandingConfig,
    LandingWhenFull, PlanPolicy, PluginsConfig, Role, SessionConfig, SpoolConfig, WhenFull,
};
use crate::data::Precision;
use crate::limits::{
    CONNECTIONS_MAX, CONNECTIONS_MAX_DEFAULT, FRAME_BYTES_MAX_DEFAULT, HANDSHAKE_BYTES_MAX, KIB,
    MIB, SESSION_CONNECTIONS_MAX, TWIN_RUN_BYTES_MAX,
};
use crate::statement::Secret;

/// The shortest delay that can be asked for.
const SECOND: Duration = Duration::from_secs(1);

/// `[spool]`. `delay` is the smallest that a consumer asks for.
pub(super) fn spool(
    root: &mut Section<'_>,
    delay: Duration,
    document: &mut Document<'_>,
) -> SpoolConfig {
    let mut section = root.section("spool", document);
    let config = SpoolConfig {
        segment_bytes: size(&mut section, "segment_bytes", 16 * MIB, document),
        segment_max_age: section.take("segment_max_age", Span(delay.max(SECOND)), document).0,
        max_bytes: size(&mut section, "max_bytes", 10 * 1024 * MIB, document),
        reserve_bytes: size(&mut section, "reserve_bytes", 256 * MIB, document),
        when_full: section.take("when_full", WhenFull::Block, document),
        retain_bytes: size(&mut section, "retain_bytes", 0, document),
        retain_hours: section.take("retain_hours", 0, document),
    };
    if !SEGMENT_BYTES.contains(&config.segment_bytes) || !config.segment_bytes.is_multiple_of(4096)
    {
        let message = "a segment has 2MiB to 1GiB, in steps of 4096 bytes";
        section.reject("segment_bytes", message, "16MiB suits most", document);
    } else if config.max_bytes < config.segment_bytes * SEGMENTS_MIN {
        let message = format!("less than {SEGMENTS_MIN} segments of segment_bytes");
        section.reject("max_bytes", &message, "make it larger, or the segments smaller", document);
    }
    if config.segment_max_age < SECOND {
        section.reject("segment_max_age", "less than a second", "", document);
    }
    section.finish(document);
    config
}

/// `[gate]`.
pub(super) fn gate(
    root: &mut Section<'_>,
    (role, with_file): (Role, bool),
    properties: &Properties,
    document: &mut Document<'_>,
) -> GateConfig {
    let mut section = root.section("gate", document);
    let host = if with_file { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
    let address = SocketAddr::new(IpAddr::V4(host), properties.gate_port.unwrap_or(GATE_PORT));
    let enabled = properties.gate_enabled.unwrap_or(role == Role::Receiver);
    let frame_bytes = properties.max_frame_bytes.map(Size);
    let frame_bytes = frame_bytes.unwrap_or(Size(as_u64(FRAME_BYTES_MAX_DEFAULT)));
    let config = GateConfig {
        enabled: section.take("enabled", enabled, document),
        listen: listen(&mut section, address, document),
        max_connections: section.take("max_connections", CONNECTIONS_MAX_DEFAULT, document),
        max_frame_bytes: section.take("max_frame_bytes", frame_bytes, document).0,
        allow: section.take("allow", Vec::new(), document),
        local: section.take("local", Vec::new(), document),
        credentials: credentials(&mut section, document),
    };
    if section.optional::<String>("e_language", document).is_some_and(|mode| mode != "auto") {
        let message = "there is only \"auto\": both forms are recognised";
        section.reject("e_language", message, "leave it out", document);
    }
    if !(1..=CONNECTIONS_MAX).contains(&config.max_connections) {
        let message = format!("expected 1 to {CONNECTIONS_MAX}");
        section.reject("max_connections", &message, "", document);
    }
    if !FRAME_BYTES.contains(&config.max_frame_bytes) {
        let message = "expected 16KiB to 2047MiB, as lengths on the wire are signed";
        section.reject("max_frame_bytes", message, "64MiB suits most", document);
    }
    section.finish(document);
    config
}

/// User and password of a section: both or none.
fn credentials(section: &mut Section<'_>, document: &mut Document<'_>) -> Option<Credentials> {
    let user = section.optional::<String>("user", document);
    let password = section.secret("password", document);
    match (user, password) {
        (Some(user), Some(password)) => Some(Credentials { user, password }),
        (Some(_), None) => {
            section.reject("user", "has no password beside it", "add password", document);
            None
        }
        (None, Some(_)) => {
            section.reject("password", "has no user beside it", "add user", document);
            None
        }
        (None, None) => None,
    }
}

/// Where IoTDB listens for clients.
const SESSION_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 6667);

/// `[session]`; on once it says where to listen.
pub(super) fn session(
    root: &mut Section<'_>,
    precision: Option<Precision>,
    document: &mut Document<'_>,
) -> Option<SessionConfig> {
    let mut section = root.section("session", document);
    let listen = listen(&mut section, SESSION_ADDRESS, document);
    let is_wanted = section.span_of("listen").is_some();
    let max_connections = section.take("max_connections", SESSION_CONNECTIONS_MAX, document);
    let local = section.take("local", Vec::new(), document);
    let credentials = credentials(&mut section, document);
    if !(1..=SESSION_CONNECTIONS_MAX).contains(&max_connections) {
        let message = format!("expected 1 to {SESSION_CONNECTIONS_MAX}");
        section.reject("max_connections", &message, "", document);
    }
    let config = match (is_wanted, credentials) {
        (true, Some(credentials)) => {
            if precision.is_none() && root.span_of("timestamp_precision").is_none() {
                let message = "clients are told ms until something of another unit was taken in";
                let remedy = "add timestamp_precision = \"ms\", or whichever it is";
                section.remark("listen", message, remedy, document);
            }
            Some(SessionConfig { listen, max_connections, credentials, local })
        }
        (true, None) => {
            let message = "needs a user and a password, or anybody could write";
            section.reject("listen", message, "add user and password", document);
            None
        }
        (false, _) => {
            if section.is_present() {
                let message = "has no effect without a place to listen at";
                section.remark_all(message, "add listen = \"127.0.0.1:6667\"", document);
            }
            None
        }
    };
    section.finish(document);
    config
}

/// `[intake]`.
pub(super) fn intake(root: &mut Section<'_>, document: &mut Document<'_>) -> IntakeConfig {
    let mut section = root.section("intake", document);
    let mut plans = section.section("plans", document);
    let config = IntakeConfig {
        delete: plans.take("delete", PlanPolicy::Pass, document),
        schema: plans.take("schema", PlanPolicy::Pass, document),
        auth: plans.take("auth", PlanPolicy::Ignore, document),
    };
    plans.finish(document);
    section.finish(document);
    config
}

/// `[inbox]`: on in the sender, elsewhere where it is written.
pub(super) fn inbox(
    root: &mut Section<'_>,
    role: Role,
    data_dir: &Path,
    document: &mut Document<'_>,
) -> Option<InboxConfig> {
    let mut section = root.section("inbox", document);
    let wanted = section.take("enabled", role == Role::Sender || section.is_present(), document);
    let dir = section.path("dir", document).unwrap_or_else(|| data_dir.join("inbox"));
    let after = section.take("after", "delete".to_owned(), document);
    let mut archive_dir = section.path("archive_dir", document);
    match after.as_str() {
        "delete" if archive_dir.is_some() => {
            let message = "files are deleted, not archived";
            section.reject("archive_dir", message, "set after = \"archive\"", document);
        }
        "delete" => archive_dir = None,
        "archive" if archive_dir.is_none() => {
            section.reject("after", "archive_dir is missing", "add archive_dir", document);
        }
        "archive" if archive_dir.as_ref().is_some_and(|archive| archive.starts_with(&dir)) => {
            let message = "lies in the inbox, so that archived files would be taken in again";
            section.reject("archive_dir", message, "choose a directory beside it", document);
        }
        "archive" => {}
        _ => {
            let message = format!("expected \"delete\" or \"archive\", found {after:?}");
            section.reject("after", &message, "", document);
        }
    }
    section.finish(document);
    wanted.then_some(InboxConfig { dir, archive_dir })
}

/// `[landing]`: on in the receiver while no pipe is configured.
pub(super) fn landing(
    root: &mut Section<'_>,
    role: Role,
    has_pipes: bool,
    data_dir: &Path,
    document: &mut Document<'_>,
) -> LandingConfig {
    let mut section = root.section("landing", document);
    let config = LandingConfig {
        enabled: section.take("enabled", role == Role::Receiver && !has_pipes, document),
        dir: section.path("dir", document).unwrap_or_else(|| data_dir.join("landing")),
        max_file_bytes: size(&mut section, "max_file_bytes", LANDED_BYTES_DEFAULT, document),
        max_delay: section.take("max_delay", Span(Duration::from_secs(60)), document).0,
        max_bytes: size(&mut section, "max_bytes", 0, document),
        keep_days: section.take("keep_days", 0, document),
        when_full: section.take("when_full", LandingWhenFull::Block, document),
    };
    if config.max_delay < SECOND {
        section.reject("max_delay", "less than a second", "", document);
    }
    if config.max_file_bytes < as_u64(MIB) {
        section.reject("max_file_bytes", "less than 1MiB", "", document);
    }
    if config.max_file_bytes > TWIN_RUN_BYTES_MAX {
        let message = "more than 64MiB, which is what one file is made of at most";
        section.remark("max_file_bytes", message, "64MiB", document);
    }
    if !config.enabled && section.is_present() && section.span_of("enabled").is_none() {
        let message =
            "landing is off here, since it is on by itself only in a receiver without pipes";
        section.remark("dir", message, "add enabled = true, or leave the section out", document);
    }
    section.finish(document);
    config
}

/// `[quarantine]`: its limit in bytes.
pub(super) fn quarantine(root: &mut Section<'_>, document: &mut Document<'_>) -> u64 {
    let mut section = root.section("quarantine", document);
    let max_bytes = size(&mut section, "max_bytes", 256 * MIB, document);
    if max_bytes < as_u64(2 * MIB) {
        let message = "less than 2MiB: not even one entry fits";
        section.reject("max_bytes", message, "256MiB suits most", document);
    }
    section.finish(document);
    max_bytes
}

/// `[alarm]`: the command.
pub(super) fn alarm(root: &mut Section<'_>, document: &mut Document<'_>) -> Vec<String> {
    let mut section = root.section("alarm", document);
    let command: Vec<String> = section.take("command", Vec::new(), document);
    let is_path = command.first().is_none_or(|program| Path::new(program).is_absolute());
    if !is_path {
        let message = "the program is not an absolute path";
        section.reject("command", message, "such as [\"/etc/penstock/alarm.sh\"]", document);
    }
    section.finish(document);
    command
}

/// `[status]`: where it is served; `"off"` for nowhere.
pub(super) fn status(root: &mut Section<'_>, document: &mut Document<'_>) -> Option<SocketAddr> {
    let mut section = root.section("status", document);
    let default = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), STATUS_PORT);
    let off = section.is_text("listen", "off");
    let address = listen(&mut section, default, document);
    section.finish(document);
    (!off).then_some(address)
}

/// `[log]`.
pub(super) fn log(root: &mut Section<'_>, document: &mut Document<'_>) -> log::LevelFilter {
    let mut section = root.section("log", document);
    let level = section.take("level", "info".to_owned(), document);
    let level = level.parse().unwrap_or_else(|_| {
        let message = format!("expected off, error, warn, info, debug or trace, found {level:?}");
        section.reject("level", &message, "", document);
        log::LevelFilter::Info
    });
    section.finish(document);
    level
}

/// `[plugins]`.
pub(super) fn plugins(
    root: &mut Section<'_>,
    properties: &Properties,
    data_dir: &Path,
    document: &mut Document<'_>,
) -> PluginsConfig {
    let mut section = root.section("plugins", document);
    let dir = section.path("dir", document).or_else(|| properties.plugins_dir.clone());
    let config = PluginsConfig {
        allow: section.take("allow", false, document),
        dir: dir.unwrap_or_else(|| data_dir.join("plugins")),
    };
    section.finish(document);
    config
}

/// `[compat]`.
pub(super) fn compat(root: &mut Section<'_>, document: &mut Document<'_>) -> CompatConfig {
    let mut section = root.section("compat", document);
    let state = section.take("create_pipe_state", "running".to_owned(), document);
    if !matches!(state.as_str(), "running" | "stopped") {
        let message = format!("expected \"running\" or \"stopped\", found {state:?}");
        section.reject("create_pipe_state", &message, "", document);
    }
    let config = CompatConfig {
        create_stopped: state == "stopped",
        create_checks_target: section.take("create_checks_target", false, document),
    };
    section.finish(document);
    config
}

impl Section<'_> {
    /// A password: a text, which no message repeats.
    fn secret(&mut self, key: &'static str, document: &mut Document<'_>) -> Option<Secret> {
        let value = self.raw(key)?;
        let text = value.get_ref().as_str();
        if text.is_none() {
            let hint = "put it in quotes, or write \"file:PATH\" or \"env:NAME\"";
            self.reject(key, "expected a text", hint, document);
        }
        let secret = text.map(|text| Secret::parse(text, document.base()))?;
        document.warn_of_clear(&secret, &value.span(), &self.full(key));
        Some(secret)
    }
}

fn size(
    section: &mut Section<'_>,
    key: &'static str,
    default: usize,
    document: &mut Document<'_>,
) -> u64 {
    section.take(key, Size(as_u64(default)), document).0
}

/// Never cuts: no platform has more than 64 bits.
const fn as_u64(bytes: usize) -> u64 {
    bytes as u64
}

/// What a landed file of tablets has at most, unless the file says otherwise.
const LANDED_BYTES_DEFAULT: usize = 64 * MIB;
/// Air-gap port of stock IoTDB.
const GATE_PORT: u16 = 9780;
/// The next one.
const STATUS_PORT: u16 = 9781;
/// A segment holds at least an entry with its header, and is not so large that release lags.
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = as_u64(2 * MIB)..=as_u64(1024 * MIB);
/// One that is written, one that is read, one that is made, one that is released.
const SEGMENTS_MIN: u64 = 4;
/// At least a handshake; at most what a signed length can say.
pub(super) const FRAME_BYTES: std::ops::RangeInclusive<u64> =
    as_u64(HANDSHAKE_BYTES_MAX)..=as_u64(2047 * MIB);
const _: () = assert!(HANDSHAKE_BYTES_MAX <= 16 * KIB);
