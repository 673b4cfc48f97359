//! The API token, cached: one fetch at a time however many requests wait, refreshed before it expires, and the last
//! good value until its own end while the source is down.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::timeout;
use tracing::{info, warn};

use super::is_same;
use crate::clock::Clock;
use crate::health::Need;
use crate::ports::SecretSource;
use crate::ports::secrets::{SecretError, SecretRef};

/// How long a fetched value is right.
const LIFETIME: Duration = Duration::from_mins(5);
/// The age at which it is fetched again, so that it rarely expires under a request.
const REFRESH_AGE: Duration = Duration::from_mins(4);
/// The shortest time between fetches that a wrong token, or a failed fetch, causes.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);
/// The same while nothing that is known is right: whoever calls is refused meanwhile, so it is short. But a source that
/// refuses, perhaps since it is asked too often, is not asked by each of them.
const OUTAGE_INTERVAL: Duration = Duration::from_secs(1);
/// How long a request waits for the source.
const FETCH_TIMEOUT: Duration = Duration::from_millis(1500);

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The right one.
    Right,
    /// Not the right one.
    Wrong,
    /// Nobody can tell: the source is unreachable and no value that was fetched is still right.
    Unknown,
}

/// The token that callers must show.
pub struct ApiToken {
    source: Source,
    clock: Arc<dyn Clock>,
    cache: Mutex<Cache>,
    /// Held by the fetch that is under way.
    fetching: Arc<AsyncMutex<()>>,
}

enum Source {
    /// The setting held the token itself.
    Fixed(SecretString),
    /// The setting held a reference.
    Fetched(Arc<dyn SecretSource>, SecretRef),
}

/// Values that are still right: at most the newest and, after a rotation, the one before it.
#[derive(Default)]
struct Cache {
    values: Vec<Cached>,
    /// When the last fetch began: one that is given up half-way counts too.
    tried_at: Option<Duration>,
    /// When the last fetch ended.
    done_at: Option<Duration>,
    /// Fetches that have ended.
    done: u64,
    /// Whether the last fetch brought nothing.
    failed: bool,
}

#[derive(Clone)]
struct Cached {
    token: SecretString,
    fetched_at: Duration,
}

impl ApiToken {
    /// A token that never changes.
    #[must_use]
    pub fn fixed(token: SecretString, clock: Arc<dyn Clock>) -> Arc<Self> {
        Self::new(Source::Fixed(token), clock)
    }

    /// A token that `source` knows under the reference's name.
    #[must_use]
    pub fn fetched(source: Arc<dyn SecretSource>, reference: SecretRef, clock: Arc<dyn Clock>) -> Arc<Self> {
        Self::new(Source::Fetched(source, reference), clock)
    }

