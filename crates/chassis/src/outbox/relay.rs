//! The worker that delivers.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use backon::ExponentialBackoff;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use super::delivery::{chains, deliver};
use super::held::{MOST_HELD, pauses};
use super::{Shared, Sink, routes};
use crate::health::{Check, Need};
use crate::lifecycle::Lifecycle;
use crate::ports::outbox::{OutboxError, Position};

/// Events of one page.
const PAGE: usize = 200;
/// For how long a relay leads without renewal: longer than a page and its last delivery take.
const LEASE: Duration = Duration::from_secs(10);
/// The age at which the lead is renewed.
const RENEWAL: Duration = Duration::from_secs(3);
/// The pause between two looks at an outbox where nothing is reported: other processes may have written to it.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Those who report are let come together: events that follow each other closely are one page.
const LINGER: Duration = Duration::from_millis(20);
/// The pauses while the sink, or the outbox, is down.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// The pause between two counts.
const COUNT_INTERVAL: Duration = Duration::from_secs(5);

/// Delivers the events of an outbox. Of the relays of many processes one works at a time.
#[derive(Debug)]
pub struct Relay {
    shared: Arc<Shared>,
    id: Uuid,
    led_since: Option<Instant>,
    pauses: ExponentialBackoff,
}

/// Why a round ended before the outbox was read to its end.
#[derive(Debug)]
enum Trouble {
    Outbox(OutboxError),
    Sink(String),
}

impl Relay {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let id = shared.context.ids.uuid();
        Self { shared, id, led_since: None, pauses: pauses(FIRST_PAUSE, LONGEST_PAUSE) }
    }

    /// What operators may ask.
    pub(crate) fn routes(&self) -> OpenApiRouter {
        routes::routes(Arc::clone(&self.shared))
    }

    /// Whether the sink can be reached, where there is one.
    pub(crate) fn check(&self) -> Option<Check> {
        let sink = Arc::clone(self.shared.sink.as_ref()?);
        Some(Check::new(sink.name(), Need::Optional, move || {
            let sink = Arc::clone(&sink);
            async move { sink.ping().await.map_err(|error| error.to_string()) }
        }))
    }

    /// Works until the drain begins, and finishes the page in hand.
    pub(crate) async fn run(mut self, lifecycle: Lifecycle) {
        let shared = Arc::clone(&self.shared);
        tokio::select! {
            never = count(&shared) => match never {},
            () = self.deliver_all(&lifecycle) => {}
        }
    }

    async fn deliver_all(&mut self, lifecycle: &Lifecycle) {
        let Some(sink) = self.shared.sink.clone() else { return lifecycle.draining().cancelled().await };
        while !lifecycle.is_draining() {
            let pause = match self.round(&*sink, lifecycle).await {
                Ok(()) => {
                    self.work_again(&*sink);
                    None
                }
                Err(trouble) => Some(self.slow_down(&*sink, trouble)),
            };
            tokio::select! {
                () = self.pause(pause) => {}
                () = lifecycle.draining().cancelled() => {}
            }
        }
        self.give_up_the_lead().await;
    }

    /// Goes through the outbox once, from its beginning to its end.
    async fn round(&mut self, sink: &dyn Sink, lifecycle: &Lifecycle) -> Result<(), Trouble> {
        let shared = Arc::clone(&self.shared);
        let mut after = Position::START;
        // Once one event of an entity waits, so do all that stand behind it, to the end of the round.
        let mut skipped = shared.with_state(|state| state.held.entities(Instant::now()));
        while !lifecycle.is_draining() && self.lead().await? {
            let page = shared.outbox.read(after, PAGE).await?;
            let Some((last, _)) = page.last() else {
                shared.with_state(|state| state.held.keep(&skipped));
                break;
            };
            after = *last;
            let delivered = deliver(&shared, sink, chains(page, &skipped)).await;
            shared.outbox.remove(&delivered.positions).await?;
            skipped.extend(delivered.refused);
            if let Some(cause) = delivered.trouble {
                return Err(Trouble::Sink(cause));
            }
            if shared.with_state(|state| state.held.len()) >= MOST_HELD {
                return Err(Trouble::Sink(format!("events of {MOST_HELD} entities are refused")));
            }
            if delivered.is_cut_short {
                self.shared.woken.notify_one();
                break;
            }
        }
        Ok(())
    }

    /// Whether this relay is the one that delivers.
    async fn lead(&mut self) -> Result<bool, OutboxError> {
        if self.led_since.is_some_and(|since| since.elapsed() < RENEWAL) {
            return Ok(true);
        }
        let asked = Instant::now();
        let leads = self.shared.outbox.lead(self.id, LEASE).await?;
        if leads != self.led_since.is_some() {
            debug!(leads, "another process delivers the events, or does no longer");
        }
        self.led_since = leads.then_some(asked);
        self.shared.metrics.leads.set(i64::from(leads));
        self.shared.with_state(|state| {
            state.leads = leads;
            if !leads {
                state.held.keep(&HashSet::new());
            }
        });
        Ok(leads)
    }

    async fn give_up_the_lead(&self) {
        if self.led_since.is_some()
            && let Err(error) = self.shared.outbox.lead(self.id, Duration::ZERO).await
        {
            debug!(cause = %error, "the lead ends by itself");
        }
    }

    fn work_again(&mut self, sink: &dyn Sink) {
        self.pauses = pauses(FIRST_PAUSE, LONGEST_PAUSE);
        if self.shared.with_state(|state| state.trouble.take()).is_some() {
            info!("events are delivered to {} again", sink.name());
        }
    }

    /// The pause before the next round. The log says once that it is needed.
    fn slow_down(&mut self, sink: &dyn Sink, trouble: Trouble) -> Duration {
        let cause = match trouble {
            Trouble::Outbox(error) => error.to_string(),
            Trouble::Sink(cause) => format!("{}: {cause}", sink.name()),
        };
        if self.shared.with_state(|state| state.trouble.replace(cause.clone())).is_none() {
            warn!(cause, "events are not delivered at present, and are kept");
        }
        self.pauses.next().unwrap_or(LONGEST_PAUSE)
    }

    /// Until there may be something to do, or for as long as trouble asks for.
    async fn pause(&self, pause: Option<Duration>) {
        match pause {
            Some(pause) => sleep(pause).await,
            None if timeout(LOOK_INTERVAL, self.shared.woken.notified()).await.is_ok() => sleep(LINGER).await,
            None => {}
        }
    }
}

/// Now and then measures how full the outbox is.
async fn count(shared: &Shared) -> Infallible {
    loop {
        match shared.outbox.depth().await {
            Ok(depth) => shared.metrics.measured(depth, shared.context.clock.now()),
            Err(error) => debug!(cause = %error, "the outbox cannot be counted"),
        }
        sleep(COUNT_INTERVAL).await;
    }
}

impl From<OutboxError> for Trouble {
    fn from(error: OutboxError) -> Self {
        Self::Outbox(error)
    }
}
