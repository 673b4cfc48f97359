//! The loop that receives: as many messages as there are free places, never a pause while there is work.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use chassis::lifecycle::Lifecycle;
use chassis::ports::queue::MAX_WAIT;
use chassis::ports::{Message, Queue, Receive};
use chassis::service::Context;
use chassis::telemetry::correlation::{Scope, in_scope};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use tracing::{error, info, warn};

use super::deletions::{self, Deletions};
use super::leases::{self, Leases};
use super::metrics::ArchiverMetrics;
use super::store::Store;
use crate::config::ArchiverConfig;

/// The longest pause between looks at a queue or an object store that is down.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Archiver {
    pub(super) service: Arc<str>,
    pub(super) config: ArchiverConfig,
    pub(super) queue: Arc<dyn Queue>,
    pub(super) store: Arc<Store>,
    pub(super) context: Context,
    pub(super) metrics: ArchiverMetrics,
}

impl Archiver {
    /// Works until the drain begins, then finishes what is in work. Messages that were not received stay where they
    /// are; a receive that is under way hands nothing out. Ends before the drain when a helper does, as without the
    /// deleter or the heartbeat every message would be delivered twice; the lifecycle then stops the process.
    pub(super) async fn run(self: Arc<Self>, lifecycle: Lifecycle) {
        let leases = Arc::new(Leases::default());
        let (stored, receipts) = deletions::channel();
        let mut deleter = JoinSet::new();
        let scope = || Scope::service(&self.service);
        deleter.spawn(in_scope(scope(), deletions::run(receipts, Arc::clone(&self.queue))));
        let mut heartbeat = JoinSet::new();
        let extend = leases::extend(Arc::clone(&leases), Arc::clone(&self.queue), self.config.visibility);
        heartbeat.spawn(in_scope(scope(), extend));

        let mut work = JoinSet::new();
        tokio::select! {
            () = self.receive(&mut work, &leases, &stored, &lifecycle) => {}
            ended = deleter.join_next() => return report_end("deleter", ended),
            ended = heartbeat.join_next() => return report_end("heartbeat", ended),
        }
        info!("no more messages are received; those in work are finished");
        while let Some(done) = work.join_next().await {
            report(done);
        }
        drop(stored);
        deleter.join_all().await;
        heartbeat.shutdown().await;
    }

    async fn receive(
        self: &Arc<Self>,
        work: &mut JoinSet<()>,
        leases: &Arc<Leases>,
        stored: &Deletions,
        lifecycle: &Lifecycle,
    ) {
        let mut pauses = pauses();
        let is_metered = self.queue.profile().is_metered;
        // A call that is paid for brings as many as it can, but slow messages must not hold up all the others.
        let wanted = if is_metered { self.config.max_messages.min(self.config.concurrency / 2).max(1) } else { 1 };
        while !lifecycle.is_draining() {
            while let Some(done) = work.try_join_next() {
                report(done);
            }
            // While the store is down a single message tries it, and the others stay on the queue.
            let places = if self.store.is_down() { 1 } else { self.config.concurrency };
            let free = places.saturating_sub(work.len());
            if free < wanted.min(places) {
                work.join_next().await.into_iter().for_each(report);
                if self.store.is_down() {
                    pause(&mut pauses, lifecycle).await;
                }
                continue;
            }
            let request = Receive {
                max: free.min(self.config.max_messages),
                wait: if is_metered { MAX_WAIT } else { self.config.poll_wait },
                visibility: self.config.visibility,
            };
            let received = tokio::select! {
                received = self.queue.receive(request) => received,
                () = lifecycle.draining().cancelled() => return,
            };
            match received {
                Ok(messages) => self.start(messages, work, (leases, stored), lifecycle),
                Err(cause) => {
                    warn!(cause = %cause, "nothing can be received from the queue");
                    pause(&mut pauses, lifecycle).await;
                    continue;
                }
            }
            if !self.store.is_down() {
                pauses = self::pauses();
            }
        }
    }

    fn start(
        self: &Arc<Self>,
        messages: Vec<Message>,
        work: &mut JoinSet<()>,
        (leases, stored): (&Arc<Leases>, &Deletions),
        lifecycle: &Lifecycle,
    ) {
        for message in messages {
            let held = leases.hold(message.receipt.clone(), self.config.visibility);
            let (archiver, stored, lifecycle) = (Arc::clone(self), stored.clone(), lifecycle.clone());
            let scope = self.scope_of(&message);
            work.spawn(in_scope(scope, async move { archiver.work_on(message, held, &stored, &lifecycle).await }));
        }
    }
}

/// A panic in the work on one message must not end the work on others; the message comes back by itself.
fn report(done: Result<(), JoinError>) {
    if let Err(cause) = done {
        error!(cause = %cause, "the work on a message failed");
    }
}

fn report_end(helper: &str, ended: Option<Result<(), JoinError>>) {
    let cause = ended.and_then(Result::err).map_or_else(|| "it returned".to_owned(), |cause| cause.to_string());
    error!(cause, "the archiver's {helper} ended, and without it nothing can be archived");
}

pub(super) fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_jitter()
        .build()
}

pub(super) async fn pause(pauses: &mut ExponentialBackoff, lifecycle: &Lifecycle) {
    tokio::select! {
        () = sleep(pauses.next().unwrap_or(LONGEST_PAUSE)) => {}
        () = lifecycle.draining().cancelled() => {}
    }
}
