//! Ctrl-C and its kin.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::scene::SceneError;

/// Whether somebody wants the demo to end.
#[derive(Debug, Clone)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens to SIGINT, SIGTERM and SIGHUP from here on, on a thread of its own.
    pub(crate) fn on_signals() -> io::Result<Self> {
        let stop = Self(Arc::default());
        let told = Arc::clone(&stop.0);
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let [mut interrupt, mut terminate, mut hangup] = {
            let _context = runtime.enter();
            [
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
            ]
        };
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
            });
            told.store(true, Ordering::Relaxed);
        })?;
        Ok(stop)
    }

    /// # Errors
    /// When somebody wants the demo to end.
    pub(crate) fn check(&self) -> Result<(), SceneError> {
        if self.0.load(Ordering::Relaxed) { Err(SceneError::Interrupted) } else { Ok(()) }
    }
}
