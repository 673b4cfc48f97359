//! What one listener lets in, and where it counts it.

use std::net::SocketAddr;
use std::sync::Arc;

use prometheus::IntGauge;

use super::clients::{ClientPlace, Clients};
use super::concurrency::ConcurrencyLimit;
use super::files::room_for_connections;
use super::timeouts::{TIMEOUTS, Timeouts};
use crate::config::HttpConfig;
use crate::telemetry::metrics::Metrics;
use crate::tls::ListenerTls;

/// The bounds of one listener.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(super) max_connections: usize,
    pub(super) timeouts: &'static Timeouts,
    pub(super) http2: bool,
    /// `None`: plain HTTP.
    pub(super) tls: Option<ListenerTls>,
    clients: Arc<Clients>,
    metrics: Metrics,
    pub(super) concurrency: Arc<ConcurrencyLimit>,
}

/// How many connections each of `listeners` can have, of the `wanted`: every one takes a file descriptor.
pub(crate) fn connections_for(wanted: usize, listeners: usize) -> usize {
    room_for_connections().map_or(wanted, |room| wanted.min((room / listeners.max(1)).max(1)))
}

impl Limits {
    pub(crate) fn new(
        max_connections: usize,
        http: &HttpConfig,
        metrics: Metrics,
        concurrency: Arc<ConcurrencyLimit>,
    ) -> Self {
        let bounds = http.connections;
        // Where files are few, no client may have all the connections that are left.
        let most = if max_connections < bounds.max { max_connections.div_ceil(2) } else { max_connections };
        let clients =
            Clients::new(bounds.max_per_client.min(most), bounds.spare_loopback, http.trusted_proxies.clone());
        Self {
            max_connections,
            timeouts: &TIMEOUTS,
            http2: bounds.http2,
            tls: None,
            clients: Arc::new(clients),
            metrics,
            concurrency,
        }
    }

    /// The same over TLS.
    pub(crate) fn over(self, tls: Option<ListenerTls>) -> Self {
        Self { tls, ..self }
    }

    /// A place for one more connection of this client, if it may have one.
    pub(super) fn admit(&self, peer: SocketAddr) -> Option<ClientPlace> {
        let place = self.clients.admit(peer.ip());
        if place.is_none() {
            self.metrics.connection_refused();
        }
        place
    }

    /// Counts a connection for as long as it is open.
    pub(super) fn opened(&self) -> OpenConnection {
        let open = self.metrics.open_connections().clone();
        open.inc();
        OpenConnection(open)
    }
}

/// One open connection.
#[derive(Debug)]
pub(super) struct OpenConnection(IntGauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}
