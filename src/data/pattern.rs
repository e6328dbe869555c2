//! Patterns of series, as pipes have them (`PrefixPipePattern`, `IoTDBPipePattern`).

/// Some series, by their paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// All whose path begins with this text, whether or not a node ends there.
    Prefix(String),
    /// All that match this path with wildcards.
    Path(String),
}

impl Pattern {
    /// Whether it takes every series that there may be.
    pub fn is_everything(&self) -> bool {
        match self {
            Self::Prefix(prefix) => prefix == "root",
            Self::Path(path) => path == "root.**",
        }
    }

    /// Whether every series that `other` takes is taken by this one, as far as the texts show it.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (all, _) if all.is_everything() => true,
            (Self::Prefix(prefix), Self::Prefix(longer)) => longer.starts_with(prefix.as_str()),
            (Self::Prefix(prefix), Self::Path(path)) => {
                let fixed = path.split('*').next().unwrap_or_default();
                fixed.starts_with(prefix.as_str())
            }
            (Self::Path(path), Self::Path(other)) => path == other,
            (Self::Path(_), Self::Prefix(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_may_cover_another() {
        let (prefix, path) =
            (|t: &str| Pattern::Prefix(t.to_owned()), |t: &str| Pattern::Path(t.to_owned()));
        assert!(
            path("root.**").covers(&prefix("root.a")) && prefix("root").covers(&path("root.**"))
        );
        assert!(prefix("root.a").covers(&prefix("root.ab.c")));
        assert!(prefix("root.a").covers(&path("root.a.*")));
        assert!(!prefix("root.a.b").covers(&path("root.a.*")));
        assert!(!path("root.a.**").covers(&path("root.**")));
    }
}
