//! Patterns compiled for the question that tablets and files ask: which series of this device?
//!
//! ```text
//!  include, exclude --once--> nodes --device by device--> Series --measurement by measurement--> yes or no
//!                                        |    ^
//!                                        +----+ remembered, for as long as they last
//! ```
//!
//! A device is walked through once, node by node; what is left of each pattern then is a test of a single
//! name. So a tablet of a thousand columns costs a thousand comparisons of short texts, and no path is ever
//! put together.

use super::path::{is_glob, node_matches, nodes, unquoted};
use super::pattern::Pattern;

/// Devices that are remembered; each has its place by its hash.
const PLACES: usize = 256;

/// Included series without the excluded ones.
#[derive(Debug, Clone, Default)]
pub struct Matcher {
    include: Vec<Compiled>,
    exclude: Vec<Compiled>,
    /// Empty, or [`PLACES`].
    known: Vec<Option<Known>>,
}

/// Which series of one device are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Series {
    /// All of them.
    All,
    /// None of them.
    None,
    /// Those that pass tests.
    Some(Tests),
}

/// Tests of the name of a measurement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tests {
    include: Vec<Test>,
    exclude: Vec<Test>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Any,
    Is(Box<str>),
    Begins(Box<str>),
    Glob(Box<str>),
}

#[derive(Debug, Clone)]
enum Compiled {
    Prefix(Box<str>),
    Path(Box<[Node]>),
}

#[derive(Debug, Clone)]
enum Node {
    /// `**`: one node or more.
    Many,
    Is(Box<str>),
    /// With `*` in it.
    Glob(Box<str>),
}

#[derive(Debug, Clone)]
struct Known {
    device: Box<[u8]>,
    series: Series,
}

impl Matcher {
    /// Of series that match one pattern of `include` and none of `exclude`.
    pub fn new(include: &[Pattern], exclude: &[Pattern]) -> Self {
        let compiled = |patterns: &[Pattern]| patterns.iter().map(Compiled::new).collect();
        Self { include: compiled(include), exclude: compiled(exclude), known: Vec::new() }
    }

    /// Of all series.
    pub fn everything() -> Self {
        Self::of_paths(&[], &[])
    }

    /// Of paths with wildcards; without `include` of all.
    pub fn of_paths(include: &[String], exclude: &[String]) -> Self {
        let patterns = |paths: &[String]| -> Vec<Pattern> {
            paths.iter().cloned().map(Pattern::Path).collect()
        };
        let mut include = patterns(include);
        if include.is_empty() {
            include.push(Pattern::Prefix(String::new()));
        }
        Self::new(&include, &patterns(exclude))
    }

    /// Which series of the device with this path are meant.
    pub fn series(&self, device: &str) -> Series {
        let exclude = tests(&self.exclude, device);
        if exclude.contains(&Test::Any) {
            return Series::None;
        }
        let mut include = tests(&self.include, device);
        if include.contains(&Test::Any) {
            if exclude.is_empty() {
                return Series::All;
            }
            include = vec![Test::Any];
        }
        if include.is_empty() { Series::None } else { Series::Some(Tests { include, exclude }) }
    }

    /// The same for the bytes of a path, which is remembered; `hash` is any number that goes with the device.
    pub fn recall(&mut self, device: &[u8], hash: u32) -> &Series {
        if self.known.is_empty() {
            self.known.resize_with(PLACES, || None);
        }
        let place = usize::try_from(hash).unwrap_or_default() % PLACES;
        let is_known = |known: &Known| *known.device == *device;
        if !self.known.get(place).is_some_and(|known| known.as_ref().is_some_and(is_known)) {
            let series = self.series(&String::from_utf8_lossy(device));
            if let Some(known) = self.known.get_mut(place) {
                *known = Some(Known { device: device.into(), series });
            }
        }
        let known = self.known.get(place).and_then(Option::as_ref);
        known.map_or(&Series::None, |known| &known.series)
    }

