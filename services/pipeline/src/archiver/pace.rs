//! How fast the archiver asks a queue or an object store that is down.

use std::future::pending;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use chassis::lifecycle::Lifecycle;
use tokio::time::{Instant, sleep, sleep_until};

use super::store::Store;

/// The longest pause between looks at a queue or an object store that is down, before up to as much is added at random.
const LONGEST_PAUSE: Duration = Duration::from_millis(2500);

/// When the next receive may begin: at once, unless the queue or the object store is down, or nothing is urgent.
#[derive(Debug, Default)]
pub(super) struct Pace {
    due: Option<Instant>,
    pauses: Option<ExponentialBackoff>,
    was_down: bool,
}

impl Pace {
    pub(super) fn is_due(&self) -> bool {
        self.due.is_none_or(|due| due <= Instant::now())
    }

    /// Does not end while nothing slows it down.
    pub(super) async fn due(&self) {
        match self.due {
            Some(due) => sleep_until(due).await,
            None => pending().await,
        }
    }

    pub(super) fn slow_down(&mut self) {
        // Many fail of one thing: that is one look.
        if !self.is_due() {
            return;
        }
        let pause = self.pauses.get_or_insert_with(pauses).next();
        self.due = Some(Instant::now() + pause.unwrap_or(LONGEST_PAUSE));
    }

    /// Nothing is urgent: the next receive may wait for messages to gather.
    pub(super) fn rest(&mut self, pause: Duration) {
        self.due = Some(Instant::now() + pause);
    }

    /// The queue works, and so may the store.
    pub(super) fn go_on(&mut self, store: &Store) {
        if !store.is_down() {
            *self = Self::default();
        }
    }

    /// Nothing waits for a store that is up again.
    pub(super) fn look_at(&mut self, store: &Store) {
        let is_down = store.is_down();
        if self.was_down && !is_down {
            *self = Self::default();
        }
        self.was_down = is_down;
    }
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
