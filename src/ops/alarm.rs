//! `[alarm]`: runs a command at every change of trouble, with the change as JSON on its input.
//!
//! One run at a time, each with a deadline ([`ALARM_DEADLINE`]); what changes meanwhile goes into
//! the next run. A command that fails is logged and changes nothing else.
//!
//! ```json
//! { "node":    {"name": "plant7-inner", "role": "sender", "origin_id": "..."},
//!   "time":    "2026-11-22T15:33:48.250Z",
//!   "changes": [{"event": "raised", "kind": "no-answer", "subject": "to_zone_3", "since": "...",
//!                "what": "...", "do": "...", "count": 0, "acknowledged": false}],
//!   "trouble": [] }
//! ```
//!
//! `event` is `raised`, `grew`, `acknowledged` or `cleared`; `trouble` is all that there is now, as in
//! `/status`.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use serde::Serialize;
use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time;

use crate::limits::ALARM_DEADLINE;
use crate::ops::board::{Board, Change};
use crate::ops::clock;
use crate::ops::log::Repeating;
use crate::ops::status::TroubleReport;

/// Why an alarm was not heard.
#[derive(Debug, Error)]
enum AlarmError {
    #[error("cannot be started or written to: {0}")]
    Io(#[from] io::Error),
    #[error("ended with {0}")]
    Failed(ExitStatus),
    #[error("was killed after {} s", ALARM_DEADLINE.as_secs())]
    TooSlow,
    #[error("the trouble cannot be written: {0}")]
    Json(#[from] serde_json::Error),
}

#[derive(Serialize)]
struct Alarm<'a> {
    node: Node<'a>,
    time: String,
    changes: Vec<ChangeReport>,
    trouble: Vec<TroubleReport>,
}

#[derive(Serialize)]
struct Node<'a> {
    name: &'a str,
    role: &'a str,
    origin_id: &'a str,
}

#[derive(Serialize)]
struct ChangeReport {
    event: &'static str,
    #[serde(flatten)]
    trouble: TroubleReport,
}

/// Runs `command` (program and arguments) at every change on `board`, until it is dropped. With an
/// empty command it only forgets the changes.
pub async fn run(command: Vec<String>, board: Arc<Board>) {
    let mut failures = Repeating::default();
    loop {
        board.troubles.changed().await;
        let changes = board.troubles.take_changes();
        if changes.is_empty() || command.is_empty() {
            continue;
        }
        match sound(&command, &board, changes).await {
            Ok(()) => {
                if let Some(times) = failures.ended() {
                    log::info!("event=alarm_works failures={times}");
                }
            }
            Err(error) => {
                if let Some(times) = failures.failed() {
                    let program = command.first().map_or("", String::as_str);
                    log::error!(
                        "event=alarm_failed command={program:?} error=\"{error}\" times={times}"
                    );
                }
            }
        }
    }
}

/// One run.
async fn sound(command: &[String], board: &Board, changes: Vec<Change>) -> Result<(), AlarmError> {
    let text = serde_json::to_vec(&Alarm {
        node: Node { name: board.name(), role: board.role().name(), origin_id: board.origin_id() },
        time: clock::wall().to_string(),
        changes: changes.into_iter().map(ChangeReport::of).collect(),
        trouble: board.troubles.all().into_iter().map(TroubleReport::of).collect(),
    })?;
    match time::timeout(ALARM_DEADLINE, run_once(command, &text)).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(AlarmError::Failed(status)),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(AlarmError::TooSlow), // the child is killed when it is dropped
    }
}

async fn run_once(command: &[String], input: &[u8]) -> io::Result<ExitStatus> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(input).await {
            // It need not read what it does not want to know.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            written => written?,
        }
    }
    child.wait().await
}

impl ChangeReport {
    fn of(change: Change) -> Self {
        Self { event: change.event.name(), trouble: TroubleReport::of(change.trouble) }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::config::Role;
    use crate::ops::board::{Report, TroubleKind};
    use crate::ops::clock::EpochMillis;

    fn shell(script: &str, file: &Path) -> Vec<String> {
        ["/bin/sh", "-c", script, "alarm", &file.display().to_string()].map(str::to_owned).into()
    }

    async fn until<T>(mut ready: impl FnMut() -> Option<T>) -> T {
        for _ in 0..500 {
            if let Some(value) = ready() {
                return value;
            }
            time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it did not happen within 10 s");
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn command_gets_the_change_and_all_trouble() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("heard");
        let board = Arc::new(Board::new(Role::Sender, "plant7", clock::now()));
        // Written aside and renamed, so that the test never reads half of it.
        let command = shell("cat > \"$1.new\" && mv \"$1.new\" \"$1\"", &file);
        runtime().block_on(async {
            let alarm = run(command, Arc::clone(&board));
            let test = async {
                board.raise(Report::new(TroubleKind::SpoolFull, "99 %"), EpochMillis(0));
                let text = until(|| fs::read_to_string(&file).ok()).await;
                let heard: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(heard["node"]["name"], "plant7");
                assert_eq!(heard["changes"][0]["event"], "raised");
                assert_eq!(heard["changes"][0]["kind"], "spool-full");
                assert_eq!(heard["changes"][0]["do"], TroubleKind::SpoolFull.remedy());
                assert_eq!(heard["trouble"][0]["what"], "99 %");
                fs::remove_file(&file).unwrap();
                board.clear(TroubleKind::SpoolFull, "");
                let text = until(|| fs::read_to_string(&file).ok()).await;
                let heard: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(heard["changes"][0]["event"], "cleared");
                assert_eq!(heard["trouble"], serde_json::json!([]));
            };
            tokio::select! { () = alarm => {}, () = test => {} }
        });
    }

    #[test]
    fn changes_during_a_run_go_into_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("heard");
        let board = Arc::new(Board::new(Role::Sender, "", clock::now()));
        let command = shell("cat >> \"$1\"; echo >> \"$1\"; sleep 0.3", &file);
        runtime().block_on(async {
            let alarm = run(command, Arc::clone(&board));
            let test = async {
                board.raise(Report::new(TroubleKind::SpoolFull, ""), EpochMillis(0));
                until(|| file.exists().then_some(())).await;
                let refused = |of| Report::new(TroubleKind::Refused, "").about(of);
                board.raise(refused("a"), EpochMillis(0));
                board.raise(refused("b"), EpochMillis(0));
                board.raise(refused("c"), EpochMillis(0));
                let two = |text: String| (text.lines().count() == 2).then_some(text);
                let text = until(|| fs::read_to_string(&file).ok().and_then(two)).await;
                let second: serde_json::Value =
                    serde_json::from_str(text.lines().last().unwrap()).unwrap();
                assert_eq!(second["changes"].as_array().map(Vec::len), Some(3));
            };
            tokio::select! { () = alarm => {}, () = test => {} }
        });
    }

    #[test]
    fn failure_of_the_command_is_an_error_with_its_status() {
        let board = Board::new(Role::Sender, "", clock::now());
        runtime().block_on(async {
            let failed = sound(&["/bin/false".to_owned()], &board, Vec::new()).await.unwrap_err();
            assert_eq!(failed.to_string(), "ended with exit status: 1");
            let absent = sound(&["/no/such".to_owned()], &board, Vec::new()).await.unwrap_err();
            assert!(absent.to_string().starts_with("cannot be started"), "{absent}");
        });
    }
}
