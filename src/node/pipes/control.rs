//! The task that owns the pipes: one thing after the other, whoever asks.
//!
//! ```text
//!  control socket -- Command --+
//!  SIGHUP -- stanzas ----------+--> Pipes <-- an error's pause is over
//!  a pipe has sent all of it ---+
//!  the node stops -------------+
//! ```

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{self, JoinHandle};
use tokio::time::{self, Instant};

use super::live::Pipes;
use super::released;
use crate::config::PipeConfig;
use crate::ops::status::Command;
use crate::spool::Disk;

/// How the main loop reaches the pipes.
#[derive(Debug)]
pub(in crate::node) struct Handle {
    follow: mpsc::Sender<(Vec<PipeConfig>, oneshot::Sender<()>)>,
    stop: Arc<watch::Sender<bool>>,
    task: JoinHandle<()>,
}

impl Handle {
    /// Gives the pipes a task of their own, which also does what `commands` bring.
    pub(in crate::node) fn spawn<D: Disk>(
        pipes: Pipes<D>,
        commands: mpsc::Receiver<Command>,
    ) -> Self {
        let (follow, stanzas) = mpsc::channel(1);
        let (stop, stopped) = watch::channel(false);
        let task = task::spawn_local(run(pipes, commands, stanzas, stopped));
        Self { follow, stop: Arc::new(stop), task }
    }

    /// Has them follow the configuration as it is now; returns when they do.
    pub(in crate::node) async fn follow(&self, configs: Vec<PipeConfig>) {
        let (done, followed) = oneshot::channel();
        // A task that has ended follows nothing; the node is stopping then.
        if self.follow.send((configs, done)).await.is_ok() {
            drop(followed.await);
        }
    }

    /// Lets all of them end, each with what it has in flight.
    pub(in crate::node) async fn stop(self) {
        self.stop.send_replace(true);
        drop(self.task.await);
    }
}

async fn run<D: Disk>(
    mut pipes: Pipes<D>,
    mut commands: mpsc::Receiver<Command>,
    mut stanzas: mpsc::Receiver<(Vec<PipeConfig>, oneshot::Sender<()>)>,
    mut stop: watch::Receiver<bool>,
) {
    let stopping = stop.clone();
    loop {
        let retry = pipes.next_retry();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            Some((configs, done)) = stanzas.recv() => {
                pipes.follow(&configs).await;
                let _unheard = done.send(()).is_err();
            }
            Some(command) = commands.recv() => match command {
                Command::Sql(text, reply) => {
                    let answers = pipes.execute(&text, &stopping).await;
                    let _unheard = reply.send(answers).is_err();
                }
                Command::Release(reply) => {
                    let _unheard = reply.send(released::answer(&mut pipes).await).is_err();
                }
            },
            Some((name, ending)) = pipes.next_over() => pipes.end(&name, ending).await,
            () = due(retry) => pipes.retry().await,
        }
    }
    pipes.stop().await;
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
