//! What stands between a socket and the HTTP library: it hands over one request at a time, each with a head that was
//! checked whole, and it gives a client that does not go on so much time and no more.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

use super::chunks::Chunks;
use super::concurrency::{ConcurrencyLimit, Permit};
use super::departure::has_left;
use super::head::{self, EndOfHead, Framing, MAX_HEAD_BYTES};
use super::patience::Patience;
use super::socket::Socket;
use super::timeouts::Timeouts;
use super::turn::{Admission, Turn};
use crate::error::Kind;
use crate::http::Refusal;
use crate::lifecycle::Lifecycle;

/// Bytes that are read at once where they do not go straight to the library.
const CHUNK: usize = 4 * 1024;
/// A wait for the processor in which a client that ends its side gives up, and does not only end its last request.
const LONG_WAIT: Duration = Duration::from_millis(100);

/// How far a connection is, shared by its stream and those who answer on it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    in_work: AtomicBool,
    unread: AtomicBool,
    leaving: AtomicBool,
    late: AtomicBool,
    refusal: OnceLock<Refusal>,
    next: Mutex<Option<Waker>>,
    /// Held by the request in work.
    permit: Mutex<Option<Permit>>,
}

impl Progress {
    /// A request was handed over and is not answered.
    pub(super) fn is_in_work(&self) -> bool {
        self.in_work.load(Ordering::Relaxed)
    }

    fn begin(&self, admission: Option<Admission>) {
        if let Some(admission) = admission {
            self.late.store(admission.is_err(), Ordering::Relaxed);
            *self.permit() = admission.ok().flatten();
        }
        self.in_work.store(true, Ordering::Relaxed);
    }

    /// The answer is there: the next request may come.
    pub(super) fn answered(&self) {
        self.in_work.store(false, Ordering::Relaxed);
        self.late.store(false, Ordering::Relaxed);
        let permit = self.permit().take();
        drop(permit);
        if let Some(next) = self.next().take() {
            next.wake();
        }
    }

    /// Has the connection looked at again when the answer is there, since the next request is.
    fn call_back(&self, context: &Context<'_>) {
        *self.next() = Some(context.waker().clone());
    }

    fn permit(&self) -> MutexGuard<'_, Option<Permit>> {
        self.permit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> MutexGuard<'_, Option<Waker>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Part of the request is still to come; it must not pass for the next one.
    pub(super) fn is_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    /// The request at hand waited too long to be read.
    pub(super) fn is_late(&self) -> bool {
        self.late.load(Ordering::Relaxed)
    }

    /// Why the request at hand is none.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.refusal.get().copied()
    }

    /// No further request is waited for.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }
}

/// What the next byte from the client belongs to.
#[derive(Debug)]
enum Expected {
    Head(EndOfHead),
    Body(u64),
    Chunked(Chunks),
    /// Nothing more is taken.
    Nothing,
}

/// A socket whose requests are checked, bounded and timed.
#[derive(Debug)]
pub(super) struct RequestStream {
    pub(super) socket: Socket,
    pub(super) timeouts: &'static Timeouts,
    lifecycle: Lifecycle,
    progress: Arc<Progress>,
    expected: Expected,
    /// Bytes that are not handed over: half a head, or what follows the request that is in work.
    held: BytesMut,
    /// How many of them, from the front, may be handed over now.
    cleared: usize,
    pub(super) reading: Patience,
    pub(super) writing: Patience,
    pub(super) lingering: Option<Patience>,
    /// The request in work changes nothing, so that nobody misses it whose caller has left.
    pub(super) only_reads: bool,
    pub(super) leaving: Patience,
    turn: Turn,
}

impl RequestStream {
    pub(super) fn new(
        socket: Socket,
        timeouts: &'static Timeouts,
        (lifecycle, concurrency): (Lifecycle, Arc<ConcurrencyLimit>),
        progress: Arc<Progress>,
    ) -> Self {
        Self {
            socket,
            timeouts,
            lifecycle,
            progress,
            expected: Expected::Head(EndOfHead::default()),
            held: BytesMut::new(),
            cleared: 0,
            reading: Patience::default(),
            writing: Patience::default(),
            lingering: None,
            only_reads: false,
            leaving: Patience::default(),
            turn: Turn::new(concurrency),
        }
    }

