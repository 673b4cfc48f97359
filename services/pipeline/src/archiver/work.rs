//! The work on one delivery: store it, or decide what else becomes of it.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use chassis::lifecycle::Lifecycle;
use chassis::ports::{Message, ObjectError, ObjectKey, Put, QueueError, Receipt};
use chassis::telemetry::correlation::{CorrelationId, Scope, TraceContext};
use tokio::sync::{AcquireError, SemaphorePermit};
use tracing::{debug, info, warn};

use super::leases::Held;
use super::metrics::Outcome;
use super::pace::{pause, pauses};
use super::store::{JSON, Writes};
use super::worker::{Archiver, Ways};
use crate::model::names::{CORRELATION_ID, TRACEPARENT};
use crate::model::record::{object_key, record};

/// The pause before the second attempt at a message; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// How long a message that found the store down stays behind the others, so that the next look at the store is made
/// with another one.
const ASIDE: Duration = Duration::from_secs(2);
/// Tries after which a message that is kept lets another one find out whether the store is really down.
const PATIENCE: u32 = 10;
/// Looks at what became of others, after which a message that is refused all the time is taken for one that cannot be
/// stored now; and writes of others that a look needs.
const ALONE: u32 = 10;
const OTHERS: u64 = 20;
/// The longest pause between attempts.
const LAST_RETRY: Duration = Duration::from_secs(15 * 60);

/// The right to write one object now. Only closed with the archiver.
type Place<'a> = Result<SemaphorePermit<'a>, AcquireError>;

/// Whether a message is refused while the store takes others. A store that refuses many of them is short of something,
/// and no message is at fault.
#[derive(Default)]
struct Alone {
    before: Option<Writes>,
    /// This message's own refusals since then.
    own: u64,
    looks: u32,
}

impl Alone {
    /// After each refusal, with all writes so far.
    fn is_sure(&mut self, now: Writes) -> bool {
        let Some(before) = self.before else {
            self.before = Some(now);
            return false;
        };
        self.own += 1;
        let (stored, refused) = (now.stored - before.stored, (now.refused - before.refused).saturating_sub(self.own));
        if stored + refused < OTHERS {
            return false;
        }
        self.looks = if refused * 10 <= stored { self.looks + 1 } else { 0 };
        (self.before, self.own) = (Some(now), 0);
        self.looks >= ALONE
    }
}

impl Archiver {
    /// The ids under which the work on this message is logged: those of the request that sent it.
    pub(super) fn scope_of(&self, message: &Message) -> Scope {
        let attribute = |name| message.attributes.get(name);
        Scope {
            service: self.service.clone(),
            correlation_id: attribute(CORRELATION_ID).and_then(|id| CorrelationId::parse(id.as_bytes())),
            trace: attribute(TRACEPARENT).and_then(|parent| TraceContext::continue_from(parent, &self.context.ids)),
            client: None,
            deadline: None,
        }
    }

    /// Works on one delivery until nothing is left to do for it but its deletion.
    pub(super) async fn work_on(&self, message: Message, held: Held, ways: &Ways, lifecycle: &Lifecycle) {
        let rolled_up = match &ways.rollups {
            Some(rollups) => self.roll_up(&message, &held, rollups, lifecycle).await,
            None => None,
        };
        let outcome = match rolled_up {
            Some(outcome) => outcome,
            None => self.store_alone(&message, &held, lifecycle).await,
        };
        self.metrics.count(outcome);
        if matches!(outcome, Outcome::Stored | Outcome::Duplicate) {
            // Fails only when the deleter is gone, and then the message comes back and is found stored.
            let _ = ways.stored.send(held).await;
        }
    }