    /// Gives the memory of what it remembers back.
    pub fn forget(&mut self) {
        self.known = Vec::new();
    }
}

impl Series {
    /// Whether a measurement is meant.
    pub fn wants(&self, measurement: &str) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Some(tests) => tests.pass(measurement),
        }
    }
}

impl Tests {
    fn pass(&self, measurement: &str) -> bool {
        let passes = |tests: &[Test]| tests.iter().any(|test| test.passes(measurement));
        passes(&self.include) && !passes(&self.exclude)
    }
}

impl Test {
    fn passes(&self, measurement: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Is(name) => **name == *unquoted(measurement),
            Self::Begins(text) => measurement.starts_with(&**text),
            Self::Glob(pattern) => node_matches(pattern, unquoted(measurement)),
        }
    }
}

/// What the patterns leave to be asked of the measurements of a device.
fn tests(patterns: &[Compiled], device: &str) -> Vec<Test> {
    let mut tests = Vec::new();
    for pattern in patterns {
        match pattern {
            Compiled::Prefix(prefix) => tests.extend(test_of_prefix(prefix, device)),
            Compiled::Path(path) => add_tests_of_path(path, device, &mut tests),
        }
    }
    tests
}

fn test_of_prefix(prefix: &str, device: &str) -> Option<Test> {
    if device.starts_with(prefix) {
        return Some(Test::Any);
    }
    let begin = prefix.strip_prefix(device)?.strip_prefix('.')?;
    Some(if begin.is_empty() { Test::Any } else { Test::Begins(begin.into()) })
}

/// All ways through the pattern at one time: `at[i]` says that its first `i` nodes are matched, `**` by one node at least.
fn add_tests_of_path(path: &[Node], device: &str, tests: &mut Vec<Test>) {
    let mut at = vec![false; path.len() + 1];
    if let Some(first) = at.first_mut() {
        *first = true;
    }
    for name in nodes(device) {
        let name = unquoted(name);
        let mut next = vec![false; path.len() + 1];
        for (index, node) in path.iter().enumerate().filter(|(index, _)| is_set(&at, *index)) {
            if node.matches(name) {
                set(&mut next, index + 1);
            }
            if matches!(node, Node::Many) {
                set(&mut next, index);
            }
        }
        at = next;
    }
    // The measurement is one node more.
    if let Some((last, before)) = path.split_last()
        && is_set(&at, before.len())
    {
        tests.push(last.test());
    }
}

fn is_set(at: &[bool], index: usize) -> bool {
    at.get(index).copied().unwrap_or_default()
}

fn set(at: &mut [bool], index: usize) {
    if let Some(place) = at.get_mut(index) {
        *place = true;
    }
}

impl Compiled {
    fn new(pattern: &Pattern) -> Self {
        match pattern {
            Pattern::Prefix(prefix) => Self::Prefix(prefix.as_str().into()),
            Pattern::Path(path) => Self::Path(nodes(path).map(Node::new).collect()),
        }
    }
}

