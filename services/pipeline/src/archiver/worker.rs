//! The loop that receives: as many messages as there are free places, never a pause while there is work.
//!
//! From a queue at a distance some are held ready, so that the work does not wait for the way there and back.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use chassis::ports::queue::MAX_WAIT;
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
use super::rollup::{self, Rollups, Writer};
use super::room::{Room, Weight};
use super::store::Store;
use crate::config::ArchiverConfig;

/// Receives at once from a queue at a distance, while each brings a whole batch.
pub(super) const RECEIVES: usize = 4;
/// Receives of less than a whole batch while a roll-up is filled.
const GATHERINGS: u32 = 10;
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
    /// Bytes of all messages that are held.
    pub(super) held_bytes: Arc<AtomicUsize>,
}

/// Where messages go, and what keeps them hidden on the way.
#[derive(Debug, Clone)]
pub(super) struct Ways {
    leases: Arc<Leases>,
    pub(super) stored: Deletions,
    pub(super) rollups: Option<Rollups>,
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

        let (rollups, mut roller) = self.start_rolling_up(&lifecycle);

        let mut work = JoinSet::new();
        let ways = Ways { leases, stored, rollups };
        tokio::select! {
            () = self.receive(&mut work, &ways, &lifecycle) => {}
            ended = deleter.join_next() => return report_end("deleter", ended),
            ended = heartbeat.join_next() => return report_end("heartbeat", ended),
            ended = roller.join_next(), if !roller.is_empty() => return report_end("writer of roll-ups", ended),
        }
        info!("no more messages are received; those in work are finished");
        while let Some(done) = work.join_next().await {
            report(done);
        }
        drop(ways);
        roller.join_all().await;
        deleter.join_all().await;
        heartbeat.shutdown().await;
    }

    fn start_rolling_up(&self, lifecycle: &Lifecycle) -> (Option<Rollups>, JoinSet<()>) {
        let mut roller = JoinSet::new();
        let Some(config) = self.config.rollup else { return (None, roller) };
        let (rollups, filings) = rollup::channel();
        let writer = Writer {
            store: Arc::clone(&self.store),
            ids: Arc::clone(&self.context.ids),
            compression: config.compression,
            metrics: self.metrics.rollups.clone(),
            lifecycle: lifecycle.clone(),
            fits: AtomicUsize::new(usize::MAX),
        };
        let run = rollup::run(filings, writer, config, lifecycle.clone());
        roller.spawn(in_scope(Scope::service(&self.service), run));
        (Some(rollups), roller)
    }

    async fn receive(self: &Arc<Self>, work: &mut JoinSet<()>, ways: &Ways, lifecycle: &Lifecycle) {
        let mut receives = FuturesUnordered::new();
        let mut pace = Pace::default();
        // Batches in a row that were whole: more are waiting.
        let mut whole = 0;
        while !lifecycle.is_draining() {
            pace.look_at(&self.store);
            let Room { places, wanted } = self.room();
            let free = places.saturating_sub(work.len() + receives.len() * self.config.max_messages);
            if free >= wanted && receives.len() < self.most_calls(whole) && pace.is_due() {
                receives.push(self.queue.receive(self.request(free)));
                continue;
            }
            tokio::select! {
                Some(received) = receives.next() => match received {
                    Ok(messages) => {
                        let received = messages.len();
                        whole = if self.is_whole(received, wanted) { whole + 1 } else { 0 };
                        self.start(messages, work, ways, lifecycle);
                        pace.go_on(&self.store);
                        if let Some(pause) = self.gathering().filter(|_| (1..wanted).contains(&received)) {
                            pace.rest(pause);
                        }
                    }
                    Err(cause) => {
                        warn!(cause = %cause, "nothing can be received from the queue");
                        whole = 0;
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
            self.start(received.unwrap_or_default(), work, ways, lifecycle);
        }
    }

    fn request(&self, free: usize) -> Receive {
        Receive {
            max: free.min(self.config.max_messages),
            wait: if self.queue.profile().is_metered { MAX_WAIT } else { self.config.poll_wait },
            visibility: self.config.visibility,
        }
    }

    /// Over the network one call at a time could be too slow where there is much to do. For a roll-up nothing is urgent,
    /// and the last of several calls bring single messages.
    fn most_calls(&self, whole: usize) -> usize {
        match (self.queue.profile().is_metered, self.config.rollup) {
            (true, None) if whole > 0 => RECEIVES,
            (true, Some(_)) => RECEIVES.min(1 + whole / RECEIVES),
            _ => 1,
        }
    }

    /// SQS may bring less than there is.
    fn is_whole(&self, received: usize, wanted: usize) -> bool {
        if self.config.rollup.is_some() { received >= wanted } else { received * 2 > wanted }
    }

    /// How long messages gather on a queue where each call is paid for, when less than a whole batch came and all of them
    /// wait for their roll-up anyway.
    fn gathering(&self) -> Option<Duration> {
        let rollup = self.config.rollup.filter(|_| self.queue.profile().is_metered);
        rollup.map(|rollup| rollup.age / GATHERINGS)
    }

    fn start(self: &Arc<Self>, messages: Vec<Message>, work: &mut JoinSet<()>, ways: &Ways, lifecycle: &Lifecycle) {
        for message in messages {
            let held = ways.leases.hold(message.receipt.clone(), self.config.visibility);
            let weight = Weight::of(&self.held_bytes, message.body.len());
            let (archiver, ways, lifecycle) = (Arc::clone(self), ways.clone(), lifecycle.clone());
            let scope = self.scope_of(&message);
            work.spawn(in_scope(scope, async move {
                archiver.work_on(message, held, &ways, &lifecycle).await;
                drop(weight);
            }));
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
