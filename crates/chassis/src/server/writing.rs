//! The sending half of a connection: a client that does not read ends it, and its last answer is not lost.
//!
//! Closing a socket while the other side still sends makes the kernel reset the connection, and a client that reads
//! after it has sent finds the reset in place of the answer ("413 Payload too large" becomes "broken pipe"). So the
//! sending half is closed first, and what still arrives is read and thrown away for a moment (RFC 9112, section 9.6).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::patience::Patience;
use super::stream::RequestStream;

/// How long an answer may take to begin for a client that has ended its side.
const GRACE: Duration = Duration::from_millis(50);
/// Bytes that are thrown away at once.
const CHUNK: usize = 16 * 1024;

impl RequestStream {
    /// Ready when the other side has nothing more to say, or no more time.
    fn poll_discard(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let (limit, latest) = (self.timeouts.linger, self.latest());
        let lingering = self.lingering.get_or_insert_with(Patience::default);
        let mut chunk = [0; CHUNK];
        while lingering.poll(context, limit, latest).is_pending() {
            let mut buffer = ReadBuf::new(&mut chunk);
            let read = ready!(Pin::new(self.socket.tcp_mut()).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(())
    }

    /// An error when nobody waits for an answer: the connection was reset, or the client ended its side and only wanted to
    /// read. It may still read what comes at once (RFC 9112, section 9.6); and whoever wanted something done gets it done.
    fn poll_departure(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.socket.poll_end(context) {
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Ready(Ok(false)) if self.only_reads && self.awaits_answer() => {
                if self.leaving.poll(context, GRACE, None).is_ready() {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
            }
            Poll::Ready(Ok(_)) | Poll::Pending => self.leaving.renew(),
        }
        Ok(())
    }

    fn poll_sent(&mut self, context: &mut Context<'_>, sent: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if sent.is_ready() {
            // Idle time begins with the last byte of an answer.
            self.reading.restart(self.timeouts.idle);
        }
        self.poll_until_stalled(context, sent)
    }

    /// An error when what still has to be sent has waited for too long.
    fn poll_until_stalled<T>(&mut self, context: &mut Context<'_>, sent: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if sent.is_ready() {
            self.writing.renew();
            return sent;
        }
        let (limit, latest) = (self.stall(), self.latest());
        self.writing.poll(context, limit, latest).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for RequestStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.poll_sent(context, sent)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.socket).poll_write_vectored(context, parts);
        self.poll_sent(context, sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    /// The library flushes whenever it has nothing else to do, which is where a client that is gone shows: it reads no more
    /// of one who has sent his request.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.has_whole_request() {
            self.poll_departure(context)?;
        }
        // Over TLS what was written may still wait to be sent.
        let flushed = Pin::new(&mut self.socket).poll_flush(context);
        self.poll_until_stalled(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            let closed = Pin::new(&mut self.socket).poll_shutdown(context);
            ready!(self.poll_until_stalled(context, closed))?;
            if !self.has_unread() {
                return Poll::Ready(Ok(()));
            }
        }
        self.poll_discard(context).map(Ok)
    }
}
