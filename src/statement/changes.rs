//! Which kinds of changes a pipe sends: the tree of `inclusion` (`PipeInclusionOptions`).

/// A set of kinds of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes(u32);

impl Changes {
    /// New data only.
    pub const INSERTS: Self = Self(1);
    /// Every kind.
    pub const ALL: Self = Self((1 << LEAVES.len()) - 1);

    /// Reads `data.insert,schema`; none if one of them is no kind of change. An empty text is no kind.
    pub fn parse(text: &str) -> Option<Self> {
        let text: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
        let text = text.to_lowercase();
        let mut all = Self::default();
        for item in text.split(',').filter(|item| !item.is_empty()) {
            let found = Self::below(item);
            if found.is_empty() {
                return None;
            }
            all.0 |= found.0;
        }
        Some(all)
    }

    /// The leaves that an item stands for.
    fn below(item: &str) -> Self {
        let part = if item == "delete" { Some("") } else { item.strip_suffix(".delete") };
        // `data.delete` is a leaf, the others are short for what removes something.
        let removed = part.filter(|part| matches!(*part, "" | "schema" | "auth"));
        let is_meant = |leaf: &str| match removed {
            Some(part) => {
                let verb = leaf.rsplit('.').next().unwrap_or_default();
                leaf.starts_with(part) && REMOVING.contains(&verb)
            }
            None => {
                item == "all"
                    || leaf
                        .strip_prefix(item)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            }
        };
        let bits = LEAVES.iter().enumerate().filter(|(_, leaf)| is_meant(leaf));
        Self(bits.fold(0, |set, (index, _)| set | (1 << index)))
    }

    /// Those of `self` that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether every kind is among them.
    pub const fn is_all(self) -> bool {
        self.0 == Self::ALL.0
    }

    /// Whether some kinds of one part, `schema` or `auth`, are among them and others are not.
    pub fn parts(self, part: &str) -> bool {
        let mut of_part =
            LEAVES.iter().filter(|leaf| leaf.starts_with(part)).map(|leaf| self.contains(leaf));
        let first = of_part.next();
        of_part.any(|is_in| Some(is_in) != first)
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the leaf `leaf`, such as `data.delete`, is among them.
    pub fn contains(self, leaf: &str) -> bool {
        LEAVES.iter().position(|each| *each == leaf).is_some_and(|index| self.0 & (1 << index) != 0)
    }
}

const LEAVES: [&str; 28] = [
    "data.insert",
    "data.delete",
    "schema.database.create",
    "schema.database.alter",
    "schema.database.drop",
    "schema.ttl",
    "schema.timeseries.view.create",
    "schema.timeseries.view.alter",
    "schema.timeseries.view.drop",
    "schema.timeseries.ordinary.create",
    "schema.timeseries.ordinary.alter",
    "schema.timeseries.ordinary.drop",
    "schema.timeseries.template.create",
    "schema.timeseries.template.set",
    "schema.timeseries.template.unset",
    "schema.timeseries.template.alter",
    "schema.timeseries.template.drop",
    "schema.timeseries.template.activate",
    "schema.timeseries.template.deactivate",
    "auth.role.create",
    "auth.role.drop",
    "auth.role.grant",
    "auth.role.revoke",
    "auth.user.create",
    "auth.user.alter",
    "auth.user.drop",
    "auth.user.grant",
    "auth.user.revoke",
];
const REMOVING: &[&str] = &["delete", "drop", "unset", "deactivate", "revoke"];

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(text: &str) -> Option<Vec<&'static str>> {
        let set = Changes::parse(text)?;
        Some(LEAVES.into_iter().filter(|leaf| set.contains(leaf)).collect())
    }

    #[test]
    fn a_node_stands_for_what_is_below_it() {
        assert_eq!(leaves("data.insert"), Some(vec!["data.insert"]));
        assert_eq!(leaves(" Data . Insert ,data"), Some(vec!["data.insert", "data.delete"]));
        assert_eq!(leaves("all").map(|all| all.len()), Some(LEAVES.len()));
        assert_eq!(Changes::parse("data,schema,auth"), Changes::parse("all"));
        assert_eq!(leaves("schema.timeseries.view").map(|all| all.len()), Some(3));
        assert_eq!(leaves("auth.delete").map(|all| all.len()), Some(4));
        assert_eq!(leaves("data.delete"), Some(vec!["data.delete"]));
        assert_eq!(leaves("delete").map(|all| all.len()), Some(11));
        assert_eq!(leaves(""), Some(vec![]));
        for wrong in ["bogus", "data.", "dat", "data.insert.x", "schema.time"] {
            assert_eq!(leaves(wrong), None, "{wrong}");
        }
        assert_eq!(Changes::parse("data.insert"), Some(Changes::INSERTS));
    }

    #[test]
    fn a_part_may_be_parted() {
        let set = |text: &str| Changes::parse(text).expect(text);
        assert!(set("all").is_all() && !set("data,schema").is_all());
        assert_eq!(set("all"), Changes::ALL);
        for (text, schema, auth) in [
            ("all", false, false),
            ("data.insert", false, false),
            ("schema.ttl", true, false),
            ("schema,auth.user", false, true),
        ] {
            assert_eq!((set(text).parts("schema"), set(text).parts("auth")), (schema, auth));
        }
    }

    #[test]
    fn exclusion_may_leave_nothing() {
        let set = |text: &str| Changes::parse(text).expect(text);
        assert!(set("data.insert").without(set("data")).is_empty());
        assert_eq!(set("data").without(set("delete")), Changes::INSERTS);
    }
}
