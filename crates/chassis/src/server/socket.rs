//! What a connection is read from and written to: a socket, or TLS over one.

use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// One end of a connection.
#[derive(Debug)]
pub(super) enum Socket {
    Plain(TcpStream),
    /// Boxed, since it is large, and there may be thousands of the others.
    Tls(Box<TlsStream<TcpStream>>),
}

/// The socket below TLS, read as far as it has something.
struct Available<'a>(&'a TcpStream);

impl Read for Available<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Socket {
    /// The socket itself.
    pub(super) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    /// The same. Bytes that are read from it are lost for TLS.
    pub(super) fn tcp_mut(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_mut().0,
        }
    }

    /// Ready with true when something is there to be read. Does as little work as it can.
    pub(super) fn poll_arrival(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if let Self::Tls(stream) = self
            && let Ok(state) = stream.get_mut().1.process_new_packets()
            && state.plaintext_bytes_to_read() > 0
        {
            return Poll::Ready(Ok(true));
        }
        poll_peek(self.tcp_mut(), context)
    }

    /// Ready with true when the client has sent something that is still to be read, with false when it has ended its side,
    /// and with an error when the connection is broken. Over TLS the end is a message, and nobody else would read it.
    pub(super) fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let Self::Tls(stream) = self else { return poll_peek(self.tcp_mut(), context) };
        let (socket, session) = stream.get_mut();
        loop {
            let state =
                session.process_new_packets().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if state.plaintext_bytes_to_read() > 0 {
                return Poll::Ready(Ok(true));
            }
            if state.peer_has_closed() {
                // It may have broken the connection after that.
                return match poll_peek(socket, context) {
                    Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                    Poll::Ready(Ok(_)) | Poll::Pending => Poll::Ready(Ok(false)),
                };
            }
            ready!(socket.poll_read_ready(context))?;
            match session.read_tls(&mut Available(socket)) {
                Ok(0) => return Poll::Ready(Ok(false)),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

fn poll_peek(socket: &TcpStream, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
    let mut first = [std::mem::MaybeUninit::uninit()];
    socket.poll_peek(context, &mut ReadBuf::uninit(&mut first)).map_ok(|count| count > 0)
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            // Many clients close without saying so in TLS (RFC 9112, section 9.8). A request says how long it is, so that
            // none that was cut off passes for a whole one.
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer).map(|read| match read {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
                read => read,
            }),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(context, parts),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
        }
    }
}
