//! The loop that receives: as many messages as there are free places, never a pause while there is work.
//!
//! From a queue at a distance some are held ready, so that the work does not wait for the way there and back.

use std::sync::Arc;
use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use chassis::ports::queue::{MAX_BATCH, MAX_WAIT};
use chassis::ports::{Message, Queue, Receive};
use chassis::service::Context;
use chassis::telemetry::correlation::{Scope, in_scope};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use tracing::{error, info, warn};

use super::deletions::{self, Deletions};
use super::leases::{self, Leases};
use super::metrics::ArchiverMetrics;
use super::pace::Pace;
use super::store::Store;
use crate::config::ArchiverConfig;

/// Receives at once from a queue at a distance, while each brings a whole batch.
const RECEIVES: usize = 4;
/// Messages that are held ready at most, beside as many in work.
const MAX_AHEAD: usize = RECEIVES * MAX_BATCH;
/// How long the drain waits for the answers to receives that are under way. A long poll that goes on for longer is cut
/// off: it most likely brings nothing.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Archiver {
    pub(super) service: Arc<str>,
    pub(super) config: ArchiverConfig,
    pub(super) queue: Arc<dyn Queue>,
    pub(super) store: Arc<Store>,
    pub(super) context: Context,
    pub(super) metrics: ArchiverMetrics,
    /// One for each message that may be worked on at once.
    pub(super) places: Semaphore,
}

/// How many messages may be held, and how many a receive should bring at least.
struct Room {
    places: usize,
    wanted: usize,
}

impl Archiver {
    /// Works until the drain begins, then finishes what is in work and hands back what is not. Messages that were not
    /// received stay where they are. Ends before the drain when a helper does, as without the deleter or the heartbeat
    /// every message would be delivered twice; the lifecycle then stops the process.
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
        let mut receives = FuturesUnordered::new();
        let mut pace = Pace::default();
        let mut calls = 1;
        while !lifecycle.is_draining() {
            pace.look_at(&self.store);
            let Room { places, wanted } = self.room();
            let free = places.saturating_sub(work.len() + receives.len() * self.config.max_messages);
            if free >= wanted && receives.len() < calls && pace.is_due() {
                receives.push(self.queue.receive(self.request(free)));
                continue;
            }
            tokio::select! {
                Some(received) = receives.next() => match received {
                    Ok(messages) => {
                        // Where many came more are waiting, and one call at a time could be too slow.
                        // SQS may bring less than there is.
                        calls = if messages.len() * 2 > wanted { self.most_calls() } else { 1 };
                        self.start(messages, work, (leases, stored), lifecycle);
                        pace.go_on(&self.store);
                    }
                    Err(cause) => {
                        warn!(cause = %cause, "nothing can be received from the queue");
                        calls = 1;
                        pace.slow_down();
                    }
                },
                Some(done) = work.join_next() => {
                    report(done);
                    while let Some(done) = work.try_join_next() {
                        report(done);
                    }
                    if self.store.is_down() {
                        pace.slow_down();
                    }
                }
                () = self.store.others_may_try() => {}
                () = pace.due(), if !pace.is_due() => {}
                () = lifecycle.draining().cancelled() => {}
            }
        }
        // What such an answer brings would be hidden from everyone until its lease ends.
        let until = Instant::now() + if self.queue.profile().is_metered { LAST_ANSWERS } else { Duration::ZERO };
        while let Ok(Some(received)) = timeout_at(until, receives.next()).await {
            self.start(received.unwrap_or_default(), work, (leases, stored), lifecycle);
        }
    }

    /// While the store is down a single message tries it, and the others stay on the queue. A call that is paid for
    /// brings as many as it can, but slow messages must not hold up all the others.
    fn room(&self) -> Room {
        if self.store.is_down() {
            let most = self.config.concurrency + self.ahead();
            return Room { places: (1 + self.store.kept_for_long()).min(most), wanted: 1 };
        }
        let is_metered = self.queue.profile().is_metered;
        let wanted = if is_metered { self.config.max_messages.min(self.config.concurrency / 2).max(1) } else { 1 };
        Room { places: self.config.concurrency + self.ahead(), wanted }
    }

    /// Messages that are held ready.
    fn ahead(&self) -> usize {
        if self.queue.profile().is_metered { self.config.concurrency.min(MAX_AHEAD) } else { 0 }
    }

    fn request(&self, free: usize) -> Receive {
        Receive {
            max: free.min(self.config.max_messages),
            wait: if self.queue.profile().is_metered { MAX_WAIT } else { self.config.poll_wait },
            visibility: self.config.visibility,
        }
    }

    /// Over the network the way there and back takes longer than the work of the queue.
    fn most_calls(&self) -> usize {
        if self.queue.profile().is_metered { RECEIVES } else { 1 }
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
