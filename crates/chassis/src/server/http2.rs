//! HTTP/2 for clients that know beforehand that it is spoken here: load balancers and meshes that are configured so.
//!
//! TLS negotiates it, and without TLS nothing does, so it is a setting. Every bound that HTTP/2 leaves to the server is set: streams,
//! resets (CVE-2023-44487), header lists (CONTINUATION floods, CVE-2024-27316), frames without data (CVE-2019-9518,
//! bounded where bodies are read), and the time of a connection on which nothing happens.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{Request, header};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::debug;

use super::client::Client;
use super::connection::Serving;
use super::head::MAX_HEAD_BYTES;
use super::last_call;
use super::socket::Socket;
use crate::error::Kind;
use crate::http::{Application, Arrival, Refusal};
use crate::lifecycle::Lifecycle;

/// How a client begins that knows beforehand (RFC 9113, section 3.4). No method of HTTP/1.1 begins so.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";
/// Requests that one connection has at once.
const MAX_STREAMS: u32 = 128;
/// Requests that one connection may take back before they are answered, in a row.
const MAX_ABANDONED: usize = 100;
/// Streams that are reset before they are looked at, and streams that we reset for errors.
const MAX_RESETS: usize = 20;
/// How often a silent client is asked whether it is there, and how long it has to answer.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a preface that comes in pieces is looked at, and for how long. Hardly any does.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOK_FOR: Duration = Duration::from_secs(1);

/// Whether the client begins as HTTP/2 does. Takes nothing from the socket.
pub(super) async fn is_spoken_on(socket: &TcpStream, lifecycle: &Lifecycle) -> bool {
    let looking = async {
        let mut begin = [0; PREFACE.len()];
        loop {
            match socket.peek(&mut begin).await {
                Ok(count @ 1..) if begin.get(..count) == PREFACE.get(..count) => {
                    if count == PREFACE.len() {
                        return true;
                    }
                }
                _ => return false,
            }
            sleep(LOOK_EVERY).await;
        }
    };
    tokio::select! {
        found = timeout(LOOK_FOR, looking) => found.unwrap_or(false),
        () = last_call(lifecycle) => false,
    }
}

/// What happens on one connection.
#[derive(Debug, Default)]
struct Activity {
    begun: AtomicUsize,
    unfinished: AtomicUsize,
    /// When the answers became ready that are not sent to their end.
    unsent: Mutex<BTreeMap<usize, Instant>>,
    abandoned: AtomicUsize,
    too_many: Notify,
}

impl Activity {
    fn unsent(&self) -> MutexGuard<'_, BTreeMap<usize, Instant>> {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether handlers work.
    fn is_at_work(&self) -> bool {
        self.unfinished.load(Ordering::Relaxed) > self.unsent().len()
    }

    /// Whether the client has not read an answer to its end within the limit.
    fn is_stuck(&self, limit: Duration) -> bool {
        self.unsent().values().any(|ready| ready.elapsed() > limit)
    }
}

/// One request until its answer is sent.
#[derive(Debug)]
struct Exchange {
    activity: Arc<Activity>,
    number: usize,
    answered: bool,
}

impl Exchange {
    fn begin(activity: &Arc<Activity>) -> Self {
        activity.unfinished.fetch_add(1, Ordering::Relaxed);
        let number = activity.begun.fetch_add(1, Ordering::Relaxed);
        Self { activity: Arc::clone(activity), number, answered: false }
    }

    fn answered(&mut self) {
        self.answered = true;
        self.activity.unsent().insert(self.number, Instant::now());
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.activity.unfinished.fetch_sub(1, Ordering::Relaxed);
        self.activity.unsent().remove(&self.number);
        if self.answered {
            self.activity.abandoned.store(0, Ordering::Relaxed);
        } else if self.activity.abandoned.fetch_add(1, Ordering::Relaxed) >= MAX_ABANDONED {
            self.activity.too_many.notify_one();
        }
    }
}

/// The body of an answer; the library drops it when the last of it is sent.
struct Sending {
    body: Body,
    _exchange: Exchange,
}

impl hyper::body::Body for Sending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Serves requests until the client leaves, nothing happens for too long, or the lifecycle closes.
pub(super) async fn serve(socket: Socket, client: Client, serving: Serving<impl Application>) {
    let Serving { application, timeouts, lifecycle, .. } = serving;
    let (peer, expires) = (client.peer, client.expires);
    let activity = Arc::new(Activity::default());
    let of_service = Arc::clone(&activity);
    let service = service_fn(move |request: Request<Incoming>| {
        let exchange = Exchange::begin(&of_service);
        answer(application.clone(), request.map(Body::new), client.clone(), exchange)
    });
    let mut connection = pin!(builder().serve_connection(TokioIo::new(socket), service));
    let (mut begun, mut leave_at) = (0, None);
    loop {
        let look_at = leave_at.unwrap_or_else(|| Instant::now() + timeouts.idle);
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    debug!(%peer, cause = %error, "connection ended early");
                }
                return;
            }
            () = activity.too_many.notified() => {
                debug!(%peer, "connection closed: the client takes its requests back");
                return;
            }
            () = sleep_until(look_at) => {
                let is_at_work = activity.is_at_work();
                if activity.is_stuck(timeouts.idle) || (leave_at.is_some() && !is_at_work) {
                    return;
                }
                let before = std::mem::replace(&mut begun, activity.begun.load(Ordering::Relaxed));
                if leave_at.is_none() && (is_at_work || begun != before) {
                    continue;
                }
                leave_at = Some(Instant::now() + timeouts.stall);
            }
            () = sleep_until(expires.unwrap_or(look_at)), if expires.is_some() && leave_at.is_none() => {
                leave_at = Some(Instant::now() + timeouts.stall);
            }
            () = last_call(&lifecycle), if leave_at.is_none() => {
                leave_at = Some(lifecycle.clients_until().unwrap_or_else(Instant::now));
            }
            () = lifecycle.stopped().cancelled() => return,
        }
        connection.as_mut().graceful_shutdown();
    }
}

fn builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_RESETS)
        .max_header_list_size(MAX_HEAD_BYTES as u32)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

async fn answer(
    application: impl Application,
    request: Request<Body>,
    client: Client,
    mut exchange: Exchange,
) -> Result<Response, Infallible> {
    // RFC 9113, section 8.3.1: two names for one target are for two readers to disagree about.
    let authority = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    let is_other = |host: &http::HeaderValue| Some(host.as_bytes()) != authority;
    let is_ambiguous = request.headers().get_all(header::HOST).iter().any(is_other) || authority.is_none();
    let refusal = Refusal::new(Kind::BadRequest, "A request has one :authority, and no Host that differs");
    let (peer, identity) = (client.peer, client.identity());
    let arrival = Arrival { peer, refusal: is_ambiguous.then_some(refusal), is_late: false, identity };
    let answer = application.answer(request, arrival).await;
    exchange.answered();
    Ok(without_connection_headers(answer).map(|body| Body::new(Sending { body, _exchange: exchange })))
}

/// HTTP/2 has no such headers (RFC 9113, section 8.2.2); a refused request closes its stream alone.
fn without_connection_headers(mut answer: Response) -> Response {
    answer.headers_mut().remove(header::CONNECTION);
    answer
}
