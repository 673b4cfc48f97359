//! A thread with its own runtime, which ends with its owner.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread::{Builder, JoinHandle};

use tokio::sync::oneshot;

/// Runs one future on its own thread until dropped. Whatever the future has spawned ends with it.
#[derive(Debug)]
pub(crate) struct Host {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    /// Makes the future on the new thread, so that it need not be `Send`.
    pub(crate) fn start<F: Future<Output = ()>>(
        name: &str,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let run = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = work() => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed by its own thread; a second one here would hide the test's.
            let _ended = thread.join();
        }
    }
}

/// A listener on loopback that tokio can take over. Port 0 takes a free one.
pub(crate) fn listen(port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
