//! Which of many processes delivers.

use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;
use uuid::Uuid;

use super::Shared;
use crate::ports::outbox::OutboxError;

/// For how long a relay leads without renewal.
const LEASE: Duration = Duration::from_secs(15);
/// The age at which the lead is renewed, and the pause between two attempts to take it.
pub(super) const RENEWAL: Duration = Duration::from_secs(3);
/// What a last delivery and the answer's way may take: none begins when less of the lease is left.
const MARGIN: Duration = Duration::from_secs(3);

/// The lead of an outbox, which one relay has at a time.
#[derive(Debug)]
pub(super) struct Lead {
    relay: Uuid,
    /// When the lease was asked for.
    since: Option<Instant>,
}

impl Lead {
    pub(super) fn new(relay: Uuid) -> Self {
        Self { relay, since: None }
    }

    /// Takes or keeps the lead; tells whether that worked.
    pub(super) async fn hold(&mut self, shared: &Shared) -> Result<bool, OutboxError> {
        if self.since.is_some_and(|since| since.elapsed() < RENEWAL) {
            return Ok(true);
        }
        let asked = Instant::now();
        match shared.outbox.lead(self.relay, LEASE).await {
            Ok(leads) => {
                self.set(shared, leads.then_some(asked));
                Ok(leads)
            }
            Err(error) => {
                let is_over = self.since.is_some_and(|since| since.elapsed() >= LEASE);
                self.set(shared, self.since.filter(|_| !is_over));
                Err(error)
            }
        }
    }

    /// Until when a delivery may begin.
    pub(super) fn until(&self) -> Instant {
        self.since.map_or_else(Instant::now, |since| since + LEASE - MARGIN)
    }

    pub(super) async fn give_up(&mut self, shared: &Shared) {
        if self.since.is_some()
            && let Err(error) = shared.outbox.lead(self.relay, Duration::ZERO).await
        {
            debug!(cause = %error, "the lead ends by itself");
        }
        self.set(shared, None);
    }

    /// Whoever does not lead knows nothing of how deliveries fare.
    fn set(&mut self, shared: &Shared, since: Option<Instant>) {
        let leads = since.is_some();
        if leads != self.since.is_some() {
            debug!(leads, "another process delivered the events before, or does from now on");
        }
        self.since = since;
        shared.metrics.leads.set(i64::from(leads));
        shared.with_state(|state| {
            state.leads = leads;
            if !leads {
                state.trouble = None;
                state.held.clear();
            }
        });
    }
}
