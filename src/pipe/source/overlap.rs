//! What two patterns have in common, as patterns: a deletion names series by wildcards, and so does a pipe.
//!
//! ```text
//!  root.**       and  root.a.*      root.a.*
//!  root.*.s1     and  root.a.**     root.a.s1
//!  root.**.s1    and  root.a.**     root.a.s1, root.a.**.s1
//! ```

use crate::data::Pattern;
use crate::data::path::{nodes, unquoted};

/// Steps of all comparisons of one deletion: some tens of milliseconds.
const STEPS_MAX: usize = 1 << 20;

/// A path as its nodes.
pub(super) type Nodes = Vec<String>;

/// The nodes of a path with wildcards.
pub(super) fn split(path: &str) -> Nodes {
    nodes(path).map(|node| unquoted(node).to_owned()).collect()
}

/// A pattern as paths with wildcards: a prefix may end within a node, and stands for what is below that, too.
pub(super) fn paths_of(pattern: &Pattern) -> Vec<Nodes> {
    let prefix = match pattern {
        Pattern::Path(path) => return vec![split(path)],
        Pattern::Prefix(prefix) => prefix,
    };
    let mut begun = split(prefix);
    let Some(last) = begun.pop() else { return Vec::new() };
    let with = |ending: &[&str]| -> Nodes {
        begun.iter().cloned().chain(ending.iter().map(|node| (*node).to_owned())).collect()
    };
    if last.is_empty() {
        return vec![with(&["**"])];
    }
    // A path is below root, which itself is no series.
    if begun.is_empty() {
        return vec![with(&[&last, "**"])];
    }
    let glob = format!("{last}*");
    vec![with(&[&glob]), with(&[&glob, "**"])]
}

/// What comparing may still cost.
#[derive(Debug)]
pub(super) struct Budget {
    steps: usize,
}

/// Comparing took more than its budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exhausted;

impl Budget {
    pub(super) const fn new() -> Self {
        Self { steps: STEPS_MAX }
    }

    fn spend(&mut self, steps: usize) -> Result<(), Exhausted> {
        self.steps = self.steps.checked_sub(steps).ok_or(Exhausted)?;
        Ok(())
    }
}

/// The series that both paths mean.
pub(super) fn of<'a, T: AsRef<str>>(
    left: &'a [T],
    right: &'a [String],
    budget: &mut Budget,
) -> Result<Vec<Vec<&'a str>>, Exhausted> {
    let mut search = Search { found: Vec::new(), budget };
    search.go(left, right, &mut Vec::new())?;
    Ok(search.found)
}

/// Whether `path`, which may have wildcards itself, means nothing that `pattern` does not take. May be false of such
/// a path all the same: if it takes several patterns to cover it.
pub(super) fn covers(
    pattern: &[String],
    path: &[&str],
    budget: &mut Budget,
) -> Result<bool, Exhausted> {
    budget.spend((pattern.len() + 1) * path.len())?;
    // All ways at one time: whether the first so many nodes of the pattern take all nodes so far.
    let mut at = vec![false; pattern.len() + 1];
    at.splice(..1, [true]);
    for node in path {
        let mut next = vec![false];
        for (index, taken) in pattern.iter().enumerate() {
            let is_set = |index: usize| at.get(index).copied().unwrap_or_default();
            // Of a path's own wildcards `**` is more than a node, the others are within one.
            let takes = taken == "**" || (*node != "**" && matches(taken, node));
            next.push(takes && (is_set(index) || (taken == "**" && is_set(index + 1))));
        }
        at = next;
    }
    Ok(at.last().copied().unwrap_or_default())
}

struct Search<'a, 'b> {
    found: Vec<Vec<&'a str>>,
    budget: &'b mut Budget,
}

impl<'a> Search<'a, '_> {
    /// Adds what begins with `path` and goes on as both do.
    fn go<T: AsRef<str>>(
        &mut self,
        left: &'a [T],
        right: &'a [String],
        path: &mut Vec<&'a str>,
    ) -> Result<(), Exhausted> {
        self.budget.spend(1)?;
        let (Some((first, rest)), Some((other, others))) =
            (left.split_first(), right.split_first())
        else {
            return if left.is_empty() && right.is_empty() { self.add(path) } else { Ok(()) };
        };
        let first = first.as_ref();
        let Some(node) = common(first, other) else { return Ok(()) };
        path.push(node);
        // After this node either of two `**` may go on alone.
        self.go(rest, others, path)?;
        if first == "**" {
            self.go(left, others, path)?;
        }
        if other == "**" {
            self.go(rest, right, path)?;
        }
        path.pop();
        Ok(())
    }

    fn add(&mut self, path: &[&'a str]) -> Result<(), Exhausted> {
        self.budget.spend(self.found.len())?;
        if !self.found.iter().any(|found| found == path) {
            self.found.push(path.to_vec());
        }
        Ok(())
    }
}

