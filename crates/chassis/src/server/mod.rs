//! Sockets and connections: bind, accept, serve HTTP/1, drain.
//!
//! The accept loop is ours because stock serve loops keep silent connections open for ever and cannot drain while a
//! half-sent request head is open.

mod bind;
mod connection;
mod holder;
mod lingering;

pub(crate) use bind::{BindError, bind};

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::lifecycle::Lifecycle;

/// Connections of one listener that are open at once; the next ones wait in the socket's queue.
const MAX_CONNECTIONS: usize = 8192;

/// The pause after an accept that failed for want of file descriptors, so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a socket still listens when it is to close: what a client sent before it could know is answered, with
/// `Connection: close`, instead of being reset.
const LAST_CALL: Duration = Duration::from_millis(100);

/// Serves a router on a bound socket until the lifecycle closes, then finishes the requests that are in work.
pub(crate) async fn serve(listener: TcpListener, router: Router, lifecycle: Lifecycle) {
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut last_call = pin!(last_call(&lifecycle));
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = &mut last_call => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = connection::serve(stream, peer, router.clone(), lifecycle.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => pause_after(&error).await,
        }
    }
    for (stream, peer) in leave(listener) {
        connections.spawn(connection::serve(stream, peer, router.clone(), lifecycle.clone()));
    }
    connections.close();
    tokio::select! {
        () = connections.wait() => {}
        () = lifecycle.stopped().cancelled() => {}
    }
}

/// Over when nothing more is accepted. Busy connections have ended by then, since every answer of a draining service
/// closes its own.
async fn last_call(lifecycle: &Lifecycle) {
    lifecycle.closing().cancelled().await;
    sleep(LAST_CALL).await;
}

/// Closes the socket and answers what still waited in it, since the kernel would reset that.
fn leave(listener: TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    let mut waiting = Vec::new();
    if let Ok(listener) = listener.into_std() {
        while let Ok((stream, peer)) = listener.accept() {
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            waiting.extend(stream.map(|stream| (stream, peer)));
        }
    }
    waiting
}

/// An error of one connection is over with it; any other is the process's (no more descriptors or memory) and lasts.
async fn pause_after(error: &io::Error) {
    let of_one_connection =
        [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::Interrupted];
    if !of_one_connection.contains(&error.kind()) {
        warn!(cause = %error, "a connection could not be accepted");
        sleep(ACCEPT_PAUSE).await;
    }
}

/// Small answers leave at once instead of waiting for more (Nagle's algorithm).
fn send_at_once(stream: &TcpStream, peer: SocketAddr) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, cause = %error, "TCP_NODELAY could not be set");
    }
}
