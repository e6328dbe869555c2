//! Names what a sink does with the disk, so that the watchdog tells a slow disk from a loop that hangs.
//!
//! A sink runs on the main loop, and its reads come from the page cache as a rule; on a disk that stalls each
//! of them may take minutes.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use super::feed::{Feed, StoredFiles};
use crate::data::{ReadAt, Sequence};
use crate::ops::board::Board;
use crate::ops::stamp::{Loop, Operation, Within};
use crate::sink::cuts::Lent;
use crate::spool::{EntryHeader, ReadError};

/// A feed of the main loop whose disk work is named.
#[derive(Debug)]
pub struct Named<F> {
    feed: F,
    board: Arc<Board>,
}

/// A stored file whose reads are named.
#[derive(Debug)]
pub struct NamedFile<T> {
    file: T,
    board: Arc<Board>,
}

impl<F: Feed> Named<F> {
    /// The same feed.
    pub fn new(feed: F, board: Arc<Board>) -> Self {
        Self { feed, board }
    }
}

impl<T> NamedFile<T> {
    /// The same file.
    pub fn new(file: T, board: &Arc<Board>) -> Self {
        Self { file, board: Arc::clone(board) }
    }
}

impl<F: Feed> Feed for Named<F> {
    type File = NamedFile<F::File>;

    fn next_entry(&mut self) -> Result<Option<EntryHeader>, ReadError> {
        let _within = within(&self.board, Operation::Read);
        self.feed.next_entry()
    }

    fn changed(&mut self) -> impl Future<Output = ()> + Send {
        self.feed.changed()
    }

    fn read_payload(&mut self, into: &mut [u8]) -> Result<(), ReadError> {
        let _within = within(&self.board, Operation::Read);
        self.feed.read_payload(into)
    }

    fn read_start(&mut self, into: &mut [u8]) -> Result<(), ReadError> {
        let _within = within(&self.board, Operation::Read);
        self.feed.read_start(into)
    }

    fn open_files(&mut self) -> Result<StoredFiles<Self::File>, ReadError> {
        let _within = within(&self.board, Operation::Read);
        Ok(self.feed.open_files()?.map(|file| NamedFile::new(file, &self.board)))
    }

    fn lend_files(&mut self) -> Result<StoredFiles<Lent>, ReadError> {
        let _within = within(&self.board, Operation::Read);
        self.feed.lend_files()
    }

    fn objection(&self) -> Option<&str> {
        self.feed.objection()
    }

    fn position(&self) -> Sequence {
        self.feed.position()
    }

    fn is_pending(&self) -> bool {
        self.feed.is_pending()
    }

    fn is_over(&self) -> bool {
        self.feed.is_over()
    }

    fn pass_over(&mut self, header: &EntryHeader) {
        self.feed.pass_over(header);
    }

    fn tell_passed(&mut self) {
        self.feed.tell_passed();
    }

    fn may_go_ahead(&self) -> bool {
        self.feed.may_go_ahead()
    }

    fn go_ahead(&mut self, header: &EntryHeader) {
        self.feed.go_ahead(header);
    }

    fn settle(&mut self, pending: Option<Sequence>) {
        self.feed.settle(pending);
    }

    fn go_back(&mut self) {
        self.feed.go_back();
    }

    fn advance(&mut self, header: &EntryHeader) {
        // What was sent once more is noted on the disk.
        let _within = within(&self.board, Operation::Remember);
        self.feed.advance(header);
    }

    fn quarantine(&mut self, header: &EntryHeader, why: &str) -> impl Future<Output = bool> + Send {
        self.feed.quarantine(header, why)
    }

    async fn put_aside(&mut self, header: &EntryHeader, why: &str) -> bool {
        let Self { feed, board } = self;
        putting_aside(board, feed.put_aside(header, why)).await
    }

    fn dead_letters(&self) -> u64 {
        self.feed.dead_letters()
    }
}

impl<T: ReadAt> ReadAt for NamedFile<T> {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let _within = within(&self.board, Operation::Read);
        self.file.read_at(offset, into)
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        self.file.as_bytes()
    }
}

/// Names what `work` does each time that it has its turn; it lets others have theirs between two portions.
pub async fn putting_aside<T>(board: &Board, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|context| {
        let _within = within(board, Operation::PutAside);
        work.as_mut().poll(context)
    })
    .await
}

