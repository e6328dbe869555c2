//! Which series a source asks for, in the simplest words.

/// Whether a path matches one with wildcards: `**` stands for nodes, at least one, `*` for characters of one node.
pub(crate) fn path_matches(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<_>, Vec<_>) =
        (pattern.split('.').collect(), path.split('.').collect());
    nodes_match(&pattern, &path)
}

fn nodes_match(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        (["**", rest @ ..], [_, after @ ..]) => {
            nodes_match(rest, after) || nodes_match(pattern, after)
        }
        ([node, rest @ ..], [name, after @ ..]) => {
            node_matches(node.as_bytes(), name.as_bytes()) && nodes_match(rest, after)
        }
        _ => false,
    }
}

fn node_matches(node: &[u8], name: &[u8]) -> bool {
    match (node, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            node_matches(rest, name)
                || name.split_first().is_some_and(|(_, name)| node_matches(node, name))
        }
        ([letter, rest @ ..], [other, after @ ..]) => letter == other && node_matches(rest, after),
        _ => false,
    }
}
