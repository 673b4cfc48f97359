//! The keys of a service that issues tokens, fetched from where it publishes them.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use http::StatusCode;
use jsonwebtoken::jwk::Jwk;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::sleep;
use tracing::{info, warn};

use super::published::{PublishedKeys, verifying};
use super::verifying_keys::VerifyingKeys;
use crate::client::{CallError, ServiceClient};
use crate::clock::Clock;
use crate::lifecycle::Lifecycle;

/// Where keys are published (RFC 8615 names the folder, OpenID Connect Discovery 1.0 the file).
const PATH: &[&str] = &[".well-known", "jwks.json"];
/// Bytes of the largest set. One of 16 RSA keys of 4096 bits has 13 KB.
const MAX_SET_BYTES: usize = 64 * 1024;
/// How old a set becomes before it is fetched again: so long does a key that has left it verify.
const REFRESH_INTERVAL: Duration = Duration::from_mins(5);
/// The shortest time between fetches that tokens of unknown keys cause, and the pause after a failed one.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);
/// The same while no set was ever fetched, so that nobody can be let in.
const FIRST_INTERVAL: Duration = Duration::from_secs(1);

/// The public keys that a service publishes at `/.well-known/jwks.json`. They are fetched at the start and every five
/// minutes by [`RemoteKeys::keep_fresh`], and when a token names a key that is not known, one fetch at a time and at
/// most every ten seconds. While the service is down the last set counts.
///
/// A key that is not in the newest set verifies nothing, not even a token that was verified before.
pub struct RemoteKeys {
    issuer: ServiceClient,
    clock: Arc<dyn Clock>,
    state: RwLock<State>,
    /// Held by the fetch that is under way.
    fetching: Arc<AsyncMutex<()>>,
}

#[derive(Default)]
struct State {
    /// The last set; `None` when there never was one.
    published: Option<Vec<Jwk>>,
    verifying: Arc<VerifyingKeys>,
    /// Why the last fetch brought nothing.
    failure: Option<CallError>,
    /// When the last fetch began: one that is given up half-way counts too.
    tried_at: Option<Duration>,
    /// Fetches that have ended.
    done: u64,
}

impl RemoteKeys {
    /// The keys of the service that `issuer` calls. None is known before the first fetch.
    #[must_use]
    pub fn new(issuer: ServiceClient, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { issuer, clock, state: RwLock::default(), fetching: Arc::default() })
    }

    /// Fetches the keys now, and again before they are old, until the drain begins: the work of a background task.
    pub async fn keep_fresh(self: Arc<Self>, lifecycle: Lifecycle) {
        let fetch_for_ever = async {
            loop {
                let only = Arc::clone(&self.fetching).lock_owned().await;
                self.fetch_apart(only).await;
                let has_failed = self.read().failure.is_some();
                sleep(if has_failed { RETRY_INTERVAL } else { REFRESH_INTERVAL }).await;
            }
        };
        tokio::select! {
            () = fetch_for_ever => {}
            () = lifecycle.draining().cancelled() => {}
        }
    }

    /// The keys that count now.
    pub(super) fn present(&self) -> Arc<VerifyingKeys> {
        Arc::clone(&self.read().verifying)
    }

    /// For a token whose key is not among them: waits for the fetch that is under way, or for a new one if it is time.
    /// Ends within the time-out of the client.
    ///
    /// # Errors
    /// Nobody can tell whether there is such a key, since the last fetch failed.
    pub(super) async fn learn(self: &Arc<Self>) -> Result<Arc<VerifyingKeys>, CallError> {
        let seen = self.read().done;
        let only = Arc::clone(&self.fetching).lock_owned().await;
        if self.read().done == seen && self.may_fetch() {
            self.fetch_apart(only).await;
        }
        let state = self.read();
        state.failure.clone().map_or_else(|| Ok(Arc::clone(&state.verifying)), Err)
    }

    fn may_fetch(&self) -> bool {
        let now = self.clock.monotonic();
        let state = self.read();
        let interval = if state.published.is_some() { RETRY_INTERVAL } else { FIRST_INTERVAL };
        state.tried_at.is_none_or(|tried| now.saturating_sub(tried) >= interval)
    }

    /// Whoever waits for it may leave, which must not end it: each of those who wait behind would begin it anew.
    #[expect(clippy::disallowed_methods, reason = "it ends by itself with its call, and has nothing to finish")]
    async fn fetch_apart(self: &Arc<Self>, only: OwnedMutexGuard<()>) {
        let keys = Arc::clone(self);
        let fetch = async move {
            keys.fetch().await;
            drop(only);
        };
        // It has nothing that panics.
        let _panicked = tokio::spawn(fetch).await;
    }

    async fn fetch(&self) {
        self.write().tried_at = Some(self.clock.monotonic());
        let fetched = self.ask().await.map(PublishedKeys::usable);
        let mut state = self.write();
        state.done += 1;
        match fetched {
            Ok(published) => state.learn(published),
            Err(error) => {
                warn!(cause = %error, "the keys of tokens could not be fetched");
                state.failure = Some(error);
            }
        }
    }

    async fn ask(&self) -> Result<PublishedKeys, CallError> {
        let answer = self.issuer.get(PATH).at_most(MAX_SET_BYTES).send().await?;
        if answer.status() == StatusCode::OK { answer.json() } else { Err(answer.unexpected()) }
    }

    #[cfg(test)]
    pub(super) fn done(&self) -> u64 {
        self.read().done
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The same keys again change nothing, so what was verified with them stays.
    fn learn(&mut self, published: Vec<Jwk>) {
        self.failure = None;
        if self.published.as_ref() == Some(&published) {
            return;
        }
        let kids: Vec<_> = published.iter().filter_map(|key| key.common.key_id.as_deref()).collect();
        if kids.is_empty() {
            warn!(
                "no key of tokens is published that can verify: services that share a secret all need JWT_SECRET_KEY"
            );
        } else {
            info!(kids = ?kids, "the keys of tokens were fetched");
        }
        self.verifying = Arc::new(VerifyingKeys::new(published.iter().filter_map(verifying).collect()));
        self.published = Some(published);
    }
}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.present();
        f.debug_struct("RemoteKeys").field("issuer", &self.issuer).field("keys", &keys).finish_non_exhaustive()
    }
}