fn within(board: &Board, operation: Operation) -> Within<'_> {
    board.stamps.of(Loop::Main).within(operation)
}

#[cfg(test)]
mod tests {
    use super::super::feed::StoredFile;
    use super::*;
    use crate::config::Role;
    use crate::data::Identity;
    use crate::data::OriginId;
    use crate::ops::clock;
    use crate::ops::stamp::Activity;
    use crate::spool::{Arrival, Kind, Source};

    /// Looks at the main loop's stamp from within each call.
    struct Looking(Arc<Board>);

    impl Looking {
        fn look(&self, expected: Operation) {
            let activity = self.0.stamps.of(Loop::Main).activity(clock::now());
            assert!(
                matches!(activity, Activity::Within(now, _) if now == expected),
                "{activity:?}"
            );
        }
    }

    impl ReadAt for Looking {
        fn len(&self) -> u64 {
            0
        }

        fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<usize> {
            self.look(Operation::Read);
            Ok(0)
        }
    }

    impl Feed for Looking {
        type File = Self;

        fn next_entry(&mut self) -> Result<Option<EntryHeader>, ReadError> {
            self.look(Operation::Read);
            Ok(None)
        }

        async fn changed(&mut self) {}

        fn read_payload(&mut self, _: &mut [u8]) -> Result<(), ReadError> {
            self.look(Operation::Read);
            Ok(())
        }

        fn read_start(&mut self, _: &mut [u8]) -> Result<(), ReadError> {
            self.look(Operation::Read);
            Ok(())
        }

        fn lend_files(&mut self) -> Result<StoredFiles<Lent>, ReadError> {
            Ok(self.open_files()?.map(Lent::new))
        }

        fn position(&self) -> Sequence {
            Sequence(0)
        }

        fn objection(&self) -> Option<&str> {
            None
        }

        fn is_pending(&self) -> bool {
            false
        }

        fn is_over(&self) -> bool {
            false
        }

        fn pass_over(&mut self, _: &EntryHeader) {}

        fn tell_passed(&mut self) {}

        fn open_files(&mut self) -> Result<StoredFiles<Self>, ReadError> {
            self.look(Operation::Read);
            let file = Some(Self(Arc::clone(&self.0)));
            let file = StoredFile { name: None, bytes: 0, hash: [0; 32], file };
            Ok(StoredFiles { request_type: 0, files: vec![file], parameters: Vec::new() })
        }

        fn advance(&mut self, _: &EntryHeader) {
            self.look(Operation::Remember);
        }

        async fn quarantine(&mut self, _: &EntryHeader, _: &str) -> bool {
            true
        }

        async fn put_aside(&mut self, _: &EntryHeader, _: &str) -> bool {
            for _ in 0..2 {
                self.look(Operation::PutAside);
                tokio::task::yield_now().await;
            }
            self.look(Operation::PutAside);
            true
        }

        fn dead_letters(&self) -> u64 {
            0
        }
    }

    fn header() -> EntryHeader {
        EntryHeader {
            segment: 1,
            sequence: Sequence(1),
            synced: Sequence(1),
            arrival: Arrival { wall_ms: 0, trusted: true },
            kind: Kind::Opaque,
            source: Source::Own,
            hops: 0,
            precision: None,
            identity: Identity { origin: OriginId([0; 16]), sequence: Sequence(1) },
            time_range: None,
            payload_bytes: 0,
            content_crc: None,
            payload_crc: 0,
            file_count: 0,
            device: 0,
            void_entries: 0,
        }
    }

    #[tokio::test]
    async fn each_call_that_meets_the_disk_is_a_named_operation_and_no_longer() {
        let board = Arc::new(Board::new(Role::Sender, "", clock::now()));
        let mut feed = Named::new(Looking(Arc::clone(&board)), Arc::clone(&board));
        let turning =
            || matches!(board.stamps.of(Loop::Main).activity(clock::now()), Activity::Turning(_));
        assert!(feed.next_entry().unwrap().is_none() && turning());
        feed.read_payload(&mut []).unwrap();
        assert!(turning());
        let files = feed.open_files().unwrap().files;
        files[0].file.as_ref().unwrap().read_at(0, &mut []).unwrap();
        assert!(turning());
        assert!(feed.put_aside(&header(), "").await && turning());
        feed.advance(&header());
        assert!(turning());
    }
}
