//! The handle on a running fake: start and stop, faults, calls.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::calls::{Call, CallCounts};
use super::faults::{Fault, FaultId};
use super::settings::{REGION, Settings};
use super::{Service, World, server};
use crate::host::{Host, listen};

/// A running fake of AWS on a port of 127.0.0.1. Dropping it stops it, and closes every connection.
///
/// Everything here acts at once, whatever calls are under way.
#[derive(Debug)]
pub struct Fake {
    pub(super) world: Arc<World>,
    address: SocketAddr,
    _host: Host,
}

impl Fake {
    /// Starts one on a free port.
    ///
    /// # Panics
    ///
    /// If there is no port, or no thread to be had.
    pub async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    /// Starts one on a free port that behaves as told.
    ///
    /// # Panics
    ///
    /// If there is no port, or no thread to be had.
    #[expect(clippy::expect_used, reason = "a test without its fake has failed, and here is the reason")]
    pub async fn start_with(settings: Settings) -> Self {
        Self::bind(0, settings).await.expect("cannot start the fake of AWS")
    }

    /// Starts one on this port; 0 takes a free one.
    ///
    /// # Errors
    ///
    /// If the port is taken, or the machine has no thread or file left.
    pub async fn bind(port: u16, settings: Settings) -> io::Result<Self> {
        let (listener, address) = listen(port)?;
        let world = Arc::new(World::new(settings));
        let served = world.clone();
        let host = Host::start("aws-fake", move || async move {
            // Fails without a runtime alone, and this is one.
            if let Ok(listener) = TcpListener::from_std(listener) {
                server::serve(listener, served).await;
            }
        })?;
        Ok(Self { world, address, _host: host })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `AWS_ENDPOINT_URL` has to be: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The environment in which any AWS client of another process finds the fake.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 6] {
        [
            ("AWS_ENDPOINT_URL", self.url()),
            ("AWS_ACCESS_KEY_ID", "AKIAFAKE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "fake".to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }

    /// Breaks something from the next call on.
    pub fn inject(&self, fault: Fault) -> FaultId {
        self.world.faults.inject(fault)
    }

    /// Takes one fault away; whether it was still there. Calls that it has struck already suffer on.
    pub fn heal(&self, fault: FaultId) -> bool {
        self.world.faults.heal(fault)
    }

    /// Takes all faults away.
    pub fn heal_all(&self) {
        self.world.faults.heal_all();
    }

    /// How many calls a fault has struck; 0 after it was taken away.
    #[must_use]
    pub fn struck(&self, fault: FaultId) -> u64 {
        self.world.faults.struck(fault)
    }

    /// Calls of an action since the start or the last reset, refused ones included.
    #[must_use]
    pub fn calls(&self, action: &str) -> u64 {
        self.call_counts().by_action.get(action).copied().unwrap_or(0)
    }

    /// Calls to a service since the start or the last reset.
    #[must_use]
    pub fn calls_to(&self, service: Service) -> u64 {
        self.call_counts().by_service.get(service.name()).copied().unwrap_or(0)
    }

    /// All counters at one moment.
    #[must_use]
    pub fn call_counts(&self) -> CallCounts {
        self.world.log.counts()
    }

    /// The last [`super::KEPT_CALLS`] calls that have ended, in the order of their end.
    #[must_use]
    pub fn call_log(&self) -> Vec<Call> {
        self.world.log.calls()
    }

    /// Empties the log and sets the counters to zero.
    pub fn reset_calls(&self) {
        self.world.log.reset();
    }

    /// Turns the fake's clock forward: hidden messages and long polls do not wait for real time. Stalls do.
    ///
    /// The `Date` of answers goes with it, and clients may sign with that.
    pub fn advance(&self, by: Duration) {
        self.world.advance(by);
    }
}
