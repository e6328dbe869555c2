//! Times ascend within a series.

/// The first of some times that is not later than the one before it; `last` went before all of them.
pub(super) fn first_stray(last: Option<i64>, times: &[i64]) -> Option<i64> {
    let first = times.first()?;
    if last.is_some_and(|last| last >= *first) {
        return Some(*first);
    }
    // Nearly always they ascend: that is asked first, since it is the faster question.
    if times.is_sorted_by(|before, time| before < time) {
        return None;
    }
    let mut pairs = times.iter().zip(times.iter().skip(1));
    pairs.find(|(before, time)| before >= time).map(|(_, time)| *time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_time_out_of_order_is_found() {
        assert_eq!(first_stray(None, &[]), None);
        assert_eq!(first_stray(Some(5), &[]), None);
        assert_eq!(first_stray(None, &[i64::MIN, 0, i64::MAX]), None);
        assert_eq!(first_stray(Some(5), &[5, 6]), Some(5));
        assert_eq!(first_stray(Some(5), &[6, 8, 8, 7]), Some(8));
        assert_eq!(first_stray(None, &[1, 2, 1, 0]), Some(1));
    }
}
