//! What a sink asks of its feed is heard below all that lies between.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::super::*;
use super::rig::Shelves;
use crate::config::Role;
use crate::data::Sequence;
use crate::pipe::source::{Birthplace, Filter};
use crate::sink::cuts::{Desk, Lent};
use crate::statement::Source;

/// Writes down what it is asked, and has an answer to each that none of the others would give by itself.
struct Asked {
    shelves: Shelves,
    heard: Arc<Mutex<Vec<&'static str>>>,
    objects: Arc<AtomicBool>,
}

impl Asked {
    fn heard(&self, what: &'static str) {
        self.heard.lock().unwrap().push(what);
    }
}

impl Feed for Asked {
    type File = &'static [u8];

    fn next_entry(&mut self) -> Result<Option<EntryHeader>, ReadError> {
        self.heard("next_entry");
        self.shelves.next_entry()
    }

    async fn changed(&mut self) {
        self.heard("changed");
    }

    fn objection(&self) -> Option<&str> {
        self.heard("objection");
        self.objects.load(Ordering::Relaxed).then_some("no")
    }

    fn read_payload(&mut self, into: &mut [u8]) -> Result<(), ReadError> {
        self.heard("read_payload");
        self.shelves.read_payload(into)
    }

    fn read_start(&mut self, into: &mut [u8]) -> Result<(), ReadError> {
        self.heard("read_start");
        self.shelves.read_start(into)
    }

    fn open_files(&mut self) -> Result<StoredFiles<Self::File>, ReadError> {
        self.heard("open_files");
        self.shelves.open_files()
    }

    fn lend_files(&mut self) -> Result<StoredFiles<Lent>, ReadError> {
        self.heard("lend_files");
        self.shelves.lend_files()
    }

    fn position(&self) -> Sequence {
        self.heard("position");
        Sequence(41)
    }

    fn is_pending(&self) -> bool {
        self.heard("is_pending");
        true
    }

    fn is_over(&self) -> bool {
        self.heard("is_over");
        true
    }

    fn pass_over(&mut self, _: &EntryHeader) {
        self.heard("pass_over");
    }

    fn tell_passed(&mut self) {
        self.heard("tell_passed");
    }

    fn may_go_ahead(&self) -> bool {
        self.heard("may_go_ahead");
        true
    }

    fn go_ahead(&mut self, _: &EntryHeader) {
        self.heard("go_ahead");
    }

    fn settle(&mut self, _: Option<Sequence>) {
        self.heard("settle");
    }

    fn go_back(&mut self) {
        self.heard("go_back");
    }

    fn advance(&mut self, header: &EntryHeader) {
        self.heard("advance");
        self.shelves.advance(header);
    }

    async fn quarantine(&mut self, _: &EntryHeader, _: &str) -> bool {
        self.heard("quarantine");
        true
    }

    async fn put_aside(&mut self, _: &EntryHeader, _: &str) -> bool {
        self.heard("put_aside");
        true
    }

    fn dead_letters(&self) -> u64 {
        self.heard("dead_letters");
        7
    }
}

/// All that lies between the sink of a pipe and what reads the spool.
fn stack<F: Feed>(feed: F) -> Sampling<Filtered<Named<F>>> {
    let board = Arc::new(Board::new(Role::Sender, "", clock::now()));
    let (_, precision) = watch::channel(Some(Precision::Ms));
    let birth = Birthplace { border: Sequence(1), created_ms: 0, offset_seconds: 0 };
    let filter = Filter::new(&Source::of_path("root.**"), birth);
    let named = Named::new(feed, Arc::clone(&board));
    let cutters =
        Cutters { desk: Desk::default(), board: Arc::clone(&board), pipe: "p".to_owned() };
    let filtered = Filtered::new(named, filter, Scratch::default(), precision, cutters);
    Sampling::new(filtered, None, Precision::Ms, ("p", board))
}

#[tokio::test]
async fn each_call_of_a_sink_reaches_what_reads_the_spool() {
    let (shelves, asked) = (Shelves::default(), Arc::new(Mutex::new(Vec::new())));
    shelves.put_files(0, &[("x.tsfile", super::rig::ts_file())]);
    let objects = Arc::new(AtomicBool::new(true));
    let mut feed = stack(Asked {
        shelves: shelves.clone(),
        heard: Arc::clone(&asked),
        objects: Arc::clone(&objects),
    });
    let heard = |what| {
        let asked = std::mem::take(&mut *asked.lock().unwrap());
        assert!(asked.contains(&what), "{what} among {asked:?}");
    };
    let entry = feed.next_entry().unwrap().unwrap();
    heard("next_entry");
    assert_eq!(feed.objection(), Some("no"));
    heard("objection");
    assert_eq!(feed.open_files().unwrap().files.len(), 1);
    heard("open_files");
    // Its files may be in another form than below.
    assert_eq!(feed.lend_files().unwrap().files.len(), 1);
    assert!(feed.quarantine(&entry, "").await);
    heard("quarantine");
    assert!(feed.put_aside(&entry, "").await);
    heard("put_aside");
    feed.advance(&entry);
    heard("advance");
    assert_eq!(feed.next_entry().unwrap(), None);
    feed.changed().await;
    heard("changed");
    assert!(feed.is_pending());
    heard("is_pending");
    assert!(feed.is_over());
    heard("is_over");
    assert_eq!((feed.position(), feed.dead_letters()), (Sequence(41), 7));
    heard("dead_letters");
    feed.tell_passed();
    heard("tell_passed");
    feed.pass_over(&entry);
    heard("pass_over");
    shelves.put_payload(b"some bytes");
    let entry = feed.next_entry().unwrap().unwrap();
    let mut payload = vec![0; entry.payload_bytes as usize];
    feed.read_payload(&mut payload).unwrap();
    heard("read_payload");
    feed.read_start(&mut payload[..4]).unwrap();
    heard("read_start");
    assert!(!feed.may_go_ahead(), "there is an objection");
    objects.store(false, Ordering::Relaxed);
    assert!(feed.may_go_ahead());
    heard("may_go_ahead");
    feed.go_ahead(&entry);
    heard("go_ahead");
    feed.settle(None);
    heard("settle");
    feed.go_back();
    heard("go_back");
}