    async fn store_alone(&self, message: &Message, held: &Held, lifecycle: &Lifecycle) -> Outcome {
        let place = self.places.acquire().await;
        if lifecycle.is_draining() {
            log_unanswered(self.queue.release(std::slice::from_ref(&message.receipt), Duration::ZERO).await);
            return Outcome::Released;
        }
        let timer = self.metrics.process_seconds.start_timer();
        let outcome = self.store(message, held, place, lifecycle).await;
        timer.observe_duration();
        outcome
    }

    async fn store(&self, message: &Message, held: &Held, place: Place<'_>, lifecycle: &Lifecycle) -> Outcome {
        let body = record(message, self.context.clock.now()).map_err(|rejection| rejection.to_string());
        let key = object_key(&message.id, message.sent_at).map_err(|error| error.to_string());
        let (body, key) = match (body, key) {
            (Ok(body), Ok(key)) => (body, key),
            (Err(reason), _) | (_, Err(reason)) => {
                return if self.is_lost(held) { lost(message) } else { self.give_up(message, &reason).await };
            }
        };
        let outcome = match self.put(&key, body.into(), place, lifecycle).await {
            Ok(Put::Created) => Outcome::Stored,
            Ok(Put::AlreadyExists) => Outcome::Duplicate,
            Err(_) if self.is_lost(held) => return lost(message),
            Err(error @ (ObjectError::Unavailable(_) | ObjectError::Timeout)) => {
                return self.hand_back(&message.receipt, &error, lifecycle).await;
            }
            Err(error) => return self.retry_later(message, &error).await,
        };
        info!(message.id = %message.id, object.key = %key, outcome = outcome.as_str(), "archived message {}", message.id);
        outcome
    }

    /// Whether this message is somebody else's by now, who must not be disturbed.
    pub(super) fn is_lost(&self, held: &Held) -> bool {
        self.queue.profile().takes_stale_receipts && held.is_lost()
    }

    /// Writes the object. Where a message that is handed back would be counted, and given up after a few times, it is
    /// kept instead until the store is up again; its lease is extended meanwhile. Unless others are stored all the time
    /// and hardly ever refused: then the store is not down, and this message fails for itself.
    async fn put(
        &self,
        key: &ObjectKey,
        body: Bytes,
        mut place: Place<'_>,
        lifecycle: &Lifecycle,
    ) -> Result<Put, ObjectError> {
        let mut pauses = pauses();
        let mut alone = Alone::default();
        let mut kept_for_long = None;
        for tries in 1.. {
            let put = self.store.put(key, body.clone(), JSON).await;
            let Err(error @ (ObjectError::Unavailable(_) | ObjectError::Timeout)) = &put else { return put };
            if !self.queue.profile().counts_releases || lifecycle.is_draining() {
                return put;
            }
            if tries == 1 {
                warn!(object.key = %key, cause = %error, "the object store is unavailable: a message is kept until it is back");
            }
            if tries == PATIENCE {
                kept_for_long = Some(self.store.keep_for_long());
            }
            if alone.is_sure(self.store.writes()) {
                drop(kept_for_long);
                return Err(ObjectError::Other(format!("{error}, again and again while others were stored")));
            }
            // Others may find out meanwhile whether it is this message alone.
            drop(place);
            pause(&mut pauses, lifecycle).await;
            place = self.places.acquire().await;
        }
        Err(ObjectError::Timeout)
    }

    /// Never to be stored: it leaves the queue with its reason, so that it blocks no others.
    async fn give_up(&self, message: &Message, reason: &str) -> Outcome {
        warn!(message.id = %message.id, reason, "message {} goes to the dead-letter queue", message.id);
        match self.queue.dead_letter(message, reason).await {
            Ok(()) => Outcome::DeadLettered,
            Err(error) => {
                warn!(message.id = %message.id, cause = %error, "the dead-letter queue did not take message {}", message.id);
                Outcome::Failed
            }
        }
    }

