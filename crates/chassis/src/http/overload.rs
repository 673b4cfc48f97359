//! What a service takes on at once. Under more load than it can work off, requests that wait longer than their clients
//! do are work for nobody, and a service that takes them all gets slower until it answers none in time. So a bounded
//! number is worked on, as many wait for a bounded time, and the rest is refused at once.
//!
//! That is cheap where handlers wait for something. Where the processor itself is the limit, an answer costs a good part of
//! the work that it refuses: then the server reads less (`server/concurrency.rs`).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::error::{Error, Kind};

/// How long a request waits for its turn.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// When a client that was refused may come back.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How many of the largest bodies are held in memory at once.
const LARGEST_BODIES: usize = 64;
/// What every body may have of the memory whoever has the rest, so that large ones do not crowd out small ones.
const OWN_BYTES: usize = 16 * 1024;

/// The bounds of one service.
#[derive(Debug)]
pub(super) struct Overload {
    places: Semaphore,
    queue: Semaphore,
    body_bytes: AtomicUsize,
    max_body_bytes: usize,
}

impl Overload {
    /// `max_requests` are worked on at once, and as many wait.
    pub(super) fn new(max_requests: usize, max_body_bytes: usize) -> Self {
        Self {
            places: Semaphore::new(max_requests),
            queue: Semaphore::new(max_requests),
            body_bytes: AtomicUsize::new(0),
            max_body_bytes: max_body_bytes.saturating_mul(LARGEST_BODIES),
        }
    }

    /// The right to be worked on, until it is dropped; `None` when it has to be waited for.
    pub(super) fn try_admit(&self) -> Option<SemaphorePermit<'_>> {
        self.places.try_acquire().ok()
    }

    /// The same, in the order of asking.
    pub(super) async fn admit(&self) -> Result<SemaphorePermit<'_>, Error> {
        let _queued = self.queue.try_acquire().map_err(|_full| overloaded("the queue of waiting requests is full"))?;
        match timeout(LONGEST_WAIT, self.places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(overloaded("the request waited too long for its turn")),
        }
    }

    /// Memory for the body of one request.
    pub(super) fn body(&self) -> BodyMemory<'_> {
        BodyMemory { all: self, bytes: 0 }
    }
}

/// The memory that one body takes, until it is dropped.
#[derive(Debug)]
pub(super) struct BodyMemory<'a> {
    all: &'a Overload,
    bytes: usize,
}

impl BodyMemory<'_> {
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Error> {
        let shared_before = self.shared_bytes();
        self.bytes += bytes;
        let shared = self.shared_bytes() - shared_before;
        let before = self.all.body_bytes.fetch_add(shared, Ordering::Relaxed);
        if shared > 0 && before.saturating_add(shared) > self.all.max_body_bytes {
            return Err(overloaded("the memory for request bodies is full"));
        }
        Ok(())
    }
}

impl BodyMemory<'_> {
    fn shared_bytes(&self) -> usize {
        self.bytes.saturating_sub(OWN_BYTES)
    }
}

impl Drop for BodyMemory<'_> {
    fn drop(&mut self) {
        self.all.body_bytes.fetch_sub(self.shared_bytes(), Ordering::Relaxed);
    }
}

pub(super) fn overloaded(cause: &'static str) -> Error {
    Error::new(Kind::Overloaded, "Too many requests at once, try again later").retry_after(RETRY_AFTER).caused_by(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_for_a_bounded_time_and_in_a_bounded_queue() {
        let overload = Overload::new(1, 1);
        let place = overload.admit().await.unwrap();
        let begun = tokio::time::Instant::now();
        let (waiting, refused) = tokio::join!(overload.admit(), async {
            let refused = overload.admit().await.unwrap_err();
            (refused, begun.elapsed())
        });
        assert_eq!(refused.0.kind(), Kind::Overloaded);
        assert_eq!(refused.1, Duration::ZERO, "a full queue is no reason to wait");
        assert!(waiting.is_err() && begun.elapsed() >= LONGEST_WAIT);
        drop(place);
        assert!(overload.admit().await.is_ok());
    }

    #[tokio::test]
    async fn who_waits_goes_on_when_a_place_is_free() {
        let overload = Overload::new(1, 1);
        let place = overload.admit().await.unwrap();
        let (waiting, ()) = tokio::join!(overload.admit(), async { drop(place) });
        assert!(waiting.is_ok());
    }

    #[test]
    fn the_memory_of_all_bodies_is_bounded_and_given_back() {
        let overload = Overload::new(1, OWN_BYTES);
        let all = LARGEST_BODIES * OWN_BYTES;
        let mut one = overload.body();
        assert!(one.take(OWN_BYTES).is_ok() && one.take(all - 1).is_ok());
        assert!(overload.body().take(OWN_BYTES + 2).is_err());
        assert!(overload.body().take(OWN_BYTES).is_ok(), "a small body is not refused for the large ones");
        assert!(one.take(1).is_ok());
        drop(one);
        assert!(overload.body().take(OWN_BYTES + all).is_ok());
        assert_eq!(overload.body_bytes.load(Ordering::Relaxed), 0);
    }
}
