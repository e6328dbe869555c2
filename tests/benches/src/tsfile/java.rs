//! Apache's Java library, where there is a Java.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use penstock_test_support::programs::root;

/// The library and the program beside it (tests/interop/tsfile/Library.java).
#[derive(Debug)]
pub(super) struct Java {
    class_path: String,
    folder: PathBuf,
}

impl Java {
    /// Fetches and compiles what is missing; `None` where there is no Java or Maven.
    pub(super) fn find(folder: &Path) -> io::Result<Option<Self>> {
        let run = root().join("tests/interop/tsfile/run");
        let mut command = Command::new("python3");
        command.arg(run).arg("--class-path").stdin(Stdio::null()).stderr(Stdio::null());
        let output = match command.output() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            output => output?,
        };
        let class_path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let found = output.status.success() && !class_path.is_empty();
        Ok(found.then(|| Self { class_path, folder: folder.to_owned() }))
    }

    /// Where it may write.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Seconds of the last of its rounds.
    pub(super) fn seconds<P: AsRef<Path>>(&self, what: &str, files: &[P]) -> io::Result<f64> {
        let mut command = Command::new("java");
        command.args(["-Xmx1g", "-cp", &self.class_path, "Library", what]);
        command.args(files.iter().map(AsRef::as_ref)).stdin(Stdio::null());
        let output = command.stderr(Stdio::inherit()).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().last().and_then(|line| {
            line.split(", ")
                .find_map(|part| part.strip_suffix(" s"))
                .and_then(|part| part.parse().ok())
        });
        last.ok_or_else(|| io::Error::other(format!("Java did not {what}: {text}")))
    }
}
