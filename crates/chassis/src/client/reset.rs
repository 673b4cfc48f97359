//! Connections that are reset when they are closed.
//!
//! A service cannot tell a caller that has left from one that has only said all it has to say (RFC 9112, section 9.6). A
//! connection that is reset says it, and the service stops working for nobody. Nothing is lost with it: a connection is
//! closed when it has been idle, or when nobody waits for what comes over it any more.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::TcpStream;
use tower::{BoxError, Service};

/// Makes them.
#[derive(Debug, Clone)]
pub(super) struct ResettingConnector(HttpConnector);

impl ResettingConnector {
    pub(super) fn new(connector: HttpConnector) -> Self {
        Self(connector)
    }
}

impl Service<Uri> for ResettingConnector {
    type Response = Resetting;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Resetting, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async move {
            let connection = connecting.await?;
            SockRef::from(connection.inner()).set_linger(Some(Duration::ZERO))?;
            Ok(Resetting(connection))
        })
    }
}

/// One of them.
#[derive(Debug)]
pub(super) struct Resetting(TokioIo<TcpStream>);

impl Connection for Resetting {
    fn connected(&self) -> Connected {
        self.0.connected()
    }
}

impl Read for Resetting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl Write for Resetting {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    /// An orderly end would come before the reset, and be taken for the other thing.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
