//! One connection: a call, a reply, until it ends.

use std::net::SocketAddr;
use std::rc::Rc;

use thrift::protocol::TMessageType;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;

use super::Shared;
use super::door::{Door, Refused};
use super::frames::{Frames, Over, whole_in_time};
use crate::data::Precision;
use crate::limits::{
    KIB, SESSION_HOLD_MAX, SESSION_IDLE_MAX, SESSION_LOGIN_BYTES_MAX, SESSION_LOGIN_MAX,
    SESSION_METHOD_BYTES_MAX, SESSION_PORTION_BYTES, SESSION_REQUEST_BYTES_MAX,
    SESSION_REQUEST_MAX, SESSION_SMALL_BYTES,
};
use crate::link::receiver::{Case, Guest, HandshakeFlaw};
use crate::ops::clock;
use crate::wire::piece::PieceHead;
use crate::wire::thrift::inserts;
use crate::wire::thrift::status::Code;
use crate::wire::thrift::transfer::{Found, METHOD, TAIL, TransferHead};
use crate::wire::thrift::{
    Head, Incoming, LENGTH_BYTES, Protocol, TPipeTransferResp, TSStatus, UNNUMBERED, calls,
    write_reply,
};

/// What is read of a frame before it is known what it is: a head of a call, and of a piece.
const FIRST_BYTES: usize = KIB;
/// An idle connection keeps no more than this.
const KEPT_BYTES: usize = 4 * KIB;

/// A connection and its state.
#[derive(Debug)]
pub(super) struct Conversation<S> {
    pub(super) frames: Frames<S>,
    pub(super) peer: SocketAddr,
    pub(super) shared: Rc<Shared>,
    pub(super) protocol: Protocol,
    /// Whoever has logged in.
    pub(super) user: Option<String>,
    pub(super) time_zone: String,
    /// Its own number of statements and queries.
    pub(super) statements: i64,
    /// The unit of times that the client was told.
    pub(super) precision: Option<Precision>,
    pipe: Option<Door>,
    /// A pipe's handshake was accepted.
    is_greeted: bool,
    writer: Option<Door>,
    /// The present call, and what is made of it.
    buffer: Vec<u8>,
    pub(super) payload: Vec<u8>,
    pub(super) reply: Vec<u8>,
    /// The reply is the last thing that is said.
    pub(super) is_over: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    pub(super) fn new(stream: S, peer: SocketAddr, shared: Rc<Shared>) -> Self {
        Self {
            frames: Frames::new(stream),
            peer,
            shared,
            protocol: Protocol::Binary,
            user: None,
            time_zone: String::from("UTC"),
            statements: 0,
            precision: None,
            pipe: None,
            is_greeted: false,
            writer: None,
            buffer: Vec::new(),
            payload: Vec::new(),
            reply: Vec::new(),
            is_over: false,
        }
    }

    /// Serves it to its end.
    pub(super) async fn run(mut self) {
        log::debug!("event=session_opened peer={}", self.peer);
        let end = loop {
            match self.turn().await {
                Ok(()) if self.is_over => break Over::Closed,
                Ok(()) => {}
                Err(over) => break over,
            }
        };
        match end {
            Over::Closed => log::debug!("event=session_closed peer={}", self.peer),
            why @ (Over::Lost(_) | Over::Late(_) | Over::NoFrame(_)) => {
                log::info!("event=session_ended peer={} why=\"{why}\"", self.peer);
            }
        }
    }

    async fn turn(&mut self) -> Result<(), Over> {
        self.rest();
        self.reply.clear();
        self.reply.shrink_to(KEPT_BYTES);
        let most = usize::try_from(self.shared.pipes.max_frame_bytes).unwrap_or(usize::MAX);
        let most = most.max(SESSION_REQUEST_BYTES_MAX).saturating_add(KIB);
        let is_known = self.user.is_some() || self.is_greeted;
        let idle = if is_known { SESSION_IDLE_MAX } else { SESSION_LOGIN_MAX };
        let bytes = self.frames.next(most, idle).await?;
        self.frames.fill(&mut self.buffer, FIRST_BYTES).await?;
        let first = self.buffer.first().copied().unwrap_or_default();
        self.protocol =
            Protocol::of(first).ok_or(Over::NoFrame("it begins with no thrift message"))?;
        let shared = Rc::clone(&self.shared);
        // Until the reply is written, too: whoever does not read it holds no more than that.
        let mut share = None;
        match TransferHead::find(self.protocol, &self.buffer) {
            Found::Transfer(head, used) => self.transfer(head, used).await?,
            Found::More | Found::Other => share = self.call(bytes, &shared).await?,
        }
        if self.reply.is_empty() {
            return Ok(());
        }
        self.rest();
        let reply = std::mem::take(&mut self.reply);
        let written = self.frames.write(&reply).await;
        self.reply = reply;
        drop(share);
        written
    }

