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

/// Whether a pattern matches a path, or something below it, or something above it, so that looking
/// into a device is worth while.
pub fn may_match_below(pattern: &str, device: &str) -> bool {
    let mut device_nodes = nodes(device);
    for node in nodes(pattern) {
        let Some(got) = device_nodes.next() else { return true };
        if node == "**" {
            return true;
        }
        if !node_matches(unquoted(node), unquoted(got)) {
            return false;
        }
    }
    false
}

pub(super) fn node_matches(pattern: &str, node: &str) -> bool {
    if !pattern.contains('*') {
        return pattern == node;
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let node: Vec<char> = node.chars().collect();
    let (mut at, mut place) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while place < node.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at + 1, place));
                at += 1;
            }
            Some(letter) if node.get(place) == Some(letter) => {
                at += 1;
                place += 1;
            }
            _ => match &mut star {
                Some((after, taken)) => {
                    *taken += 1;
                    (at, place) = (*after, *taken);
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|letter| *letter == '*')
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
        ] {
            assert_eq!(matches(pattern, path), is_match, "{pattern} {path}");
        }
    }

    #[test]
    fn devices_that_cannot_match_are_known() {
        for (pattern, device, may) in [
            ("root.sg.d1.s1", "root.sg.d1", true),
            ("root.sg.d1.s1", "root.sg.d2", false),
            ("root.sg.d1", "root.sg.d1", false),
            ("root.**.s1", "root.sg.d2", true),
            ("root.*.d2.*", "root.sg.d2", true),
        ] {
            assert_eq!(may_match_below(pattern, device), may, "{pattern} {device}");
        }
    }
}
