//! Long work that is done for a pipe: what it is, and how far it has come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::pipe::PipeRow;
use super::shortened;

/// Work that the pipe's message tells of for as long as this is there. Any thread may have it.
#[derive(Debug)]
pub struct Work {
    row: Arc<PipeRow>,
    doing: Arc<Doing>,
}

/// What is shown of it.
#[derive(Debug)]
pub(super) struct Doing {
    what: String,
    percent: AtomicU8,
}

impl Work {
    /// It begins.
    pub(super) fn begin(row: Arc<PipeRow>, what: &str) -> Self {
        let doing = Arc::new(Doing { what: shortened(what), percent: AtomicU8::new(0) });
        row.begin(Arc::clone(&doing));
        Self { row, doing }
    }

    /// So much of `all` is done. It is never all before the end.
    pub fn done(&self, part: u64, all: u64) {
        let percent = u128::from(part) * 100 / u128::from(all.max(1));
        let percent = u8::try_from(percent.min(99)).unwrap_or_default();
        self.doing.percent.store(percent, Ordering::Relaxed);
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.row.end(&self.doing);
    }
}

impl Doing {
    /// For people.
    pub(super) fn text(&self) -> String {
        format!("{}, {} %", self.what, self.percent.load(Ordering::Relaxed))
    }
}
