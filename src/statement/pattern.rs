//! Patterns of paths as texts: `pattern` is a prefix of the text, `path` has wildcards (`PrefixPipePattern`,
//! `IoTDBPipePattern`).

use super::name::is_name_letter;
use crate::data::Pattern;
use crate::data::path::nodes;

/// Reads a prefix.
///
/// # Errors
/// What is wrong, in stock's words.
pub(super) fn prefix(text: &str) -> Result<Pattern, String> {
    if is_prefix(text) {
        Ok(Pattern::Prefix(text.to_owned()))
    } else {
        Err(format!("Pattern \"PrefixPipePattern{{pattern='{text}'}}\" is illegal."))
    }
}

/// Reads a path with wildcards.
///
/// # Errors
/// What is wrong, in stock's words.
pub(super) fn path(text: &str) -> Result<Pattern, String> {
    if is_path(text) {
        Ok(Pattern::Path(text.to_owned()))
    } else {
        Err(format!("Pattern \"IoTDBPipePattern{{pattern='{text}'}}\" is illegal."))
    }
}

/// Parts a list at commas outside back quotes; white space around the parts is cut.
pub(super) fn list(text: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    text.split(move |letter| {
        is_quoted ^= letter == '`';
        letter == ',' && !is_quoted
    })
    .map(str::trim)
}

/// A legal path, of which the last node may be missing or a number.
fn is_prefix(text: &str) -> bool {
    let mut nodes = nodes(text);
    let is_root = nodes.next() == Some("root");
    let nodes: Vec<&str> = nodes.collect();
    let Some((last, before)) = nodes.split_last() else { return is_root };
    let is_begun = last.chars().all(is_name_letter) || is_node(last);
    is_root && is_begun && before.iter().all(|node| is_node(node))
}

fn is_path(text: &str) -> bool {
    let mut nodes = nodes(text);
    let is_root = nodes.next() == Some("root");
    is_root
        && nodes.all(|node| {
            let is_any = node == "**" || node == "*";
            let has_one = node.matches('*').count() <= 2 && !node.contains("**");
            let rest: String = node.chars().filter(|letter| *letter != '*').collect();
            let is_part = !rest.is_empty() && rest.chars().all(is_name_letter);
            is_any || is_node(node) || (node.contains('*') && has_one && is_part)
        })
}

/// A node that stands bare, or in back quotes.
fn is_node(node: &str) -> bool {
    if let Some(inner) = node.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
        return !inner.is_empty() && !inner.replace("``", "").contains('`');
    }
    super::name::is_bare_name(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_begins_with_root_and_may_end_within_a_node() {
        for text in [
            "root",
            "root.",
            "root.a",
            "root.a.",
            "root.aligned.1",
            "root.aligned.1TS.`1`",
            "root.`a.b`.c",
            "root.\u{7ba1}.x",
        ] {
            assert_eq!(prefix(text), Ok(Pattern::Prefix(text.to_owned())));
        }
        for text in
            ["sg", "", "roo", "rootx", "root..a", "root.1.a", "root.a b", "root.``.a", "root.*"]
        {
            let message = format!("Pattern \"PrefixPipePattern{{pattern='{text}'}}\" is illegal.");
            assert_eq!(prefix(text), Err(message));
        }
    }

    #[test]
    fn a_path_has_wildcards_for_nodes_or_in_them() {
        for text in ["root", "root.**", "root.*.d*.s1", "root.**.*x*", "root.`a.b`.*", "root.a"] {
            assert_eq!(path(text), Ok(Pattern::Path(text.to_owned())));
        }
        for text in ["sg.**", "root.", "root.a.", "root.a**", "root.1", "root.*.1", "**"] {
            assert!(path(text).is_err(), "{text}");
        }
    }

    #[test]
    fn commas_in_back_quotes_part_nothing() {
        assert_eq!(list("root.a, root.`b,c`").collect::<Vec<_>>(), ["root.a", "root.`b,c`"]);
    }
}
