//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::header::{self, HeaderValue};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::Service;
use tracing::debug;

use super::head::MAX_HEAD_BYTES;
use super::stream::{Progress, RequestStream};
use super::timeouts::Timeouts;
use super::{http2, last_call, send_at_once};
use crate::http::PeerAddress;
use crate::lifecycle::Lifecycle;

/// The library's own limit is never reached: heads are bounded before it sees them.
const LIBRARY_BUFFER: usize = 2 * MAX_HEAD_BYTES;

/// What every connection of a listener is served with.
pub(super) struct Serving {
    pub(super) router: Router,
    pub(super) timeouts: &'static Timeouts,
    /// Whether HTTP/2 is spoken to those who begin with it.
    pub(super) http2: bool,
    pub(super) lifecycle: Lifecycle,
}

/// Serves requests until the client leaves, takes too long, or the lifecycle closes.
pub(super) async fn serve(socket: TcpStream, peer: SocketAddr, serving: Serving) {
    send_at_once(&socket, peer);
    // Not `readable()`, which may be over before there is anything to read.
    let mut first = [0];
    tokio::select! {
        first = timeout(serving.timeouts.first_byte, socket.peek(&mut first)) => {
            if !matches!(first, Ok(Ok(1))) {
                return;
            }
        }
        () = last_call(&serving.lifecycle) => return,
    }
    if serving.http2 && http2::is_spoken_on(&socket, serving.timeouts.stall).await {
        http2::serve(socket, peer, serving).await;
    } else {
        serve_http1(socket, peer, serving).await;
    }
}

async fn serve_http1(socket: TcpStream, peer: SocketAddr, serving: Serving) {
    let Serving { router, timeouts, lifecycle, .. } = serving;
    let progress = Arc::new(Progress::default());
    let stream = RequestStream::new(socket, timeouts, lifecycle.clone(), Arc::clone(&progress));
    let (of_service, draining) = (Arc::clone(&progress), lifecycle.clone());
    let service = service_fn(move |request: http::Request<Incoming>| {
        // An empty body of the framework takes no memory of its own.
        let mut request = request.map(|body| if body.is_end_stream() { Body::empty() } else { Body::new(body) });
        request.extensions_mut().insert(PeerAddress(peer));
        if let Some(refusal) = of_service.refusal() {
            request.extensions_mut().insert(refusal);
        }
        // A router is always ready.
        let answer = router.clone().call(request);
        let (progress, draining) = (Arc::clone(&of_service), draining.clone());
        async move {
            let mut answer = answer.await?;
            // Who refuses a request may not have read it, and what is not read must not pass for the next request.
            if progress.is_unread() || draining.is_draining() {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            progress.answered();
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new().max_buf_size(LIBRARY_BUFFER).serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = last_call(&lifecycle) => {
            // Not hyper's own graceful shutdown, which drops the beginning of a request that is being sent.
            progress.leave();
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