/// What one node can be for both; of two that have wildcards in them, and are neither the same nor one within the
/// other, the left one.
fn common<'a>(left: &'a str, right: &'a str) -> Option<&'a str> {
    let is_free = |node: &str| matches!(node, "*" | "**");
    match (is_free(left), is_free(right)) {
        (true, true) if left == "**" => Some(right),
        (_, true) => Some(left),
        (true, false) => Some(right),
        (false, false) => match (left.contains('*'), right.contains('*')) {
            (false, false) => (left == right).then_some(left),
            (false, true) => matches(right, left).then_some(left),
            (true, false) => matches(left, right).then_some(right),
            (true, true) if matches(left, right) => Some(right),
            (true, true) => Some(left),
        },
    }
}

/// Whether a node with `*` in it takes a node, whose own `*` stand for any text.
fn matches(pattern: &str, node: &str) -> bool {
    crate::data::path::matches(pattern, node)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::data::path;

    fn both(left: &str, right: &str) -> Vec<Nodes> {
        let (left, right) = (split(left), split(right));
        let found = of(&left, &right, &mut Budget::new()).unwrap();
        found.iter().map(|path| path.iter().map(|node| (*node).to_owned()).collect()).collect()
    }

    fn is_covered(pattern: &str, path: &str) -> bool {
        let path = split(path);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        covers(&split(pattern), &path, &mut Budget::new()).unwrap()
    }

    fn overlap(left: &str, right: &str) -> Vec<String> {
        let mut found: Vec<_> = both(left, right).iter().map(|path| path.join(".")).collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn paths_overlap_as_drawn() {
        assert_eq!(overlap("root.**", "root.a.*"), ["root.a.*"]);
        assert_eq!(overlap("root.*.s1", "root.a.**"), ["root.a.s1"]);
        assert_eq!(overlap("root.**.s1", "root.a.**"), ["root.a.**.s1", "root.a.s1"]);
        assert_eq!(overlap("root.a.b", "root.a.b"), ["root.a.b"]);
        assert_eq!(overlap("root.a.b*", "root.a.bc"), ["root.a.bc"]);
        assert!(overlap("root.a.b", "root.a.c").is_empty());
        assert!(overlap("root.a", "root.a.**").is_empty());
    }

    #[test]
    fn a_pattern_covers_what_it_takes_all_of() {
        let covered = [
            ("root.a.**", "root.a.b.*"),
            ("root.a.*", "root.a.*"),
            ("root.**", "root.**.b"),
            ("root.**.b*", "root.a.**.bc*"),
        ];
        for (pattern, path) in covered {
            assert!(is_covered(pattern, path), "{pattern} {path}");
        }
        let not = [
            ("root.a.*", "root.a.**"),
            ("root.*.b", "root.**.b"),
            ("root.a.b", "root.a.*"),
            ("root.a.**", "root.a"),
            ("root.a.bc*", "root.a.b*"),
        ];
        for (pattern, path) in not {
            assert!(!is_covered(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn comparing_ends() {
        let many = split(&format!("root{}", ".**.a".repeat(16)));
        let mut budget = Budget::new();
        assert_eq!(of(&many, &many, &mut budget), Err(Exhausted));
    }

    #[test]
    fn a_prefix_is_paths() {
        let paths = |text: &str| -> Vec<String> {
            let pattern = Pattern::Prefix(text.to_owned());
            paths_of(&pattern).iter().map(|path| path.join(".")).collect()
        };
        assert_eq!(paths("root"), ["root.**"]);
        assert_eq!(paths("root.a."), ["root.a.**"]);
        assert_eq!(paths("root.a.b"), ["root.a.b*", "root.a.b*.**"]);
    }

    proptest! {
        #[test]
        fn an_overlap_takes_what_both_take(
            left in "root(\\.(a|b|\\*|\\*\\*|a\\*)){1,4}",
            right in "root(\\.(a|b|\\*|\\*\\*)){1,4}",
            series in "root(\\.(a|b|ab)){1,5}",
        ) {
            let found = both(&left, &right);
            let got = found.iter().any(|path| path::matches(&path.join("."), &series));
            prop_assert_eq!(got, path::matches(&left, &series) && path::matches(&right, &series));
        }

        #[test]
        fn what_is_covered_is_taken(
            pattern in "root(\\.(a|b|\\*|\\*\\*|a\\*)){1,4}",
            path in "root(\\.(a|b|\\*|\\*\\*|ab\\*)){1,4}",
            series in "root(\\.(a|b|ab|abb)){1,5}",
        ) {
            if is_covered(&pattern, &path) && path::matches(&path, &series) {
                prop_assert!(path::matches(&pattern, &series));
            }
        }
    }
}
