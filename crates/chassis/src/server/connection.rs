//! One connection, from its first byte to its last.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::ServiceExt;
use tracing::debug;

use super::send_at_once;
use crate::http::PeerAddress;
use crate::lifecycle::Lifecycle;

/// How long a connection may be silent before its first byte.
const FIRST_BYTE: Duration = Duration::from_secs(10);
/// How long a request head may take, and how long a kept-alive connection may be idle: above the 60 s after which
/// load balancers close their side, so that they never send on a connection that we are closing.
const HEAD_OR_IDLE: Duration = Duration::from_secs(75);
/// Bytes of a request head; more is answered 431.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// Serves requests until the client leaves, the connection idles, or the lifecycle closes.
pub(super) async fn serve(stream: TcpStream, peer: SocketAddr, router: Router, lifecycle: Lifecycle) {
    send_at_once(&stream, peer);
    tokio::select! {
        first = timeout(FIRST_BYTE, stream.readable()) => if !matches!(first, Ok(Ok(()))) { return },
        () = lifecycle.closing().cancelled() => return,
    }
    let service = service_fn(move |request: http::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(PeerAddress(peer));
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_OR_IDLE)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = lifecycle.closing().cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                result = connection => result,
                () = lifecycle.stopped().cancelled() => return,
            }
        }
    };
    if let Err(error) = result {
        debug!(%peer, cause = %error, "connection ended early");
    }
}
