//! A TCP proxy that breaks what passes through it: delay with jitter, a slow line, a cut, a peer that has gone silent.
//!
//! ```no_run
//! # fn example(server: std::net::SocketAddr) -> std::io::Result<()> {
//! use std::time::Duration;
//! use testkit::proxy::Proxy;
//!
//! let proxy = Proxy::start(server)?;
//! proxy.delay(Duration::from_millis(50), Duration::from_millis(20));
//! // … point a client at proxy.address() …
//! proxy.cut();
//! proxy.heal();
//! # Ok(())
//! # }
//! ```

mod applied;
mod connection;
mod server;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::host::Host;
use applied::Applied;
use server::{Reserved, Served};

/// The state of the line. Changes apply to connections that are open, too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Line {
    /// Added to whatever passes, in each direction; a round trip takes twice as much. Order is kept.
    pub delay: Duration,
    /// Up to so much more, by the seed.
    pub jitter: Duration,
    /// At most so many bytes a second, for each connection and direction.
    pub bytes_per_second: Option<u64>,
    /// Whether anything passes at all.
    pub mode: Mode,
}

/// Whether anything passes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Everything.
    #[default]
    Open,
    /// Open connections are reset, new ones refused.
    Cut,
    /// Connections are taken and stay open, but every byte and every end is swallowed. One that has lost something so
    /// is reset when the line is open again.
    HalfOpen,
    /// Nothing moves and nothing is lost: as when a cable is out and packets are sent again later.
    Frozen,
    /// Whatever a client sends arrives. Of what comes back the first half passes, then the connection is reset.
    CutAnswers,
}

/// A running proxy on a port of 127.0.0.1. Dropping it closes every connection.
///
/// A change of the line holds when the call returns: whoever connects or sends from then on meets it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    orders: watch::Sender<Order>,
    applied: Arc<Applied>,
    counts: Arc<Counts>,
    _host: Host,
}

/// The state that is wanted, and its number.
#[derive(Debug, Clone, Copy, Default)]
struct Order {
    line: Line,
    version: u64,
}

/// How many connections there were and are.
#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicU64,
    open: AtomicU64,
}

impl Proxy {
    /// Starts one on a free port, with an open line to this server.
    ///
    /// # Errors
    ///
    /// If there is no port or no thread to be had.
    pub fn start(upstream: SocketAddr) -> io::Result<Self> {
        Self::start_with_seed(upstream, 0)
    }

    /// Starts one whose jitter follows this seed.
    ///
    /// # Errors
    ///
    /// If there is no port or no thread to be had.
    pub fn start_with_seed(upstream: SocketAddr, seed: u64) -> io::Result<Self> {
        let reserved = Reserved::new()?;
        let address = reserved.address();
        let first = reserved.listen()?;
        let (orders, changes) = watch::channel(Order::default());
        let (counts, applied) = (Arc::new(Counts::default()), Arc::new(Applied::default()));
        let served = Served { upstream, orders: changes, applied: applied.clone(), counts: counts.clone(), seed };
        let host = Host::start("fault-proxy", move || server::serve(reserved, first, served))?;
        Ok(Self { address, orders, applied, counts, _host: host })
    }

    /// Where it listens, also while it refuses.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of an HTTP server behind it: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets everything at once.
    pub fn set(&self, line: Line) {
        self.change(|current| *current = line);
    }

    /// The state of the line now.
    #[must_use]
    pub fn line(&self) -> Line {
        self.orders.borrow().line
    }

    /// Delays whatever passes, in each direction.
    pub fn delay(&self, delay: Duration, jitter: Duration) {
        self.change(|line| (line.delay, line.jitter) = (delay, jitter));
    }

    /// Lets so many bytes a second pass, for each connection and direction.
    pub fn throttle(&self, bytes_per_second: u64) {
        self.change(|line| line.bytes_per_second = Some(bytes_per_second.max(1)));
    }

    /// Resets every connection and refuses new ones.
    pub fn cut(&self) {
        self.change(|line| line.mode = Mode::Cut);
    }

    /// Swallows whatever comes, and keeps connections open.
    pub fn half_open(&self) {
        self.change(|line| line.mode = Mode::HalfOpen);
    }

    /// Holds whatever comes until the line is open again.
    pub fn freeze(&self) {
        self.change(|line| line.mode = Mode::Frozen);
    }

    /// Resets each connection in the middle of an answer.
    pub fn cut_answers(&self) {
        self.change(|line| line.mode = Mode::CutAnswers);
    }

    /// Makes the line as it was at the start.
    pub fn heal(&self) {
        self.change(|line| *line = Line::default());
    }

    fn change(&self, change: impl FnOnce(&mut Line)) {
        let mut version = 0;
        self.orders.send_modify(|order| {
            change(&mut order.line);
            order.version += 1;
            version = order.version;
        });
        self.applied.wait_for(version);
    }

    /// Connections accepted since the start.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.counts.accepted.load(Ordering::Relaxed)
    }

    /// Connections that are open now.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.counts.open.load(Ordering::Relaxed)
    }
}
