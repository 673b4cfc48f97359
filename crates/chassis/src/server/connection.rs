//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use futures_util::FutureExt;
use http::header::{self, HeaderValue};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::client::Client;
use super::concurrency::ConcurrencyLimit;
use super::head::MAX_HEAD_BYTES;
use super::socket::Socket;
use super::stream::{Progress, RequestStream};
use super::timeouts::Timeouts;
use super::{http2, last_call, send_at_once};
use crate::http::{Application, Arrival};
use crate::lifecycle::Lifecycle;
use crate::tls::{ListenerTls, speaks_http2};

/// The library's own limit is never reached: heads are bounded before it sees them.
const LIBRARY_BUFFER: usize = 2 * MAX_HEAD_BYTES;

/// How TLS begins: with a record of the handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

/// What every connection of a listener is served with.
pub(super) struct Serving<A> {
    pub(super) application: A,
    pub(super) timeouts: &'static Timeouts,
    /// Whether HTTP/2 is spoken to those who begin with it.
    pub(super) http2: bool,
    /// `None`: plain HTTP.
    pub(super) tls: Option<ListenerTls>,
    pub(super) lifecycle: Lifecycle,
    pub(super) concurrency: Arc<ConcurrencyLimit>,
}

/// Serves requests until the client leaves, takes too long, or the lifecycle closes.
pub(super) async fn serve(socket: TcpStream, peer: SocketAddr, serving: Serving<impl Application>) {
    send_at_once(&socket, peer);
    // Not `readable()`, which may be over before there is anything to read.
    let mut first = [0];
    tokio::select! {
        biased;
        first = timeout(serving.timeouts.first_byte, socket.peek(&mut first)) => {
            if !matches!(first, Ok(Ok(1))) {
                return;
            }
        }
        () = last_call(&serving.lifecycle) => return,
    }
    let (is_http2, socket, client) = match &serving.tls {
        None => {
            let is_http2 = serving.http2 && http2::is_spoken_on(&socket, &serving.lifecycle).await;
            (is_http2, Socket::Plain(socket), Client::at(peer))
        }
        Some(_) if first != [HANDSHAKE] => {
            debug!(%peer, "connection closed: the client does not speak TLS, and this port speaks nothing else");
            return;
        }
        // Boxed, since plain connections would have to carry the room for it.
        Some(tls) => match Box::pin(shake_hands(tls, socket, peer, &serving)).await {
            Some(connected) => connected,
            None => return,
        },
    };
    if is_http2 {
        http2::serve(socket, client, serving).await;
    } else {
        serve_http1(socket, client, serving).await;
    }
}

/// The beginning of a connection over TLS, which takes no longer than a request head may. `None` where it fails.
async fn shake_hands(
    tls: &ListenerTls,
    socket: TcpStream,
    peer: SocketAddr,
    serving: &Serving<impl Application>,
) -> Option<(bool, Socket, Client)> {
    let Serving { timeouts, lifecycle, .. } = serving;
    let out_of_time = async {
        lifecycle.closing().cancelled().await;
        sleep(timeouts.stall_when_leaving).await;
    };
    let shaken = tokio::select! {
        shaken = timeout(timeouts.stall, tls.accept(socket)) => shaken,
        () = out_of_time => return None,
    };
    match shaken {
        Ok(Ok(stream)) => {
            let client = Client::of_handshake(peer, &stream, tls.authenticator());
            Some((speaks_http2(&stream), Socket::Tls(Box::new(stream)), client))
        }
        Ok(Err(error)) => {
            if let Some(times) = tls.complaint() {
                warn!(%peer, cause = %error, times, "TLS handshakes fail");
            }
            debug!(%peer, cause = %error, "connection closed: the TLS handshake failed");
            None
        }
        Err(_elapsed) => {
            debug!(%peer, "connection closed: the TLS handshake took too long");
            None
        }
    }
}

async fn serve_http1(socket: Socket, client: Client, serving: Serving<impl Application>) {
    let peer = client.peer;
    let Serving { application, timeouts, lifecycle, concurrency, .. } = serving;
    let progress = Arc::new(Progress::default());
    let mut stream = RequestStream::new(socket, timeouts, (lifecycle.clone(), concurrency), Arc::clone(&progress));
    let (of_service, draining) = (Arc::clone(&progress), lifecycle.clone());
    let service = service_fn(move |request: http::Request<Incoming>| {
        // An empty body of the framework takes no memory of its own.
        let request = request.map(|body| if body.is_end_stream() { Body::empty() } else { Body::new(body) });
        let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
        let (refusal, is_late, identity) = (of_service.refusal(), of_service.is_late(), client.identity());
        let has_expired = client.has_expired();
        let arrival = Arrival { peer, refusal, is_late, identity };
        let answer = application.clone().answer(request, arrival);
        let (progress, draining) = (Arc::clone(&of_service), draining.clone());
        // Mapped, since a future that awaits another has room for it twice.
        answer.map(move |mut answer| {
            // Who refuses a request may not have read it, and what is not read must not pass for the next request. Of
            // chunks the library skips the first alone, and then closes.
            let has_more = progress.is_unread() || (is_chunked && !answer.status().is_success());
            if has_more || has_expired || draining.is_draining() {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            progress.answered();
            Ok::<_, Infallible>(answer)
        })
    });
    // A client that has sent all it has to say still waits for its answer, and work that is begun is finished: which does
    // not hold for ever, the stream knows.
    let mut builder = http1::Builder::new();
    builder.half_close(true).max_buf_size(LIBRARY_BUFFER);
    let mut connection = Box::pin(builder.serve_connection(TokioIo::new(&mut stream), service));
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = last_call(&lifecycle) => {
            // Not hyper's own graceful shutdown, which drops the beginning of a request that is being sent.
            progress.leave();
            tokio::select! {
                result = connection.as_mut() => result,
                () = lifecycle.stopped().cancelled() => return,
            }
        }
    };
    drop(connection);
    if let Err(error) = result {
        debug!(%peer, cause = %error, "connection ended early");
        return;
    }
    // The library leaves this out where the client asked for an upgrade.
    tokio::select! {
        _ = poll_fn(|context| Pin::new(&mut stream).poll_shutdown(context)) => {}
        () = lifecycle.stopped().cancelled() => {}
    }
}
