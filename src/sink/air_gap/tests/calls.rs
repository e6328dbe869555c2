//! The same driver in front of an IoTDB's client service: calls in place of frames, statuses in place of bytes.

use std::sync::{Arc, Mutex};

use thrift::protocol::TMessageType;
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};

use super::*;
use crate::wire::thrift::transfer::{Found, METHOD, TAIL, TransferHead};
use crate::wire::thrift::{Head, Protocol, TPipeTransferResp, TSStatus, write_reply};

pub(super) const THRIFT: Envelope = Envelope::Thrift(Protocol::Binary);
pub(super) const OK_STATUS: (i32, &str) = (200, "");

/// No answer, and an end of the connection instead of one.
pub(super) const SILENCE: (i32, &str) = (0, "");
pub(super) const END: (i32, &str) = (-1, "");

/// What an IoTDB answers to a call: connection, calls on it before, the call.
type Script = dyn FnMut(usize, usize, &Seen) -> (i32, &'static str) + Send;

/// An IoTDB's client service that does as a script says.
pub(super) struct Service {
    pub(super) port: u16,
    calls: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Service {
    pub(super) async fn new(
        script: impl FnMut(usize, usize, &Seen) -> (i32, &'static str) + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let book = Arc::clone(&calls);
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(script));
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            for connection in 0.. {
                let (socket, _) = listener.accept().await.unwrap();
                let (book, script) = (Arc::clone(&book), Arc::clone(&script));
                connections.spawn(attend(socket, connection, book, script));
            }
        });
        Self { port, calls, task }
    }

    pub(super) fn calls(&self) -> Vec<Seen> {
        self.calls.lock().unwrap().clone()
    }

    /// Connection and type of every call.
    pub(super) fn codes(&self) -> Vec<(usize, i16)> {
        self.calls().iter().map(|seen| (seen.connection, seen.code())).collect()
    }
}

