//! The attributes of one part of a pipe, as they were written, and what makes two spellings one.
//!
//! A key may stand with or without one prefix of its side (`source.`, `extractor.`; `processor.`; `sink.`,
//! `connector.`), and under its aliases (`PipeParameters`, `KeyReducer`). What is stored is what was
//! written, since people look for that in `SHOW PIPES`; what is asked for is the one canonical key.

use std::fmt;
use std::ops::Range;

use super::Change;
use super::known;

/// Which part of a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// What is taken out of the spool.
    Source,
    /// What is made of it.
    Processor,
    /// Where it goes.
    Sink,
}

/// Attributes in the order in which they were written; at most `ATTRIBUTES_MAX` from a statement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes(Vec<Attribute>);

/// One attribute. Two are equal if they say the same, wherever they stand.
#[derive(Debug, Clone)]
pub struct Attribute {
    /// The key as it was written.
    pub spelled: String,
    /// The value.
    pub value: Value,
    /// Where the value stands, in bytes of its text.
    pub span: Range<usize>,
}

/// A value; one that must not be shown knows it.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// For everybody.
    Plain(String),
    /// A secret, in clear or by where it lies (`file:`, `env:`).
    Secret(String),
}

impl Side {
    /// The name of the clause, older name second; also the key that selects the plug-in.
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Source => &["source", "extractor"],
            Self::Processor => &["processor"],
            Self::Sink => &["sink", "connector"],
        }
    }

    /// The name of the clause.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Processor => "processor",
            Self::Sink => "sink",
        }
    }

    /// The one spelling of `key`: one prefix of this side is cut, aliases are undone.
    pub fn canonical(self, key: &str) -> &str {
        if self.names().contains(&key) {
            return self.name();
        }
        let prefixed =
            self.names().iter().find_map(|name| key.strip_prefix(name)?.strip_prefix('.'));
        let bare = prefixed.unwrap_or(key);
        known::unaliased(self, bare)
    }

    /// Whether the values of `key` are secrets. Also true for unknown keys that sound like it, for a
    /// misspelled key keeps no secret.
    pub fn is_secret(self, key: &str) -> bool {
        let sounds = |part: &str| SECRET_SOUNDS.iter().any(|sound| part.contains(sound));
        known::is_secret(self, self.canonical(key)) || sounds(&key.to_lowercase())
    }
}

impl Attributes {
    /// Adds one.
    pub fn push(&mut self, side: Side, spelled: String, value: String, span: Range<usize>) {
        let is_secret = side.is_secret(&spelled);
        let value = if is_secret { Value::Secret(value) } else { Value::Plain(value) };
        self.0.push(Attribute { spelled, value, span });
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Attribute> {
        self.0.iter()
    }

    /// The first one that means `key`.
    pub fn find(&self, side: Side, key: &str) -> Option<&Attribute> {
        self.iter().find(|each| side.canonical(&each.spelled) == key)
    }

    /// Whether two parts of pipes say the same: the order of attributes does not matter.
    pub fn is_same(&self, other: &Self) -> bool {
        self.sorted() == other.sorted()
    }

    /// All of them by key, as `SHOW PIPES` lists them; those that IoTDB keeps for itself are left out.
    pub(super) fn sorted(&self) -> Vec<&Attribute> {
        let is_shown = |each: &&Attribute| !known::is_internal(&each.spelled);
        let mut sorted: Vec<_> = self.iter().filter(is_shown).collect();
        sorted.sort_by(|left, right| left.spelled.cmp(&right.spelled));
        sorted
    }

    /// What a change makes of them.
    pub(super) fn changed(&self, side: Side, change: Option<&Change>) -> Self {
        match change {
            None => self.clone(),
            Some(Change::Replace(new)) => new.clone(),
            Some(Change::Modify(new)) => {
                let is_kept =
                    |old: &&Attribute| new.find(side, side.canonical(&old.spelled)).is_none();
                Self(self.iter().filter(is_kept).chain(new.iter()).cloned().collect())
            }
        }
    }
}

impl PartialEq for Attribute {
    fn eq(&self, other: &Self) -> bool {
        self.spelled == other.spelled && self.value == other.value
    }
}

impl Eq for Attribute {}

impl Value {
    /// What it is, also if it is a secret: not for people, logs or the status.
    pub fn reveal(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Secret(text) => text,
        }
    }

