//! Handshakes: types 0 and 1 (V1), 50 and 51 (V2).
//!
//! ```text
//!  V1 body:  | string timestampPrecision |                 "ms", "us" or "ns"
//!  V2 body:  | i32 count | count x ( string key | string value ) |
//! ```
//!
//! Defined by `PipeTransferHandshakeV1Req`, `PipeTransferHandshakeV2Req` and
//! `PipeTransferHandshakeConstant`. Unknown keys are ignored, so a sender may send all it knows. Types
//! 0 and 50 come from a peer's `ConfigNode`, types 1 and 51 from its `DataNode`; they differ in
//! nothing else.

use super::bytes::{Reader, WireError, Writer};
use super::pairs::{self, Pairs};
use super::request::RequestType;
use crate::limits;

/// A decoded handshake; its texts lie in the request's bytes. `Debug` hides the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handshake<'a> {
    request_type: RequestType,
    body: Body<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body<'a> {
    V1 { precision: &'a str },
    V2(Pairs<'a>),
}

impl<'a> Handshake<'a> {
    /// Reads the body of a handshake of `request_type`.
    ///
    /// # Errors
    /// [`WireError`] if the body is malformed or too long, or `request_type` is no handshake.
    pub fn read(request_type: RequestType, reader: &mut Reader<'a>) -> Result<Self, WireError> {
        let body = if request_type.is_handshake_v1() {
            Body::V1 { precision: reader.string(limits::NAME_BYTES_MAX, "timestampPrecision")? }
        } else if request_type.is_handshake() {
            Body::V2(Pairs::read(reader, limits::HANDSHAKE_KEYS_MAX)?)
        } else {
            return Err(request_type.unexpected("0, 1, 50 or 51"));
        };
        Ok(Self { request_type, body })
    }

    /// Writes the body.
    pub fn write(&self, writer: &mut Writer<'_>) {
        match self.body {
            Body::V1 { precision } => writer.string(precision),
            Body::V2(pairs) => pairs.write(writer),
        }
    }

    /// 0, 1, 50 or 51.
    pub const fn request_type(&self) -> RequestType {
        self.request_type
    }

    /// All entries; a V1 handshake has none.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + use<'a> {
        match self.body {
            Body::V1 { .. } => None,
            Body::V2(pairs) => Some(pairs.iter()),
        }
        .into_iter()
        .flatten()
    }

    /// The peer's cluster id: any text, also an empty one. A V1 handshake has none.
    pub fn cluster_id(&self) -> Option<&'a str> {
        self.value("clusterID")
    }

    /// `ms`, `us` or `ns` from a peer that keeps to the rules.
    pub fn precision(&self) -> Option<&'a str> {
        match self.body {
            Body::V1 { precision } => Some(precision),
            Body::V2(pairs) => pairs.value("timestampPrecision"),
        }
    }

    /// The login's name; peers up to 1.3.3 send none.
    pub fn username(&self) -> Option<&'a str> {
        self.value("username")
    }

    /// The login's password in clear text; peers up to 1.3.3 send none.
    pub fn password(&self) -> Option<&'a str> {
        self.value("password")
    }

    /// Values of another type than the registered one are to be cast. Default: yes.
    pub fn convert_on_type_mismatch(&self) -> bool {
        self.flag("convertOnTypeMismatch", true)
    }

    /// Files are to be loaded behind the answer. Default: no.
    pub fn loads_asynchronously(&self) -> bool {
        self.value("loadTsFileStrategy") == Some("async")
    }

    /// Files are to be checked against the schema while they are loaded. Default: yes.
    pub fn validate_ts_file(&self) -> bool {
        self.flag("validateTsFile", true)
    }

    /// What is written counts as data that came by a pipe. Default: yes.
    pub fn mark_as_pipe_request(&self) -> bool {
        self.flag("markAsPipeRequest", true)
    }

    fn value(&self, key: &str) -> Option<&'a str> {
        match self.body {
            Body::V1 { .. } => None,
            Body::V2(pairs) => pairs.value(key),
        }
    }

    /// Java's `parseBoolean`: whatever is not "true" is false.
    fn flag(&self, key: &str, default: bool) -> bool {
        self.value(key).map_or(default, |text| text.eq_ignore_ascii_case("true"))
    }
}

/// What a sender says in a V2 handshake.
#[derive(Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the wire has four independent flags")]
pub struct Offer<'a> {
    /// Any text unlike the receiver's own cluster id.
    pub cluster_id: &'a str,
    /// `ms`, `us` or `ns`: the receiver refuses another than its own.
    pub precision: &'a str,
    /// The login's name.
    pub username: &'a str,
    /// The login's password, sent in clear text.
    pub password: &'a str,
    /// Lets the receiver cast values to the registered types.
    pub convert_on_type_mismatch: bool,
    /// Asks the receiver to load files behind its answer.
    pub load_asynchronously: bool,
    /// Lets the receiver check a file's schema while loading.
    pub validate_ts_file: bool,
    /// Marks written data as coming from a pipe.
    pub mark_as_pipe_request: bool,
    /// Lets the receiver skip what the user may not write.
    pub skip_if_no_privileges: bool,
}