    /// Gives the memory of the present call back.
    fn rest(&mut self) {
        for buffer in [&mut self.buffer, &mut self.payload] {
            buffer.clear();
            buffer.shrink_to(KEPT_BYTES);
        }
    }

    /// A call that is read whole. What it takes of the memory that all share is given back with what is returned.
    async fn call<'a>(
        &mut self,
        bytes: usize,
        shared: &'a Shared,
    ) -> Result<Option<SemaphorePermit<'a>>, Over> {
        if self.user.is_none() && bytes > SESSION_LOGIN_BYTES_MAX {
            return Err(Over::NoFrame("it is too large before a login"));
        }
        if bytes > SESSION_REQUEST_BYTES_MAX {
            return self.read_over(*inserts::too_large().0).await.map(|()| None);
        }
        // Logins and statements wait for nobody who writes.
        let small = bytes <= SESSION_SMALL_BYTES;
        let wanted = if small { 0 } else { u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX) };
        let share = timeout(SESSION_HOLD_MAX, shared.memory.acquire_many(wanted)).await;
        let Ok(Ok(share)) = share else {
            return self
                .read_over(try_again("others write as much as there is memory for"))
                .await
                .map(|()| None);
        };
        let whole = self.frames.fill(&mut self.buffer, bytes);
        whole_in_time(SESSION_REQUEST_MAX, whole).await?;
        let message = std::mem::take(&mut self.buffer);
        let read = Incoming::read(self.protocol, &message);
        let call = read.map_err(|_| Over::NoFrame("its message has no head"))?;
        if call.head.method.len() > SESSION_METHOD_BYTES_MAX {
            return Err(Over::NoFrame("its method's name is too long"));
        }
        if call.head.method == METHOD {
            // Of another form than all writers make it.
            let head = call.head.clone();
            let request = call.view(UNNUMBERED).and_then(calls::transfer);
            match request {
                Ok(request) => self.small_transfer(&head, request).await?,
                Err(error) => self.not_read(&head, &error.to_string())?,
            }
        } else {
            self.dispatch(call).await?;
        }
        Ok(Some(share))
    }

    /// A call that is not looked at is read over, and told why.
    async fn read_over(&mut self, status: TSStatus) -> Result<(), Over> {
        let head = Incoming::read(self.protocol, &self.buffer).map(|call| call.head);
        let head = head.map_err(|_| Over::NoFrame("its message has no head"))?;
        if head.method.len() > SESSION_METHOD_BYTES_MAX {
            return Err(Over::NoFrame("its method's name is too long"));
        }
        while self.frames.left() > 0 {
            self.buffer.clear();
            self.frames.fill(&mut self.buffer, SESSION_PORTION_BYTES).await?;
        }
        self.refuse(&head, status)
    }

    /// Puts a reply behind what is to be written; none to a call that waits for none.
    pub(super) fn answer(
        &mut self,
        head: &Head,
        result: &impl thrift::protocol::TSerializable,
    ) -> Result<(), Over> {
        if head.kind == TMessageType::OneWay {
            return Ok(());
        }
        write_reply(self.protocol, head, result, &mut self.reply)
            .map_err(|_| Over::NoFrame("its reply is too large"))
    }
}

