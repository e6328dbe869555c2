//! Data types of series and columns.

/// The type of a column's values; the code is a byte on the wire (`TSDataType` of tsfile).
///
/// | code | type | value on the wire |
/// |---|---|---|
/// | 0 | `BOOLEAN` | 1 byte, 1 = true, everything else false |
/// | 1, 9 | `INT32`, `DATE` (yyyymmdd) | 4 bytes |
/// | 2, 8 | `INT64`, `TIMESTAMP` (in the cluster's precision) | 8 bytes |
/// | 3 | `FLOAT` | 4 bytes, IEEE 754 |
/// | 4 | `DOUBLE` | 8 bytes, IEEE 754 |
/// | 5, 10, 11, 12 | `TEXT`, `BLOB`, `STRING`, `OBJECT` (2.0 only) | i32 length, bytes |
///
/// All big-endian. The codes 6 (`VECTOR`) and 7 (`UNKNOWN`) never occur in transferred data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DataType {
    /// One byte, 0 or 1.
    Boolean = 0,
    /// 32-bit signed integer.
    Int32 = 1,
    /// 64-bit signed integer.
    Int64 = 2,
    /// 32-bit floating point number.
    Float = 3,
    /// 64-bit floating point number.
    Double = 4,
    /// UTF-8 text.
    Text = 5,
    /// Point in time, in the cluster's precision.
    Timestamp = 8,
    /// Calendar day as the number yyyymmdd.
    Date = 9,
    /// Bytes.
    Blob = 10,
    /// UTF-8 text, as `Text`.
    String = 11,
    /// Large object (2.0 only): passed on as bytes.
    Object = 12,
}

impl DataType {
    /// Every type that can occur, in the order of the codes.
    pub const ALL: [Self; 11] = [
        Self::Boolean,
        Self::Int32,
        Self::Int64,
        Self::Float,
        Self::Double,
        Self::Text,
        Self::Timestamp,
        Self::Date,
        Self::Blob,
        Self::String,
        Self::Object,
    ];

    /// The type with this code, or `None` for codes that no value can have.
    #[inline]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Boolean,
            1 => Self::Int32,
            2 => Self::Int64,
            3 => Self::Float,
            4 => Self::Double,
            5 => Self::Text,
            8 => Self::Timestamp,
            9 => Self::Date,
            10 => Self::Blob,
            11 => Self::String,
            12 => Self::Object,
            _ => return None,
        })
    }

    /// The byte that stands for the type on the wire and in files.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Bytes of one value, or `None` for the types whose values carry their own length.
    #[inline]
    pub const fn value_bytes(self) -> Option<usize> {
        match self {
            Self::Boolean => Some(1),
            Self::Int32 | Self::Float | Self::Date => Some(4),
            Self::Int64 | Self::Double | Self::Timestamp => Some(8),
            Self::Text | Self::Blob | Self::String | Self::Object => None,
        }
    }

    /// Whether a value is a length and as many bytes.
    pub const fn is_binary(self) -> bool {
        self.value_bytes().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_type_belong_together() {
        let known: Vec<u8> =
            (0..=u8::MAX).filter(|&code| DataType::from_code(code).is_some()).collect();
        assert_eq!(known, [0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12]);
        for data_type in DataType::ALL {
            assert_eq!(DataType::from_code(data_type.code()), Some(data_type));
        }
    }

    #[test]
    fn only_texts_and_blobs_have_a_length() {
        let binary: Vec<u8> =
            DataType::ALL.into_iter().filter(|t| t.is_binary()).map(DataType::code).collect();
        assert_eq!(binary, [5, 10, 11, 12]);
        assert_eq!(DataType::Timestamp.value_bytes(), Some(8));
        assert_eq!(DataType::Date.value_bytes(), Some(4));
    }
}
