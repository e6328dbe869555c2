//! Types of values that come as texts: those that a server with default settings infers for a series that it does not know.
//!
//! | text | type |
//! |---|---|
//! | `null`, `NULL` | no value |
//! | `true`, `False` | `BOOLEAN` |
//! | `12`, `-1.5e3`, ` 7 `, `NaN` | `DOUBLE` |
//! | `X'0aff'` | `BLOB` |
//! | anything else: `abc`, `1.5f`, `'12'` | `TEXT`, without quotes around it |
//!
//! Defined by `TypeInferenceUtils` and `CommonUtils.parseValue` of IoTDB. Penstock keeps no schema, so the same series has
//! the same type here only as long as its texts look alike; whoever knows types writes records or tablets.

use crate::data::DataType;
use crate::wire::bytes::Writer;
use crate::wire::row::TAG_NULL;

/// Why a text is no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoValue {
    /// Beyond what a double holds.
    #[error("the number is larger than any double")]
    Infinite,
    /// A blob's digits.
    #[error("a blob has two hexadecimal digits for each byte: X'0aff'")]
    Blob,
}

/// Puts the cell that a text is: tag and value.
///
/// # Errors
/// [`NoValue`]; nothing is put then.
pub fn put_inferred(text: &str, out: &mut Writer<'_>) -> Result<(), NoValue> {
    if matches!(text, "null" | "NULL") {
        out.i8(TAG_NULL);
    } else if let Some(truth) = boolean(text) {
        out.u8(DataType::Boolean.code());
        out.bool(truth);
    } else if let Some(number) = double(text) {
        if number.is_infinite() {
            return Err(NoValue::Infinite);
        }
        out.u8(DataType::Double.code());
        out.put(&number.to_be_bytes());
    } else if let Some(digits) = text.strip_prefix("X'").and_then(|rest| rest.strip_suffix('\'')) {
        put_blob(digits, out)?;
    } else {
        put_text(without_quotes(text), out);
    }
    Ok(())
}

/// Puts the cell of a text that is one whatever it looks like.
pub fn put_text(text: &str, out: &mut Writer<'_>) {
    out.u8(DataType::Text.code());
    out.string(text);
}

fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        return Some(true);
    }
    text.eq_ignore_ascii_case("false").then_some(false)
}

/// What Java takes for a double, but for its hexadecimal form.
fn double(text: &str) -> Option<f64> {
    let text = text.trim_matches(|letter| letter <= ' ');
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    // Rust takes more words than these two.
    let is_number = unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        || matches!(unsigned, "NaN" | "Infinity");
    if is_number { text.parse().ok() } else { None }
}

fn put_blob(digits: &str, out: &mut Writer<'_>) -> Result<(), NoValue> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| Some(digit(high)? << 4 | digit(low)?);
    if !rest.is_empty() || pairs.iter().any(|pair| byte(pair).is_none()) {
        return Err(NoValue::Blob);
    }
    out.u8(DataType::Blob.code());
    out.count(pairs.len());
    pairs.iter().filter_map(byte).for_each(|value| out.u8(value));
    Ok(())
}

fn without_quotes(text: &str) -> &str {
    let between = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    between('\'').or_else(|| between('"')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str) -> Result<Vec<u8>, NoValue> {
        let mut bytes = Vec::new();
        let mut out = Writer::into_vec(&mut bytes, 100);
        put_inferred(text, &mut out)?;
        Ok(bytes)
    }

    #[test]
    fn texts_get_the_types_that_iotdb_infers() {
        assert_eq!(cell("null"), Ok(vec![0xfe]));
        assert_eq!((cell("true"), cell("FALSE")), (Ok(vec![0, 1]), Ok(vec![0, 0])));
        for (text, number) in
            [("12", 12.0), ("-1.5e3", -1500.0), (" 7 ", 7.0), (".5", 0.5), ("+2.", 2.0)]
        {
            let bytes = [&[4][..], &f64::to_be_bytes(number)].concat();
            assert_eq!(cell(text), Ok(bytes), "{text}");
        }
        assert_eq!(cell("NaN").map(|bytes| bytes[0]), Ok(4));
        assert_eq!(cell("X'0aFF'"), Ok(vec![10, 0, 0, 0, 2, 0x0a, 0xff]));
        assert_eq!(cell("X''"), Ok(vec![10, 0, 0, 0, 0]));
        for (text, written) in [
            ("abc", "abc"),
            ("1.5f", "1.5f"),
            ("'12'", "12"),
            ("\"12\"", "12"),
            ("'", "'"),
            ("inf", "inf"),
            ("nan", "nan"),
            ("Null", "Null"),
            ("", ""),
            ("1 2", "1 2"),
            ("\u{6c34}", "\u{6c34}"),
        ] {
            let length = u8::try_from(written.len()).expect("short");
            let bytes = [&[5, 0, 0, 0, length], written.as_bytes()].concat();
            assert_eq!(cell(text), Ok(bytes), "{text}");
        }
        assert_eq!(
            (cell("1e999"), cell("Infinity")),
            (Err(NoValue::Infinite), Err(NoValue::Infinite))
        );
        assert_eq!((cell("X'0'"), cell("X'0g'")), (Err(NoValue::Blob), Err(NoValue::Blob)));
    }
}