    /// This object could not be written: another attempt later, with growing pauses, and an end to them.
    async fn retry_later(&self, message: &Message, error: &ObjectError) -> Outcome {
        if message.receive_count >= self.max_receive_count().await {
            let reason = format!("could not be stored in {} attempts: {error}", message.receive_count);
            return self.give_up(message, &reason).await;
        }
        let pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_RETRY)
            .with_max_delay(LAST_RETRY)
            .without_max_times()
            .with_jitter()
            .build();
        let attempts = usize::try_from(message.receive_count.saturating_sub(1)).unwrap_or(usize::MAX);
        let pause = pauses.into_iter().nth(attempts).unwrap_or(LAST_RETRY);
        warn!(message.id = %message.id, cause = %error, "message {} could not be stored, next attempt in {pause:?}", message.id);
        let answers = self.queue.retry(std::slice::from_ref(&message.receipt), pause).await;
        log_unanswered(answers);
        Outcome::Failed
    }

    /// The queue's own rule, where it has one.
    async fn max_receive_count(&self) -> u32 {
        match self.queue.max_receive_count().await {
            Ok(count) => count.unwrap_or(self.config.max_receive_count),
            Err(error) => {
                warn!(cause = %error, "the queue does not tell how often it delivers a message");
                u32::MAX
            }
        }
    }

    /// The store as a whole is down: that is no attempt at this message. It may also be this message's folder or disk
    /// block alone that fails, and only another message can tell: this one goes behind the others, and does so again
    /// each time it comes back, without an end. When the queue is down too, as on a disk that both share, it is kept
    /// until the queue takes it: one that came back by itself would be counted, and given up after a few times.
    pub(super) async fn hand_back(&self, receipt: &Receipt, error: &ObjectError, lifecycle: &Lifecycle) -> Outcome {
        warn!(cause = %error, "the object store is unavailable: the message goes back to the queue");
        let mut pauses = pauses();
        loop {
            match self.queue.release(std::slice::from_ref(receipt), ASIDE).await {
                Err(QueueError::Unavailable(cause)) if !lifecycle.is_draining() => {
                    debug!(cause, "the message is kept until the queue is available again");
                    pause(&mut pauses, lifecycle).await;
                }
                answers => break log_unanswered(answers),
            }
        }
        Outcome::Released
    }
}

/// It was held for too long. Whoever has it now decides what becomes of it.
pub(super) fn lost(message: &Message) -> Outcome {
    warn!(message.id = %message.id, "message {} was held for too long: it comes back", message.id);
    Outcome::Failed
}

/// What could not be handed back comes back by itself when its visibility ends.
fn log_unanswered(answers: Result<Vec<Result<(), QueueError>>, QueueError>) {
    let failure = match answers {
        Ok(mut answers) => answers.pop().and_then(Result::err),
        Err(error) => Some(error),
    };
    if let Some(error) = failure {
        warn!(cause = %error, "a message could not be handed back");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Refused once more each time, while of the others so many in a hundred are stored.
    fn gives_up_within(looks: u64, stored_of_100: u64) -> bool {
        let mut alone = Alone::default();
        let writes = |look: u64| Writes { stored: look * stored_of_100, refused: look * (100 - stored_of_100) + look };
        (0..looks).any(|look| alone.is_sure(writes(look)))
    }

    #[test]
    fn a_message_fails_for_itself_only_while_hardly_any_other_does() {
        assert!(gives_up_within(12, 100) && !gives_up_within(10, 100));
        assert!(gives_up_within(12, 95));
        for brownout in [80, 50, 5, 0] {
            assert!(!gives_up_within(10_000, brownout), "{brownout}");
        }
    }

    #[test]
    fn few_others_are_waited_for() {
        let mut alone = Alone::default();
        let writes = |look| Writes { stored: look, refused: look };
        let looks = (0..1_000).take_while(|look| !alone.is_sure(writes(*look))).count() as u64;
        assert!((OTHERS * u64::from(ALONE)..=OTHERS * u64::from(ALONE) + 2).contains(&looks), "{looks}");
    }
}
