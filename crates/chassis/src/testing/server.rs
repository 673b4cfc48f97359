//! Another service, as far as a test needs it: a real HTTP server on a port of this machine.
#![expect(clippy::expect_used, reason = "a test kit fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Answers until it is dropped.
#[derive(Debug)]
pub struct TestServer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl TestServer {
    /// Serves these routes on any free port.
    ///
    /// # Panics
    /// When there is none.
    pub async fn start(routes: Router) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), routes).await
    }

    /// The same at this address.
    ///
    /// # Panics
    /// When it is taken.
    pub async fn start_at(address: SocketAddr, routes: Router) -> Self {
        let listener = TcpListener::bind(address).await.expect("the address is free");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let listener = listener.tap_io(move |_connection| {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, routes).await.expect("serves") });
        Self { address, connections, _serving: serving }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections it was sent so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}
