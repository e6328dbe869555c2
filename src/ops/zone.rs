//! The zone of the system, for times that people read in tables.

use super::clock::EpochMillis;

/// A time as stock tables show it (`LocalDateTime` of Java): `2024-03-05T09:30:11.482` in the system's zone, without
/// the milliseconds if they are zero, and then without the seconds if those are.
pub fn local_text(time: EpochMillis) -> String {
    text_at(time, offset_seconds(time))
}

fn text_at(time: EpochMillis, offset_seconds: i64) -> String {
    let text = EpochMillis(time.0.saturating_add(offset_seconds * 1000)).to_string();
    let text = text.trim_end_matches('Z');
    let Some(whole) = text.strip_suffix(".000") else { return text.to_owned() };
    whole.strip_suffix(":00").unwrap_or(whole).to_owned()
}

/// What the system's zone is ahead of UTC at that time: `TZ`, or `/etc/localtime`. 0 if it cannot be known.
#[expect(unsafe_code, reason = "a call of the C library with two places of our own")]
pub fn offset_seconds(time: EpochMillis) -> i64 {
    let seconds: libc::time_t = time.0.div_euclid(1000);
    let mut broken_down = std::mem::MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are valid for the call. The variable `TZ` is read, which nobody in this program sets.
    let known =
        unsafe { !libc::localtime_r(&raw const seconds, broken_down.as_mut_ptr()).is_null() };
    // SAFETY: all of its bytes were zeroed, and zeros are a valid value of each field.
    if known { unsafe { broken_down.assume_init() }.tm_gmtoff } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_at_the_end_are_left_out_as_java_does() {
        for (millis, offset, text) in [
            (1_709_631_011_482, 0, "2024-03-05T09:30:11.482"),
            (1_709_631_011_000, 0, "2024-03-05T09:30:11"),
            (1_709_631_000_000, 0, "2024-03-05T09:30"),
            (1_709_631_000_500, 0, "2024-03-05T09:30:00.500"),
            (1_709_631_011_482, 28_800, "2024-03-05T17:30:11.482"),
            (0, -3_600, "1969-12-31T23:00"),
        ] {
            assert_eq!(text_at(EpochMillis(millis), offset), text);
        }
        let offset = offset_seconds(EpochMillis(1_709_631_011_482));
        assert!((-14 * 3600..=14 * 3600).contains(&offset), "{offset}");
    }
}
