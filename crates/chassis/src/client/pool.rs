//! Connections to one address that are kept between requests.
//!
//! hyper speaks HTTP; which connection gets a request is decided here: the one that was used last, and a new one where
//! none lies idle, without a wait for those in use. hyper-util's client decides it for any number of hosts and versions,
//! and for that clones its settings and boxes a large future for each request; an endpoint is one address, and HTTP/1.1.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use tokio::time::{Instant, sleep, timeout};
use tower::{BoxError, ServiceExt as _};

use super::transport::Connector;

/// How long a connection may take until requests can be sent: one over TCP, and a handshake.
const CONNECTION_TIMEOUT: Duration = Duration::from_millis(1500);
/// How long a connection is kept without a call. Below the 75 s of our servers and the 60 s of load balancers, so that
/// no call is sent on a connection that the other side is closing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections that are kept without a call: so many calls at once find one open each time.
const MAX_IDLE_CONNECTIONS: usize = 256;

/// Connections to one address.
pub(super) struct Pool {
    connector: Connector,
    /// The address with its scheme, for the connector alone.
    place: Uri,
    kept: Arc<Mutex<Kept>>,
}

/// Those that lie idle, the last used one at the end.
#[derive(Default)]
struct Kept {
    idle: Vec<Idle>,
    /// Somebody closes those that nobody uses.
    is_watched: bool,
}

struct Idle {
    sender: SendRequest<Full<Bytes>>,
    since: Instant,
}

/// Why a request brought no response.
#[derive(Debug)]
pub(super) enum NoResponse {
    /// No connection could be made.
    NotConnected(BoxError),
    /// It was not begun to be sent.
    NotSent(hyper::Error),
    /// It was sent, or a part of it.
    Broken(hyper::Error),
}

impl Pool {
    /// No connections yet.
    pub(super) fn new(connector: Connector, place: Uri) -> Self {
        Self { connector, place, kept: Arc::default() }
    }

    /// Sends a request, whose target is a path and query, on the connection that was used last, or on a new one. What was
    /// not begun to be sent since the other side closed the connection meanwhile is sent on another. The connection is
    /// kept when the response was read to its end.
    pub(super) async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Incoming>, NoResponse> {
        loop {
            let kept = self.take();
            let is_new = kept.is_none();
            let mut sender = match kept {
                Some(sender) => sender,
                // Rare, and boxed, since each request would have to carry the room for it.
                None => Box::pin(self.connect()).await.map_err(NoResponse::NotConnected)?,
            };
            let mut error = match sender.try_send_request(request).await {
                Ok(response) => {
                    self.keep(sender);
                    return Ok(response);
                }
                Err(error) => error,
            };
            match error.take_message() {
                Some(unsent) if !is_new => request = unsent,
                Some(_unsent) => return Err(NoResponse::NotSent(error.into_error())),
                None => return Err(NoResponse::Broken(error.into_error())),
            }
        }
    }

    /// Closes those that lie idle.
    pub(super) fn forget(&self) {
        lock(&self.kept).idle.clear();
    }

    #[expect(clippy::disallowed_methods, reason = "it ends with its connection, which ends with its last request")]
    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, BoxError> {
        // Of the connection its connector bounds the first part alone, and not the handshake of TLS.
        let stream = timeout(CONNECTION_TIMEOUT, self.connector.clone().oneshot(self.place.clone())).await??;
        let (sender, connection) = http1::handshake(stream).await?;
        // How it ends, its last request is told.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }

    /// A connection that lies idle.
    fn take(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut kept = lock(&self.kept);
        while let Some(Idle { sender, since }) = kept.idle.pop() {
            if since.elapsed() >= IDLE_TIMEOUT {
                // Those before have lain longer.
                kept.idle.clear();
            } else if sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    /// Keeps a connection as soon as the response that came over it was read.
    #[expect(clippy::disallowed_methods, reason = "it ends with its connection, which ends with its last request")]
    fn keep(&self, mut sender: SendRequest<Full<Bytes>>) {
        if sender.is_ready() {
            return keep(&self.kept, sender);
        }
        let kept = Arc::downgrade(&self.kept);
        tokio::spawn(async move {
            if sender.ready().await.is_ok()
                && let Some(kept) = kept.upgrade()
            {
                keep(&kept, sender);
            }
        });
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "it ends with the pool, or when no connection lies idle")]
fn keep(all: &Arc<Mutex<Kept>>, sender: SendRequest<Full<Bytes>>) {
    let mut kept = lock(all);
    if kept.idle.len() >= MAX_IDLE_CONNECTIONS {
        return;
    }
    kept.idle.push(Idle { sender, since: Instant::now() });
    if !kept.is_watched {
        kept.is_watched = true;
        tokio::spawn(close_idle(Arc::downgrade(all)));
    }
}

/// Closes connections that nobody uses, until there is none.
async fn close_idle(all: Weak<Mutex<Kept>>) {
    loop {
        sleep(IDLE_TIMEOUT / 4).await;
        let Some(all) = all.upgrade() else { return };
        let mut kept = lock(&all);
        kept.idle.retain(|it| it.since.elapsed() < IDLE_TIMEOUT && !it.sender.is_closed());
        if kept.idle.is_empty() {
            kept.is_watched = false;
            return;
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = lock(&self.kept);
        f.debug_struct("Pool").field("place", &self.place).field("idle", &kept.idle.len()).finish_non_exhaustive()
    }
}
