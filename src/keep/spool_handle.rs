//! How other threads reach the spool thread.
//!
//! ```text
//!  call(work) ----> queue ----> work(&mut Spool) on the spool thread, a sync, then the result
//!  advance ------> cursors ---> the last one of each consumer
//!  stage --------> batches ---> (the gate's way)
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, oneshot, watch};

use super::stage::Stage;
use crate::data::Sequence;
use crate::limits;
use crate::spool::{ConsumerId, Cursor, Disk, Spool};

/// How other threads reach the spool. Clones are cheap.
pub struct SpoolHandle<D: Disk> {
    shared: Arc<Shared<D>>,
    synced: watch::Receiver<Sequence>,
    ended: watch::Receiver<bool>,
}

/// The spool thread has ended: the node stops, or its disk has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the spool thread has ended")]
pub struct Ended;

/// Tells a caller what came of its call.
pub(super) type Reply = Box<dyn FnOnce() + Send>;
/// Work for the spool thread.
pub(super) type Call<D> = Box<dyn FnOnce(&mut Spool<D>) -> Reply + Send>;

pub(super) struct Shared<D: Disk> {
    pub(super) stage: Arc<Stage>,
    calls: Mutex<Calls<D>>,
    permits: Arc<Semaphore>,
}

pub(super) struct Calls<D: Disk> {
    pub(super) queue: VecDeque<Call<D>>,
    /// Cursors that have moved since the last turn, one for each consumer.
    pub(super) cursors: Vec<(ConsumerId, Cursor)>,
    pub(super) stop: bool,
    pub(super) ended: bool,
}

impl<D: Disk> SpoolHandle<D> {
    /// The handle of a thread that serves a gate with a table of `connections`, and whose last durable
    /// sequence and end are told by the two channels.
    pub(super) fn new(
        connections: usize,
        synced: watch::Receiver<Sequence>,
        ended: watch::Receiver<bool>,
    ) -> Self {
        Self { shared: Arc::new(Shared::new(connections)), synced, ended }
    }

    /// What the thread itself works with.
    pub(super) fn shared(&self) -> Arc<Shared<D>> {
        Arc::clone(&self.shared)
    }

    /// Where the gate thread puts what it takes in.
    pub fn stage(&self) -> Arc<Stage> {
        Arc::clone(&self.shared.stage)
    }

    /// Changes whenever more entries are durable; its value is the sequence below which all are.
    pub fn synced(&self) -> watch::Receiver<Sequence> {
        self.synced.clone()
    }

    /// Becomes true when the thread has ended.
    pub fn ended(&self) -> watch::Receiver<bool> {
        self.ended.clone()
    }

    /// Runs `work` on the spool thread. The result comes after a sync, so whatever `work` appended is
    /// durable then. At most [`limits::SPOOL_CALLS_MAX`] calls wait at one time; further ones wait for
    /// their turn.
    ///
    /// # Errors
    /// [`Ended`]: `work` may have run or not.
    pub async fn call<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Spool<D>) -> R + Send + 'static,
    ) -> Result<R, Ended> {
        let permit = Arc::clone(&self.shared.permits).acquire_owned().await.map_err(|_| Ended)?;
        let result = self.submit(work)?.await.map_err(|_| Ended);
        drop(permit);
        result
    }

    /// The same for a thread that may block; never within an async runtime.
    ///
    /// # Errors
    /// As [`SpoolHandle::call`].
    pub fn call_blocking<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Spool<D>) -> R + Send + 'static,
    ) -> Result<R, Ended> {
        self.submit(work)?.blocking_recv().map_err(|_| Ended)
    }

    /// Notes how far a consumer has come. Returns at once; of several positions the last one counts.
    pub fn advance(&self, consumer: ConsumerId, cursor: &Cursor) {
        let mut calls = self.shared.calls();
        match calls.cursors.iter().position(|(other, _)| *other == consumer) {
            Some(index) => {
                if let Some((_, last)) = calls.cursors.get_mut(index) {
                    last.clone_from(cursor);
                }
            }
            None if calls.cursors.len() < limits::CONSUMERS_MAX => {
                calls.cursors.push((consumer, cursor.clone()));
            }
            // There are no more consumers than that.
            None => return,
        }
        drop(calls);
        self.shared.stage.call();
    }

    /// Ends the thread in order: what it has is carried out and synced, cursors are durable.
    pub fn stop(&self) {
        self.shared.calls().stop = true;
        self.shared.stage.call();
    }

    fn submit<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Spool<D>) -> R + Send + 'static,
    ) -> Result<oneshot::Receiver<R>, Ended> {
        let (sender, receiver) = oneshot::channel();
        let call: Call<D> = Box::new(move |spool| {
            let result = work(spool);
            Box::new(move || {
                // The caller may have gone.
                let _unheard = sender.send(result).is_err();
            })
        });
        let mut calls = self.shared.calls();
        if calls.ended {
            return Err(Ended);
        }
        calls.queue.push_back(call);
        drop(calls);
        self.shared.stage.call();
        Ok(receiver)
    }
}

impl<D: Disk> Shared<D> {
    fn new(connections: usize) -> Self {
        let calls = Calls {
            queue: VecDeque::with_capacity(limits::SPOOL_CALLS_MAX),
            cursors: Vec::new(),
            stop: false,
            ended: false,
        };
        Self {
            stage: Arc::new(Stage::new(connections)),
            calls: Mutex::new(calls),
            permits: Arc::new(Semaphore::new(limits::SPOOL_CALLS_MAX)),
        }
    }

    pub(super) fn calls(&self) -> MutexGuard<'_, Calls<D>> {
        // Nobody panics while holding it.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D: Disk> Clone for SpoolHandle<D> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            synced: self.synced.clone(),
            ended: self.ended.clone(),
        }
    }
}

impl<D: Disk> fmt::Debug for SpoolHandle<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SpoolHandle")
            .field("synced", &*self.synced.borrow())
            .finish_non_exhaustive()
    }
}
