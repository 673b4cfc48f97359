//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::header::{self, HeaderValue};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;
use tracing::debug;

use super::lingering::{Lingering, Unread};
use super::{last_call, send_at_once};
use crate::http::PeerAddress;
use crate::lifecycle::Lifecycle;

/// How long a connection may be silent before its first byte.
const FIRST_BYTE: Duration = Duration::from_secs(10);
/// How long a request head may take, and how long a kept-alive connection may be idle: above the 60 s after which
/// load balancers close their side, so that they never send on a connection that we are closing.
const HEAD_OR_IDLE: Duration = Duration::from_secs(75);
/// Bytes of a request head; more is answered 431.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// Bytes of a body that hyper reads past when nobody else did.
const MAX_SKIPPED_BYTES: u64 = 8 * 1024;

/// How long a closing connection waits for what is no request yet (half a head), or for a client that does not read.
const LEAVE_AFTER: Duration = Duration::from_secs(2);

/// Serves requests until the client leaves, the connection idles, or the lifecycle closes.
pub(super) async fn serve(stream: TcpStream, peer: SocketAddr, router: Router, lifecycle: Lifecycle) {
    send_at_once(&stream, peer);
    tokio::select! {
        first = timeout(FIRST_BYTE, stream.readable()) => if !matches!(first, Ok(Ok(()))) { return },
        () = last_call(&lifecycle) => return,
    }
    let unread = Unread::default();
    let stream = Lingering::new(stream, unread.clone());
    let draining = lifecycle.clone();
    let working = Arc::new(AtomicBool::new(false));
    let in_work = Arc::clone(&working);
    let service = service_fn(move |request: http::Request<Incoming>| {
        let is_large = request.body().size_hint().upper().is_none_or(|bytes| bytes > MAX_SKIPPED_BYTES);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(PeerAddress(peer));
        let answer = router.clone().oneshot(request);
        let (unread, draining, in_work) = (unread.clone(), draining.clone(), Arc::clone(&in_work));
        in_work.store(true, Ordering::Relaxed);
        async move {
            let mut answer = answer.await?;
            in_work.store(false, Ordering::Relaxed);
            // Who refuses a request may not have read it, and what is not read must not pass for the next request.
            let skips = is_large && !answer.status().is_success();
            unread.set(skips);
            if skips || draining.is_draining() {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_OR_IDLE)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = last_call(&lifecycle) => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                result = connection => result,
                () = abandoned(&working) => return,
                () = lifecycle.stopped().cancelled() => return,
            }
        }
    };
    if let Err(error) = result {
        debug!(%peer, cause = %error, "connection ended early");
    }
}

/// Over when no request was in work at the end of a while. hyper itself waits for the rest of a head for as long as the
/// head may take, which is longer than a process has to end.
async fn abandoned(working: &AtomicBool) {
    sleep(LEAVE_AFTER).await;
    while working.load(Ordering::Relaxed) {
        sleep(LEAVE_AFTER).await;
    }
}
