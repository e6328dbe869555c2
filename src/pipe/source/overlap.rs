//! What two patterns have in common, as patterns: a deletion names series by wildcards, and so does a pipe.
//!
//! ```text
//!  root.**       and  root.a.*      root.a.*
//!  root.*.s1     and  root.a.**     root.a.s1
//!  root.**.s1    and  root.a.**     root.a.s1, root.a.**.s1
//!  root.ab*      and  root.*bc      root.ab*bc, root.abc
//! ```

use std::borrow::Cow;

use crate::data::Pattern;
use crate::data::path::{is_glob, node_matches, nodes, unquoted};

/// Steps of all comparisons of one deletion, and bytes that are kept of them: some tens of milliseconds.
const STEPS_MAX: usize = 1 << 20;

/// Bytes of two nodes with `*` in them that are compared; each is a step deeper.
const GLOBS_BYTES_MAX: usize = 1 << 10;

/// A path as its nodes.
pub(super) type Nodes = Vec<String>;
/// A path that both of two others mean; what neither of them says is made anew.
pub(super) type Common<'a> = Vec<Cow<'a, str>>;

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
    // No name goes on behind its back quote.
    let begins = if last.starts_with('`') { last } else { format!("{last}*") };
    vec![with(&[&begins]), with(&[&begins, "**"])]
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
) -> Result<Vec<Common<'a>>, Exhausted> {
    let mut search = Search { found: Vec::new(), budget };
    search.go(left, right, &mut Vec::new())?;
    Ok(search.found)
}

/// Whether `path`, which may have wildcards itself, means nothing that `pattern` does not take. May be false of such
/// a path all the same: if it takes several patterns to cover it.
pub(super) fn covers<T: AsRef<str>>(
    pattern: &[String],
    path: &[T],
    budget: &mut Budget,
) -> Result<bool, Exhausted> {
    budget.spend((pattern.len() + 1) * path.len())?;
    // All ways at one time: whether the first so many nodes of the pattern take all nodes so far.
    let mut at = vec![false; pattern.len() + 1];
    at.splice(..1, [true]);
    for node in path.iter().map(AsRef::as_ref) {
        let mut next = vec![false];
        for (index, taken) in pattern.iter().enumerate() {
            let is_set = |index: usize| at.get(index).copied().unwrap_or_default();
            // Of a path's own wildcards `**` is more than a node, the others are within one.
            let takes = taken == "**" || (node != "**" && node_matches(taken, node));
            next.push(takes && (is_set(index) || (taken == "**" && is_set(index + 1))));
        }
        at = next;
    }
    Ok(at.last().copied().unwrap_or_default())
}

struct Search<'a, 'b> {
    found: Vec<Common<'a>>,
    budget: &'b mut Budget,
}

impl<'a> Search<'a, '_> {
    /// Adds what begins with `path` and goes on as both do.
    fn go<T: AsRef<str>>(
        &mut self,
        left: &'a [T],
        right: &'a [String],
        path: &mut Common<'a>,
    ) -> Result<(), Exhausted> {
        self.budget.spend(1)?;
        let (Some((first, rest)), Some((other, others))) =
            (left.split_first(), right.split_first())
        else {
            return if left.is_empty() && right.is_empty() { self.add(path) } else { Ok(()) };
        };
        let first = first.as_ref();
        for node in common(first, other, self.budget)? {
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
        }
        Ok(())
    }

    fn add(&mut self, path: &[Cow<'a, str>]) -> Result<(), Exhausted> {
        self.budget.spend(self.found.len())?;
        if !self.found.iter().any(|found| found == path) {
            self.found.push(path.to_vec());
        }
        Ok(())
    }
}

/// What one node can be for both.
fn common<'a>(
    left: &'a str,
    right: &'a str,
    budget: &mut Budget,
) -> Result<Vec<Cow<'a, str>>, Exhausted> {
    let is_free = |node: &str| matches!(node, "*" | "**");
    let one = match (is_free(left), is_free(right)) {
        (true, true) if left == "**" => Some(right),
        (_, true) => Some(left),
        (true, false) => Some(right),
        (false, false) => match (is_glob(left), is_glob(right)) {
            (false, false) => (left == right).then_some(left),
            (false, true) => node_matches(right, left).then_some(left),
            (true, false) => node_matches(left, right).then_some(right),
            (true, true) => return both_globs(left, right, budget),
        },
    };
    Ok(one.map(Cow::Borrowed).into_iter().collect())
}

