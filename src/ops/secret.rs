//! Secrets, read from where the configuration says they lie.

use std::env;
use std::fs::File;
use std::io::{self, Read};

use crate::config::Secret;
use crate::limits::SECRET_BYTES_MAX;

/// The secret itself: of a file its first line.
///
/// # Errors
/// If the file cannot be read, is too long or no text, or the variable is not set. The error does not
/// repeat any of the secret.
pub fn reveal(secret: &Secret) -> io::Result<String> {
    match secret {
        Secret::Clear(text) => Ok(text.clone()),
        Secret::File(path) => {
            let mut text = String::new();
            let limit = u64::try_from(SECRET_BYTES_MAX).unwrap_or(u64::MAX);
            let bytes = File::open(path)
                .and_then(|file| file.take(limit + 1).read_to_string(&mut text))
                .map_err(|error| wrapped(secret, &error))?;
            if bytes > SECRET_BYTES_MAX {
                let message = format!("{secret}: longer than {SECRET_BYTES_MAX} bytes");
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            Ok(text.lines().next().unwrap_or_default().to_owned())
        }
        Secret::Env(name) => env::var(name).map_err(|error| {
            let why = match error {
                env::VarError::NotPresent => "is not set",
                env::VarError::NotUnicode(_) => "is no text",
            };
            io::Error::new(io::ErrorKind::NotFound, format!("{secret}: {why}"))
        }),
    }
}

/// The same error, with the place.
fn wrapped(secret: &Secret, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{secret}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_secret_is_the_first_line_of_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pw");
        fs::write(&path, "hunter2\nsecond\n").unwrap();
        assert_eq!(reveal(&Secret::File(path.clone())).unwrap(), "hunter2");
        fs::write(&path, "x".repeat(SECRET_BYTES_MAX + 1)).unwrap();
        let error = reveal(&Secret::File(path.clone())).unwrap_err().to_string();
        assert!(error.contains("longer than") && !error.contains("xx"), "{error}");
        fs::remove_file(&path).unwrap();
        let error = reveal(&Secret::File(path)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_secret_may_stand_in_the_environment() {
        let variable = Secret::Env("PATH".to_owned());
        assert_eq!(reveal(&variable).unwrap(), env::var("PATH").unwrap());
        let error = reveal(&Secret::Env("PENSTOCK_NO_SUCH".to_owned())).unwrap_err();
        assert_eq!(error.to_string(), "env:PENSTOCK_NO_SUCH: is not set");
    }
}
