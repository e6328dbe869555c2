//! Conditions with deadlines, in place of sleeps.

use std::time::Duration;

use crate::clock;

/// Between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(5);

/// What did not happen in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} did not happen within {limit:?}")]
pub struct Late {
    /// What was waited for.
    pub what: String,
    /// For how long.
    pub limit: Duration,
}

/// Looks until `look` finds something.
///
/// # Errors
/// When the limit has passed.
pub fn find<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> Result<T, Late> {
    let deadline = clock::now() + limit;
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if clock::now() >= deadline {
            return Err(Late { what: what.into(), limit });
        }
        clock::pause(PAUSE);
    }
}

/// Looks until `is_so`.
///
/// # Errors
/// When the limit has passed.
pub fn until(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) -> Result<(), Late> {
    find(what, limit, || is_so().then_some(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_looked_at_until_it_holds_or_time_is_up() {
        let mut looks = 0;
        let found = find("the third look", Duration::from_secs(5), || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(found, Ok(3));
        let late = until("never", Duration::ZERO, || false).unwrap_err();
        assert!(late.to_string().contains("never"));
    }
}