/// What one node can be for two that have wildcards in them: none of the results is within another.
fn both_globs<'a>(
    left: &str,
    right: &str,
    budget: &mut Budget,
) -> Result<Vec<Cow<'a, str>>, Exhausted> {
    if left.len() + right.len() > GLOBS_BYTES_MAX {
        return Err(Exhausted);
    }
    let mut all = Vec::new();
    meet(left, right, &mut String::new(), &mut all, budget)?;
    let mut least: Vec<String> = Vec::new();
    for one in all {
        budget.spend(2 * least.len() + 1)?;
        if !least.iter().any(|other| node_matches(other, &one)) {
            least.retain(|other| !node_matches(&one, other));
            least.push(one);
        }
    }
    Ok(least.into_iter().map(Cow::Owned).collect())
}

/// Adds what begins with `begun` and goes on as both say. Where both go on with any text, that of one of them ends
/// first.
fn meet(
    left: &str,
    right: &str,
    begun: &mut String,
    all: &mut Vec<String>,
    budget: &mut Budget,
) -> Result<(), Exhausted> {
    budget.spend(1)?;
    let (mut rest, mut others) = (left.chars(), right.chars());
    let length = begun.len();
    match (rest.next(), others.next()) {
        (None, None) => {
            // What is kept costs as much as what is done.
            budget.spend(size_of::<String>() + begun.len())?;
            all.push(begun.clone());
        }
        (Some('*'), Some('*')) => {
            if !begun.ends_with('*') {
                begun.push('*');
            }
            meet(rest.as_str(), right, begun, all, budget)?;
            meet(left, others.as_str(), begun, all, budget)?;
        }
        (Some('*'), other) => {
            meet(rest.as_str(), right, begun, all, budget)?;
            if let Some(letter) = other {
                begun.push(letter);
                meet(left, others.as_str(), begun, all, budget)?;
            }
        }
        (Some(_), Some('*')) => meet(right, left, begun, all, budget)?,
        (None, Some('*')) => meet(left, others.as_str(), begun, all, budget)?,
        (Some(letter), Some(other)) if letter == other => {
            begun.push(letter);
            meet(rest.as_str(), others.as_str(), begun, all, budget)?;
        }
        _ => {}
    }
    begun.truncate(length);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::data::path;

    fn both(left: &str, right: &str) -> Vec<Nodes> {
        let (left, right) = (split(left), split(right));
        let found = of(&left, &right, &mut Budget::new()).unwrap();
        found
            .iter()
            .map(|path| path.iter().map(|node| node.as_ref().to_owned()).collect())
            .collect()
    }

    fn is_covered(pattern: &str, path: &str) -> bool {
        covers(&split(pattern), &split(path), &mut Budget::new()).unwrap()
    }

    fn overlap(left: &str, right: &str) -> Vec<String> {
        let mut found: Vec<_> = both(left, right).iter().map(|path| path.join(".")).collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn what_two_nodes_have_in_common_is_bounded_in_bytes() {
        let node = |letter: &str| "a".repeat(400) + &format!("*{letter}").repeat(20) + "*";
        let mut all = Vec::new();
        let met = meet(&node("b"), &node("c"), &mut String::new(), &mut all, &mut Budget::new());
        assert_eq!(met, Err(Exhausted));
        let kept: usize = all.iter().map(|one| size_of::<String>() + one.capacity()).sum();
        assert!(kept <= 2 * STEPS_MAX, "{} texts of {kept} bytes", all.len());
    }

    #[test]
    fn paths_overlap_as_drawn() {
        assert_eq!(overlap("root.**", "root.a.*"), ["root.a.*"]);
        assert_eq!(overlap("root.*.s1", "root.a.**"), ["root.a.s1"]);
        assert_eq!(overlap("root.**.s1", "root.a.**"), ["root.a.**.s1", "root.a.s1"]);
        assert_eq!(overlap("root.a.b", "root.a.b"), ["root.a.b"]);
        assert_eq!(overlap("root.a.b*", "root.a.bc"), ["root.a.bc"]);
        assert_eq!(overlap("root.ab*", "root.*bc"), ["root.ab*bc", "root.abc"]);
        assert_eq!(overlap("root.plant*", "root.p*x"), ["root.plant*x"]);
        assert_eq!(overlap("root.plant*", "root.*an*"), ["root.plant*"]);
        assert!(overlap("root.plant*", "root.a*").is_empty());
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
        for glob in ["*a".repeat(200), "*a".repeat(100_000)] {
            let (left, right) = ([glob.clone()], [format!("{glob}*b")]);
            assert_eq!(of(&left, &right, &mut Budget::new()), Err(Exhausted));
        }
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
        assert_eq!(paths("root.`a.b`"), ["root.`a.b`", "root.`a.b`.**"]);
    }

    proptest! {
        #[test]
        fn an_overlap_takes_what_both_take(
            left in "root(\\.(a|b|\\*|\\*\\*|[ab*]{2,4})){1,4}",
            right in "root(\\.(a|b|\\*|\\*\\*|[ab*]{2,4})){1,4}",
            series in "root(\\.([ab]{1,4})){1,5}",
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
