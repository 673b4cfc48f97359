//! One connection through the proxy: two directions, each a reader and a writer with a short queue between them, so
//! that a delay does not cost throughput.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Line, Mode};

const CHUNK_BYTES: usize = 16 * 1024;
/// Chunks under way in one direction; the sender waits when there are more.
const CHUNKS: usize = 64;
/// A slow line is written to so many times a second.
const SLICES_PER_SECOND: u64 = 20;

/// Bytes and when they may arrive; none for the end of a stream.
type Chunk = (Instant, Bytes);

/// Carries bytes both ways until both ends have ended, one fails, or the line is cut.
pub(super) async fn carry(mut client: TcpStream, upstream: SocketAddr, line: watch::Receiver<Line>, mut rng: StdRng) {
    let Ok(mut server) = TcpStream::connect(upstream).await else { return reset(&client) };
    let _no_delay = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
    let swallowed = AtomicBool::new(false);
    let there = Direction { line: line.clone(), swallowed: &swallowed, is_back: false };
    let back = Direction { line: line.clone(), swallowed: &swallowed, is_back: true };
    let (seed_there, seed_back) = (StdRng::from_rng(&mut rng), StdRng::from_rng(&mut rng));
    let ended = {
        let (client_read, client_write) = client.split();
        let (server_read, server_write) = server.split();
        let both = async {
            tokio::try_join!(
                there.pump(client_read, server_write, seed_there),
                back.pump(server_read, client_write, seed_back),
            )
        };
        tokio::select! {
            ended = both => ended.is_ok(),
            () = doomed(line, &swallowed) => false,
        }
    };
    if !ended {
        reset(&client);
        reset(&server);
    }
}

/// Dropping a socket without lingering sends a reset.
fn reset(stream: &TcpStream) {
    let _set = stream.set_zero_linger();
}

/// Returns when the line is cut, or open again after something was swallowed.
async fn doomed(mut line: watch::Receiver<Line>, swallowed: &AtomicBool) {
    loop {
        let mode = line.borrow_and_update().mode;
        if mode == Mode::Cut || (mode != Mode::HalfOpen && swallowed.load(Ordering::Relaxed)) {
            return;
        }
        if line.changed().await.is_err() {
            return;
        }
    }
}

/// One way through.
struct Direction<'a> {
    line: watch::Receiver<Line>,
    swallowed: &'a AtomicBool,
    /// From the server to the client.
    is_back: bool,
}

impl Direction<'_> {
    async fn pump(&self, from: impl AsyncRead + Unpin, to: impl AsyncWrite + Unpin, rng: StdRng) -> io::Result<()> {
        let (sender, receiver) = mpsc::channel(CHUNKS);
        tokio::try_join!(self.take(from, sender, rng), self.give(receiver, to))?;
        Ok(())
    }

    async fn take(
        &self,
        mut from: impl AsyncRead + Unpin,
        queue: mpsc::Sender<Chunk>,
        mut rng: StdRng,
    ) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut due = Instant::now();
        loop {
            let length = from.read(&mut buffer).await?;
            let Line { delay, jitter, .. } = *self.line.borrow();
            // Bytes of one stream do not overtake each other.
            due = due.max(Instant::now() + delay + jitter.mul_f64(rng.random()));
            if queue.send((due, Bytes::copy_from_slice(&buffer[..length]))).await.is_err() || length == 0 {
                return Ok(());
            }
        }
    }

    async fn give(&self, mut queue: mpsc::Receiver<Chunk>, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
        while let Some((due, bytes)) = queue.recv().await {
            sleep_until(due).await;
            let mode = self.thawed().await?;
            if mode == Mode::HalfOpen {
                self.swallowed.store(true, Ordering::Relaxed);
            } else if bytes.is_empty() {
                to.shutdown().await?;
            } else if mode == Mode::CutAnswers && self.is_back {
                self.write(&mut to, bytes.slice(..bytes.len() / 2)).await?;
                return Err(io::ErrorKind::ConnectionReset.into());
            } else {
                self.write(&mut to, bytes).await?;
            }
        }
        // The end was swallowed: this connection stays open until the line changes.
        if self.swallowed.load(Ordering::Relaxed) { std::future::pending().await } else { Ok(()) }
    }

    /// Waits while nothing moves.
    async fn thawed(&self) -> io::Result<Mode> {
        let mut line = self.line.clone();
        let thawed = line.wait_for(|line| line.mode != Mode::Frozen).await;
        thawed.map(|line| line.mode).map_err(|_| io::ErrorKind::ConnectionAborted.into())
    }

    async fn write(&self, to: &mut (impl AsyncWrite + Unpin), mut bytes: Bytes) -> io::Result<()> {
        while !bytes.is_empty() {
            let Some(rate) = self.line.borrow().bytes_per_second else {
                return to.write_all(&bytes).await;
            };
            let slice = usize::try_from(rate.div_ceil(SLICES_PER_SECOND)).unwrap_or(CHUNK_BYTES);
            let slice = bytes.split_to(slice.min(bytes.len()));
            sleep(Duration::from_secs_f64(slice.len() as f64 / rate as f64)).await;
            to.write_all(&slice).await?;
        }
        Ok(())
    }
}
