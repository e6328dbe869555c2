//! From the options to a configuration.

use std::env;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::{CliError, Options};
use crate::config::{self, Config, Finding, Input, Role, Severity};
use crate::limits::CONFIG_BYTES_MAX;

/// A configuration as it was read.
#[derive(Debug)]
pub(super) struct Loaded {
    /// It; not to be run with errors among the findings.
    pub(super) config: Config,
    /// The file, if there is one.
    pub(super) file: Option<PathBuf>,
    /// Mistakes and remarks.
    pub(super) findings: Vec<Finding>,
}

impl Loaded {
    /// The configuration, if it has no mistakes; all findings are printed to standard error.
    pub(super) fn usable(self) -> Result<Config, CliError> {
        let mut stderr = io::stderr().lock();
        for finding in &self.findings {
            writeln!(stderr, "{finding}")?;
        }
        if self.has_errors() { Err(CliError::Mistakes) } else { Ok(self.config) }
    }

    /// Whether there are mistakes.
    pub(super) fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

/// Reads the configuration that the options name.
pub(super) fn load(role: Role, options: &Options) -> Result<Loaded, CliError> {
    let file = file(role, options);
    let text = file.as_deref().map(read_text).transpose()?;
    let state_directory = env::var("STATE_DIRECTORY").ok();
    let host_name = host_name();
    let input = Input {
        role,
        file: file.as_deref().zip(text.as_deref()),
        properties: None,
        sets: &options.set,
        data_dir: options.data_dir.as_deref(),
        state_directory: state_directory.as_deref(),
        host_name: &host_name,
    };
    let properties = config::properties_file(input);
    let settings = properties.as_deref().map(read_properties).transpose()?;
    let properties = properties.as_deref().zip(settings.as_deref());
    let (config, findings) = config::read(Input { properties, ..input });
    Ok(Loaded { config, file, findings: findings.sorted() })
}

/// The file that is named, or the usual one if it is there.
fn file(role: Role, options: &Options) -> Option<PathBuf> {
    let named = options.config.clone();
    let named = named.or_else(|| env::var_os("PENSTOCK_CONFIG").map(PathBuf::from));
    named.filter(|path| !path.as_os_str().is_empty()).or_else(|| {
        let usual = Path::new(role.default_file());
        usual.exists().then(|| usual.to_owned())
    })
}

fn read_text(path: &Path) -> Result<String, CliError> {
    let unreadable = |cause| CliError::Unreadable { path: path.to_owned(), cause };
    String::from_utf8(read(path).map_err(unreadable)?).map_err(|error| {
        let whole = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        let line = whole.filter(|byte| **byte == b'\n').count() + 1;
        unreadable(invalid(format!("line {line} is no UTF-8 text: save the file as UTF-8")))
    })
}

/// IoTDB's own file. Somebody named it, so that to start without it would be another node than was asked for.
fn read_properties(path: &Path) -> Result<String, CliError> {
    let path = path.to_owned();
    // Letter by letter UTF-16 is text, too, but none that has a key.
    let is_text = |bytes: Vec<u8>| match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => {
            let message = format!("byte {at} is zero, as in UTF-16: save the file as UTF-8");
            Err(invalid(message))
        }
        None => Ok(config::decode_properties(bytes)),
    };
    read(&path).and_then(is_text).map_err(|cause| CliError::Properties { path, cause })
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(CONFIG_BYTES_MAX).unwrap_or(u64::MAX);
    File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))?;
    if bytes.len() > CONFIG_BYTES_MAX {
        return Err(invalid(format!("longer than {CONFIG_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// The default of the node's name.
fn host_name() -> String {
    match rustix::system::uname().nodename().to_string_lossy().trim() {
        "" => "localhost".to_owned(),
        name => name.to_owned(),
    }
}
