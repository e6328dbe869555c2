//! Seals, which end a transfer of files: types 5, 9, 102 and 202.
//!
//! ```text
//!  type 5:          | string name | i64 length |
//!  9, 102, 202:     | i32 count | count x string name, -1 = null |
//!                   | i32 count | count x i64 length             |
//!                   | i32 count | count x ( string key | string value, -1 = null ) |
//! ```
//!
//! Defined by `PipeTransferFileSealReqV1` and `PipeTransferFileSealReqV2`. The last name of a type 9
//! is the TsFile; a mods file stands before it. A null name is an optional file that is absent.

use super::bytes::{Reader, WireError, Writer};
use super::pairs::{self, Pairs};
use super::request::RequestType;
use crate::limits;

/// One file of a seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedFile<'a> {
    /// Name as in the pieces; `None` for an optional file that is absent.
    pub name: Option<&'a str>,
    /// Bytes that the file must have.
    pub bytes: u64,
}

/// A decoded seal; its texts lie in the request's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal<'a> {
    /// 5, 9, 102 or 202.
    pub request_type: RequestType,
    /// The files, in the order of the request.
    pub files: heapless::Vec<SealedFile<'a>, { limits::SEAL_FILES_MAX }>,
    /// The parameters; `None` for a type 5, which has no place for them.
    pub parameters: Option<Pairs<'a>>,
}

impl<'a> Seal<'a> {
    /// Reads the body of a seal of `request_type`.
    ///
    /// # Errors
    /// [`WireError`] if the body is malformed or a list is too long, if there are not as many lengths
    /// as names, or if `request_type` is not a seal's.
    pub fn read(request_type: RequestType, reader: &mut Reader<'a>) -> Result<Self, WireError> {
        if request_type == RequestType::TsFileSeal {
            return Self::read_v1(reader);
        }
        if !request_type.is_seal() {
            return Err(request_type.unexpected("5, 9, 102 or 202"));
        }
        Self::read_v2(request_type, reader)
    }

    fn read_v1(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        let name = Some(reader.string(limits::NAME_BYTES_MAX, "file name")?);
        let bytes = reader.size("file length")?;
        let files = std::iter::once(SealedFile { name, bytes }).collect();
        Ok(Self { request_type: RequestType::TsFileSeal, files, parameters: None })
    }

    fn read_v2(request_type: RequestType, reader: &mut Reader<'a>) -> Result<Self, WireError> {
        let mut files = heapless::Vec::new();
        for _ in 0..reader.count(limits::SEAL_FILES_MAX, "name count")? {
            let name = reader.nullable_string(limits::NAME_BYTES_MAX, "file name")?;
            // The count is within the capacity.
            let _full = files.push(SealedFile { name, bytes: 0 });
        }
        let offset = reader.offset();
        let lengths = reader.count(files.len(), "length count")?;
        if lengths != files.len() {
            return Err(WireError::Value {
                what: "length count",
                offset,
                expected: "as many lengths as names",
                got: i64::try_from(lengths).unwrap_or(i64::MAX),
            });
        }
        for file in &mut files {
            file.bytes = reader.size("file length")?;
        }
        let parameters = Some(Pairs::read(reader, limits::SEAL_PARAMETERS_MAX)?);
        Ok(Self { request_type, files, parameters })
    }

    /// Writes the body.
    pub fn write(&self, writer: &mut Writer<'_>) {
        match (self.parameters, self.files.first()) {
            (None, Some(SealedFile { name: Some(name), bytes })) => write_v1(writer, name, *bytes),
            (parameters, _) => {
                write_files(writer, &self.files);
                match parameters {
                    Some(parameters) => parameters.write(writer),
                    None => writer.count(0),
                }
            }
        }
    }

    /// The TsFile of a type 5 or 9: the last file.
    pub fn ts_file(&self) -> Option<SealedFile<'a>> {
        self.files.last().copied()
    }

    /// Value of the parameter `DATABASE_NAME_<name>`.
    pub fn database(&self, name: &str) -> Option<&'a str> {
        self.parameters?
            .iter()
            .find(|(key, _)| key.strip_prefix(DATABASE_PREFIX) == Some(name))
            .and_then(|(_, value)| value)
    }
}

/// What the key of a TsFile's database begins with; the file's name follows.
pub const DATABASE_PREFIX: &str = "DATABASE_NAME_";

/// Writes the body of a type 5.
pub fn write_v1(writer: &mut Writer<'_>, name: &str, bytes: u64) {
    writer.string(name);
    writer.size(bytes);
}

