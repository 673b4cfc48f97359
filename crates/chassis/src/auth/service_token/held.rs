//! One token that many calls show, and which is replaced before it ends.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{info, warn};

use super::{FreshToken, NoToken, TokenSource};
use crate::clock::Clock;

/// The share of its life, in hundredths, after which a token is replaced while it is still shown.
const REFRESH_AT_PERCENT: u32 = 80;
/// The same after which it is not shown any more: what is sent now is judged a little later, by another clock.
const END_AT_PERCENT: u32 = 95;
/// How long a call waits for a token where there is none: as long as it would wait for the service itself. The source
/// may take longer, and what it brings is for the next call.
const MAX_WAIT: Duration = Duration::from_secs(2);
/// How long a source may take. The credentials of a role, their proof and the question whose it is take a second or
/// two each when they are slow, and some more before they fail.
const MAX_FETCH: Duration = Duration::from_secs(20);
/// The pause after a source has failed, doubled for each further time. All calls fail at once during it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(16);
/// How often a token may be given up since a service did not take it.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(60);

/// A token that is shown until most of its life is over, and replaced by one request for all who need it. Cheap to
/// clone; clones are one token.
#[derive(Clone)]
pub struct ServiceToken {
    shared: Arc<Shared>,
}

struct Shared {
    source: Arc<dyn TokenSource>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Held by the fetch that is under way.
    fetching: Arc<AsyncMutex<()>>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    failure: Option<Failure>,
    /// When a token was last given up since a service did not take it.
    refused_at: Option<Duration>,
}

struct Held {
    token: SecretString,
    refresh_at: Duration,
    ends_at: Duration,
}

/// The last fetch brought nothing.
struct Failure {
    cause: NoToken,
    pause: Duration,
    until: Duration,
}

/// What there is at some moment.
enum Found {
    Fresh(SecretString),
    /// It can be shown, and it is time to replace it.
    Aging(SecretString),
    /// Nothing, and it is too early to ask again.
    Failed(NoToken),
    Nothing,
}

impl ServiceToken {
    /// A token of this source, which is not asked yet.
    #[must_use]
    pub fn new(source: Arc<dyn TokenSource>, clock: Arc<dyn Clock>) -> Self {
        Self { shared: Arc::new(Shared { source, clock, state: Mutex::default(), fetching: Arc::default() }) }
    }

    /// One that is good for some time more. Waits only where there is none, for two seconds at most.
    ///
    /// # Errors
    /// [`NoToken`]. After a failure the source is left alone for a while, and the same error is given at once.
    pub async fn show(&self) -> Result<SecretString, NoToken> {
        match self.shared.look() {
            Found::Fresh(token) => Ok(token),
            Found::Aging(token) => {
                self.refresh();
                Ok(token)
            }
            Found::Failed(cause) => Err(cause),
            Found::Nothing => {
                let late = |_| Err(NoToken::new(format!("none came within {MAX_WAIT:?}")));
                timeout(MAX_WAIT, self.fetched()).await.unwrap_or_else(late)
            }
        }
    }

    /// Another service answered 401 to this token: the key that signed it may no longer count. It is not shown again,
    /// unless one was given up within the last minute: then tokens are not what is wrong.
    pub fn refused(&self, token: &SecretString) {
        let now = self.shared.clock.monotonic();
        let mut state = self.shared.lock();
        let is_held = state.held.as_ref().is_some_and(|held| held.token.expose_secret() == token.expose_secret());
        let is_early = state.refused_at.is_some_and(|last| now.saturating_sub(last) < REFUSAL_INTERVAL);
        if is_held && !is_early {
            info!("another service did not take our token: the next call shows a new one");
            (state.held, state.refused_at) = (None, Some(now));
        }
    }

    /// Replaces the token behind the back of the call that shows it, unless somebody does.
    fn refresh(&self) {
        let Ok(only) = Arc::clone(&self.shared.fetching).try_lock_owned() else { return };
        // Somebody may have replaced it since it was looked at.
        if matches!(self.shared.look(), Found::Aging(_)) {
            drop(self.fetch_apart(only));
        }
    }

    async fn fetched(&self) -> Result<SecretString, NoToken> {
        let only = Arc::clone(&self.shared.fetching).lock_owned().await;
        // What the one before brought is for all who waited.
        let found = match self.shared.look() {
            Found::Nothing => {
                // One that panics brings nothing.
                let _panicked = self.fetch_apart(only).await;
                self.shared.look()
            }
            found => found,
        };
        match found {
            Found::Fresh(token) | Found::Aging(token) => Ok(token),
            Found::Failed(cause) => Err(cause),
            Found::Nothing => Err(NoToken::new("the new one has ended already")),
        }
    }

    /// Whoever waits for it may leave, which must not end it: each of those who wait behind would begin it anew.
    #[expect(clippy::disallowed_methods, reason = "it ends by itself within its time limit, and has nothing to finish")]
    fn fetch_apart(&self, only: OwnedMutexGuard<()>) -> JoinHandle<()> {
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            shared.fetch().await;
            drop(only);
        })
    }
}

impl Shared {
    async fn fetch(&self) {
        // Its life begins before it is here.
        let asked_at = self.clock.monotonic();
        let late = |_| Err(NoToken::new(format!("its source does not answer within {MAX_FETCH:?}")));
        let fetched = timeout(MAX_FETCH, self.source.token()).await.unwrap_or_else(late);
        let now = self.clock.monotonic();
        let mut state = self.lock();
        match fetched {
            Ok(fresh) => (state.held, state.failure) = (Some(Held::new(fresh, asked_at)), None),
            Err(cause) => {
                warn!(cause = %cause, "no new token for calls of other services");
                let pause = state.failure.as_ref().map_or(FIRST_PAUSE, |last| (2 * last.pause).min(MAX_PAUSE));
                state.failure = Some(Failure { cause, pause, until: now + pause });
            }
        }
    }

    fn look(&self) -> Found {
        let now = self.clock.monotonic();
        self.lock().look(now)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn look(&self, now: Duration) -> Found {
        let failure = self.failure.as_ref().filter(|failure| now < failure.until);
        match (self.held.as_ref().filter(|held| now < held.ends_at), failure) {
            (Some(held), None) if now >= held.refresh_at => Found::Aging(held.token.clone()),
            (Some(held), _) => Found::Fresh(held.token.clone()),
            (None, Some(failure)) => Found::Failed(failure.cause.clone()),
            (None, None) => Found::Nothing,
        }
    }
}

impl Held {
    fn new(FreshToken { token, lifetime }: FreshToken, since: Duration) -> Self {
        let after = |percent: u32| since.saturating_add(lifetime.saturating_mul(percent) / 100);
        Self { token, refresh_at: after(REFRESH_AT_PERCENT), ends_at: after(END_AT_PERCENT) }
    }
}

impl fmt::Debug for ServiceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceToken").field("source", &self.shared.source).finish_non_exhaustive()
    }
}