    /// Whether it must not be shown.
    pub const fn is_secret(&self) -> bool {
        matches!(self, Self::Secret(_))
    }
}

/// Stars for a secret, unless it only says where the secret lies.
impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => out.write_str(text),
            Self::Secret(text) if text.starts_with("file:") || text.starts_with("env:") => {
                out.write_str(text)
            }
            Self::Secret(_) => out.write_str(MASK),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}", self.to_string())
    }
}

/// What is shown for a secret.
pub(super) const MASK: &str = "******";
/// Parts of keys behind which a secret is likely.
const SECRET_SOUNDS: &[&str] = &["passw", "pwd", "secret", "token"];

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(list: &[(&str, &str)]) -> Attributes {
        let mut attributes = Attributes::default();
        for (key, value) in list {
            attributes.push(Side::Sink, (*key).to_owned(), (*value).to_owned(), 0..0);
        }
        attributes
    }

    #[test]
    fn one_prefix_of_its_own_side_is_cut() {
        for (side, spelled, key) in [
            (Side::Sink, "sink.ip", "ip"),
            (Side::Sink, "connector.host", "ip"),
            (Side::Sink, "ip", "ip"),
            (Side::Sink, "connector", "sink"),
            (Side::Sink, "sink.user", "username"),
            (Side::Sink, "sink.source.ip", "source.ip"),
            (Side::Sink, "source.ip", "source.ip"),
            (Side::Sink, "Sink.ip", "Sink.ip"),
            (Side::Source, "extractor.path", "path"),
            (Side::Source, "extractor", "source"),
            (Side::Source, "mods", "mods.enable"),
            (Side::Processor, "processor", "processor"),
        ] {
            assert_eq!(side.canonical(spelled), key, "{spelled}");
        }
    }

    #[test]
    fn a_new_spelling_replaces_an_old_one() {
        let old = attributes(&[("sink.ip", "a"), ("port", "1"), ("x", "y")]);
        let new = attributes(&[("connector.host", "b"), ("sink.z", "1")]);
        let modified = old.changed(Side::Sink, Some(&Change::Modify(new.clone())));
        let expected =
            attributes(&[("port", "1"), ("x", "y"), ("connector.host", "b"), ("sink.z", "1")]);
        assert_eq!(modified, expected);
        assert_eq!(old.changed(Side::Sink, Some(&Change::Replace(new.clone()))), new);
        assert_eq!(old.changed(Side::Sink, None), old);
    }

    #[test]
    fn a_secret_is_known_by_its_key_and_never_shown() {
        let secrets = attributes(&[
            ("sink.password", "hunter2"),
            ("ssl.trust-store-pwd", "hunter2"),
            ("sink.pasword", "plain"),
            ("source.password", "hunter2"),
            ("my.passwort", "hunter2"),
        ]);
        assert!(!format!("{secrets:?}").contains("hunter"));
        let shown = |value: &str| Value::Secret(value.to_owned()).to_string();
        assert_eq!(shown("hunter2"), "******");
        assert_eq!(shown("file:pw"), "file:pw");
        assert_eq!(shown("env:PW"), "env:PW");
        assert_eq!(Value::Secret("hunter2".to_owned()).reveal(), "hunter2");
        assert!(!Side::Sink.is_secret("sink.username"));
    }

    #[test]
    fn sinks_are_the_same_in_any_order() {
        let left = attributes(&[("sink", "x"), ("port", "1")]);
        assert!(left.is_same(&attributes(&[("port", "1"), ("sink", "x")])));
        assert!(!left.is_same(&attributes(&[("port", "2"), ("sink", "x")])));
    }
}
