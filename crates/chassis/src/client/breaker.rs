//! Whether an endpoint is worth a call: a circuit breaker for each.
//!
//! Closed, it lets every call through and watches how they end. Open, it lets none through, so that an endpoint that is down
//! costs its callers no time. After a pause it is half open: one call at a time goes through as a probe, and the first that
//! succeeds closes it. Source: Nygard, *Release It!*, 2nd ed., ch. 5.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What is looked back on, in parts of a second.
const WINDOW_SECONDS: usize = 10;
/// It opens when half of so many calls of the window failed.
const LEAST_CALLS: u32 = 20;
/// Or when so many failed one after the other, where another endpoint is there to take what comes.
const IN_A_ROW: u32 = 5;
/// How long it stays open, and half open with a probe that does not end. Whoever is well again is called after a second.
const PAUSE: Duration = Duration::from_secs(1);

/// The breaker of one endpoint.
#[derive(Debug)]
pub(super) struct Breaker(Mutex<Circuit>);

#[derive(Debug)]
struct Circuit {
    state: State,
    /// Counts the changes of the state: what was begun before the last one says nothing about now.
    generation: u64,
}

#[derive(Debug)]
enum State {
    Closed(Box<Window>),
    Open {
        until: Instant,
    },
    /// A probe is on its way since then.
    HalfOpen {
        since: Instant,
    },
}

/// Whether calls go to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// As many as there are.
    Usual,
    /// One, as a probe, which it has waited for so long.
    Due(Duration),
    /// None.
    Waiting,
}

/// Leave to make one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Permit {
    generation: u64,
    /// Its end says whether the endpoint is well again.
    pub(super) is_probe: bool,
}

