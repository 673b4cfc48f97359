//! Connections that hold on without asking anything: silent ones, and ones that send a request byte by byte.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::system::pause;

/// A head that never ends.
const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ";
/// How often each dripping connection sends a byte.
const DRIP: Duration = Duration::from_secs(1);

/// Slow connections, until they are dropped.
#[derive(Debug)]
pub(crate) struct Slow {
    _silent: Vec<TcpStream>,
    over: Arc<AtomicBool>,
    dripper: Option<JoinHandle<()>>,
}

impl Slow {
    /// Opens them all.
    pub(crate) fn open(address: SocketAddr, silent: usize, dripping: usize) -> Result<Self> {
        let connect = |_| TcpStream::connect(address).context("a slow connection");
        let silent = (0..silent).map(connect).collect::<Result<Vec<_>>>()?;
        let dripping = (0..dripping).map(connect).collect::<Result<Vec<_>>>()?;
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let dripper = std::thread::spawn(move || drip(dripping, &told));
        Ok(Self { _silent: silent, over, dripper: Some(dripper) })
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(dripper) = self.dripper.take() {
            let _panicked = dripper.join();
        }
    }
}

/// A byte on each connection in turn, evenly spread over the time. One that the server closed is left alone.
fn drip(mut connections: Vec<TcpStream>, over: &AtomicBool) {
    let step = DRIP / u32::try_from(connections.len().max(1)).unwrap_or(u32::MAX);
    for at in 0.. {
        let byte = HEAD.get(at).copied().unwrap_or(b'x');
        for connection in &mut connections {
            if over.load(Ordering::Relaxed) {
                return;
            }
            let _closed = connection.write(&[byte]);
            pause(step);
        }
    }
}
