//! Limits for guessing passwords: how often one network may fail on one account, on all accounts, and how often all
//! networks together may fail on one account.
//!
//! The owner of an account is not locked out at home. Where it was logged in to before, only that place's own failures
//! count, and elsewhere the owner shares a few attempts with whoever guesses, which is the idea of device cookies without the cookie: <https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies>.
//! Everything is in the memory of one process, so several processes allow as many times as much.

mod counter;
mod homes;
#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::counter::Counter;
use self::homes::Homes;
use crate::clock::Clock;
use crate::http::network_of;

/// Failures are counted for so long after the first one.
const WINDOW: Duration = Duration::from_mins(15);
/// Failures of one network on one account.
const PAIR_FAILURES: u32 = 10;
/// Failures of one network on all accounts.
const NETWORK_FAILURES: u32 = 100;
/// Failures of all networks on one account. After them, networks where nobody has logged in to it share one attempt in
/// [`STRANGER_INTERVAL`].
const ACCOUNT_FAILURES: u32 = 100;
/// The time for one attempt of all strange networks on an account that is guessed at.
const STRANGER_INTERVAL: Duration = Duration::from_secs(10);
/// The part of an account's name that tells it from others. No account has a longer one, and whoever sends it shall not
/// make others wait for its hash.
const MAX_NAME_CHARS: usize = 256;

/// Limits how often passwords are guessed.
///
/// * 10 failures of one network on one account in 15 minutes, then it is refused. A success clears them.
/// * 100 failures of one network on all accounts in 15 minutes, then it is refused.
/// * 100 failures of all networks on one account in 15 minutes: then networks from which somebody logged in to it within
///   30 days pass freely, and all others together have one attempt every 10 s.
///
/// A network is an IPv4 address or the /64 of an IPv6 address, loopback included. Accounts that do not exist are counted
/// like those that do, and their names in any case are the same. Memory is bounded, at some 35 MB: of more than 65,536
/// accounts or networks, the least used are forgotten.
pub struct GuessLimits {
    clock: Arc<dyn Clock>,
    /// Keyed at random, so that nobody can choose names that share a count.
    keys: RandomState,
    state: Mutex<State>,
}

struct State {
    pairs: Counter,
    networks: Counter,
    accounts: Counter,
    strangers: Counter,
    homes: Homes,
}

/// Who tries what, as hashes.
#[derive(Clone, Copy)]
struct Keys {
    account: u64,
    network: u64,
    pair: u64,
}

/// An attempt to log in, counted as a failure from the beginning: however many are under way at once, no more pass than
/// may fail. Dropping it leaves it at that, be it that the password was wrong or that the caller left.
#[derive(Debug)]
#[must_use = "it counts as a failure unless it is told how it went"]
pub struct Attempt<'a> {
    limits: &'a GuessLimits,
    keys: Keys,
    began_at: Duration,
    /// Whether it took the one attempt of all strange networks.
    is_strange: bool,
}

impl GuessLimits {
    /// Nobody has failed yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let state = State {
            pairs: Counter::new(PAIR_FAILURES, WINDOW),
            networks: Counter::new(NETWORK_FAILURES, WINDOW),
            accounts: Counter::new(ACCOUNT_FAILURES, WINDOW),
            strangers: Counter::new(1, STRANGER_INTERVAL),
            homes: Homes::new(),
        };
        Self { clock, keys: RandomState::new(), state: Mutex::new(state) }
    }

    /// Asks whether `client` may try a password of `account`, which is a username in the form by which accounts are found:
    /// another spelling of it must not be another account. To be asked before the
    /// password is hashed, so that a guess that is refused costs nothing.
    ///
    /// # Errors
    /// How long to wait; nothing was counted.
    pub fn admit(&self, account: &str, client: IpAddr) -> Result<Attempt<'_>, Duration> {
        let (keys, now) = (self.keys(account, client), self.clock.monotonic());
        let is_strange = self.lock().admit(keys, now)?;
        Ok(Attempt { limits: self, keys, began_at: now, is_strange })
    }

    fn keys(&self, account: &str, client: IpAddr) -> Keys {
        let mut name = self.keys.build_hasher();
        for character in account.chars().take(MAX_NAME_CHARS).flat_map(char::to_lowercase) {
            name.write_u32(character.into());
        }
        let account = name.finish();
        let network = self.keys.hash_one(network_of(client.to_canonical()));
        Keys { account, network, pair: self.keys.hash_one((account, network)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts a failure; says whether it was the one attempt of all strange networks.
    fn admit(&mut self, keys: Keys, now: Duration) -> Result<bool, Duration> {
        let pair = self.pairs.wait(keys.pair, now);
        let network = self.networks.wait(keys.network, now);
        let is_guessed_at = self.accounts.wait(keys.account, now).is_some();
        let is_strange = is_guessed_at && !self.homes.contains(keys.account, keys.network, now);
        let stranger = if is_strange { self.strangers.wait(keys.account, now) } else { None };
        if let Some(wait) = pair.max(network).max(stranger) {
            return Err(wait);
        }
        self.pairs.add(keys.pair, now);
        self.networks.add(keys.network, now);
        self.accounts.add(keys.account, now);
        if is_strange {
            self.strangers.add(keys.account, now);
        }
        Ok(is_strange)
    }

    fn take_back(&mut self, attempt: &Attempt<'_>) {
        let Attempt { keys, began_at, is_strange, .. } = *attempt;
        self.pairs.take_back(keys.pair, began_at);
        self.networks.take_back(keys.network, began_at);
        self.accounts.take_back(keys.account, began_at);
        if is_strange {
            self.strangers.take_back(keys.account, began_at);
        }
    }
}

impl Attempt<'_> {
    /// The password was right. The client's network is one from which this account is logged in to, and what failed there
    /// is forgotten.
    pub fn succeeded(self) {
        let (Keys { account, network, pair }, now) = (self.keys, self.limits.clock.monotonic());
        let mut state = self.limits.lock();
        state.take_back(&self);
        state.pairs.clear(pair);
        state.homes.remember(account, network, now);
    }

    /// The password was compared with nothing, such as when no thread was free to hash it: it counts as if it had not
    /// been tried.
    pub fn withdrawn(self) {
        self.limits.lock().take_back(&self);
    }
}

impl fmt::Debug for GuessLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuessLimits").finish_non_exhaustive()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}