// What a pipe brings.
impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    /// A request that goes by: `used` bytes of the buffer are in front of its body.
    async fn transfer(&mut self, head: TransferHead, used: usize) -> Result<(), Over> {
        let body_bytes = usize::try_from(head.body_bytes).unwrap_or(usize::MAX);
        let rest = self.buffer.len().saturating_sub(used).saturating_add(self.frames.left());
        if body_bytes.saturating_add(TAIL.len()) != rest {
            return Err(Over::NoFrame("the length of its body is not that of its frame"));
        }
        let mut payload = payload_head(head.version, head.request_type).to_vec();
        payload.extend_from_slice(self.buffer.get(used..).unwrap_or_default());
        let piece_end = piece_end(&payload);
        let refused = self.go_by(&payload, head.body_bytes).await?.err();
        let call =
            Head { method: METHOD.to_owned(), kind: TMessageType::Call, sequence: head.sequence };
        let result = self.transferred(refused, piece_end);
        self.answer(&call, &result)
    }

    /// The same for one that lies in memory.
    async fn small_transfer(
        &mut self,
        head: &Head,
        (version, request_type, body): (i8, i16, &[u8]),
    ) -> Result<(), Over> {
        let mut payload = payload_head(version, request_type).to_vec();
        payload.extend_from_slice(body);
        let refused = match self.open_pipe() {
            Ok(door) => match door.request(&payload).await {
                Ok(()) => door.answer().await.err(),
                Err(refused) => Some(refused),
            },
            Err(refused) => Some(refused),
        };
        let result = self.transferred(refused, piece_end(&payload));
        self.answer(head, &result)
    }

    /// Passes the first bytes of a request on, and the rest of its frame but for the ends of the structs.
    async fn go_by(&mut self, first: &[u8], body_bytes: u32) -> Result<Result<(), Refused>, Over> {
        let mut left = usize::try_from(body_bytes).unwrap_or(usize::MAX) + PAYLOAD_HEAD_BYTES;
        let payload_bytes = u32::try_from(left).unwrap_or(u32::MAX);
        let mut passed = match self.open_pipe() {
            Ok(door) => door.begin(payload_bytes).await,
            Err(refused) => Err(refused),
        };
        let mut portion = first.to_vec();
        loop {
            let part = portion.get(..left).unwrap_or(&portion);
            if let (Ok(()), Some(door)) = (passed, &mut self.pipe) {
                passed = door.put(part).await;
            }
            left -= part.len();
            if self.frames.left() == 0 {
                break;
            }
            portion.clear();
            self.frames.fill(&mut portion, SESSION_PORTION_BYTES).await?;
        }
        if let (Ok(()), Some(door)) = (passed, &mut self.pipe) {
            passed = door.answer().await;
        }
        Ok(passed)
    }

    fn open_pipe(&mut self) -> Result<&mut Door, Refused> {
        if self.pipe.is_none() {
            if self.shared.attempts.borrow().is_locked(self.peer.ip(), clock::now()) {
                return Err(Refused::Locked);
            }
            let Shared { inlets, pipes, .. } = &*self.shared;
            let door = Door::open(inlets, self.peer, Guest::Pipe, pipes);
            self.pipe = Some(door.map_err(|_| Refused::Ended)?);
        }
        self.pipe.as_mut().ok_or(Refused::Ended)
    }

    /// The first that a pipe sends is its login.
    fn note_login(&mut self, refused: Option<Refused>) {
        let mut attempts = self.shared.attempts.borrow_mut();
        if refused == Some(Refused::Case(Case::Handshake(HandshakeFlaw::Login))) {
            attempts.failed(self.peer.ip(), clock::now());
        } else if refused.is_none() && !self.is_greeted {
            self.is_greeted = true;
            attempts.succeeded(self.peer.ip());
        }
    }

    fn transferred(&mut self, refused: Option<Refused>, end: Option<u64>) -> TPipeTransferResp {
        self.note_login(refused);
        let Some(refused) = refused else {
            let end = end.map(|end| end.to_be_bytes().to_vec());
            return TPipeTransferResp::new(TSStatus::new(200, None, None, None, None), end);
        };
        // The way to the spool is over, and what is half there with it: a new connection begins anew.
        self.is_over |= ends(refused);
        TPipeTransferResp::new(pipe_status(refused), None)
    }
}

// What a client writes.
impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    /// Stores the request that lies in `payload`; its share is given back as soon as it is passed on.
    pub(super) async fn store(&mut self, made: SemaphorePermit<'_>) -> Result<(), TSStatus> {
        let precision = self.node_precision();
        if self.precision != Some(precision) {
            // Its times are in the unit that it was told.
            self.is_over = true;
            let message = format!(
                "the node's timestamp precision is {} by now: open the session anew",
                precision.text()
            );
            return Err(Code::EXECUTE_STATEMENT_ERROR.status(message));
        }
        if self.writer.is_none() {
            let Shared { inlets, writers, .. } = &*self.shared;
            let door = Door::open(inlets, self.peer, Guest::Writer(precision), writers);
            self.writer = Some(door.map_err(|_| writer_status(Refused::Ended))?);
        }
        let Some(door) = &mut self.writer else { return Err(writer_status(Refused::Ended)) };
        let passed = door.request(&self.payload).await;
        self.payload.clear();
        self.payload.shrink_to(KEPT_BYTES);
        drop(made);
        let answered = match passed {
            Ok(()) => door.answer().await,
            Err(refused) => Err(refused),
        };
        match answered {
            Ok(()) => Ok(()),
            Err(refused) => {
                if ends(refused) {
                    self.writer = None;
                }
                Err(writer_status(refused))
            }
        }
    }

    /// The node's unit of times, or what clients take for granted.
    pub(super) fn node_precision(&self) -> Precision {
        self.shared.precision.borrow().unwrap_or(Precision::Ms)
    }
}

