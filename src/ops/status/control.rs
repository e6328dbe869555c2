//! The control socket: where it is, how a node takes it, how a command of the command line asks.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::{UnixListener, UnixStream};
use tokio::{task, time};

use crate::limits::{STATUS_DEADLINE, STATUS_REPLY_BYTES_MAX};

/// Why a node cannot have its control socket.
#[derive(Debug, Error)]
pub enum Bind {
    /// Another node answers there.
    #[error(
        "{path}: a node runs there already; stop it, or give this one a data directory of its own"
    )]
    Taken {
        /// The socket.
        path: PathBuf,
    },
    /// The kernel refused.
    #[error("{path}: {cause}{hint}")]
    Failed {
        /// The socket.
        path: PathBuf,
        /// What the kernel said.
        cause: io::Error,
        /// What to do, in brackets; may be empty.
        hint: &'static str,
    },
}

/// Why a running node did not answer.
#[derive(Debug, Error)]
pub enum ControlError {
    /// Nobody is there.
    #[error("no node answers on {path}: {cause}")]
    Absent {
        /// The socket.
        path: PathBuf,
        /// What the kernel said.
        cause: io::Error,
    },
    /// It did not answer in time.
    #[error("the node on {path} does not answer within {} s", STATUS_DEADLINE.as_secs())]
    Silent {
        /// The socket.
        path: PathBuf,
    },
    /// It broke off.
    #[error("the node on {path} broke off: {cause}")]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What went wrong.
        cause: hyper::Error,
    },
    /// Its answer is too long or no text.
    #[error("the node on {path} sent an answer that cannot be read")]
    Unreadable {
        /// The socket.
        path: PathBuf,
    },
    /// It said no, and why.
    #[error("{line}")]
    Refused {
        /// What it said.
        line: String,
    },
}

/// What the kernel takes as a socket's path, but for the byte that ends it.
pub const CONTROL_PATH_BYTES_MAX: usize = 107;

/// Where the control socket lies: in the runtime directory of the service, else in the data
/// directory.
pub fn control_path(data_dir: &Path, runtime_directory: Option<&str>) -> PathBuf {
    let runtime = runtime_directory.and_then(|dirs| dirs.split(':').next());
    runtime.filter(|dir| !dir.is_empty()).map_or(data_dir, Path::new).join("control.sock")
}

/// Binds the control socket with mode 0660. A socket that nobody answers on is a leftover and goes.
///
/// # Errors
/// If a node runs there, or the kernel refuses.
pub fn bind_control(path: &Path) -> Result<UnixListener, Bind> {
    let failed = |cause: io::Error| Bind::Failed {
        path: path.to_owned(),
        hint: if cause.kind() == io::ErrorKind::InvalidInput {
            " (a socket's path has at most 107 bytes: choose a shorter data directory)"
        } else {
            ""
        },
        cause,
    };
    if path.symlink_metadata().is_ok() {
        match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => return Err(Bind::Taken { path: path.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path).map_err(failed)?;
            }
            Err(error) => return Err(failed(error)),
        }
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, Permissions::from_mode(0o660)).map_err(failed)?;
    Ok(listener)
}

/// Asks the node on `path`: `GET` without a body, `POST` with one. Returns what it answered.
///
/// # Errors
/// If nobody answers in time, or the node refuses.
pub async fn request(
    path: &Path,
    target: &str,
    body: Option<String>,
) -> Result<String, ControlError> {
    time::timeout(STATUS_DEADLINE, ask(path, target, body))
        .await
        .unwrap_or_else(|_| Err(ControlError::Silent { path: path.to_owned() }))
}

async fn ask(path: &Path, target: &str, body: Option<String>) -> Result<String, ControlError> {
    let broken = |cause| ControlError::Broken { path: path.to_owned(), cause };
    let unreadable = || ControlError::Unreadable { path: path.to_owned() };
    let stream = UnixStream::connect(path)
        .await
        .map_err(|cause| ControlError::Absent { path: path.to_owned(), cause })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let driver = task::spawn(connection);
    let method = if body.is_some() { Method::POST } else { Method::GET };
    let mut request = Request::new(Full::new(Bytes::from(body.unwrap_or_default())));
    *request.method_mut() = method;
    *request.uri_mut() = target.parse().map_err(|_| unreadable())?;
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), STATUS_REPLY_BYTES_MAX);
    let bytes = body.collect().await.map_err(|_| unreadable())?.to_bytes();
    driver.abort();
    let text = String::from_utf8(bytes.into()).map_err(|_| unreadable())?;
    if status == StatusCode::OK {
        Ok(text)
    } else {
        Err(ControlError::Refused { line: text.trim_end().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_lies_in_the_runtime_directory_if_there_is_one() {
        let data = Path::new("/d");
        assert_eq!(control_path(data, None), Path::new("/d/control.sock"));
        assert_eq!(control_path(data, Some("")), Path::new("/d/control.sock"));
        assert_eq!(control_path(data, Some("/run/p:/run/q")), Path::new("/run/p/control.sock"));
    }
}
