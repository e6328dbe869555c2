//! What two patterns have in common, as patterns: a deletion names series by wildcards, and so does a pipe.
//!
//! ```text
//!  root.**       and  root.a.*      root.a.*
//!  root.*.s1     and  root.a.**     root.a.s1
//!  root.**.s1    and  root.a.**     root.a.s1, root.a.**.s1
//! ```

use crate::data::Pattern;
use crate::data::path::{nodes, unquoted};

/// Patterns that one path may become; with more it stays as it is.
const OVERLAPS_MAX: usize = 64;

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

/// The series that both paths mean; `None` if they are too many paths.
pub(super) fn of(left: &[String], right: &[String]) -> Option<Vec<Nodes>> {
    let mut search = Search { found: Vec::new(), steps: 0 };
    let mut path = Vec::new();
    search.go(left, right, &mut path).then_some(search.found)
}

struct Search {
    found: Vec<Nodes>,
    steps: usize,
}

impl Search {
    /// Adds what begins with `path` and goes on as both do. False if it is too much.
    fn go(&mut self, left: &[String], right: &[String], path: &mut Nodes) -> bool {
        self.steps += 1;
        if self.found.len() > OVERLAPS_MAX || self.steps > OVERLAPS_MAX * OVERLAPS_MAX {
            return false;
        }
        let (Some((first, rest)), Some((other, others))) =
            (left.split_first(), right.split_first())
        else {
            if left.is_empty() && right.is_empty() && !self.found.contains(path) {
                self.found.push(path.clone());
            }
            return true;
        };
        let Some(node) = common(first, other) else { return true };
        path.push(node);
        // After this node either of two `**` may go on alone.
        let is_whole = self.go(rest, others, path)
            && (first != "**" || self.go(left, others, path))
            && (other != "**" || self.go(rest, right, path));
        path.pop();
        is_whole
    }
}

/// What one node can be for both; of two that have wildcards in them, and are neither the same nor one within the
/// other, the left one.
fn common(left: &str, right: &str) -> Option<String> {
    let is_free = |node: &str| matches!(node, "*" | "**");
    let narrower = match (is_free(left), is_free(right)) {
        (true, true) if left == "**" => right,
        (_, true) => left,
        (true, false) => right,
        (false, false) => match (left.contains('*'), right.contains('*')) {
            (false, false) => return (left == right).then(|| left.to_owned()),
            (false, true) => return matches(right, left).then(|| left.to_owned()),
            (true, false) => return matches(left, right).then(|| right.to_owned()),
            (true, true) if matches(left, right) => right,
            (true, true) => left,
        },
    };
    Some(narrower.to_owned())
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

    fn overlap(left: &str, right: &str) -> Vec<String> {
        let mut found: Vec<_> =
            of(&split(left), &split(right)).unwrap().iter().map(|path| path.join(".")).collect();
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
            let found = of(&split(&left), &split(&right)).unwrap();
            let got = found.iter().any(|path| path::matches(&path.join("."), &series));
            prop_assert_eq!(got, path::matches(&left, &series) && path::matches(&right, &series));
        }
    }
}
