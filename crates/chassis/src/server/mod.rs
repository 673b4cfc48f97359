//! Sockets and connections: bind, accept, speak TLS where there are certificates, serve HTTP/1.1 and, where it is asked
//! for, HTTP/2, drain.
//!
//! The accept loop is ours because stock serve loops keep silent and dripping connections open for ever, have no
//! bounds, and cannot drain while a half-sent request head is open.

mod bind;
mod chunks;
mod client;
mod clients;
mod complaint;
mod concurrency;
mod connection;
mod departure;
mod files;
mod head;
mod holder;
mod http2;
mod inherited;
mod limits;
mod patience;
#[cfg(any(test, feature = "testing"))]
pub mod request_head;
mod socket;
mod stream;
#[cfg(test)]
mod tests;
mod timeouts;
mod turn;
mod writing;

use bind::BACKLOG;
pub use bind::BindError;
pub(crate) use bind::{Listener, bind};
pub(crate) use concurrency::ConcurrencyLimit;
pub(crate) use inherited::NamedSockets;
pub use inherited::{InheritError, InheritedSockets};
pub(crate) use limits::{Limits, connections_for};

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;
use tracing::warn;

pub(crate) use self::complaint::Complaint;
use self::connection::Serving;
use crate::http::Application;
use crate::lifecycle::Lifecycle;

/// The pause after an accept that failed for want of file descriptors or memory, so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a socket still listens when it is to close: what a client sent before it could know is answered, with
/// `Connection: close`, instead of being reset.
const LAST_CALL: Duration = Duration::from_millis(100);

/// Connections that are accepted one after the other before those that are open go on. Few, so that in a rush of new
/// clients the work that is begun does not wait for the work that is not.
const ACCEPTED_AT_ONCE: u32 = 2;

/// Serves an application on a bound socket until the lifecycle closes, then finishes the requests that are in work.
pub(crate) async fn serve(listener: Listener, application: impl Application, limits: Limits, lifecycle: Lifecycle) {
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(limits.max_connections));
    let Listener { socket: listener, is_shared } = listener;
    let mut last_accept = pin!(last_accept(&lifecycle, is_shared));
    let of_connection = || Serving {
        application: application.clone(),
        timeouts: limits.timeouts,
        http2: limits.http2,
        tls: limits.tls.clone(),
        lifecycle: lifecycle.clone(),
        concurrency: Arc::clone(&limits.concurrency),
    };
    let mut accepted_at_once = 0;
    let (mut crowded, mut failing) = (Complaint::default(), Complaint::default());
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = &mut last_accept => break,
        };
        match accepted {
            Ok((socket, peer)) => {
                let Some(client) = limits.admit(peer) else {
                    if let Some(times) = crowded.due() {
                        warn!(client = %peer.ip(), times, "a client has too many connections: MAX_CONNECTIONS_PER_CLIENT");
                    }
                    continue;
                };
                let open = limits.opened();
                let connection = connection::serve(socket, peer, of_connection());
                connections.spawn(async move {
                    connection.await;
                    drop((place, client, open));
                });
                accepted_at_once += 1;
                if accepted_at_once == ACCEPTED_AT_ONCE {
                    accepted_at_once = 0;
                    yield_now().await;
                }
            }
            Err(error) => pause_after(&error, &mut failing).await,
        }
    }
    for (socket, peer) in leave(listener, is_shared) {
        connections.spawn(connection::serve(socket, peer, of_connection()));
    }
    connections.close();
    tokio::select! {
        () = connections.wait() => {}
        () = lifecycle.stopped().cancelled() => {}
    }
}

/// Over when nothing more is accepted. Who connects to a shared socket waits for the next process instead.
async fn last_accept(lifecycle: &Lifecycle, is_shared: bool) {
    if is_shared { lifecycle.closing().cancelled().await } else { last_call(lifecycle).await }
}

/// Over when a connection that is idle is left. Busy connections have ended by then, since every answer of a draining
/// service closes its own.
async fn last_call(lifecycle: &Lifecycle) {
    lifecycle.closing().cancelled().await;
    sleep(LAST_CALL).await;
}

/// Closes the socket and answers what still waited in it, since the kernel would reset that. What waits in a shared one
/// is for the next process.
fn leave(listener: TcpListener, is_shared: bool) -> Vec<(TcpStream, SocketAddr)> {
    let mut waiting = Vec::new();
    if is_shared {
        return waiting;
    }
    let Ok(listener) = listener.into_std() else { return waiting };
    for _ in 0..BACKLOG {
        match listener.accept() {
            Ok((socket, peer)) => {
                let socket = socket.set_nonblocking(true).and_then(|()| TcpStream::from_std(socket));
                waiting.extend(socket.map(|socket| (socket, peer)));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(_) => break,
        }
    }
    waiting
}

/// An error of one connection is over with it; any other is the process's (no more descriptors or memory) and lasts.
async fn pause_after(error: &io::Error, failing: &mut Complaint) {
    if is_of_one_connection(error) {
        return;
    }
    if let Some(times) = failing.due() {
        warn!(cause = %error, times, "connections cannot be accepted");
    }
    sleep(ACCEPT_PAUSE).await;
}

fn is_of_one_connection(error: &io::Error) -> bool {
    let kinds = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::Interrupted];
    kinds.contains(&error.kind())
}

/// Small answers leave at once instead of waiting for more (Nagle's algorithm).
fn send_at_once(socket: &TcpStream, peer: SocketAddr) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%peer, cause = %error, "TCP_NODELAY could not be set");
    }
}
