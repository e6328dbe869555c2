//! What a statement about plug-ins shows by itself.

use thiserror::Error;

use super::known;
use super::name::PluginName;
use super::{CreatePlugin, StatusCode};

/// Why a plug-in cannot be created or dropped, in stock's words.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PluginError {
    /// A plug-in that is built in cannot go.
    #[error("Failed to drop PipePlugin [{name}], the PipePlugin is a built-in PipePlugin")]
    DropBuiltIn {
        /// Its name as it was written.
        name: String,
    },
    /// A plug-in that is built in has this name.
    #[error("Failed to create PipePlugin [{name}], the PipePlugin is a built-in PipePlugin")]
    CreateBuiltIn {
        /// Its name as it was written.
        name: String,
    },
    /// The executable does not lie on this machine. The lone quote is stock's.
    #[error("Failed to get executable for PipePlugin{name}', please check the URI.")]
    Uri {
        /// Its name as it was written.
        name: String,
    },
}

impl PluginError {
    /// The code of the answer.
    pub const fn code(&self) -> StatusCode {
        match self {
            Self::DropBuiltIn { .. } => StatusCode::DropPlugin,
            Self::CreateBuiltIn { .. } => StatusCode::CreatePlugin,
            Self::Uri { .. } => StatusCode::GetPlugin,
        }
    }
}

impl CreatePlugin {
    /// Whether a plug-in may have this name, and may lie there: `file:PATH` without a host.
    ///
    /// # Errors
    /// If the name is that of a built-in plug-in, or the URI is of another kind.
    pub fn check(&self) -> Result<(), PluginError> {
        let name = self.name.spelled().to_owned();
        if is_built_in(&self.name) {
            return Err(PluginError::CreateBuiltIn { name });
        }
        let is_file = self.path().is_some_and(|path| !path.is_empty());
        if is_file { Ok(()) } else { Err(PluginError::Uri { name }) }
    }

    /// The path of the executable; none if the URI is of another kind.
    pub fn path(&self) -> Option<&str> {
        let path = self.uri.strip_prefix("file:")?;
        match path.strip_prefix("//") {
            Some(local) => local.starts_with('/').then_some(local),
            None => Some(path),
        }
    }
}

impl PluginName {
    /// Whether a plug-in of this name can be dropped.
    ///
    /// # Errors
    /// If it is built in.
    pub fn check_drop(&self) -> Result<(), PluginError> {
        let name = self.spelled().to_owned();
        if is_built_in(self) { Err(PluginError::DropBuiltIn { name }) } else { Ok(()) }
    }
}

fn is_built_in(name: &PluginName) -> bool {
    known::every_name().any(|known| known.eq_ignore_ascii_case(name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executable_lies_on_this_machine() {
        for (uri, path) in [
            ("file:csv.py", Some("csv.py")),
            ("file:/opt/csv.py", Some("/opt/csv.py")),
            ("file:///opt/csv.py", Some("/opt/csv.py")),
            ("file://host/csv.py", None),
            ("http://host/csv.py", None),
            ("csv.py", None),
        ] {
            let create = CreatePlugin {
                name: PluginName::new("x"),
                if_not_exists: false,
                command: String::new(),
                uri: uri.to_owned(),
            };
            assert_eq!(create.path(), path, "{uri}");
            assert_eq!(create.check().is_ok(), path.is_some(), "{uri}");
        }
    }
}