/// What became of the breaker by the end of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Opened,
    Closed,
    /// It stayed closed, and the endpoint is well again after a failure.
    Recovered,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Circuit { state: State::Closed(Box::default()), generation: 0 }))
    }

    /// Whether a call would be let through now.
    pub(super) fn standing(&self, now: Instant) -> Standing {
        let due = match &self.lock().state {
            // After a failure few calls come here, since it looks slow: one now and then finds out whether that is over.
            State::Closed(window) => match window.failed_at {
                Some(failed_at) if now >= failed_at + PAUSE => failed_at + PAUSE,
                _ => return Standing::Usual,
            },
            State::Open { until } => *until,
            // Nobody told how the probe ended.
            State::HalfOpen { since } => *since + PAUSE,
        };
        now.checked_duration_since(due).map_or(Standing::Waiting, Standing::Due)
    }

    /// Its state, as people call it.
    pub(super) fn state(&self, now: Instant) -> &'static str {
        match &self.lock().state {
            State::Closed(_) => "closed",
            State::Open { until } if now < *until => "open",
            State::Open { .. } | State::HalfOpen { .. } => "half-open",
        }
    }

    /// Leave for a call that is made now.
    pub(super) fn permit(&self, now: Instant) -> Option<Permit> {
        let mut circuit = self.lock();
        match &mut circuit.state {
            State::Closed(window) => {
                let is_probe = window.failed_at.is_some_and(|failed_at| now >= failed_at + PAUSE);
                if is_probe {
                    window.failed_at = Some(now);
                }
                Some(Permit { generation: circuit.generation, is_probe })
            }
            State::Open { until } if now < *until => None,
            State::HalfOpen { since } if now < *since + PAUSE => None,
            // The one before may be slow: it counts as well.
            State::HalfOpen { since } => {
                *since = now;
                Some(Permit { generation: circuit.generation, is_probe: true })
            }
            State::Open { .. } => {
                let generation = circuit.become_now(State::HalfOpen { since: now });
                Some(Permit { generation, is_probe: true })
            }
        }
    }

    /// How the call ended. `others` are endpoints that would take its place.
    pub(super) fn ended(&self, permit: Permit, succeeded: bool, others: bool, now: Instant) -> Change {
        let mut circuit = self.lock();
        if permit.generation != circuit.generation {
            return Change::None;
        }
        match &mut circuit.state {
            State::Closed(window) => {
                let recovers = succeeded && permit.is_probe && window.failed_at.is_some();
                window.count(succeeded, now);
                if !succeeded {
                    window.failed_at = Some(now);
                } else if recovers {
                    window.failed_at = None;
                }
                if window.opens(others, now) {
                    circuit.become_now(State::Open { until: now + PAUSE });
                    return Change::Opened;
                }
                if recovers { Change::Recovered } else { Change::None }
            }
            State::HalfOpen { .. } if succeeded => {
                circuit.become_now(State::Closed(Box::default()));
                Change::Closed
            }
            State::HalfOpen { .. } | State::Open { .. } => {
                circuit.become_now(State::Open { until: now + PAUSE });
                Change::None
            }
        }
    }

    /// The call ended without saying anything about the endpoint: if it was a probe, the next call may be one.
    pub(super) fn give_back(&self, permit: Permit, now: Instant) {
        let mut circuit = self.lock();
        if permit.generation == circuit.generation && matches!(circuit.state, State::HalfOpen { .. }) {
            circuit.become_now(State::Open { until: now });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Circuit> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Circuit {
    fn become_now(&mut self, state: State) -> u64 {
        self.state = state;
        self.generation += 1;
        self.generation
    }
}

/// How the calls of the last seconds ended.
#[derive(Debug, Default)]
struct Window {
    /// Those of a second each, in a ring.
    seconds: [Second; WINDOW_SECONDS],
    /// When the first second of all began.
    begun: Option<Instant>,
    in_a_row: u32,
    /// When a call failed last, or was let through since to see whether that is over; `None` once one was well that did. Others
    /// that succeed say little of an endpoint that fails now and then.
    failed_at: Option<Instant>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Second {
    number: u64,
    calls: u32,
    failures: u32,
}

impl Window {
    fn count(&mut self, succeeded: bool, now: Instant) {
        let number = self.number(now);
        let second = &mut self.seconds[number as usize % WINDOW_SECONDS];
        if second.number != number {
            *second = Second { number, ..Second::default() };
        }
        second.calls += 1;
        second.failures += u32::from(!succeeded);
        self.in_a_row = if succeeded { 0 } else { self.in_a_row + 1 };
    }

    fn opens(&mut self, others: bool, now: Instant) -> bool {
        let last = self.number(now);
        let recent = self.seconds.iter().filter(|second| second.number + WINDOW_SECONDS as u64 > last);
        let (calls, failures) =
            recent.fold((0, 0), |(calls, failures), second| (calls + second.calls, failures + second.failures));
        (calls >= LEAST_CALLS && failures * 2 >= calls) || (others && self.in_a_row >= IN_A_ROW)
    }

    /// Of the second that it is, from 1 on.
    fn number(&mut self, now: Instant) -> u64 {
        let begun = *self.begun.get_or_insert(now);
        now.saturating_duration_since(begun).as_secs() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// So many calls that end so, at once.
    fn calls(breaker: &Breaker, many: u32, succeeded: bool, others: bool, now: Instant) -> Vec<Change> {
        let call = |_| breaker.permit(now).map(|permit| breaker.ended(permit, succeeded, others, now));
        (0..many).filter_map(call).collect()
    }

    #[test]
    fn it_opens_when_half_of_enough_calls_failed() {
        let (breaker, now) = (Breaker::new(), Instant::now());
        calls(&breaker, 10, true, false, now);
        assert_eq!(calls(&breaker, 9, false, false, now), [Change::None; 9]);
        assert_eq!(calls(&breaker, 5, false, false, now), [Change::Opened]);
        assert_eq!((breaker.permit(now), breaker.standing(now)), (None, Standing::Waiting));
    }

    #[test]
    fn the_last_endpoint_is_not_given_up_for_a_few_failures_in_a_row() {
        let now = Instant::now();
        assert_eq!(calls(&Breaker::new(), 19, false, false, now), [Change::None; 19]);
        let with_others = calls(&Breaker::new(), 19, false, true, now);
        assert_eq!((with_others.last(), with_others.len()), (Some(&Change::Opened), 5));
        let breaker = Breaker::new();
        for _ in 0..100 {
            assert!(!calls(&breaker, 6, true, true, now).contains(&Change::Opened));
            assert_eq!(calls(&breaker, 4, false, true, now), [Change::None; 4]);
        }
    }

    #[test]
    fn what_is_long_ago_does_not_count() {
        let (breaker, now) = (Breaker::new(), Instant::now());
        calls(&breaker, 19, false, false, now);
        assert_eq!(calls(&breaker, 1, false, false, now + SECOND * 10), [Change::None]);
        assert_eq!(calls(&breaker, 18, false, false, now + SECOND * 11), [Change::None; 18]);
        assert_eq!(calls(&breaker, 1, false, false, now + SECOND * 12), [Change::Opened]);
    }

    #[test]
    fn one_probe_at_a_time_closes_it_or_keeps_it_open() {
        let (breaker, now) = (Breaker::new(), Instant::now());
        calls(&breaker, 20, false, false, now);
        let later = now + SECOND;
        assert_eq!(breaker.standing(later - SECOND / 2), Standing::Waiting);
        assert_eq!(breaker.standing(later + SECOND), Standing::Due(SECOND));
        let probe = breaker.permit(later).unwrap();
        assert!(probe.is_probe && breaker.permit(later).is_none());
        assert_eq!(breaker.ended(probe, false, false, later), Change::None);
        assert_eq!(breaker.permit(later), None);
        let probe = breaker.permit(later + SECOND).unwrap();
        assert_eq!(breaker.ended(probe, true, false, later + SECOND), Change::Closed);
        assert!(breaker.permit(later + SECOND).is_some_and(|permit| !permit.is_probe));
    }

    #[test]
    fn calls_that_began_before_it_opened_do_not_open_it_again() {
        let (breaker, now) = (Breaker::new(), Instant::now());
        let slow: Vec<_> = (0..20).filter_map(|_| breaker.permit(now)).collect();
        calls(&breaker, 20, false, false, now);
        let probe = breaker.permit(now + SECOND).unwrap();
        assert_eq!(breaker.ended(probe, true, false, now + SECOND), Change::Closed);
        for permit in slow {
            assert_eq!(breaker.ended(permit, false, true, now + SECOND), Change::None);
        }
        assert_eq!(breaker.standing(now + SECOND), Standing::Usual);
    }

    #[test]
    fn a_probe_that_says_nothing_makes_room_for_the_next_and_one_that_is_lost_does_in_time() {
        let (breaker, now) = (Breaker::new(), Instant::now());
        calls(&breaker, 20, false, false, now);
        let later = now + SECOND;
        breaker.give_back(breaker.permit(later).unwrap(), later);
        assert!(breaker.permit(later).is_some_and(|permit| permit.is_probe));
        assert!(breaker.permit(later).is_none());
        assert!(breaker.permit(later + SECOND).is_some_and(|permit| permit.is_probe));
    }

    #[test]
    fn a_slow_probe_closes_it_though_the_next_is_on_its_way() {
        let (breaker, now) = (Breaker::new(), Instant::now());
        calls(&breaker, 20, false, false, now);
        let slow = breaker.permit(now + SECOND).unwrap();
        let next = breaker.permit(now + SECOND * 2).unwrap();
        assert_eq!(breaker.ended(slow, true, false, now + SECOND * 2), Change::Closed);
        assert_eq!(breaker.ended(next, false, false, now + SECOND * 3), Change::None);
        assert_eq!(breaker.standing(now + SECOND * 3), Standing::Usual);
    }

    #[test]
    fn after_a_failure_one_call_a_second_finds_out_whether_it_is_over() {
        let (breaker, now) = (Breaker::new(), Instant::now());
        calls(&breaker, 1, false, true, now);
        assert_eq!(breaker.standing(now), Standing::Usual);
        assert_eq!(breaker.standing(now + SECOND), Standing::Due(Duration::ZERO));
        let probe = breaker.permit(now + SECOND).unwrap();
        assert!(probe.is_probe);
        assert_eq!(breaker.standing(now + SECOND), Standing::Usual, "one of them");
        assert_eq!(calls(&breaker, 3, true, true, now + SECOND), [Change::None; 3], "others say little");
        assert_eq!(breaker.ended(probe, true, true, now + SECOND), Change::Recovered);
        assert_eq!(breaker.standing(now + SECOND * 5), Standing::Usual);
    }
}
