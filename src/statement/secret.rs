//! Something that must not be shown: given in clear, or by where it lies.

use std::fmt;
use std::path::{Path, PathBuf};

/// Something that must not be shown: given in clear, or by where it lies.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// Given in clear.
    Clear(String),
    /// `file:PATH`: the first line of a file.
    File(PathBuf),
    /// `env:NAME`: a variable of the environment.
    Env(String),
}

impl Secret {
    /// Reads `file:`, `env:` or a secret in clear; `base` is what a relative path is relative to.
    pub fn parse(text: &str, base: &Path) -> Self {
        if let Some(path) = text.strip_prefix("file:") {
            Self::File(base.join(path))
        } else if let Some(name) = text.strip_prefix("env:") {
            Self::Env(name.to_owned())
        } else {
            Self::Clear(text.to_owned())
        }
    }
}

/// Where it lies, never what it is.
impl fmt::Display for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clear(_) => out.write_str("******"),
            Self::File(path) => write!(out, "file:{}", path.display()),
            Self::Env(name) => write!(out, "env:{name}"),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let base = Path::new("/etc/penstock");
        let clear = Secret::parse("hunter2", base);
        assert_eq!(format!("{clear} {clear:?}"), "****** ******");
        assert_eq!(Secret::parse("file:pw", base), Secret::File("/etc/penstock/pw".into()));
        assert_eq!(Secret::parse("file:/pw", base), Secret::File("/pw".into()));
        assert_eq!(Secret::parse("env:PW", base), Secret::Env("PW".to_owned()));
    }
}
