//! From which networks accounts were logged in to. Only whoever knows a password adds to it, and nobody makes others'
//! networks forgotten with an account of its own.

use std::time::Duration;

use quick_cache::unsync::Cache;

/// How long a network is known after the last success from there.
const KNOWN_FOR: Duration = Duration::from_hours(30 * 24);
/// Accounts whose networks are known at once, some 16 MB.
pub(super) const MAX_ACCOUNTS: usize = 65_536;
/// Networks that are known of one account: the latest ones.
pub(super) const MAX_NETWORKS: usize = 8;

pub(super) struct Homes {
    accounts: Cache<u64, Vec<Home>>,
}

#[derive(Clone, Copy)]
struct Home {
    network: u64,
    at: Duration,
}

impl Homes {
    pub(super) fn new() -> Self {
        Self { accounts: Cache::new(MAX_ACCOUNTS) }
    }

    pub(super) fn contains(&self, account: u64, network: u64, now: Duration) -> bool {
        let known = |home: &Home| home.network == network && now.saturating_sub(home.at) < KNOWN_FOR;
        self.accounts.get(&account).is_some_and(|homes| homes.iter().any(known))
    }

    pub(super) fn remember(&mut self, account: u64, network: u64, now: Duration) {
        let home = Home { network, at: now };
        let Some(mut homes) = self.accounts.get_mut(&account) else {
            return self.accounts.insert(account, vec![home]);
        };
        homes.retain(|home| home.network != network);
        if homes.len() == MAX_NETWORKS {
            homes.remove(0);
        }
        homes.push(home);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.accounts.len()
    }
}
