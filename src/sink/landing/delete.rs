//! Deletions: requests that become a line of the ledger.

use crate::data::{ReadAt, TimeRange};
use crate::limits;
use crate::wire::bytes::Reader;
use crate::wire::delete::Delete;
use crate::wire::request::{Head, RequestType};

/// What a deletion says: the series, each as one text, and which times go, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deletion {
    pub(super) paths: Vec<String>,
    pub(super) time_range: TimeRange,
}

/// The deletion in a payload; `None` if it is another request, or names more than a line of the ledger holds. `buffer`
/// has to hold the whole payload.
///
/// # Errors
/// What the disk says.
pub(super) fn read<F: ReadAt>(payload: &F, buffer: &mut [u8]) -> std::io::Result<Option<Deletion>> {
    let bytes = usize::try_from(payload.len()).unwrap_or(usize::MAX);
    let Some(buffer) = buffer.get_mut(..bytes) else { return Ok(None) };
    let count = payload.read_at(0, buffer)?;
    Ok(buffer.get(..count).and_then(decode))
}

fn decode(payload: &[u8]) -> Option<Deletion> {
    let mut reader = Reader::new(payload);
    if Head::read(&mut reader).ok()?.known().ok()? != RequestType::PlanNode {
        return None;
    }
    let (delete, _zeros) = Delete::decode(reader.rest()).ok()??;
    let paths: Vec<String> = delete.paths().map(|path| path_text(path.nodes())).collect();
    let bytes: usize = paths.iter().map(|path| json_bytes(path)).sum();
    let fits = paths.len() <= limits::LEDGER_PATHS_MAX && bytes <= limits::LEDGER_PATHS_BYTES_MAX;
    fits.then_some(Deletion { paths, time_range: delete.time_range })
}

/// Bytes of a text as a line of the ledger has it, with its quotes and a comma.
fn json_bytes(text: &str) -> usize {
    let escaped = |byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(escaped).sum::<usize>() + 3
}

fn path_text<'a>(nodes: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for node in nodes {
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(node);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::bytes::Writer;
    use crate::wire::delete::{self, PathKind};

    fn request(paths: &[&[&str]]) -> Vec<u8> {
        let mut payload = Vec::new();
        let mut writer = Writer::into_vec(&mut payload, 1 << 20);
        Head::of(RequestType::PlanNode).write(&mut writer);
        let time_range = TimeRange { min: i64::MIN, max: 7 };
        delete::write(PathKind::Measurement, paths, time_range, "1", &mut writer);
        writer.finish().expect("it fits");
        payload
    }

    #[test]
    fn a_deletion_is_read_with_its_paths_and_times() {
        let mut payload = request(&[&["root", "sg", "d1", "**"], &["root", "x"]]);
        payload.extend([0; 40]);
        let mut buffer = [0; 1024];
        let deletion = read(&payload.as_slice(), &mut buffer).expect("read").expect("a deletion");
        assert_eq!(deletion.paths, ["root.sg.d1.**", "root.x"]);
        assert_eq!(deletion.time_range, TimeRange { min: i64::MIN, max: 7 });
    }

    #[test]
    fn a_text_is_as_long_as_the_ledger_has_it() {
        for text in ["root.d1", "\u{8}\u{c}\n\r\t\"\\", "\u{1}\u{1f}\u{7f}\u{20ac}", ""] {
            let json = serde_json::to_string(text).expect("text");
            assert_eq!(json_bytes(text), json.len() + 1, "{json}");
        }
    }

    #[test]
    fn what_is_no_deletion_or_too_long_for_a_line_is_none() {
        let mut buffer = vec![0; 1 << 20];
        let mut none = |payload: &[u8]| read(&payload, &mut buffer).expect("read").is_none();
        let sound = request(&[&["root", "d"]]);
        for end in 0..sound.len() {
            assert!(none(&sound[..end]), "{end} bytes");
        }
        assert!(none(b"\x01\x00\x64\x00\x0f"), "another plan");
        assert!(none(b"\x01\x00\xc8\x00\x2c"), "a plan of the other kind");
        let long = "x".repeat(1024);
        let path = ["root", long.as_str()];
        assert!(!none(&request(&[&path[..]; 3])));
        assert!(none(&request(&[&path[..]; 30])));
        let control = "\x01".repeat(700);
        let path = ["root", control.as_str()];
        assert!(!none(&request(&[&path[..]])), "4 KiB");
        assert!(none(&request(&[&path[..]; 2])), "more than 8 KiB");
        let mut short = vec![0; sound.len() - 1];
        assert!(read(&sound.as_slice(), &mut short).expect("read").is_none());
    }
}