    fn new(source: Source, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { source, clock, cache: Mutex::default(), fetching: Arc::default() })
    }

    /// Judges a token in constant time. Waits for the source only when nothing that is cached can tell, or when the
    /// token is wrong and the source was not asked for a while.
    pub async fn judge(self: &Arc<Self>, offered: &str) -> Verdict {
        let (source, reference) = match &self.source {
            Source::Fixed(token) => return if matches(token, offered) { Verdict::Right } else { Verdict::Wrong },
            Source::Fetched(source, reference) => (source, reference),
        };
        let seen = self.lock().done;
        match self.look(offered) {
            // Nobody but the one who refreshes waits, and nobody while the source is asked already.
            Verdict::Right => {
                if self.is_due(REFRESH_AGE)
                    && self.may_try_again()
                    && let Ok(only) = Arc::clone(&self.fetching).try_lock_owned()
                {
                    self.fetch_apart(source, reference, only).await;
                }
                return Verdict::Right;
            }
            Verdict::Wrong if !self.may_try_again() => return Verdict::Wrong,
            Verdict::Unknown if self.has_just_failed() => return Verdict::Unknown,
            Verdict::Wrong | Verdict::Unknown => {}
        }
        let wait = async {
            let only = Arc::clone(&self.fetching).lock_owned().await;
            if self.lock().done == seen {
                self.fetch_apart(source, reference, only).await;
            }
        };
        // Whoever waits behind a stuck source gives up in time as well.
        let _gave_up = timeout(FETCH_TIMEOUT, wait).await;
        self.look(offered)
    }

    /// For readiness: the source is needed while no value that it gave is still right.
    ///
    /// # Errors
    /// Whether it is needed, and why it is missing.
    pub async fn check(self: &Arc<Self>) -> Result<(), (Need, String)> {
        let Source::Fetched(source, reference) = &self.source else { return Ok(()) };
        if self.is_due(REFRESH_AGE) || self.lock().failed {
            // Behind a fetch that is under way, such as that of the first request: it brings what is missing.
            let only = Arc::clone(&self.fetching).lock_owned().await;
            if self.may_try_again() {
                self.fetch_apart(source, reference, only).await;
            }
        }
        let missing = |need, state| Err((need, format!("{reference} cannot be fetched, {state}")));
        match (self.is_due(LIFETIME), self.lock().failed) {
            (true, _) => missing(Need::Required, "and no earlier value is still right"),
            (false, true) => missing(Need::Optional, "an earlier value is still right"),
            (false, false) => Ok(()),
        }
    }

    fn look(&self, offered: &str) -> Verdict {
        let now = self.clock.monotonic();
        let cache = self.lock();
        let mut known = false;
        let mut right = false;
        for cached in cache.values.iter().filter(|cached| now.saturating_sub(cached.fetched_at) < LIFETIME) {
            known = true;
            right |= matches(&cached.token, offered);
        }
        match (known, right) {
            (_, true) => Verdict::Right,
            (true, false) => Verdict::Wrong,
            (false, false) => Verdict::Unknown,
        }
    }

    /// Whether the newest value is older than `age`, or there is none.
    fn is_due(&self, age: Duration) -> bool {
        let now = self.clock.monotonic();
        self.lock().values.last().is_none_or(|newest| now.saturating_sub(newest.fetched_at) >= age)
    }

    fn may_try_again(&self) -> bool {
        let now = self.clock.monotonic();
        self.lock().tried_at.is_none_or(|tried| now.saturating_sub(tried) >= RETRY_INTERVAL)
    }

    fn has_just_failed(&self) -> bool {
        let now = self.clock.monotonic();
        let cache = self.lock();
        cache.failed && cache.done_at.is_some_and(|done| now.saturating_sub(done) < OUTAGE_INTERVAL)
    }

    /// Whoever waits for it may leave, which must not end it: each of those who wait behind would begin it anew.
    #[expect(clippy::disallowed_methods, reason = "it ends by itself within FETCH_TIMEOUT, and has nothing to finish")]
    async fn fetch_apart(
        self: &Arc<Self>,
        source: &Arc<dyn SecretSource>,
        reference: &SecretRef,
        only: OwnedMutexGuard<()>,
    ) {
        let (token, source, reference) = (Arc::clone(self), Arc::clone(source), reference.clone());
        let fetch = async move {
            token.fetch(&source, &reference).await;
            drop(only);
        };
        // It panics with the source, of which it has nothing to tell then.
        let _panicked = tokio::spawn(fetch).await;
    }

    async fn fetch(&self, source: &Arc<dyn SecretSource>, reference: &SecretRef) {
        self.lock().tried_at = Some(self.clock.monotonic());
        let fetched = timeout(FETCH_TIMEOUT, source.fetch(&reference.name))
            .await
            .unwrap_or_else(|_| Err(SecretError::Unavailable(format!("no answer within {FETCH_TIMEOUT:?}"))));
        let now = self.clock.monotonic();
        let mut cache = self.lock();
        cache.done_at = Some(now);
        cache.done += 1;
        cache.failed = fetched.is_err();
        match fetched {
            Ok(token) => cache.learn(token, now),
            Err(error) => warn!(reference = %reference, cause = %error, "the API token could not be fetched"),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    /// The newest value stands last. A value that was replaced keeps its own age.
    fn learn(&mut self, token: SecretString, now: Duration) {
        self.values.retain(|cached| now.saturating_sub(cached.fetched_at) < LIFETIME);
        match self.values.last_mut() {
            Some(newest) if matches(&newest.token, token.expose_secret()) => newest.fetched_at = now,
            before => {
                if before.is_some() {
                    info!("the API token was rotated");
                }
                self.values.push(Cached { token, fetched_at: now });
                let surplus = self.values.len().saturating_sub(2);
                self.values.drain(..surplus);
            }
        }
    }
}

fn matches(token: &SecretString, offered: &str) -> bool {
    is_same(token, offered.as_bytes())
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiToken").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::MemorySecrets;
    use crate::testing::ManualClock;

    fn token() -> (Arc<ApiToken>, Arc<MemorySecrets>, Arc<ManualClock>) {
        let (secrets, clock) = (Arc::new(MemorySecrets::default()), ManualClock::new());
        secrets.set("token", "first");
        let reference = SecretRef { scheme: "memory".into(), name: "token".into() };
        let token = ApiToken::fetched(Arc::clone(&secrets) as _, reference, Arc::clone(&clock) as _);
        (token, secrets, clock)
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn a_crowd_of_requests_causes_one_fetch() {
        let (token, secrets, _clock) = token();
        let crowd = futures_util::future::join_all((0..100).map(|_| token.judge("first"))).await;
        assert!(crowd.iter().all(|verdict| *verdict == Verdict::Right));
        assert_eq!(secrets.fetches(), 1);
    }

    #[tokio::test]
    async fn a_wrong_token_asks_the_source_at_most_every_ten_seconds() {
        let (token, secrets, clock) = token();
        assert_eq!(token.judge("first").await, Verdict::Right);
        for _ in 0..50 {
            assert_eq!(token.judge("wrong").await, Verdict::Wrong);
        }
        assert_eq!(secrets.fetches(), 1);
        clock.advance(10 * SECOND);
        assert_eq!(token.judge("wrong").await, Verdict::Wrong);
        assert_eq!(secrets.fetches(), 2);
    }

    #[tokio::test]
    async fn after_a_rotation_both_are_right_for_at_most_five_minutes() {
        let (token, secrets, clock) = token();
        assert_eq!(token.judge("first").await, Verdict::Right);
        clock.advance(20 * SECOND);
        secrets.set("token", "second");
        assert_eq!(token.judge("second").await, Verdict::Right, "a mismatch fetches");
        assert_eq!(token.judge("first").await, Verdict::Right);
        clock.advance(281 * SECOND);
        assert_eq!(token.judge("first").await, Verdict::Wrong);
        assert_eq!(token.judge("second").await, Verdict::Right);
    }

    #[tokio::test]
    async fn the_last_good_value_serves_until_its_end_while_the_source_is_down() {
        let (token, secrets, clock) = token();
        assert_eq!(token.judge("first").await, Verdict::Right);
        secrets.set_unavailable(true);
        clock.advance(299 * SECOND);
        assert_eq!(token.judge("first").await, Verdict::Right);
        assert_eq!(token.check().await.unwrap_err().0, Need::Optional);
        clock.advance(SECOND);
        assert_eq!(token.judge("first").await, Verdict::Unknown);
        assert_eq!(token.check().await.unwrap_err().0, Need::Required);
        clock.advance(10 * SECOND);
        secrets.set_unavailable(false);
        assert_eq!(token.judge("first").await, Verdict::Right);
    }

    #[tokio::test]
    async fn a_source_that_is_down_is_asked_once_a_second() {
        let (token, secrets, clock) = token();
        secrets.set_unavailable(true);
        for fetches in 1..4 {
            for _ in 0..50 {
                assert_eq!(token.judge("first").await, Verdict::Unknown);
            }
            assert_eq!(secrets.fetches(), fetches);
            clock.advance(SECOND);
        }
        secrets.set_unavailable(false);
        assert_eq!(token.judge("first").await, Verdict::Right);
    }

    /// Answers when it is told to.
    #[derive(Debug, Default)]
    struct SlowSecrets {
        answer: tokio::sync::Notify,
        asked: std::sync::atomic::AtomicUsize,
    }

    #[async_trait::async_trait]
    impl SecretSource for SlowSecrets {
        async fn fetch(&self, _name: &str) -> Result<SecretString, SecretError> {
            self.asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            self.answer.notified().await;
            Ok("first".into())
        }
    }

    fn slow_token() -> (Arc<ApiToken>, Arc<SlowSecrets>) {
        let secrets = Arc::new(SlowSecrets::default());
        let reference = SecretRef { scheme: "memory".into(), name: "token".into() };
        (ApiToken::fetched(Arc::clone(&secrets) as _, reference, ManualClock::new()), secrets)
    }

    #[tokio::test]
    async fn a_source_that_is_being_asked_is_not_down() {
        let (token, secrets) = slow_token();
        let (verdict, check, ()) =
            tokio::join!(biased; token.judge("first"), token.check(), async { secrets.answer.notify_one() });
        assert_eq!((verdict, check), (Verdict::Right, Ok(())));
    }

    #[tokio::test]
    async fn a_caller_that_leaves_takes_no_fetch_along() {
        let (token, secrets) = slow_token();
        for _ in 0..50 {
            let left = timeout(Duration::from_millis(1), token.judge("first")).await;
            assert!(left.is_err(), "the source has not answered yet");
        }
        secrets.answer.notify_one();
        assert_eq!(token.judge("first").await, Verdict::Right);
        assert_eq!(secrets.asked.load(std::sync::atomic::Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_value_is_refreshed_before_it_expires() {
        let (token, secrets, clock) = token();
        assert_eq!(token.judge("first").await, Verdict::Right);
        clock.advance(241 * SECOND);
        assert_eq!(token.judge("first").await, Verdict::Right);
        assert_eq!(secrets.fetches(), 2);
    }
}
