//! Which of its endpoints a call of a service goes to: of two drawn at random, the one with less load.
//!
//! Source: Mitzenmacher, *The Power of Two Choices in Randomized Load Balancing*, IEEE TPDS 12(10), 2001. Always the best of
//! all would send every caller to the same one.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::breaker::Standing;
use super::endpoint::{Endpoint, Passage};

/// How long a probe waits for a call that may be tried again elsewhere. Then any call is one.
const PATIENCE: Duration = Duration::from_secs(5);

/// The endpoints of one service.
#[derive(Debug)]
pub(super) struct Balancer {
    endpoints: Box<[Arc<Endpoint>]>,
    /// Of the places that these are.
    pub(super) version: u64,
    hasher: RandomState,
    draws: AtomicU64,
}

/// What a call asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    /// It may be tried again and has time for that, so it can be a probe.
    pub(super) can_probe: bool,
    /// Where it was already.
    pub(super) tried: &'a [usize],
}

impl Balancer {
    pub(super) fn new(endpoints: Vec<Arc<Endpoint>>, version: u64) -> Self {
        Self { endpoints: endpoints.into(), version, hasher: RandomState::new(), draws: AtomicU64::new(0) }
    }

    pub(super) fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// An endpoint and its number; `None` while every circuit is open.
    pub(super) fn pick(&self, wish: Wish<'_>, now: Instant) -> Option<(usize, Passage<'_>)> {
        if self.endpoints.len() == 1 {
            return self.enter(0, now);
        }
        let standing: Vec<Standing> = self.endpoints.iter().map(|endpoint| endpoint.standing(now)).collect();
        let is_usual = |index: &usize| standing[*index] == Standing::Usual;
        let is_fresh = |index: &usize| !wish.tried.contains(index);
        let all = 0..self.endpoints.len();
        let has_place = all.clone().any(|index| is_usual(&index) && is_fresh(&index));
        // One probe for a call, while there is another place: several that are down must not take all of its attempts.
        let may_probe = |waited| wish.tried.is_empty() && (wish.can_probe || waited >= PATIENCE);
        let wants_probe = |index: &usize| match standing[*index] {
            Standing::Due(waited) => !has_place || may_probe(waited),
            Standing::Usual | Standing::Waiting => false,
        };
        let probe = all.clone().filter(is_fresh).filter(wants_probe).find_map(|index| self.enter(index, now));
        if probe.is_some() {
            return probe;
        }
        let untried = all.clone().filter(is_fresh).filter(is_usual).collect();
        let again = || self.best_of(all.clone().filter(is_usual).collect(), now);
        let is_due = |index: &usize| matches!(standing[*index], Standing::Due(_));
        let probe_again = || all.clone().filter(is_due).find_map(|index| self.enter(index, now));
        self.best_of(untried, now).or_else(again).or_else(probe_again)
    }

    /// Whether others would take the place of these.
    pub(super) fn has_others(&self, than: &[usize], now: Instant) -> bool {
        let mut others = self.endpoints.iter().enumerate().filter(|(index, _)| !than.contains(index));
        others.any(|(_, endpoint)| endpoint.standing(now) == Standing::Usual)
    }

    /// One of them that lets the call through, the better of two first.
    fn best_of(&self, mut candidates: Vec<usize>, now: Instant) -> Option<(usize, Passage<'_>)> {
        while let Some(chosen) = self.choose(&candidates, now) {
            let entered = self.enter(chosen, now);
            if entered.is_some() {
                return entered;
            }
            // Its circuit opened just now.
            candidates.retain(|index| *index != chosen);
        }
        None
    }

    fn enter(&self, index: usize, now: Instant) -> Option<(usize, Passage<'_>)> {
        self.endpoints[index].enter(now).map(|passage| (index, passage))
    }