/// Writes the body of a type 9, 102 or 202.
pub fn write_v2(
    writer: &mut Writer<'_>,
    files: &[SealedFile<'_>],
    parameters: &[(&str, Option<&str>)],
) {
    write_files(writer, files);
    pairs::write(writer, parameters.iter().copied());
}

fn write_files(writer: &mut Writer<'_>, files: &[SealedFile<'_>]) {
    writer.count(files.len());
    for file in files {
        writer.nullable_string(file.name);
    }
    writer.count(files.len());
    for file in files {
        writer.size(file.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The three seals of the specification, without version and type.
    const V1: &[u8] = b"\0\0\0\x0e1-1-0-0.tsfile\0\0\0\0\0\0\0\x07";
    const WITH_MODS: &[u8] = b"\0\0\0\x02\0\0\0\x131-1-0-0.tsfile.mods\0\0\0\x0e1-1-0-0.tsfile\
        \0\0\0\x02\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\x07\0\0\0\0";
    const WITH_DATABASE: &[u8] = b"\0\0\0\x01\0\0\0\x0e1-1-0-0.tsfile\
        \0\0\0\x01\0\0\0\0\0\0\0\x07\
        \0\0\0\x01\0\0\0\x1cDATABASE_NAME_1-1-0-0.tsfile\0\0\0\x07root.sg";

    fn read(request_type: RequestType, body: &[u8]) -> Result<Seal<'_>, WireError> {
        let mut reader = Reader::new(body);
        let seal = Seal::read(request_type, &mut reader)?;
        reader.finish()?;
        Ok(seal)
    }

    fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::into_vec(&mut out, 1024);
        write(&mut writer);
        writer.finish().expect("fits");
        out
    }

    #[test]
    fn the_seals_of_the_specification_are_read_and_written() {
        let name = "1-1-0-0.tsfile";
        let file = SealedFile { name: Some(name), bytes: 7 };
        let mods = SealedFile { name: Some("1-1-0-0.tsfile.mods"), bytes: 9 };

        let seal = read(RequestType::TsFileSeal, V1).expect("legal");
        assert_eq!((seal.ts_file(), seal.database(name)), (Some(file), None));
        assert_eq!(written(|writer| seal.write(writer)), V1);
        assert_eq!(written(|writer| write_v1(writer, name, 7)), V1);

        let seal = read(RequestType::TsFileSealWithMod, WITH_MODS).expect("legal");
        assert_eq!(seal.files, [mods, file]);
        assert_eq!(written(|writer| seal.write(writer)), WITH_MODS);
        assert_eq!(written(|writer| write_v2(writer, &[mods, file], &[])), WITH_MODS);

        let seal = read(RequestType::TsFileSealWithMod, WITH_DATABASE).expect("legal");
        assert_eq!((seal.ts_file(), seal.database(name)), (Some(file), Some("root.sg")));
        assert_eq!(seal.database("other"), None);
        assert_eq!(written(|writer| seal.write(writer)), WITH_DATABASE);
    }

    #[test]
    fn null_names_and_values_are_kept() {
        let files = [SealedFile { name: None, bytes: 0 }, SealedFile { name: Some("a"), bytes: 1 }];
        let body = written(|writer| write_v2(writer, &files, &[("tree", None)]));
        let seal = read(RequestType::SchemaSnapshotSeal, &body).expect("legal");
        assert_eq!(seal.files, files);
        assert_eq!(seal.parameters.map(|pairs| pairs.iter().collect()), Some(vec![("tree", None)]));
        assert_eq!(written(|writer| seal.write(writer)), body);
    }

    #[test]
    fn every_short_body_is_refused() {
        for (request_type, body) in
            [(RequestType::TsFileSeal, V1), (RequestType::TsFileSealWithMod, WITH_DATABASE)]
        {
            for end in 0..body.len() {
                assert!(read(request_type, &body[..end]).is_err(), "{end}");
            }
            assert!(read(request_type, &[body, &[0]].concat()).is_err());
        }
        assert!(read(RequestType::TsFilePiece, V1).is_err());
    }

    #[test]
    fn as_many_lengths_as_names() {
        let files = [SealedFile { name: Some("a"), bytes: 1 }; 2];
        let mut body = written(|writer| write_v2(writer, &files, &[]));
        body[17] = 1;
        assert!(matches!(
            read(RequestType::TsFileSealWithMod, &body),
            Err(WireError::Value { what: "length count", offset: 14, got: 1, .. })
        ));
        body[17] = 3;
        assert!(read(RequestType::TsFileSealWithMod, &body).is_err());
    }

    #[test]
    fn a_list_that_is_too_long_is_refused_by_its_count() {
        assert!(matches!(
            read(RequestType::TsFileSealWithMod, &[0, 0, 0, 9]),
            Err(WireError::Length { what: "name count", got: 9, .. })
        ));
    }
}