async fn attend(
    mut socket: TcpStream,
    connection: usize,
    book: Arc<Mutex<Vec<Seen>>>,
    script: Arc<Mutex<Script>>,
) {
    for count in 0.. {
        let Ok(length) = socket.read_u32().await else { return };
        let mut message = vec![0; length as usize];
        if socket.read_exact(&mut message).await.is_err() {
            return;
        }
        let Found::Transfer(head, at) = TransferHead::find(Protocol::Binary, &message) else {
            panic!("no call of {METHOD}: {message:?}")
        };
        let body = &message[at..message.len() - TAIL.len()];
        assert_eq!(
            (body.len(), &message[at + body.len()..]),
            (head.body_bytes as usize, &TAIL[..])
        );
        let [high, low] = head.request_type.to_be_bytes();
        let payload = [&[head.version.cast_unsigned(), high, low], body].concat();
        let seen = Seen { connection, wrapped: false, payload };
        let (code, message) = {
            let mut book = book.lock().unwrap();
            let said = script.lock().unwrap()(connection, count, &seen);
            book.push(seen);
            said
        };
        match (code, message) {
            SILENCE => continue,
            END => return,
            _ => {}
        }
        let call =
            Head { method: METHOD.to_owned(), kind: TMessageType::Call, sequence: head.sequence };
        let status = TSStatus::new(code, message.to_owned(), None, None, None);
        let mut reply = Vec::new();
        write_reply(Protocol::Binary, &call, &TPipeTransferResp::new(status, None), &mut reply)
            .unwrap();
        if socket.write_all(&reply).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn tablets_files_and_requests_are_calls() {
    let far = Service::new(|_, _, _| OK_STATUS).await;
    let shelves = Shelves::default();
    shelves.put_payload(TABLET);
    shelves.put_files(0, &[("a.tsfile", ts_file())]);
    shelves.put_payload(OTHER);
    let running = Running::new(&[far.port], &shelves, |settings| {
        settings.envelope = THRIFT;
        settings.piece_bytes = 2000;
    });
    running.until_advanced(&[1, 2, 3]).await;
    assert_eq!(far.codes(), [(0, 51), (0, 2), (0, 4), (0, 4), (0, 5), (0, 100)]);
    let calls = far.calls();
    assert_eq!(calls[1].payload, TABLET);
    assert_eq!(content_of(&calls, 4), ts_file());
    assert_eq!(calls[5].payload, with_trailer(OTHER, 3));
    assert_eq!(running.row.message(), "");
    assert!(running.stop().await < SECOND * 3);
}

#[tokio::test]
async fn a_request_larger_than_the_buffer_is_one_call() {
    let far = Service::new(|_, _, _| OK_STATUS).await;
    let shelves = Shelves::default();
    let request = [&b"\x01\0\x64"[..], noise(3 * MIB)].concat();
    shelves.put_files(100, &[("request", request.clone().leak())]);
    let running = Running::new(&[far.port], &shelves, |settings| settings.envelope = THRIFT);
    running.until_advanced(&[1]).await;
    assert_eq!(far.codes(), [(0, 51), (0, 100)]);
    assert!(far.calls()[1].payload == with_trailer(&request, 1));
}

#[tokio::test]
async fn what_passes_is_tried_again_and_only_a_conflict_is_put_aside() {
    let mut refused = 0;
    let far = Service::new(move |_, _, call| match call.code() {
        2 if refused < 3 => {
            refused += 1;
            (1808, "short of memory")
        }
        100 => (1810, "another type"),
        _ => OK_STATUS,
    })
    .await;
    let shelves = Shelves::default();
    shelves.put_payload(TABLET);
    shelves.put_payload(OTHER);
    let running = Running::new(&[far.port], &shelves, |settings| {
        settings.envelope = THRIFT;
        settings.give_up_after = Some(Duration::from_millis(1));
    });
    let told = |text: &str| running.row.message().contains(text);
    running.until(|_| told("refused a request: 1808 short of memory")).await;
    running.until_advanced(&[1, 2]).await;
    assert_eq!(far.codes().iter().filter(|(_, code)| *code == 2).count(), 4);
    let put_aside = shelves.shelf.lock().unwrap().put_aside.clone();
    assert_eq!(put_aside.iter().map(|(entry, _)| *entry).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn without_a_time_a_conflict_is_kept_and_told() {
    let far = Service::new(|_, _, call| match call.code() {
        2 => (1810, "another type"),
        _ => OK_STATUS,
    })
    .await;
    let shelves = Shelves::default();
    shelves.put_payload(TABLET);
    let running = Running::new(&[far.port], &shelves, |settings| settings.envelope = THRIFT);
    let told = |text: &str| running.row.message().contains(text);
    running.until(|_| told("refused a request: 1810 another type (3 times)")).await;
    assert!(running.shelves.advanced().is_empty());
    assert_eq!(running.board.troubles.all()[0].kind, TroubleKind::Refused);
}

#[tokio::test]
async fn what_is_there_already_is_delivered() {
    let far = Service::new(|_, _, call| match call.code() {
        2 => (1809, "out of TTL"),
        100 => (400, ""),
        _ => OK_STATUS,
    })
    .await;
    let shelves = Shelves::default();
    shelves.put_payload(TABLET);
    shelves.put_payload(OTHER);
    let running = Running::new(&[far.port], &shelves, |settings| settings.envelope = THRIFT);
    running.until_advanced(&[1, 2]).await;
    assert_eq!(running.row.retries.get(), 0);
}

#[tokio::test]
async fn only_a_node_that_does_not_know_the_handshake_gets_the_older_one() {
    let far = Service::new(|_, _, call| match call.code() {
        51 => (1801, "unknown type"),
        _ => OK_STATUS,
    })
    .await;
    let shelves = Shelves::default();
    shelves.put_payload(TABLET);
    let running = Running::new(&[far.port], &shelves, |settings| {
        settings.envelope = THRIFT;
        settings.handshake_v1_fallback = true;
    });
    running.until_advanced(&[1]).await;
    assert_eq!(far.codes(), [(0, 51), (1, 1), (1, 2)]);
    drop(running);

    let mut tries = 0;
    let far = Service::new(move |_, _, _| {
        tries += 1;
        if tries < 3 { (801, "wrong password") } else { OK_STATUS }
    })
    .await;
    let shelves = Shelves::default();
    shelves.put_payload(TABLET);
    let running = Running::new(&[far.port], &shelves, |settings| {
        settings.envelope = THRIFT;
        settings.handshake_v1_fallback = true;
    });
    let told = |text: &str| running.row.message().contains(text);
    running.until(|_| told("refused the handshake: 801 wrong password")).await;
    running.until_advanced(&[1]).await;
    assert_eq!(far.codes(), [(0, 51), (1, 51), (2, 51), (2, 2)]);
}

#[tokio::test]
async fn without_the_attribute_an_older_node_gets_nothing_and_the_message_names_it() {
    let far = Service::new(|_, _, _| (1801, "unknown type")).await;
    let shelves = Shelves::default();
    shelves.put_payload(TABLET);
    let running = Running::new(&[far.port], &shelves, |settings| {
        settings.envelope = THRIFT;
        settings.give_up_after = Some(Duration::ZERO);
    });
    let told = |text: &str| running.row.message().contains(text);
    running
        .until(|_| {
            told("older than 1.3.1; then set 'sink.handshake-v1-fallback'='true') (3 times)")
        })
        .await;
    assert!(far.codes().iter().all(|(_, code)| *code == 51), "{:?}", far.codes());
    assert!(running.shelves.advanced().is_empty());
}

#[tokio::test]
async fn what_is_refused_for_other_reasons_is_put_aside_only_after_the_time_for_it() {
    // What it says, and which of the two times is for it.
    for (code, is_conflict) in
        [(1801, true), (1810, true), (803, true), (1107, false), (1804, false), (509, false)]
    {
        // The other one is over.
        let (_far, running) = refused_with(code, !is_conflict).await;
        let told = format!("{code} no (3 times)");
        running.until(|_| running.row.message().contains(&told)).await;
        assert!(running.shelves.advanced().is_empty(), "{code}");
        drop(running);
        let (_far, running) = refused_with(code, is_conflict).await;
        running.until_advanced(&[1, 2]).await;
        let put_aside = running.shelves.shelf.lock().unwrap().put_aside.clone();
        assert_eq!(put_aside.iter().map(|(entry, _)| *entry).collect::<Vec<_>>(), [1], "{code}");
    }
}

/// A pipe whose tablet is refused with this code: either conflicts are given up at once, or all else.
async fn refused_with(code: i32, gives_up_conflicts: bool) -> (Service, Running) {
    let refuse = move |kind: i16| if kind == 2 { (code, "no") } else { OK_STATUS };
    let far = Service::new(move |_, _, call| refuse(call.code())).await;
    let shelves = Shelves::default();
    shelves.put_payload(TABLET);
    shelves.put_payload(OTHER);
    let running = Running::new(&[far.port], &shelves, |settings| {
        settings.envelope = THRIFT;
        let at_once = Some(Duration::from_millis(1));
        if gives_up_conflicts {
            settings.give_up_after = at_once;
        } else {
            settings.give_up_others_after = at_once;
        }
    });
    (far, running)
}

#[tokio::test]
async fn what_passes_is_asked_again_without_end_and_does_not_count_for_what_comes_then() {
    // Long refused for what passes, then once for good, then taken.
    let tries = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&tries);
    let far = Service::new(move |_, _, call| {
        if call.code() != 2 {
            return OK_STATUS;
        }
        let mut tries = counted.lock().unwrap();
        *tries += 1;
        match *tries {
            1..=2 => (600, "read only"),
            3..=4 => (509, "no such path"),
            5 => (1810, "another type"),
            _ => OK_STATUS,
        }
    })
    .await;
    let shelves = Shelves::default();
    shelves.put_payload(TABLET);
    let running = Running::new(&[far.port], &shelves, |settings| {
        settings.envelope = THRIFT;
        settings.give_up_after = Some(Duration::from_millis(1));
    });
    running.until_advanced(&[1]).await;
    assert_eq!(*tries.lock().unwrap(), 6);
    assert!(shelves.shelf.lock().unwrap().put_aside.is_empty());
}

#[tokio::test]
async fn all_but_handshakes_is_compressed() {
    let far = Service::new(|_, _, _| OK_STATUS).await;
    let shelves = Shelves::default();
    let tablet = [TABLET, &[7; 5000][..]].concat();
    shelves.put_payload(&tablet);
    let running = Running::new(&[far.port], &shelves, |settings| {
        settings.envelope = THRIFT;
        settings.packing.compressors.extend([Compressor::Zstd, Compressor::Lz4]);
    });
    running.until_advanced(&[1]).await;
    assert_eq!(far.codes(), [(0, 51), (0, 300)]);
    assert!(far.calls()[1].payload.len() < 200);
}

#[tokio::test]
async fn what_is_no_iotdb_is_told_and_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 64];
            socket.read_exact(&mut request).await.unwrap();
            socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        }
    });
    let shelves = Shelves::default();
    shelves.put_payload(TABLET);
    let running = Running::new(&[port], &shelves, |settings| settings.envelope = THRIFT);
    running.until(|running| running.row.retries.get() >= 2).await;
    assert!(running.row.message().contains("lost the connection"), "{}", running.row.message());
    task.abort();
}