/// Version and type, as over a gate.
const PAYLOAD_HEAD_BYTES: usize = 3;

fn payload_head(version: i8, request_type: i16) -> [u8; PAYLOAD_HEAD_BYTES] {
    let [high, low] = request_type.to_be_bytes();
    [version.to_be_bytes()[0], high, low]
}

/// Where in its file a piece ends: what the reply to it says.
fn piece_end(payload: &[u8]) -> Option<u64> {
    let piece = PieceHead::parse(payload).ok().flatten()?;
    Some(piece.start + u64::from(piece.piece_bytes))
}

/// Whether the way to the spool is over.
const fn ends(refused: Refused) -> bool {
    match refused {
        Refused::Ended | Refused::Locked => true,
        Refused::Case(case) => {
            matches!(case.verdict(), crate::link::receiver::Verdict::Reset)
        }
    }
}

/// What a pipe is told. 1801 on a handshake would make it fall back to an older one, so only requests have it.
#[expect(clippy::wildcard_enum_match_arm, reason = "for all others the pipe comes again")]
fn pipe_status(refused: Refused) -> TSStatus {
    let case = match refused {
        Refused::Case(case) => case,
        Refused::Locked => return locked(),
        Refused::Ended => {
            let code = Code::PIPE_RECEIVER_TEMPORARY_UNAVAILABLE;
            return code.status("the node has no place for this pipe now");
        }
    };
    let (code, message) = match case {
        Case::Handshake(HandshakeFlaw::Login) => {
            (Code::WRONG_LOGIN_PASSWORD, "user or password are not those of [session]")
        }
        Case::Handshake(HandshakeFlaw::Precision) => {
            (Code::PIPE_HANDSHAKE_ERROR, "the node has another timestamp precision")
        }
        Case::Handshake(HandshakeFlaw::OwnCluster) => {
            (Code::PIPE_HANDSHAKE_ERROR, "the pipe leads back to its own cluster")
        }
        Case::Handshake(_) | Case::NoHandshake => {
            (Code::PIPE_HANDSHAKE_ERROR, "the handshake is not accepted")
        }
        Case::UnknownType => (Code::PIPE_TYPE_ERROR, "the node does not know this request"),
        Case::UnknownVersion => (Code::PIPE_VERSION_ERROR, "the node knows version 1 of requests"),
        Case::OutOfPlace | Case::TooManyFiles => {
            (Code::PIPE_TRANSFER_FILE_ERROR, "the piece or seal does not fit what came before it")
        }
        other => {
            let code = Code::PIPE_RECEIVER_TEMPORARY_UNAVAILABLE;
            return code.status(format!("not taken: {}", other.name()));
        }
    };
    code.status(message)
}

/// What a client is told.
#[expect(clippy::wildcard_enum_match_arm, reason = "for all others the client comes again")]
fn writer_status(refused: Refused) -> TSStatus {
    let Refused::Case(case) = refused else {
        return try_again("the node has no place for this connection now");
    };
    match case {
        Case::Undecodable => Code::ILLEGAL_PARAMETER.status("the request makes no sense"),
        Case::ReadOnly => Code::SYSTEM_READ_ONLY.status("the node's disk fails: it takes nothing"),
        Case::HeldTooLong | Case::SpoolFull => {
            try_again("it was not stored in time: the node's spool is full, or its disk slow")
        }
        Case::Stopping => try_again("the node stops"),
        other => Code::WRITE_PROCESS_REJECT.status(format!("not taken: {}", other.name())),
    }
}

/// What is said to an address that has guessed passwords.
pub(super) fn locked() -> TSStatus {
    let message = "too many failed logins from this address: wait some minutes";
    Code::USER_LOGIN_LOCKED.status(message)
}

/// Clients of Java try it again by themselves.
pub(super) fn try_again(message: &str) -> TSStatus {
    TSStatus { need_retry: Some(true), ..Code::WRITE_PROCESS_REJECT.status(message) }
}

const _: () = assert!(LENGTH_BYTES < FIRST_BYTES);
