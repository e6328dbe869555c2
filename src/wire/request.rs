//! Request types, and the decoding of a whole payload.
//!
//! ```text
//!  payload:  | i8 version = 1 | i16 type | body, to the end |
//! ```
//!
//! Defined by `PipeRequestType` and the request classes that the variants name. All types are known
//! here; what the bodies of types 100 and 200 hold is passed on without being understood.

use super::bytes::{Reader, WireError, Writer};
use super::compressed::Compressed;
use super::handshake::Handshake;
use super::piece::PieceHead;
use super::seal::Seal;
use super::slice::Slice;

/// The only version of the protocol.
pub const VERSION: i8 = 1;

macro_rules! request_types {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// The types of `PipeRequestType`, by their codes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(i16)]
        pub enum RequestType { $($(#[$doc])* $name = $code,)* }

        impl RequestType {
            /// All types, ascending by code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The type that `code` stands for; `None` if nobody sends such a type.
            pub const fn from_code(code: i16) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The number on the wire.
            pub const fn code(self) -> i16 {
                match self { $(Self::$name => $code,)* }
            }
        }
    };
}

request_types! {
    /// `PipeTransferHandshakeV1Req` of a `ConfigNode`.
    HandshakeConfigNodeV1 = 0,
    /// `PipeTransferHandshakeV1Req` of a `DataNode`.
    HandshakeDataNodeV1 = 1,
    /// `PipeTransferTabletInsertNodeReq`: one plan node.
    TabletInsertNode = 2,
    /// `PipeTransferTabletRawReq`: one tablet.
    TabletRaw = 3,
    /// `PipeTransferTsFilePieceReq`.
    TsFilePiece = 4,
    /// `PipeTransferTsFileSealReq`.
    TsFileSeal = 5,
    /// `PipeTransferTabletBatchReq`.
    TabletBatch = 6,
    /// `PipeTransferTabletBinaryReq`: a WAL entry.
    TabletBinary = 7,
    /// `PipeTransferTsFilePieceWithModReq`.
    TsFilePieceWithMod = 8,
    /// `PipeTransferTsFileSealWithModReq`.
    TsFileSealWithMod = 9,
    /// `PipeTransferTabletInsertNodeReqV2`: a plan node and a database.
    TabletInsertNodeV2 = 10,
    /// `PipeTransferTabletRawReqV2`: a tablet and a database.
    TabletRawV2 = 11,
    /// `PipeTransferTabletBinaryReqV2`: a WAL entry and a database.
    TabletBinaryV2 = 12,
    /// `PipeTransferTabletBatchReqV2`.
    TabletBatchV2 = 13,
    /// `PipeTransferHandshakeV2Req` of a `ConfigNode`.
    HandshakeConfigNodeV2 = 50,
    /// `PipeTransferHandshakeV2Req` of a `DataNode`.
    HandshakeDataNodeV2 = 51,
    /// `PipeTransferPlanNodeReq`: a schema plan or a deletion.
    PlanNode = 100,
    /// `PipeTransferSchemaSnapshotPieceReq`.
    SchemaSnapshotPiece = 101,
    /// `PipeTransferSchemaSnapshotSealReq`.
    SchemaSnapshotSeal = 102,
    /// `PipeTransferConfigPlanReq`.
    ConfigPlan = 200,
    /// `PipeTransferConfigSnapshotPieceReq`.
    ConfigSnapshotPiece = 201,
    /// `PipeTransferConfigSnapshotSealReq`.
    ConfigSnapshotSeal = 202,
    /// `PipeTransferCompressedReq`: another request, compressed.
    Compressed = 300,
    /// `PipeTransferSliceReq`: a part of another request.
    Slice = 400,
}

impl RequestType {
    /// A handshake of either version.
    pub const fn is_handshake(self) -> bool {
        self.is_handshake_v1()
            || matches!(self, Self::HandshakeConfigNodeV2 | Self::HandshakeDataNodeV2)
    }

    /// A handshake of the old form.
    pub const fn is_handshake_v1(self) -> bool {
        matches!(self, Self::HandshakeConfigNodeV1 | Self::HandshakeDataNodeV1)
    }

    /// A piece of a file.
    pub const fn is_piece(self) -> bool {
        matches!(
            self,
            Self::TsFilePiece
                | Self::TsFilePieceWithMod
                | Self::SchemaSnapshotPiece
                | Self::ConfigSnapshotPiece
        )
    }

    /// The end of a file or of several.
    pub const fn is_seal(self) -> bool {
        matches!(
            self,
            Self::TsFileSeal
                | Self::TsFileSealWithMod
                | Self::SchemaSnapshotSeal
                | Self::ConfigSnapshotSeal
        )
    }

    /// Rows: what the splitter takes.
    pub const fn is_rows(self) -> bool {
        matches!(
            self,
            Self::TabletInsertNode
                | Self::TabletRaw
                | Self::TabletBatch
                | Self::TabletBinary
                | Self::TabletInsertNodeV2
                | Self::TabletRawV2
                | Self::TabletBinaryV2
                | Self::TabletBatchV2
        )
    }

    /// The error of a decoder that was given this type.
    pub(crate) const fn unexpected(self, expected: &'static str) -> WireError {
        WireError::Value { what: "request type", offset: 1, expected, got: self.code() as i64 }
    }
}

/// Version and type: the first three bytes of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Version of the protocol.
    pub version: i8,
    /// Code of the type.
    pub code: i16,
}

impl Head {
    /// Bytes of a head.
    pub const BYTES: usize = 3;

    /// The head of a request that we send.
    pub const fn of(request_type: RequestType) -> Self {
        Self { version: VERSION, code: request_type.code() }
    }

    /// Reads a head, whatever it says.
    ///
    /// # Errors
    /// [`WireError::Short`] if fewer than three bytes are left.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self { version: reader.i8("version")?, code: reader.i16("request type")? })
    }

    /// The type, if version and type are known.
    ///
    /// # Errors
    /// [`WireError::Value`] that names what is unknown.
    pub fn known(self) -> Result<RequestType, WireError> {
        if self.version != VERSION {
            return Err(WireError::Value {
                what: "version",
                offset: 0,
                expected: "1",
                got: i64::from(self.version),
            });
        }
        RequestType::from_code(self.code).ok_or_else(|| WireError::Value {
            what: "request type",
            offset: 1,
            expected: "a known type",
            got: i64::from(self.code),
        })
    }

    /// Writes the head.
    pub fn write(self, writer: &mut Writer<'_>) {
        writer.i8(self.version);
        writer.i16(self.code);
    }
}

