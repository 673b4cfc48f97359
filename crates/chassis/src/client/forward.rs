//! Passing a request on to a service as it came.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use http::header::{self, CONNECTION, HeaderMap, HeaderName};
use http::uri::PathAndQuery;
use http::{Request, StatusCode};
use hyper::body::{Frame, Incoming, SizeHint};
use thiserror::Error;
use tokio::time::{Sleep, sleep};
use tracing::warn;

use super::exchange::{Message, Reading, ReplyBody};
use super::{CallError, ServiceClient};

/// How long an answer that has begun may be silent.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);

impl ServiceClient {
    /// Passes a request on as it came, and the answer's body as it comes. The request is read whole, so that it can be tried
    /// again where that does no harm. Headers of the connection stay behind on either side; ids, trace and deadline are
    /// those of the work at hand. Until the answer begins, the limits of the client hold; from then on it may take as long
    /// as it likes, unless nothing of it comes for 30 s.
    ///
    /// # Errors
    /// [`CallError`]. An answer is none, whatever its status.
    pub async fn forward(&self, request: Request<Bytes>) -> Result<Response, CallError> {
        let (mut parts, body) = request.into_parts();
        drop_hop_by_hop(&mut parts.headers);
        for name in [header::HOST, header::CONTENT_LENGTH, header::EXPECT] {
            parts.headers.remove(name);
        }
        let target = parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        let (method, headers, reading) = (parts.method, parts.headers, Reading::Passed);
        // What is encrypted in it is between its caller and the service.
        let message = Message { method, target, headers, body, reading, encryption: None };
        let (mut reply, _) = self.make(message, self.limits().timeout).await?;
        // What the library has read by its chunks has another length, if any (RFC 9112, section 6.3).
        let has_no_length = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&reply.status);
        if has_no_length || reply.headers.contains_key(header::TRANSFER_ENCODING) {
            reply.headers.remove(header::CONTENT_LENGTH);
        }
        drop_hop_by_hop(&mut reply.headers);
        let mut response = Response::new(match reply.body {
            ReplyBody::Whole(bytes) => Body::from(bytes),
            ReplyBody::Coming(body) => Body::new(Passed { body, silence: None, service: Arc::clone(self.service()) }),
        });
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers;
        Ok(response)
    }
}

/// Drops the headers that concern one connection, and those that `Connection` names. Whoever writes headers into a request
/// that is passed on does this first: a caller might name what is written.
pub fn drop_hop_by_hop(headers: &mut HeaderMap) {
    // One walk over the few headers of a message costs less than a look for each of these names.
    let dropped: Vec<HeaderName> = headers.keys().filter(|name| is_hop_by_hop(name)).cloned().collect();
    if dropped.contains(&CONNECTION) {
        let named = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
        let named: Vec<String> = named.flat_map(|value| value.split(',')).map(|name| name.trim().to_owned()).collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in dropped {
        headers.remove(name);
    }
}

/// Whether a header concerns one connection and not the message (RFC 9110, section 7.6.1).
fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// The body of an answer on its way.
struct Passed {
    body: Incoming,
    /// Since it last had to be waited for.
    silence: Option<Pin<Box<Sleep>>>,
    service: Arc<str>,
}

/// Why it is not passed on to its end.
#[derive(Debug, Error)]
enum Interrupted {
    #[error("the service broke off its answer: {0}")]
    Broken(#[from] hyper::Error),
    #[error("the service sent nothing more of its answer for {LONGEST_SILENCE:?}")]
    Silent,
}

impl HttpBody for Passed {
    type Data = Bytes;
    type Error = Interrupted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Interrupted>>> {
        let interrupted = match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Err(error))) => Interrupted::Broken(error),
            Poll::Ready(frame) => {
                self.silence = None;
                return Poll::Ready(frame.map(|frame| Ok(frame?)));
            }
            Poll::Pending => {
                let silence = self.silence.get_or_insert_with(|| Box::pin(sleep(LONGEST_SILENCE)));
                ready!(silence.as_mut().poll(context));
                Interrupted::Silent
            }
        };
        warn!(peer.service = %self.service, cause = %interrupted, "an answer of {} ends before its end", self.service);
        Poll::Ready(Some(Err(interrupted)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn headers_of_the_connection_stay_behind_with_those_that_it_names() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Secret"),
            ("connection", "x-other"),
            ("x-secret", "1"),
            ("x-other", "2"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("proxy-authorization", "Basic eA=="),
            ("x-kept", "3"),
            ("authorization", "Bearer t"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        drop_hop_by_hop(&mut headers);
        let left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["x-kept", "authorization"]);
    }
}