    /// Looks at bytes that continue what was expected; how many of them, from the front, the library may have.
    fn admit(&mut self, bytes: &[u8]) -> usize {
        let Expected::Head(end_of_head) = &mut self.expected else { return self.admit_body(bytes) };
        let end = end_of_head.find(bytes);
        let admitted = end.and_then(|end| {
            let Some((head, rest)) = end.and_then(|end| bytes.split_at_checked(end)) else { return Ok(0) };
            self.expected = match head::check(head)? {
                Framing::Length(length) => Expected::Body(length),
                Framing::Chunked => Expected::Chunked(Chunks::Start),
            };
            self.only_reads = head.starts_with(b"GET ") || head.starts_with(b"HEAD ");
            self.progress.begin(self.turn.begin());
            self.reading.renew();
            Ok(head.len() + self.admit_body(rest))
        });
        admitted.unwrap_or_else(|refusal| {
            self.refuse(refusal, bytes);
            0
        })
    }

    fn admit_body(&mut self, bytes: &[u8]) -> usize {
        let (taken, is_over) = match &mut self.expected {
            Expected::Body(left) => {
                let taken = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= taken as u64;
                (taken, *left == 0)
            }
            Expected::Chunked(chunks) => (chunks.advance(bytes), *chunks == Chunks::Complete),
            Expected::Head(_) | Expected::Nothing => return 0,
        };
        if is_over {
            self.expected = Expected::Head(EndOfHead::default());
        }
        self.progress.unread.store(!is_over, Ordering::Relaxed);
        taken
    }

    /// Hands over a request that stands for the bytes that are none, and nothing after it.
    fn refuse(&mut self, refusal: Refusal, bytes: &[u8]) {
        let (method, target) = head::request_line(bytes).unwrap_or(("OPTIONS", "*"));
        let stand_in = format!("{method} {target} HTTP/1.1\r\nhost: refused\r\n\r\n");
        self.turn.give_back();
        // The first refusal is the last: nothing is expected after it.
        let _ = self.progress.refusal.set(refusal);
        self.progress.in_work.store(true, Ordering::Relaxed);
        self.progress.unread.store(true, Ordering::Relaxed);
        self.expected = Expected::Nothing;
        self.held.clear();
        self.held.extend_from_slice(stand_in.as_bytes());
        self.cleared = self.held.len();
    }

    /// Looks at the bytes that waited for the request before them.
    fn admit_held(&mut self) {
        let held = std::mem::take(&mut self.held);
        let cleared = self.admit(&held);
        if self.cleared == 0 {
            (self.held, self.cleared) = (held, cleared);
        }
    }

    fn hand_over(&mut self, buffer: &mut ReadBuf<'_>) {
        let count = self.cleared.min(buffer.remaining());
        buffer.put_slice(self.held.get(..count).unwrap_or_default());
        self.held.advance(count);
        self.cleared -= count;
        if self.held.is_empty() {
            self.held = BytesMut::new();
        }
    }

    /// Reads straight into the library's buffer, and takes back what it may not have yet. Ready when it has something
    /// or the client has ended.
    fn poll_direct(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let before = buffer.filled().len();
        ready!(self.poll_socket(context, buffer))?;
        let fresh = buffer.filled().get(before..).unwrap_or_default();
        if fresh.is_empty() {
            self.turn.give_back();
            return Poll::Ready(Ok(true));
        }
        self.reading.renew();
        let count = self.admit(fresh);
        if self.cleared == 0 {
            self.held.extend_from_slice(fresh.get(count..).unwrap_or_default());
        }
        buffer.set_filled(before + count);
        Poll::Ready(Ok(count > 0))
    }

