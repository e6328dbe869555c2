//! The release binaries, built once a process.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// One of the programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The inner half.
    Sender,
    /// The outer half.
    Receiver,
    /// The gate simulator.
    Gate,
}

/// Where the binaries are.
#[derive(Debug, Clone)]
pub struct Programs {
    sender: PathBuf,
    receiver: PathBuf,
    gate: PathBuf,
}

/// The binaries could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Cargo could not be started.
    #[error("cargo: {0}")]
    Cargo(#[from] io::Error),
    /// Cargo failed; it has said why.
    #[error("cargo build failed")]
    Failed,
    /// Cargo did not say where a binary is.
    #[error("cargo built no {0}")]
    Missing(&'static str),
}

impl Program {
    /// Its package and binary.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sender => "penstock-sender",
            Self::Receiver => "penstock-receiver",
            Self::Gate => "penstock-gate",
        }
    }
}

impl Programs {
    /// The binaries as they are released, built at the first call in this process; with another profile of cargo if
    /// `PENSTOCK_PROFILE` names one, as for the tests of interoperation.
    ///
    /// # Errors
    /// When cargo cannot be started or fails.
    pub fn build() -> Result<&'static Self, BuildError> {
        static BUILT: OnceLock<Programs> = OnceLock::new();
        match BUILT.get() {
            Some(built) => Ok(built),
            None => Self::run_cargo().map(|built| BUILT.get_or_init(|| built)),
        }
    }

    fn run_cargo() -> Result<Self, BuildError> {
        let profile = std::env::var("PENSTOCK_PROFILE").unwrap_or_else(|_| "release".to_owned());
        let output = Command::new(option_env!("CARGO").unwrap_or("cargo"))
            .args(["build", "--profile", &profile])
            .arg("--message-format=json-render-diagnostics")
            .args(["-p", "penstock-sender", "-p", "penstock-receiver", "-p", "penstock-gate"])
            .current_dir(root())
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err(BuildError::Failed);
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let find = |program: Program| {
            text.lines()
                .find_map(|line| executable(line, program.name()))
                .ok_or_else(|| BuildError::Missing(program.name()))
        };
        Ok(Self {
            sender: find(Program::Sender)?,
            receiver: find(Program::Receiver)?,
            gate: find(Program::Gate)?,
        })
    }

    /// The same, where nothing can be done without them.
    ///
    /// # Panics
    /// When they cannot be built: no test could go on.
    #[expect(clippy::panic, reason = "a test without programs has failed")]
    pub fn built() -> &'static Self {
        Self::build().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Where a program is.
    pub fn path(&self, program: Program) -> &Path {
        match program {
            Program::Sender => &self.sender,
            Program::Receiver => &self.receiver,
            Program::Gate => &self.gate,
        }
    }
}

/// The root of the workspace.
pub fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// The path in one of cargo's messages, if it is about this binary.
fn executable(message: &str, name: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let is_it =
        message.pointer("/target/name")? == name && message.pointer("/target/kind/0")? == "bin";
    let path = message.get("executable")?.as_str()?;
    is_it.then(|| path.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_the_workspace() {
        assert!(root().join("Cargo.lock").is_file());
    }

    #[test]
    fn cargo_says_where_a_binary_is() {
        let line = r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"x"},"executable":"/t/x"}"#;
        assert_eq!(executable(line, "x"), Some("/t/x".into()));
        assert_eq!(executable(line, "y"), None);
        let line = r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"x"},"executable":null}"#;
        assert_eq!(executable(line, "x"), None);
        assert_eq!(executable("not json", "x"), None);
    }
}