    /// The better of two.
    fn choose(&self, candidates: &[usize], now: Instant) -> Option<usize> {
        let many = candidates.len() as u64;
        match candidates {
            [] => None,
            [only] => Some(*only),
            _ => {
                let drawn = self.hasher.hash_one(self.draws.fetch_add(1, Ordering::Relaxed));
                let (first, step) = (drawn % many, 1 + (drawn >> 32) % (many - 1));
                let at = |place: u64| candidates[usize::try_from(place % many).unwrap_or_default()];
                let (one, other) = (at(first), at(first + step));
                let load = |index: usize| self.endpoints[index].load(now);
                Some(if load(one) <= load(other) { one } else { other })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ServiceUrl;
    use super::super::transport::{Origin, Trust};
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);
    const TIMEOUT: Duration = Duration::from_secs(1);
    const SAFE: Wish<'_> = Wish { can_probe: true, tried: &[] };
    const UNSAFE: Wish<'_> = Wish { can_probe: false, tried: &[] };

    fn balancer(many: u16) -> Balancer {
        let endpoint = |number: u16| {
            let url: ServiceUrl = format!("http://127.0.0.1:{}", 1 + number).parse().unwrap();
            let address = url.address().unwrap();
            Arc::new(Endpoint::new(Origin::new(url, address).unwrap(), &Trust::nobody().unwrap()))
        };
        Balancer::new((0..many).map(endpoint).collect(), 0)
    }

    /// Makes so many calls, one each millisecond, that fail at once on the first endpoint; answers how many it got.
    fn failing_first(balancer: &Balancer, calls: u32, begun: Instant) -> u32 {
        let mut failed = 0;
        for number in 0..calls {
            let now = begun + MILLISECOND * number;
            let (index, passage) = balancer.pick(UNSAFE, now).unwrap();
            if index == 0 {
                failed += 1;
                passage.failed(TIMEOUT, balancer.has_others(&[index], now), now);
            } else {
                passage.succeeded(now + MILLISECOND);
            }
        }
        failed
    }

    #[test]
    fn equal_endpoints_get_equal_shares() {
        let balancer = balancer(5);
        let mut shares = [0_u32; 5];
        let begun = Instant::now();
        for number in 0..5000 {
            let now = begun + MILLISECOND * number;
            let (index, passage) = balancer.pick(UNSAFE, now).unwrap();
            shares[index] += 1;
            passage.succeeded(now + MILLISECOND);
        }
        assert!(shares.iter().all(|share| (700..1300).contains(share)), "{shares:?}");
    }

    #[test]
    fn an_endpoint_that_fails_at_once_draws_no_calls() {
        let balancer = balancer(5);
        let failed = failing_first(&balancer, 10_000, Instant::now());
        assert!(failed <= 20, "{failed} of 10000 went to an endpoint that fails");
    }

    #[test]
    fn a_call_that_may_be_tried_again_is_the_probe_and_any_other_only_after_a_while() {
        let balancer = balancer(2);
        let begun = Instant::now();
        for _ in 0..5 {
            let passage = balancer.endpoints[0].enter(begun).unwrap();
            passage.failed(TIMEOUT, true, begun);
        }
        let due = begun + TIMEOUT;
        assert_eq!(balancer.pick(SAFE, begun).unwrap().0, 1);
        assert_eq!(balancer.pick(UNSAFE, due).unwrap().0, 1);
        let (index, probe) = balancer.pick(SAFE, due).unwrap();
        assert_eq!(index, 0);
        assert_eq!(balancer.pick(SAFE, due).unwrap().0, 1, "one probe at a time");
        probe.failed(TIMEOUT, true, due);
        assert_eq!(balancer.pick(UNSAFE, due + TIMEOUT + PATIENCE).unwrap().0, 0);
    }

    #[test]
    fn a_call_is_tried_again_elsewhere_and_where_it_was_if_there_is_no_other_place() {
        let balancer = balancer(3);
        let now = Instant::now();
        for _ in 0..20 {
            let wish = Wish { can_probe: true, tried: &[0, 2] };
            assert_eq!(balancer.pick(wish, now).unwrap().0, 1);
        }
        assert!(balancer.pick(Wish { can_probe: true, tried: &[0, 1, 2] }, now).is_some());
    }

    #[test]
    fn a_call_is_the_probe_of_one_endpoint_and_not_of_all_that_are_down() {
        let balancer = balancer(5);
        let begun = Instant::now();
        for endpoint in &balancer.endpoints[..3] {
            for _ in 0..5 {
                endpoint.enter(begun).unwrap().failed(TIMEOUT, true, begun);
            }
        }
        let due = begun + TIMEOUT;
        let (first, probe) = balancer.pick(SAFE, due).unwrap();
        assert!(first < 3);
        probe.failed(TIMEOUT, true, due);
        let (second, _passage) = balancer.pick(Wish { can_probe: true, tried: &[first] }, due).unwrap();
        assert!(second >= 3, "{second} is down");
    }

    #[test]
    fn while_all_circuits_are_open_there_is_nowhere_to_go() {
        let balancer = balancer(1);
        let now = Instant::now();
        for _ in 0..20 {
            balancer.pick(SAFE, now).unwrap().1.failed(TIMEOUT, false, now);
        }
        assert!(balancer.pick(SAFE, now).is_none());
        assert_eq!(balancer.pick(UNSAFE, now + TIMEOUT).unwrap().0, 0, "the only one is probed by any call");
    }
}