    /// Reads what is not for the library yet. Ready with false when the client has ended.
    fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        // Not zeroed: most often nothing is there.
        let mut chunk = [MaybeUninit::uninit(); CHUNK];
        let mut buffer = ReadBuf::uninit(&mut chunk);
        ready!(self.poll_socket(context, &mut buffer))?;
        self.held.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(!buffer.filled().is_empty()))
    }

    /// Reads, for as long as this client may take.
    fn poll_socket(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(result) = Pin::new(&mut self.socket).poll_read(context, buffer) {
            return Poll::Ready(result);
        }
        if self.awaits_answer() {
            // The time limit of the request holds. The library asks no more when it has sent the answer, so the timer
            // for what comes then must run already.
            while self.reading.poll(context, self.timeouts.idle, None).is_ready() {
                self.reading.renew();
            }
            return Poll::Pending;
        }
        let is_idle = !self.has_begun() && matches!(self.expected, Expected::Head(_));
        if is_idle && self.progress.is_leaving() {
            return Poll::Ready(self.give_up());
        }
        self.turn.give_back();
        let limit = if is_idle { self.timeouts.idle } else { self.stall() };
        let latest = self.latest();
        self.reading.poll(context, limit, latest).map(|()| self.give_up())
    }

    /// Ready when a request that is there may be read: at once, but where the processor is the limit.
    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.turn.is_needed() || self.progress.is_leaving() {
            return Poll::Ready(());
        }
        let is_there = !self.held.is_empty() || matches!(self.socket.poll_arrival(context), Poll::Ready(Ok(true)));
        if is_there {
            let waited = ready!(self.turn.poll(context));
            // Whoever has closed his side meanwhile has most likely left, and an answer would be for nobody.
            if waited >= LONG_WAIT && has_left(self.socket.tcp()) {
                self.turn.give_back();
                self.held.clear();
                self.expected = Expected::Nothing;
            }
        }
        Poll::Ready(())
    }

    /// Whether the next request has begun. An empty line before it is none of it (RFC 9112, section 2.2).
    fn has_begun(&self) -> bool {
        self.held.iter().any(|byte| !b"\r\n".contains(byte))
    }

    /// A request is in work, and whatever the client sends belongs to the next one.
    pub(super) fn awaits_answer(&self) -> bool {
        self.progress.is_in_work() && self.has_whole_request()
    }

    /// Nothing more belongs to the request that is answered, or will be next.
    pub(super) fn has_whole_request(&self) -> bool {
        matches!(self.expected, Expected::Head(_) | Expected::Nothing)
    }

    pub(super) fn stall(&self) -> Duration {
        if self.progress.is_leaving() { self.timeouts.stall_when_leaving } else { self.timeouts.stall }
    }

    /// When clients that neither stall nor finish are out of time; `None` while the process goes on.
    pub(super) fn latest(&self) -> Option<Instant> {
        self.lifecycle.clients_until()
    }

    /// Whether the client sent, or still sends, what nobody will read.
    pub(super) fn has_unread(&self) -> bool {
        self.progress.is_unread() || !self.held.is_empty()
    }

    /// Ends what took too long: a body with an error for its reader, half a head with an answer, silence with silence.
    fn give_up(&mut self) -> io::Result<()> {
        match self.expected {
            Expected::Body(_) | Expected::Chunked(_) => return Err(io::ErrorKind::TimedOut.into()),
            Expected::Head(_) if self.has_begun() => {
                let head = std::mem::take(&mut self.held);
                self.refuse(Refusal::new(Kind::RequestTimeout, "The request head took too long"), &head);
            }
            _ => self.expected = Expected::Nothing,
        }
        Ok(())
    }
}

impl AsyncRead for RequestStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let awaits_answer = this.awaits_answer();
            if !this.progress.is_in_work() && matches!(this.expected, Expected::Head(_)) {
                ready!(this.poll_turn(context));
            }
            if this.cleared == 0 && !this.held.is_empty() && !awaits_answer {
                this.admit_held();
            }
            if this.cleared > 0 {
                this.hand_over(buffer);
                return Poll::Ready(Ok(()));
            }
            if awaits_answer && !this.held.is_empty() {
                this.progress.call_back(context);
            }
            // An end now would be taken for a client that does not wait for its answer.
            if matches!(this.expected, Expected::Nothing) {
                return if awaits_answer { Poll::Pending } else { Poll::Ready(Ok(())) };
            }
            if this.held.is_empty() && !awaits_answer {
                if ready!(this.poll_direct(context, buffer))? {
                    return Poll::Ready(Ok(()));
                }
            } else if this.held.len() > MAX_HEAD_BYTES {
                return Poll::Pending;
            } else if !ready!(this.poll_more(context))? && matches!(this.expected, Expected::Head(_)) {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