/// A decoded request; it borrows from the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request<'a> {
    /// Types 0, 1, 50 and 51.
    Handshake(Handshake<'a>),
    /// Types 4, 8, 101 and 201: head and bytes of a piece.
    Piece(PieceHead<'a>, &'a [u8]),
    /// Types 5, 9, 102 and 202.
    Seal(Seal<'a>),
    /// Types 2, 3, 6, 7 and 10 to 13: rows, which the splitter takes apart.
    Rows {
        /// One of the eight.
        request_type: RequestType,
        /// The body, as it came.
        body: &'a [u8],
    },
    /// Types 100 and 200: stored and passed on without being understood. Over air gap zero bytes may
    /// follow the plan.
    Plan {
        /// 100 or 200.
        request_type: RequestType,
        /// The body, as it came.
        body: &'a [u8],
    },
    /// Type 300: another request, to be undone.
    Compressed(Compressed<'a>),
    /// Type 400: a part of another request.
    Slice(Slice<'a>),
}

impl<'a> Request<'a> {
    /// Decodes a whole payload.
    ///
    /// # Errors
    /// [`WireError`] with the offset in the payload. A payload whose head is unknown fails in
    /// [`Head::known`]: ask it first where unknown types have an answer of their own.
    pub fn decode(payload: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload);
        let request_type = Head::read(&mut reader)?.known()?;
        let request = Self::read_body(request_type, &mut reader)?;
        reader.finish()?;
        Ok(request)
    }

    fn read_body(request_type: RequestType, reader: &mut Reader<'a>) -> Result<Self, WireError> {
        if request_type.is_handshake() {
            return Handshake::read(request_type, reader).map(Self::Handshake);
        }
        if request_type.is_seal() {
            return Seal::read(request_type, reader).map(Self::Seal);
        }
        if request_type.is_piece() {
            let head = PieceHead::read_body(request_type, reader)?;
            let count = usize::try_from(head.piece_bytes).unwrap_or(usize::MAX);
            return Ok(Self::Piece(head, reader.take(count, "piece")?));
        }
        if request_type == RequestType::Compressed {
            return Compressed::read(reader).map(Self::Compressed);
        }
        if request_type == RequestType::Slice {
            return Slice::read(reader).map(Self::Slice);
        }
        let body = reader.take(reader.left(), "body")?;
        if request_type.is_rows() {
            return Ok(Self::Rows { request_type, body });
        }
        Ok(Self::Plan { request_type, body })
    }

    /// The request's type.
    pub fn request_type(&self) -> RequestType {
        match self {
            Self::Handshake(handshake) => handshake.request_type(),
            Self::Piece(head, _) => head.request_type,
            Self::Seal(seal) => seal.request_type,
            Self::Rows { request_type, .. } | Self::Plan { request_type, .. } => *request_type,
            Self::Compressed(_) => RequestType::Compressed,
            Self::Slice(_) => RequestType::Slice,
        }
    }

    /// Writes the payload, version and type included.
    pub fn write(&self, writer: &mut Writer<'_>) {
        Head::of(self.request_type()).write(writer);
        match self {
            Self::Handshake(handshake) => handshake.write(writer),
            Self::Piece(head, bytes) => {
                head.write_body(writer);
                writer.put(bytes);
            }
            Self::Seal(seal) => seal.write(writer),
            Self::Rows { body, .. } | Self::Plan { body, .. } => writer.put(body),
            Self::Compressed(compressed) => compressed.write(writer),
            Self::Slice(slice) => slice.write(writer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn codes_round_trip_and_ascend() {
        assert!(RequestType::ALL.is_sorted_by_key(|request_type| request_type.code()));
        for request_type in RequestType::ALL {
            assert_eq!(RequestType::from_code(request_type.code()), Some(*request_type));
        }
        for code in [-1, 14, 49, 52, 99, 103, 299, 401] {
            assert_eq!(RequestType::from_code(code), None);
        }
    }

    #[test]
    fn unknown_versions_and_types_are_named() {
        assert_eq!(
            Request::decode(&[2, 0, 1]).map_err(|error| error.to_string()),
            Err("version at byte 0: expected 1, got 2".to_owned())
        );
        assert_eq!(
            Request::decode(&[1, 0, 14]).map_err(|error| error.to_string()),
            Err("request type at byte 1: expected a known type, got 14".to_owned())
        );
        assert!(Request::decode(&[1, 0]).is_err());
    }

    #[test]
    fn a_piece_fills_its_payload() {
        let payload = b"\x01\0\x04\0\0\0\x01a\0\0\0\0\0\0\0\x05\0\0\0\x02xy";
        let head = PieceHead::new(RequestType::TsFilePiece, "a", 5, 2);
        assert_eq!(Request::decode(payload), Ok(Request::Piece(head, b"xy")));
        assert!(Request::decode(&payload[..payload.len() - 1]).is_err());
        assert!(Request::decode(&[payload.as_slice(), &[0]].concat()).is_err());
    }

    /// Payloads of the specification with the checksums that it prints for their frames.
    #[test]
    fn the_payloads_of_the_specification_are_read_and_written() {
        let samples: [(&[u8], u32, RequestType); 4] = [
            (b"\x01\0\x01\0\0\0\x02ms", 0x4dde_ea5b, RequestType::HandshakeDataNodeV1),
            (
                b"\x01\0\x33\0\0\0\x02\0\0\0\x09clusterID\0\0\0\x07agent-1\
                  \0\0\0\x12timestampPrecision\0\0\0\x02ms",
                0x1da5_6460,
                RequestType::HandshakeDataNodeV2,
            ),
            (b"\x01\0\x0d\0\0\0\0\0\0\0\0\0\0\0\0", 0x2904_b871, RequestType::TabletBatchV2),
            (
                b"\x01\0\x04\0\0\0\x0e1-1-0-0.tsfile\0\0\0\0\0\0\0\0\0\0\0\x07TsFile\x04",
                0xe198_3dac,
                RequestType::TsFilePiece,
            ),
        ];
        for (payload, crc, request_type) in samples {
            let request = Request::decode(payload).expect("legal");
            assert_eq!(request.request_type(), request_type);
            let mut out = Vec::new();
            let mut writer = Writer::into_vec(&mut out, payload.len());
            request.write(&mut writer);
            assert_eq!(writer.finish(), Ok(payload.len()));
            assert_eq!(out, payload);
            assert_eq!(crate::wire::frame::checksum(&[payload]), crc);
        }
    }

    proptest! {
        #[test]
        fn no_payload_panics_and_what_decodes_encodes_to_itself(
            code in proptest::sample::select(RequestType::ALL),
            body in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let payload = [&[1], code.code().to_be_bytes().as_slice(), &body].concat();
            if let Ok(request) = Request::decode(&payload) {
                let mut out = Vec::new();
                let mut writer = Writer::into_vec(&mut out, payload.len());
                request.write(&mut writer);
                prop_assert_eq!(writer.finish(), Ok(payload.len()));
                prop_assert_eq!(&out, &payload);
            }
        }
    }
}