impl Node {
    fn new(text: &str) -> Self {
        match unquoted(text) {
            "**" => Self::Many,
            text if is_glob(text) => Self::Glob(text.into()),
            text => Self::Is(text.into()),
        }
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Many => true,
            Self::Is(text) => **text == *name,
            Self::Glob(pattern) => node_matches(pattern, name),
        }
    }

    fn test(&self) -> Test {
        match self {
            Self::Many => Test::Any,
            Self::Glob(pattern) if **pattern == *"*" => Test::Any,
            Self::Glob(pattern) => Test::Glob(pattern.clone()),
            Self::Is(text) => Test::Is(text.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::data::path;

    fn prefix(text: &str) -> Pattern {
        Pattern::Prefix(text.to_owned())
    }

    fn path(text: &str) -> Pattern {
        Pattern::Path(text.to_owned())
    }

    fn wants(include: &[Pattern], exclude: &[Pattern], device: &str, measurement: &str) -> bool {
        Matcher::new(include, exclude).series(device).wants(measurement)
    }

    #[test]
    fn a_prefix_is_of_the_text() {
        for (pattern, device, measurement, expected) in [
            ("root", "root.a.b", "c", true),
            ("root.a", "root.ab", "c", true),
            ("root.a.b.c", "root.a.b", "c", true),
            ("root.a.b.c", "root.a.b", "cc", true),
            ("root.a.b.c", "root.a.b", "d", false),
            ("root.a.b.", "root.a.b", "d", true),
            ("root.a.b.", "root.a.bc", "d", false),
            ("root.a.bx", "root.a.b", "x", false),
            ("root.aligned.1", "root.aligned.1TS", "s", true),
            ("root.aligned.1", "root.aligned.1TS", "`1`", true),
            ("root.aligned.1", "root.aligned.`1`", "s", false),
            ("root.aligned.1", "root.aligned.`123`", "s", false),
            ("root.aligned.1", "root.aligned", "1TS", true),
            ("root.aligned.1", "root.aligned", "`1`", false),
        ] {
            let got = wants(&[prefix(pattern)], &[], device, measurement);
            assert_eq!(got, expected, "{pattern} {device} {measurement}");
        }
    }

    #[test]
    fn a_device_is_decided_as_a_whole_where_it_can_be() {
        let series = |include: &[Pattern], exclude: &[Pattern]| {
            Matcher::new(include, exclude).series("root.a.d1")
        };
        assert_eq!(series(&[path("root.**")], &[]), Series::All);
        assert_eq!(series(&[path("root.a.*.*")], &[]), Series::All);
        assert_eq!(series(&[path("root.a.*")], &[]), Series::None);
        assert_eq!(series(&[path("root.b.**"), prefix("root.ab")], &[]), Series::None);
        assert_eq!(series(&[prefix("root.a")], &[path("root.*.d1.**")]), Series::None);
        let some = series(&[prefix("root")], &[path("root.**.noise")]);
        assert!(some.wants("s1") && !some.wants("noise") && !some.wants("`noise`"));
        let several = series(&[path("root.**.s1"), path("root.a.d1.t*"), prefix("root.x")], &[]);
        assert!(several.wants("s1") && several.wants("temp") && !several.wants("s2"));
    }

    #[test]
    fn what_is_remembered_is_of_that_device_alone() {
        let mut matcher = Matcher::new(&[path("root.a.**")], &[]);
        for _ in 0..2 {
            assert_eq!(*matcher.recall(b"root.a.d", 7), Series::All);
            assert_eq!(*matcher.recall(b"root.b.d", 7), Series::None);
            assert_eq!(*matcher.recall(b"root.b.d", 7 + 256), Series::None);
        }
        matcher.forget();
        assert_eq!(*matcher.recall(b"root.a.d", 7), Series::All);
    }

    proptest! {
        #[test]
        fn a_path_takes_what_the_pattern_matches_as_a_whole(
            include in prop::collection::vec("root(\\.(a|b|\\*|\\*\\*|a\\*)){1,4}", 1..3),
            exclude in prop::collection::vec("root(\\.(a|b|\\*|\\*\\*|\\*b)){1,4}", 0..2),
            device in "root(\\.(a|b|ab)){0,3}",
            measurement in "a|b|ab|`a`",
        ) {
            let whole = format!("{device}.{measurement}");
            let any = |patterns: &[String]| patterns.iter().any(|one| path::matches(one, &whole));
            let got = Matcher::of_paths(&include, &exclude).series(&device).wants(&measurement);
            prop_assert_eq!(got, any(&include) && !any(&exclude));
        }

        #[test]
        fn a_prefix_takes_what_begins_with_it_but_never_ends_within_a_device(
            text in "root(\\.(a|b)){0,3}\\.?",
            device in "root(\\.(a|b|ab)){0,3}",
            measurement in "a|b|ab",
        ) {
            let whole = format!("{device}.{measurement}");
            let got = wants(&[prefix(&text)], &[], &device, &measurement);
            prop_assert_eq!(got, whole.starts_with(&text));
        }
    }
}
