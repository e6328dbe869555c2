//! Pipes that end by themselves.

use tokio::sync::mpsc;

/// Why a pipe has ended by itself.
#[derive(Debug)]
pub(super) enum Ending {
    /// Nothing will come any more.
    Over,
    /// Something that does not end by itself keeps it from sending.
    Hopeless(String),
}

/// The name of a pipe that has ended by itself, and why.
pub(super) type OneEnded = (String, Ending);

/// Lives the life of a pipe's sink, and tells if it ended by itself.
pub(super) async fn tell_ending(
    life: impl Future<Output = Option<Ending>>,
    pipe: String,
    over: mpsc::Sender<OneEnded>,
) {
    if let Some(ending) = life.await {
        // There is room for all pipes; whoever is not heard ends again after the next start.
        let _unheard = over.try_send((pipe, ending)).is_err();
    }
}
