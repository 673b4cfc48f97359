//! How often calls may be tried again: a share of all calls, so that retries never multiply the load of a service that
//! fails. Source: <https://sre.google/sre-book/addressing-cascading-failures/>, "Retries".

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// Of each call.
const SHARE: f64 = 0.2;
/// Beside it, each second: with few calls, a share of them would be none.
const EACH_SECOND: f64 = 10.0;
/// What is not used adds up to so much: all calls of a moment may have been on their way to a replica that ends.
const MOST: f64 = 100.0;

/// The retries of one dependency.
#[derive(Debug)]
pub(super) struct RetryBudget(Mutex<Balance>);

#[derive(Debug)]
struct Balance {
    retries: f64,
    at: Instant,
}

impl RetryBudget {
    pub(super) fn new(now: Instant) -> Self {
        Self(Mutex::new(Balance { retries: EACH_SECOND, at: now }))
    }

    /// A call is made.
    pub(super) fn earn(&self) {
        self.add(SHARE);
    }

    /// Whether a call may be tried again; if so, that is one less.
    pub(super) fn spend(&self, now: Instant) -> bool {
        let mut balance = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let earned = now.saturating_duration_since(balance.at).as_secs_f64() * EACH_SECOND;
        balance.at = now;
        balance.retries = (balance.retries + earned).min(MOST);
        let is_left = balance.retries >= 1.0;
        if is_left {
            balance.retries -= 1.0;
        }
        is_left
    }

    fn add(&self, retries: f64) {
        let mut balance = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        balance.retries = (balance.retries + retries).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Of so many calls each second, for some seconds, all of which ask for a retry.
    fn granted(each_second: u32, seconds: u32) -> u32 {
        let begun = Instant::now();
        let budget = RetryBudget::new(begun);
        let granted = (0..each_second * seconds).filter(|number| {
            budget.earn();
            budget.spend(begun + Duration::from_secs(1) / each_second * *number)
        });
        u32::try_from(granted.count()).unwrap()
    }

    #[test]
    fn a_fifth_of_all_calls_and_ten_each_second_are_tried_again() {
        let many = granted(1000, 10);
        assert!((2000..=2110).contains(&many), "{many}");
        let few = granted(5, 10);
        assert_eq!(few, 50, "with few calls, each of them");
    }

    #[test]
    fn what_was_not_used_does_not_add_up_without_end() {
        let begun = Instant::now();
        let budget = RetryBudget::new(begun);
        (0..10_000).for_each(|_| budget.earn());
        let late = begun + Duration::from_secs(3600);
        assert_eq!((0..1000).filter(|_| budget.spend(late)).count(), 100);
    }
}
