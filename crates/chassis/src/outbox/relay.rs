//! The worker that delivers.

use std::collections::HashSet;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use backon::ExponentialBackoff;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{debug, info, warn};
use utoipa_axum::router::OpenApiRouter;

use super::delivery::{Delivery, chains};
use super::held::pauses;
use super::lead::{Lead, RENEWAL};
use super::{Shared, Sink, routes};
use crate::health::{Check, Need};
use crate::lifecycle::Lifecycle;
use crate::ports::outbox::{OutboxError, Position};

/// Events of one page.
const PAGE: usize = 200;
/// No delivery of a page begins later, so that what was taken is removed soon.
const PAGE_TIME: Duration = Duration::from_secs(3);
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
    lead: Lead,
    pauses: ExponentialBackoff,
}

/// How a round ended that met no trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    /// Every event was delivered, or waits for its turn.
    Done,
    /// There is more to do.
    CutShort,
    /// Another process leads.
    NotLeading,
}

/// Why a round ended early.
#[derive(Debug)]
enum Trouble {
    Outbox(OutboxError),
    Sink(String),
}

impl Relay {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let lead = Lead::new(shared.context.ids.uuid());
        Self { shared, lead, pauses: pauses(FIRST_PAUSE, LONGEST_PAUSE) }
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

    /// Works until the servers stop accepting, and then once more, for what was recorded meanwhile.
    pub(crate) async fn run(mut self, lifecycle: Lifecycle) {
        let shared = Arc::clone(&self.shared);
        tokio::select! {
            never = count(&shared) => match never {},
            () = self.deliver_all(&lifecycle) => {}
        }
    }

    async fn deliver_all(&mut self, lifecycle: &Lifecycle) {
        let Some(sink) = self.shared.sink.clone() else { return lifecycle.draining().cancelled().await };
        let closing = lifecycle.closing();
        while !closing.is_cancelled() {
            let outcome = self.round(&*sink, usize::MAX, || closing.is_cancelled()).await;
            tokio::select! {
                () = self.pause(&*sink, outcome) => {}
                () = closing.cancelled() => {}
            }
        }
        if let Err(trouble) = self.round(&*sink, 1, || false).await {
            debug!(cause = %trouble, "the last events are left to the next process");
        }
        self.lead.give_up(&self.shared).await;
    }

    /// Goes through the outbox from its beginning, page by page, to where its end was when the round began. Whatever was
    /// committed before an event of this round began is visible to all its pages, so nothing overtakes it; what commits
    /// late at a lower position, or is due again, is the matter of the next round.
    async fn round(&mut self, sink: &dyn Sink, pages: usize, is_over: impl Fn() -> bool) -> Result<Round, Trouble> {
        let shared = Arc::clone(&self.shared);
        if !self.lead.hold(&shared).await? {
            return Ok(Round::NotLeading);
        }
        let last = shared.outbox.last().await?;
        let (mut after, mut waiting) = (Position::START, HashSet::new());
        for _ in 0..pages {
            if is_over() {
                return Ok(Round::CutShort);
            }
            if !self.lead.hold(&shared).await? {
                return Ok(Round::NotLeading);
            }
            let page = shared.outbox.read(after, last, PAGE).await?;
            let Some((end, _)) = page.last() else {
                shared.with_state(|state| state.held.keep(&waiting));
                return Ok(Round::Done);
            };
            after = *end;
            let chains = shared.with_state(|state| chains(page, &state.held, &mut waiting));
            let until = self.lead.until().min(Instant::now() + PAGE_TIME);
            let delivery = Delivery { shared: &shared, sink, until, stopped: AtomicBool::new(false) };
            let delivered = delivery.run(chains).await;
            shared.outbox.remove(&delivered.positions).await?;
            if let Some(trouble) = delivery.judge(&delivered) {
                return Err(Trouble::Sink(trouble));
            }
            if delivered.is_cut_short {
                return Ok(Round::CutShort);
            }
            waiting.extend(delivered.failed.iter().map(|(event, _)| event.entity));
        }
        Ok(Round::CutShort)
    }

    /// Until there may be something to do, or for as long as trouble asks for. Whoever leads keeps the lead meanwhile:
    /// another process would only ask a sink that is down more often.
    async fn pause(&mut self, sink: &dyn Sink, outcome: Result<Round, Trouble>) {
        match outcome {
            Ok(Round::NotLeading) => {
                self.pauses = pauses(FIRST_PAUSE, LONGEST_PAUSE);
                sleep(RENEWAL).await;
            }
            Ok(Round::CutShort) => self.work_again(sink),
            Ok(Round::Done) => {
                self.work_again(sink);
                self.wait_for_events().await;
            }
            Err(trouble) => {
                let until = Instant::now() + self.slow_down(sink, &trouble);
                while Instant::now() < until {
                    sleep_until(until.min(Instant::now() + RENEWAL)).await;
                    if let Err(error) = self.lead.hold(&self.shared).await {
                        debug!(cause = %error, "the lead was not renewed");
                    }
                }
            }
        }
    }

    /// Each round reads what is held too, so then there is one in a second at most.
    async fn wait_for_events(&self) {
        if !self.shared.with_state(|state| state.held.is_empty()) {
            sleep(LOOK_INTERVAL).await;
        } else if timeout(LOOK_INTERVAL, self.shared.woken.notified()).await.is_ok() {
            sleep(LINGER).await;
        }
    }

    fn work_again(&mut self, sink: &dyn Sink) {
        self.pauses = pauses(FIRST_PAUSE, LONGEST_PAUSE);
        if self.shared.with_state(|state| state.trouble.take()).is_some() {
            info!("events are delivered to {} again", sink.name());
        }
    }

    /// The pause before the next round. The log says once that it is needed.
    fn slow_down(&mut self, sink: &dyn Sink, trouble: &Trouble) -> Duration {
        let cause = match trouble {
            Trouble::Outbox(_) => trouble.to_string(),
            Trouble::Sink(cause) => format!("{}: {cause}", sink.name()),
        };
        if self.shared.with_state(|state| state.trouble.replace(cause.clone())).is_none() {
            warn!(cause, "events are not delivered at present, and are kept");
        }
        self.pauses.next().unwrap_or(LONGEST_PAUSE)
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

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outbox(error) => error.fmt(f),
            Self::Sink(cause) => f.write_str(cause),
        }
    }
}