impl Offer<'_> {
    /// Writes the body of a type 50 or 51: all eleven keys that stock 2.0 knows.
    pub fn write(&self, writer: &mut Writer<'_>) {
        let entries: [_; 11] = [
            ("clusterID", self.cluster_id),
            ("timestampPrecision", self.precision),
            ("username", self.username),
            ("password", self.password),
            ("convertOnTypeMismatch", text(self.convert_on_type_mismatch)),
            ("loadTsFileStrategy", if self.load_asynchronously { "async" } else { "sync" }),
            ("validateTsFile", text(self.validate_ts_file)),
            ("markAsPipeRequest", text(self.mark_as_pipe_request)),
            ("userId", "-1"),
            ("cliHostname", ""),
            ("skipIf", text(self.skip_if_no_privileges)),
        ];
        pairs::write(writer, entries.iter().map(|(key, value)| (*key, Some(*value))));
    }
}

impl std::fmt::Debug for Offer<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Offer")
            .field("cluster_id", &self.cluster_id)
            .field("precision", &self.precision)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// Writes the body of a type 0 or 1.
pub fn write_v1(writer: &mut Writer<'_>, precision: &str) {
    writer.string(precision);
}

const fn text(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The V2 body of the specification: clusterID=agent-1, timestampPrecision=ms.
    const V2: &[u8] = b"\0\0\0\x02\0\0\0\x09clusterID\0\0\0\x07agent-1\
                        \0\0\0\x12timestampPrecision\0\0\0\x02ms";

    fn read(request_type: RequestType, body: &[u8]) -> Result<Handshake<'_>, WireError> {
        let mut reader = Reader::new(body);
        let handshake = Handshake::read(request_type, &mut reader)?;
        reader.finish()?;
        Ok(handshake)
    }

    fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::into_vec(&mut out, limits::HANDSHAKE_BYTES_MAX);
        write(&mut writer);
        writer.finish().expect("fits");
        out
    }

    #[test]
    fn two_keys_are_enough_and_the_rest_has_defaults() {
        let handshake = read(RequestType::HandshakeDataNodeV2, V2).expect("legal");
        assert_eq!(handshake.cluster_id(), Some("agent-1"));
        assert_eq!(handshake.precision(), Some("ms"));
        assert_eq!(handshake.username(), None);
        assert_eq!(handshake.password(), None);
        assert!(handshake.convert_on_type_mismatch());
        assert!(!handshake.loads_asynchronously());
        assert!(handshake.validate_ts_file());
        assert!(handshake.mark_as_pipe_request());
        assert_eq!(written(|writer| handshake.write(writer)), V2);
    }

    #[test]
    fn v1_has_a_precision_only() {
        let handshake = read(RequestType::HandshakeDataNodeV1, b"\0\0\0\x02us").expect("legal");
        assert_eq!(handshake.precision(), Some("us"));
        assert_eq!(handshake.cluster_id(), None);
        assert_eq!(handshake.entries().count(), 0);
        assert_eq!(written(|writer| write_v1(writer, "us")), b"\0\0\0\x02us");
        assert_eq!(written(|writer| handshake.write(writer)), b"\0\0\0\x02us");
    }

    #[test]
    fn every_short_body_is_refused() {
        for end in 0..V2.len() {
            assert!(read(RequestType::HandshakeDataNodeV2, &V2[..end]).is_err(), "{end}");
        }
        assert!(read(RequestType::HandshakeDataNodeV2, &[V2, &[0]].concat()).is_err());
        assert!(read(RequestType::TabletRaw, V2).is_err());
    }

    #[test]
    fn an_offer_reads_back() {
        let offer = Offer {
            cluster_id: "",
            precision: "ns",
            username: "root",
            password: "secret",
            convert_on_type_mismatch: false,
            load_asynchronously: true,
            validate_ts_file: false,
            mark_as_pipe_request: false,
            skip_if_no_privileges: true,
        };
        let body = written(|writer| offer.write(writer));
        let handshake = read(RequestType::HandshakeDataNodeV2, &body).expect("legal");
        assert_eq!(handshake.cluster_id(), Some(""));
        assert_eq!(handshake.precision(), Some("ns"));
        assert_eq!(handshake.password(), Some("secret"));
        assert!(!handshake.convert_on_type_mismatch());
        assert!(handshake.loads_asynchronously());
        assert!(!handshake.validate_ts_file());
        assert!(!handshake.mark_as_pipe_request());
        assert_eq!(handshake.entries().count(), 11);
        assert!(!format!("{offer:?} {handshake:?}").contains("secret"));
    }
}
