//! One attempt: a request to one endpoint, and its reply.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::encryption::{CallForm, longest_encrypted};
use super::endpoint::Endpoint;
use super::pool::NoResponse;
use super::retry::{Broken, may_pass};
use super::{CallFailure, DEADLINE_HEADER};
use crate::error::causes;
use crate::whole_body::{Unread, read_body};

/// Bytes that are read of a reply which is passed on, where another attempt may give a better one.
const MOST_OF_A_REFUSAL: usize = 64 << 10;

/// What is sent, as often as it takes.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) method: Method,
    pub(super) target: PathAndQuery,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) reading: Reading,
    /// How the body is encrypted; `None` when it is not.
    pub(super) encryption: Option<CallForm>,
}

/// What becomes of a reply's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// It is read to its end, which is no further than so many bytes.
    Whole(usize),
    /// It is passed on as it comes.
    Passed,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: ReplyBody,
}

#[derive(Debug)]
pub(super) enum ReplyBody {
    Whole(Bytes),
    Coming(Incoming),
}

/// Sends a message to one endpoint and reads the reply, until then; its caller waits until the deadline. The message has
/// its headers for that endpoint afterwards.
pub(super) async fn attempt(
    endpoint: &Endpoint,
    message: &mut Message,
    until: Instant,
    deadline: Instant,
) -> Result<Reply, Broken> {
    let begun = Instant::now();
    let late = |_| {
        let took = begun.elapsed();
        let failure = match until < deadline {
            true => CallFailure::Unavailable(format!("no answer within {took:?}")),
            false => CallFailure::Timeout(took),
        };
        Err(broken(failure))
    };
    timeout_at(until, exchange(endpoint, message, until.saturating_duration_since(begun))).await.unwrap_or_else(late)
}

async fn exchange(endpoint: &Endpoint, message: &mut Message, left: Duration) -> Result<Reply, Broken> {
    let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    if left_ms == 0 {
        return Err(unsent(CallFailure::Timeout(left)));
    }
    let target = endpoint.origin.locate(&message.target).map_err(unsent)?;
    let headers = &mut message.headers;
    headers.insert(header::HOST, endpoint.origin.host.clone());
    headers.insert(DEADLINE_HEADER, HeaderValue::from(left_ms));
    if message.body.is_empty() && [Method::POST, Method::PUT, Method::PATCH].contains(&message.method) {
        // Some services ask for it, and the library leaves it out.
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let mut headers = headers.clone();
    let (body, sealed) = match &message.encryption {
        None => (message.body.clone(), None),
        // Rare enough, and boxed, since each request would have to carry the room for it.
        Some(encryption) => {
            // What stands before it in the URL is for a proxy, which takes it away.
            let call = (&message.method, &message.target);
            let sealing = encryption.seal(call, &mut headers, &message.body);
            let (body, sealed) = Box::pin(sealing).await.map_err(unsent)?;
            (body, Some(sealed))
        }
    };
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = message.method.clone();
    *request.uri_mut() = target;
    *request.headers_mut() = headers;
    let replied = endpoint.send(request).await.map_err(unsent_or_broken);
    if matches!(&replied, Err(broken) if broken.on_dead_connection) {
        endpoint.forget_connections();
    }
    let (parts, body) = replied?.into_parts();
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(broken(CallFailure::Unavailable("it switched protocols, which nobody asked for".into())));
    }
    let body = match message.reading {
        Reading::Whole(most) if sealed.is_some() => ReplyBody::Whole(read(body, longest_encrypted(most)).await?),
        Reading::Whole(most) => ReplyBody::Whole(read(body, most).await?),
        Reading::Passed if may_pass(parts.status) => ReplyBody::Whole(read(body, MOST_OF_A_REFUSAL).await?),
        Reading::Passed => ReplyBody::Coming(body),
    };
    let reply = Reply { status: parts.status, headers: parts.headers, body };
    match sealed {
        None => Ok(reply),
        Some(sealed) => Box::pin(sealed.open(reply, longest(message.reading))).await.map_err(broken),
    }
}

fn longest(reading: Reading) -> usize {
    match reading {
        Reading::Whole(most) => most,
        Reading::Passed => MOST_OF_A_REFUSAL,
    }
}

async fn read(body: Incoming, most: usize) -> Result<Bytes, Broken> {
    let unread = |unread| match unread {
        Unread::TooLarge(most) => CallFailure::TooLarge(most),
        Unread::Broken(error) => CallFailure::Unavailable(causes(&error)),
    };
    read_body(body, most).await.map_err(|error| broken(unread(error)))
}

fn unsent_or_broken(none: NoResponse) -> Broken {
    match none {
        NoResponse::NotConnected(error) => unsent(CallFailure::NoEndpoint(causes(&*error))),
        NoResponse::NotSent(error) => unsent(CallFailure::Unavailable(causes(&error))),
        NoResponse::Broken(error) => {
            let on_dead_connection = is_unacknowledged(&error);
            Broken { on_dead_connection, ..broken(CallFailure::Unavailable(causes(&error))) }
        }
    }
}

/// Whether the system gave the connection up, since the other side's did not even say that it had got something.
fn is_unacknowledged(error: &hyper::Error) -> bool {
    let mut next = error.source();
    while let Some(cause) = next {
        if cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        next = cause.source();
    }
    false
}

fn unsent(failure: CallFailure) -> Broken {
    Broken { never_sent: true, ..broken(failure) }
}

fn broken(failure: CallFailure) -> Broken {
    Broken { failure, never_sent: false, on_dead_connection: false }
}
