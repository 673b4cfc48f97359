//! The port and the connections on it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::applied::Applied;
use super::{Counts, Line, Mode, Order, connection};

/// Connections at a time; more wait in the kernel.
const MAX_CONNECTIONS: usize = 4096;
const BACKLOG: i32 = 1024;
/// Between two tries to listen again, should the system refuse for a moment.
const AGAIN: Duration = Duration::from_millis(10);

/// A port that stays ours while nothing listens on it, so that connections to it are refused and nobody else takes it.
#[derive(Debug)]
pub(super) struct Reserved {
    address: SocketAddr,
    _socket: Socket,
}

/// What the connections are carried with.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) upstream: SocketAddr,
    pub(super) orders: watch::Receiver<Order>,
    pub(super) applied: Arc<Applied>,
    pub(super) counts: Arc<Counts>,
    pub(super) seed: u64,
}

impl Reserved {
    pub(super) fn new() -> io::Result<Self> {
        let socket = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = socket.local_addr()?.as_socket();
        let address = address.ok_or_else(|| io::Error::other("a bound socket has no address"))?;
        Ok(Self { address, _socket: socket })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn listen(&self) -> io::Result<std::net::TcpListener> {
        let socket = bind(self.address)?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    }
}

fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Serves until it is dropped, or the owner of the line is.
pub(super) async fn serve(reserved: Reserved, first: std::net::TcpListener, mut served: Served) {
    let mut listener = TcpListener::from_std(first).ok();
    let mut connections = JoinSet::new();
    let line = watch::Sender::new(Line::default());
    loop {
        let order = *served.orders.borrow_and_update();
        let cut = order.line.mode == Mode::Cut;
        if cut {
            // Whoever waits to be accepted is reset.
            listener = None;
        } else if listener.is_none() {
            listener = reserved.listen().and_then(TcpListener::from_std).ok();
        }
        // The port first: whoever is reset and connects again must be refused.
        line.send_replace(order.line);
        served.applied.tell(order.version);
        tokio::select! {
            stream = accept(listener.as_ref()), if connections.len() < MAX_CONNECTIONS => {
                if let Ok(stream) = stream {
                    connections.spawn(carry(stream, line.subscribe(), &served));
                }
            }
            changed = served.orders.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            Some(_) = connections.join_next() => {}
            () = sleep(AGAIN), if listener.is_none() && !cut => {}
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => {
            let accepted = listener.accept().await;
            if accepted.is_err() {
                // Out of files: those that are open will end.
                sleep(AGAIN).await;
            }
            accepted.map(|(stream, _)| stream)
        }
        None => std::future::pending().await,
    }
}

/// Counts a connection from now until its end, however it ends.
fn carry(client: TcpStream, line: watch::Receiver<Line>, served: &Served) -> impl Future<Output = ()> + use<> {
    let number = served.counts.accepted.fetch_add(1, Ordering::Relaxed);
    served.counts.open.fetch_add(1, Ordering::Relaxed);
    let open = Open(served.counts.clone());
    let upstream = served.upstream;
    let rng = StdRng::seed_from_u64(served.seed.wrapping_add(number));
    async move {
        connection::carry(client, upstream, line, rng).await;
        drop(open);
    }
}

struct Open(Arc<Counts>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
