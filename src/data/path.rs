//! Paths of series, and patterns over them.
//!
//! ```text
//!  root.plant.`boiler 7`.temperature      nodes between dots; a node in back quotes may contain dots
//!  root.plant.*.temp*                     `*` in a pattern: any text within a node
//!  root.plant.**                          `**`: one node or more
//! ```

/// Splits a path into its nodes: at dots outside back quotes, which stay.
pub fn nodes(path: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    path.split(move |letter| {
        is_quoted ^= letter == '`';
        letter == '.' && !is_quoted
    })
}

/// A node without its back quotes, if it needs none.
pub fn unquoted(node: &str) -> &str {
    let inner = node.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
    inner.filter(|inner| is_plain(inner)).unwrap_or(node)
}

/// Whether a node means the same with and without back quotes: letters, digits, `_`, Chinese, and not a number.
fn is_plain(node: &str) -> bool {
    let is_letter = |letter: char| {
        letter.is_ascii_alphanumeric()
            || letter == '_'
            || ('\u{2e80}'..='\u{9fff}').contains(&letter)
    };
    !node.is_empty() && node.chars().all(is_letter) && node.parse::<f64>().is_err()
}

/// Whether a pattern matches a whole path.
pub fn matches(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = nodes(pattern).collect();
    let path: Vec<&str> = nodes(path).collect();
    wildcards(
        &pattern,
        &path,
        |node| *node == "**",
        |pattern, node| node_matches(unquoted(pattern), unquoted(node)),
    )
}

/// Whether a node of a pattern stands for several names. In back quotes a `*` is a letter like any other.
pub fn is_glob(node: &str) -> bool {
    node.contains('*') && !node.starts_with('`')
}

/// Whether a node of a pattern takes a node. In time that grows with the product of both lengths, never more.
pub fn node_matches(pattern: &str, node: &str) -> bool {
    if !is_glob(pattern) {
        return pattern == node;
    }
    // What stands between two `*` are whole letters, which begin nowhere within another.
    let (pattern, node) = (pattern.as_bytes(), node.as_bytes());
    let (mut at, mut place) = (0, 0);
    // The last `*`: what follows it, and how far it reaches.
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = node.get(place) {
        match pattern.get(at) {
            Some(b'*') => {
                at += 1;
                star = Some((at, place));
            }
            Some(one) if one == byte => {
                at += 1;
                place += 1;
            }
            _ => match &mut star {
                Some((after, reach)) => {
                    *reach += 1;
                    (at, place) = (*after, *reach);
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

/// Matches a list against a pattern in which some items stand for one item or more. Takes time that
/// grows with the product of both lengths, never more.
fn wildcards<P, T>(
    pattern: &[P],
    items: &[T],
    is_many: impl Fn(&P) -> bool,
    is_one: impl Fn(&P, &T) -> bool,
) -> bool {
    let (mut at, mut place) = (0, 0);
    // The last wildcard: what follows it, and how far it reaches.
    let mut many: Option<(usize, usize)> = None;
    while let Some(item) = items.get(place) {
        match pattern.get(at) {
            Some(part) if is_many(part) => {
                at += 1;
                place += 1;
                many = Some((at, place));
            }
            Some(part) if is_one(part, item) => {
                at += 1;
                place += 1;
            }
            _ => match &mut many {
                Some((after, reach)) => {
                    *reach += 1;
                    (at, place) = (*after, *reach);
                }
                None => return false,
            },
        }
    }
    at == pattern.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quoted_dots_do_not_split() {
        let split: Vec<&str> = nodes("root.`a.b`.c").collect();
        assert_eq!(split, ["root", "`a.b`", "c"]);
        assert_eq!(unquoted("`a.b`"), "`a.b`");
        assert_eq!(unquoted("`a_b`"), "a_b");
        assert_eq!(unquoted("`12`"), "`12`");
    }

    #[test]
    fn patterns_match_whole_paths() {
        for (pattern, path, is_match) in [
            ("root.sg.d1.s1", "root.sg.d1.s1", true),
            ("root.sg.d1.s1", "root.sg.d1.s2", false),
            ("root.sg.d1", "root.sg.d1.s1", false),
            ("root.sg.*.s1", "root.sg.d1.s1", true),
            ("root.sg.*", "root.sg.d1.s1", false),
            ("root.sg.d*.s1", "root.sg.d1.s1", true),
            ("root.sg.d*.s1", "root.sg.d.s1", true),
            ("root.sg.*1.s1", "root.sg.d1.s1", true),
            ("root.sg.*2*.s1", "root.sg.d1.s1", false),
            ("root.**", "root.sg.d1.s1", true),
            ("root.**", "root", false),
            ("root.**.s1", "root.sg.d1.s1", true),
            ("root.**.s1", "root.s1", false),
            ("root.**.d1.**", "root.sg.d1.s1", true),
            ("root.**.d1.**", "root.sg.d1", false),
            ("**", "root.sg", true),
            ("root.sg.`d1`.s1", "root.sg.d1.s1", true),
            ("root.sg.`a.b`.s", "root.sg.`a.b`.s", true),
            ("root.sg.`a*`", "root.sg.`a*`", true),
            ("root.sg.`a*`", "root.sg.`a.b`", false),
        ] {
            assert_eq!(matches(pattern, path), is_match, "{pattern} {path}");
        }
    }

    /// Tries every number of nodes for each `**`.
    fn takes(pattern: &[&str], path: &[&str]) -> bool {
        let Some((first, rest)) = pattern.split_first() else { return path.is_empty() };
        let counts = if *first == "**" { 1..=path.len() } else { 1..=path.len().min(1) };
        counts.into_iter().any(|count| {
            let (taken, others) = path.split_at(count);
            (*first == "**" || takes_node(first, taken[0])) && takes(rest, others)
        })
    }

    /// Tries every text for each `*`; what means the same in back quotes and without is written without.
    fn takes_node(pattern: &str, node: &str) -> bool {
        let plain = |node: &str| node.replace("`ab`", "ab").replace("`\u{6c34}`", "\u{6c34}");
        let (pattern, node) = (plain(pattern), plain(node));
        if pattern.starts_with('`') { pattern == node } else { takes_text(&pattern, &node) }
    }

    fn takes_text(pattern: &str, text: &str) -> bool {
        let mut rest = pattern.chars();
        match rest.next() {
            None => text.is_empty(),
            Some('*') => {
                let mut ends = (0..=text.len()).filter_map(|end| text.get(end..));
                ends.any(|left| takes_text(rest.as_str(), left))
            }
            Some(letter) => {
                text.strip_prefix(letter).is_some_and(|text| takes_text(rest.as_str(), text))
            }
        }
    }

    proptest! {
        #[test]
        fn a_pattern_takes_what_trying_everything_finds(
            pattern in prop::collection::vec(
                prop_oneof![
                    "\\*\\*|\\*|`ab`|`a\\*`|`a\\.b`|`\u{6c34}`",
                    "[ab*\u{6c34}]{1,5}",
                ],
                1..6,
            ),
            path in prop::collection::vec(
                prop_oneof!["`ab`|`a\\*`|`a\\.b`|`\u{6c34}`", "[ab\u{6c34}]{1,5}"],
                1..7,
            ),
        ) {
            let (pattern, path) = (pattern.join("."), path.join("."));
            let expected = takes(
                &nodes(&pattern).collect::<Vec<_>>(),
                &nodes(&path).collect::<Vec<_>>(),
            );
            prop_assert_eq!(matches(&pattern, &path), expected);
        }
    }
}
