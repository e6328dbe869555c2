//! What holds for any bytes taken for a `TsFile`, or for a column of one: shared as `checks.rs` is.

use penstock::data::{DataType, TimeRange};
use penstock::tsfile::check::{Depth, check};
use penstock::tsfile::cut::{Cutting, Plan, Selection, cut};
use penstock::tsfile::encoding::{Encoding, Values, decode, decode_front, decode_times, encode};
use penstock::tsfile::read::{Deletions, Points, TsFile};
use penstock::tsfile::write::{MemoryScratch, Settings, Version, Writer};

/// A file that is sound reads to the end, and to as many points as the check counts; what is cut out of it
/// is sound, too. Of any other file nothing is expected but an end.
pub(crate) fn ts_file(bytes: &[u8]) {
    let mut flaws = 0;
    let checked = check(&bytes, Depth::Pages, &mut |_| flaws += 1).expect("memory does not fail");
    assert_eq!(checked.flaws, flaws);
    let Ok(file) = TsFile::open(bytes) else { return };
    let read = points_of(&file);
    if flaws > 0 {
        return;
    }
    assert_eq!(read, Some(checked.points));
    let version = if file.summary().version == 3 { Version::V3 } else { Version::V4 };
    let settings =
        Settings { version, both_orders: false, chunk_points: usize::MAX, ..Settings::default() };
    let scratches: [MemoryScratch; 2] = Default::default();
    let mut writer = Writer::new(Vec::new(), scratches, settings).expect("memory");
    let (deletions, selection) = (Deletions::default(), Selection::ALL);
    if cut(&file, &Plan::unlimited(&deletions, &selection), &mut writer).is_ok() {
        let (made, written) = writer.finish().expect("memory");
        assert_eq!(written.points, checked.points);
        let again = check(&&made[..], Depth::Pages, &mut |flaw| assert_eq!(flaw.to_string(), ""));
        assert_eq!(again.expect("memory").points, checked.points);
    }
}

/// A cut in steps, of a file with modifications, is the one that is made in one go, to the byte; of a sound file it is
/// sound, and has as many points as a reader sees that knows the modifications. In front of the file lie: whether they are
/// records and how long the steps are, a byte; the first time that is kept, and the length of the modifications, two
/// bytes each; and those themselves.
pub(crate) fn cut_in_steps(bytes: &[u8]) {
    let [choice, time @ .., _, _] = bytes.first_chunk::<5>().unwrap_or(&[0; 5]);
    let length = bytes.get(3..5).map_or(0, |pair| usize::from(pair[0]) << 8 | usize::from(pair[1]));
    let Some((mods, bytes)) = bytes.get(5..).and_then(|rest| rest.split_at_checked(length)) else {
        return;
    };
    let is_text = choice % 2 == 0;
    let read = if is_text { Deletions::from_lines(mods) } else { Deletions::from_records(mods) };
    let (Ok(deletions), Ok(file)) = (read, TsFile::open(bytes)) else { return };
    let first = i64::from(u16::from_be_bytes(*time));
    let times = TimeRange { min: if first == 0 { i64::MIN } else { first }, max: i64::MAX };
    let selection = Selection { series: None, times };
    let unlimited = Plan::unlimited(&deletions, &selection);
    let at_once = made(&file, &unlimited, u64::MAX);
    let step = u64::from(choice / 2) * 8;
    assert!(at_once == made(&file, &unlimited, step), "in steps of {step}");
    // Where the memory ends it ends with an error, or in the same.
    let limited = made(&file, &Plan { columns_max: 4, rows_max: 16, ..unlimited }, step);
    assert!(limited.is_none() || limited == at_once);
    let mut flaws = 0;
    check(&bytes, Depth::Pages, &mut |_| flaws += 1).expect("memory does not fail");
    if let Some((made, points)) = at_once.filter(|_| flaws == 0) {
        let mut seen = Points::new(&file, Some(&deletions));
        seen.within(times);
        assert_eq!(count(&file, seen), Some(points));
        let again = check(&&made[..], Depth::Pages, &mut |flaw| assert_eq!(flaw.to_string(), ""));
        assert_eq!(again.expect("memory").points, points);
    }
}

/// What is cut out of a file in steps of so many bytes, with the number of its points; `None` if it is flawed.
fn made(file: &TsFile<&[u8]>, plan: &Plan<'_>, step: u64) -> Option<(Vec<u8>, u64)> {
    let version = if file.summary().version == 3 { Version::V3 } else { Version::V4 };
    let settings =
        Settings { version, both_orders: false, chunk_points: usize::MAX, ..Settings::default() };
    let scratches: [MemoryScratch; 2] = Default::default();
    let mut writer = Writer::new(Vec::new(), scratches, settings).expect("memory");
    let mut cutting = Cutting::new(file, &mut writer).ok()?;
    while cutting.step(*file.file(), plan, &mut writer, step.max(1)).ok()? {}
    let (made, written) = writer.finish().expect("memory");
    Some((made, written.points))
}

/// Points of all devices; `None` if some cannot be read.
fn points_of(file: &TsFile<&[u8]>) -> Option<u64> {
    count(file, Points::new(file, None))
}

fn count(file: &TsFile<&[u8]>, mut points: Points<'_, &[u8]>) -> Option<u64> {
    let mut devices = file.devices().ok()?;
    let mut count = 0;
    while let Some(device) = devices.next().ok()? {
        points.start(&device).ok()?;
        while let Some(piece) = points.next(|_| true).ok()? {
            assert_eq!(piece.times.len(), piece.values.len());
            count += piece.times.len() as u64;
        }
    }
    Some(count)
}

/// A column decodes to as many values as asked for or to an error, and what it decoded to is encoded to
/// something that decodes to the same. The first two bytes choose type, encoding and count.
pub(crate) fn column(bytes: &[u8]) {
    let [kind, count, input @ ..] = bytes else { return };
    let data_type = DataType::ALL[usize::from(*kind) % DataType::ALL.len()];
    let encoding = Encoding::ALL[usize::from(kind / 16) % Encoding::ALL.len()];
    let count = usize::from(*count) * 7;
    let mut values = Values::of(data_type);
    if decode(data_type, encoding, input, count, &mut values).is_ok() {
        assert_eq!(values.len(), count);
        let (mut out, mut again) = (Vec::new(), Values::of(data_type));
        if encode(encoding, &values, &mut out).is_ok() {
            decode(data_type, encoding, &out, count, &mut again).expect("it was encoded");
            let mut third = Vec::new();
            encode(encoding, &again, &mut third).expect("it was encoded");
            assert_eq!(out, third, "NaN does not equal itself, its bytes do");
        }
    }
    let mut in_front = Values::of(data_type);
    if let Ok(rest) = decode_front(data_type, encoding, input, count, &mut in_front) {
        assert_eq!(in_front.len(), count);
        assert!(input.ends_with(rest));
    }
    let mut times = Vec::new();
    let _outcome = decode_times(encoding, input, 1000, &mut times);
    assert!(times.len() <= 1001);
}
