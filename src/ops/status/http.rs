//! The HTTP side: bounded connections, bounded time, small buffers, one request after the other.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::oneshot;
use tokio::task::{self, JoinHandle};
use tokio::time;

use super::{Command, Service, illness, metrics, page, report_now};
use crate::limits::{
    STATUS_BODY_BYTES_MAX, STATUS_BUFFER_BYTES, STATUS_CONNECTION_LEAST, STATUS_CONNECTIONS_MAX,
    STATUS_DEADLINE, STATUS_HEAD_DEADLINE,
};
use crate::ops::clock;
use crate::ops::log::Repeating;
use crate::ops::status::report::TroubleReport;

type Body = Full<Bytes>;

/// Where people and scripts come in.
#[derive(Debug)]
pub enum Listener {
    /// The read-only part.
    Status(TcpListener),
    /// The control socket.
    Control(UnixListener),
}

/// Serves until it is dropped. Runs on a `LocalSet`; each connection is a task of it. With
/// [`STATUS_CONNECTIONS_MAX`] of them the oldest makes way for a newcomer, once it has had
/// [`STATUS_CONNECTION_LEAST`]: whoever asks at once is answered, however many others say nothing.
pub async fn serve(listener: Listener, service: Service) {
    let service = Rc::new(service);
    let mut served: VecDeque<Served> = VecDeque::with_capacity(STATUS_CONNECTIONS_MAX);
    let mut trouble = Repeating::default();
    loop {
        match listener.accept().await {
            Ok(stream) => {
                if let Some(times) = trouble.ended() {
                    log::info!("event=status_accepts failures={times}");
                }
                make_way(&mut served).await;
                let task = spawn(stream, &service);
                served.push_back(Served { task, since: clock::now() });
            }
            Err(error) => {
                if let Some(times) = trouble.failed() {
                    log::warn!("event=status_not_accepted error={error:?} times={times}");
                }
                time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A connection.
struct Served {
    task: JoinHandle<()>,
    since: Instant,
}

/// It ends with the service.
impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Returns when there is a place.
async fn make_way(served: &mut VecDeque<Served>) {
    served.retain(|one| !one.task.is_finished());
    if served.len() < STATUS_CONNECTIONS_MAX {
        return;
    }
    if let Some(oldest) = served.front_mut() {
        let left = (oldest.since + STATUS_CONNECTION_LEAST).saturating_duration_since(clock::now());
        // It may end by itself.
        drop(time::timeout(left, &mut oldest.task).await);
    }
    served.pop_front();
}

/// A control socket that is given up in order leaves no name behind.
impl Drop for Listener {
    fn drop(&mut self) {
        let Self::Control(listener) = self else { return };
        let address = listener.local_addr().ok();
        if let Some(path) = address.as_ref().and_then(|address| address.as_pathname()) {
            drop(std::fs::remove_file(path)); // the next node removes what is left
        }
    }
}

/// What a listener accepts.
trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

impl Listener {
    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Status(listener) => Box::new(listener.accept().await?.0),
            Self::Control(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

fn spawn(stream: Box<dyn Stream>, service: &Rc<Service>) -> JoinHandle<()> {
    let service = Rc::clone(service);
    task::spawn_local(async move {
        let answer = service_fn(move |request| {
            let service = Rc::clone(&service);
            async move { Ok::<_, Infallible>(service.answer(request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(STATUS_HEAD_DEADLINE)
            .max_buf_size(STATUS_BUFFER_BYTES)
            .keep_alive(false)
            .half_close(true)
            .serve_connection(TokioIo::new(stream), answer);
        match time::timeout(STATUS_DEADLINE, connection).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => log::debug!("event=status_connection_failed error={error:?}"),
            Err(_) => log::debug!("event=status_connection_too_slow"),
        }
    })
}

impl Service {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        match *request.method() {
            Method::GET | Method::HEAD => {
                let query = request.uri().query().unwrap_or_default();
                let languages = request.headers().get(ACCEPT_LANGUAGE);
                let languages = languages.and_then(|value| value.to_str().ok()).unwrap_or_default();
                self.show(&path, query, languages)
            }
            Method::POST if self.commands.is_some() => match text_of(request).await {
                Some(body) => self.change(&path, body.trim()).await,
                None => line(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long, or no text"),
            },
            _ => {
                line(StatusCode::METHOD_NOT_ALLOWED, "only GET here; the control socket takes POST")
            }
        }
    }

    /// What only shows.
    fn show(&self, path: &str, query: &str, languages: &str) -> Response<Body> {
        match path {
            "/" => {
                let view = page::View::of(query, languages);
                let text = page::render(&report_now(&self.board), view, clock::wall());
                let mut response = answer(StatusCode::OK, "text/html; charset=utf-8", text);
                let policy = HeaderValue::from_static(PAGE_POLICY);
                response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
                response
            }
            "/status" => json(&report_now(&self.board)),
            "/metrics" => match metrics::text(&self.board) {
                Ok(text) => answer(StatusCode::OK, metrics::MEDIA_TYPE, text),
                Err(_) => line(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written"),
            },
            "/healthz" => match illness(&self.board, clock::now()) {
                None => line(StatusCode::OK, "ok"),
                Some(why) => line(StatusCode::SERVICE_UNAVAILABLE, &why),
            },
            _ => line(StatusCode::NOT_FOUND, "there are: / /status /metrics /healthz"),
        }
    }

    /// What changes something; comes by the control socket only.
    async fn change(&self, path: &str, body: &str) -> Response<Body> {
        match path {
            "/ack" => {
                let what = (!body.is_empty()).then_some(body);
                let seen = self.board.troubles.acknowledge(what);
                json(&seen.into_iter().map(TroubleReport::of).collect::<Vec<_>>())
            }
            "/spool/release" => match self.ask(Command::Release).await {
                Ok(Ok(done)) => line(StatusCode::OK, &done),
                Ok(Err(why)) => line(StatusCode::CONFLICT, &why),
                Err(refused) => refused,
            },
            "/sql" => self.carry_out(body).await,
            _ => line(StatusCode::NOT_FOUND, "there are: /ack /spool/release /sql"),
        }
    }

    /// Statements: the node's answers as JSON, whatever came of them.
    async fn carry_out(&self, text: &str) -> Response<Body> {
        let text = text.to_owned();
        match self.ask(|reply| Command::Sql(text, reply)).await {
            Ok(answers) => json(&answers),
            Err(refused) => refused,
        }
    }

    /// Asks the node, and returns what it said, or else what to say instead.
    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, Response<Body>> {
        let Some(commands) = &self.commands else {
            return Err(line(StatusCode::METHOD_NOT_ALLOWED, "only on the control socket"));
        };
        let (reply, answer) = oneshot::channel();
        if commands.try_send(command(reply)).is_err() {
            return Err(line(StatusCode::SERVICE_UNAVAILABLE, "the node is busy or stopping"));
        }
        answer.await.map_err(|_| {
            line(StatusCode::SERVICE_UNAVAILABLE, "the node stopped before it answered")
        })
    }
}

/// The body, if it is a text that is not too long.
async fn text_of(request: Request<Incoming>) -> Option<String> {
    let body = Limited::new(request.into_body(), STATUS_BODY_BYTES_MAX);
    let bytes = body.collect().await.ok()?.to_bytes();
    String::from_utf8(bytes.into()).ok()
}

fn json<T: serde::Serialize>(value: &T) -> Response<Body> {
    match serde_json::to_string_pretty(value) {
        Ok(text) => answer(StatusCode::OK, "application/json", text + "\n"),
        Err(_) => line(StatusCode::INTERNAL_SERVER_ERROR, "the answer cannot be written"),
    }
}

fn line(status: StatusCode, text: &str) -> Response<Body> {
    answer(status, "text/plain; charset=utf-8", format!("{text}\n"))
}

fn answer(status: StatusCode, media_type: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The page has its style within and nothing else.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
/// After a failed accept: handles are short, and others may free some.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
