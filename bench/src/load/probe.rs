//! Health and metrics beside a load.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{get, once};
use crate::system::pause;

const PROBE_EVERY: Duration = Duration::from_millis(50);

/// Asks for health and metrics the whole time, each time on a new connection.
pub(crate) struct Probe {
    over: Arc<AtomicBool>,
    thread: JoinHandle<([f64; 2], usize)>,
}

impl Probe {
    pub(crate) fn start(addresses: [SocketAddr; 2]) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        Self { over, thread: std::thread::spawn(move || probe(addresses, &told)) }
    }

    /// The slowest answer of each in milliseconds, and how many were none.
    pub(crate) fn stop(self) -> Option<([f64; 2], usize)> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().ok()
    }
}

fn probe(addresses: [SocketAddr; 2], over: &AtomicBool) -> ([f64; 2], usize) {
    let (mut slowest, mut failed) = ([0.0_f64; 2], 0);
    while !over.load(Ordering::Relaxed) {
        for ((address, path), worst) in addresses.into_iter().zip(["/health", "/metrics"]).zip(&mut slowest) {
            match once::ask(address, &get(path, None)) {
                Ok(answer) if answer.status == 200 => *worst = worst.max(answer.latency.as_secs_f64() * 1000.0),
                _ => failed += 1,
            }
        }
        pause(PROBE_EVERY);
    }
    (slowest, failed)
}
