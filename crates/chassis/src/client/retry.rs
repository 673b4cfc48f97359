//! Whether a call that failed is tried again: only where nothing can be done twice, only while it helps.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use http::header::{HeaderMap, RETRY_AFTER};
use http::{Method, StatusCode};
use tokio::time::Instant;

use super::CallFailure;
use super::budget::RetryBudget;
use super::exchange::Reply;
use crate::telemetry::metrics::RetryDecision;

/// Attempts of one call.
const MOST_ATTEMPTS: usize = 3;
/// The pause before the second attempt at a service that was reached; the next is twice as long. With up to as much
/// again at random.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// What a service may ask for. Whoever is told to come back later than this is told so: nobody holds a request for that long.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How an attempt ended without an answer.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) failure: CallFailure,
    /// No byte of the request left, so nothing was done.
    pub(super) never_sent: bool,
    /// It went into a connection whose other end was gone, which says nothing about the service.
    pub(super) on_dead_connection: bool,
}

/// Where another attempt would go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// To an endpoint that has failed it already.
    SamePlace,
    /// To another one.
    Elsewhere,
    /// To another one, after a probe: it did not ask for that, and there is one a second at most.
    AfterProbe,
}

/// The attempts of one call.
#[derive(Debug)]
pub(super) struct Attempts {
    is_safe: bool,
    deadline: Instant,
    made: usize,
    pauses: backon::ExponentialBackoff,
}

impl Attempts {
    pub(super) fn new(method: &Method, has_key: bool, deadline: Instant) -> Self {
        let pauses = ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_max_delay(LONGEST_PAUSE);
        let pauses = pauses.with_jitter().with_max_times(MOST_ATTEMPTS).build();
        // RFC 9110, section 9.2.2.
        Self { is_safe: method.is_idempotent() || has_key, deadline, made: 0, pauses }
    }

    /// Whether doing it twice does no harm.
    pub(super) fn is_safe(&self) -> bool {
        self.is_safe
    }

    /// How many were made.
    pub(super) fn made(&self) -> usize {
        self.made
    }

    /// What follows on how an attempt ended: another one after a pause, or none, and why.
    pub(super) fn next(
        &mut self,
        ended: &Result<Reply, Broken>,
        budget: &RetryBudget,
        next: Next,
    ) -> (RetryDecision, Duration) {
        self.made += 1;
        let now = Instant::now();
        let elsewhere = next != Next::SamePlace;
        let (never_sent, wait) = match ended {
            Ok(reply) if !may_pass(reply.status) => return (RetryDecision::NotNeeded, Duration::ZERO),
            // What one replica asks for does not hold for another one.
            Ok(reply) => (false, retry_after(&reply.headers).filter(|_| !elsewhere)),
            Err(Broken { failure, .. }) if is_final(failure) => return (RetryDecision::NotNeeded, Duration::ZERO),
            Err(Broken { never_sent, .. }) => (*never_sent, None),
        };
        // Where nobody listens, another place is asked at once; the same one is not.
        let pause = if never_sent && elsewhere { Duration::ZERO } else { self.pauses.next().unwrap_or(LONGEST_PAUSE) };
        let pause = wait.map_or(pause, |wait| wait.max(pause));
        let decision = if !self.is_safe && !never_sent {
            RetryDecision::NotSafe
        } else if self.made >= MOST_ATTEMPTS {
            RetryDecision::AttemptsUsedUp
        } else if pause > LONGEST_WAIT || pause >= self.deadline.saturating_duration_since(now) {
            RetryDecision::NoTime
        } else if !never_sent && next != Next::AfterProbe && !budget.spend(now) {
            RetryDecision::BudgetEmpty
        } else {
            RetryDecision::Retried
        };
        (decision, pause)
    }
}

/// Whether another attempt at the same may end better: the service was not there, or had no room. Not 429, which is about
/// whoever asks and would be answered the same.
pub(super) fn may_pass(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

/// Whether another attempt would end the same.
fn is_final(failure: &CallFailure) -> bool {
    match failure {
        CallFailure::NoEndpoint(_) | CallFailure::Unavailable(_) => false,
        CallFailure::Unaddressable(_)
        | CallFailure::Unsendable(_)
        | CallFailure::Timeout(_)
        | CallFailure::TooLarge(_)
        | CallFailure::Malformed(_) => true,
    }
}

/// How long the service asks to wait; as seconds, which is what services of this kind send (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderValue;

    use super::super::exchange::ReplyBody;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn answer(status: u16, retry_after: Option<&'static str>) -> Result<Reply, Broken> {
        let headers = retry_after.map(|text| (RETRY_AFTER, HeaderValue::from_static(text)));
        let (status, headers) = (StatusCode::from_u16(status).unwrap(), headers.into_iter().collect());
        Ok(Reply { status, headers, body: ReplyBody::Whole(Bytes::new()) })
    }

    fn broken(never_sent: bool) -> Result<Reply, Broken> {
        Err(Broken { failure: CallFailure::Unavailable("gone".into()), never_sent, on_dead_connection: false })
    }

    fn decide(method: &Method, has_key: bool, ended: &Result<Reply, Broken>) -> RetryDecision {
        let mut attempts = Attempts::new(method, has_key, Instant::now() + SECOND);
        attempts.next(ended, &RetryBudget::new(Instant::now()), Next::Elsewhere).0
    }

    #[test]
    fn only_what_can_be_done_twice_or_was_never_sent_is_tried_again() {
        for (method, has_key, never_sent, decision) in [
            (Method::GET, false, false, RetryDecision::Retried),
            (Method::PUT, false, false, RetryDecision::Retried),
            (Method::POST, false, false, RetryDecision::NotSafe),
            (Method::PATCH, false, false, RetryDecision::NotSafe),
            (Method::POST, true, false, RetryDecision::Retried),
            (Method::POST, false, true, RetryDecision::Retried),
        ] {
            assert_eq!(decide(&method, has_key, &broken(never_sent)), decision, "{method} {has_key} {never_sent}");
        }
    }

    #[test]
    fn an_answer_that_another_attempt_would_not_change_stands() {
        for status in [200, 304, 400, 404, 409, 429, 500, 501] {
            assert_eq!(decide(&Method::GET, false, &answer(status, None)), RetryDecision::NotNeeded, "{status}");
        }
        for status in [502, 503, 504] {
            assert_eq!(decide(&Method::GET, false, &answer(status, None)), RetryDecision::Retried, "{status}");
        }
    }

    #[test]
    fn a_service_that_asks_for_more_time_than_there_is_gets_no_second_attempt() {
        let next = |seconds: u32, next| {
            let mut attempts = Attempts::new(&Method::GET, false, Instant::now() + SECOND * seconds);
            attempts.next(&answer(503, Some("1")), &RetryBudget::new(Instant::now()), next)
        };
        assert_eq!(next(1, Next::SamePlace).0, RetryDecision::NoTime);
        let mut attempts = Attempts::new(&Method::GET, false, Instant::now() + SECOND * 60);
        let for_ever = answer(503, Some("18446744073709551615"));
        let budget = RetryBudget::new(Instant::now());
        assert_eq!(attempts.next(&for_ever, &budget, Next::SamePlace).0, RetryDecision::NoTime);
        assert_eq!(next(10, Next::SamePlace), (RetryDecision::Retried, SECOND));
        let (decision, pause) = next(1, Next::Elsewhere);
        assert!(decision == RetryDecision::Retried && pause < SECOND, "another replica did not ask for it");
    }

    #[test]
    fn there_are_three_attempts_with_a_pause_unless_nobody_listened_and_others_may() {
        let budget = RetryBudget::new(Instant::now());
        let mut attempts = Attempts::new(&Method::GET, false, Instant::now() + SECOND);
        assert_eq!(attempts.next(&broken(true), &budget, Next::Elsewhere), (RetryDecision::Retried, Duration::ZERO));
        let (decision, pause) = attempts.next(&broken(true), &budget, Next::SamePlace);
        assert_eq!(decision, RetryDecision::Retried);
        assert!(pause > Duration::ZERO && pause <= LONGEST_PAUSE * 2, "{pause:?}");
        assert_eq!(attempts.next(&broken(true), &budget, Next::Elsewhere).0, RetryDecision::AttemptsUsedUp);
    }

    #[test]
    fn an_empty_budget_keeps_what_reached_the_service_from_a_second_attempt() {
        let budget = RetryBudget::new(Instant::now());
        while budget.spend(Instant::now()) {}
        let next = |ended| {
            Attempts::new(&Method::GET, false, Instant::now() + SECOND).next(&ended, &budget, Next::Elsewhere).0
        };
        assert_eq!(next(broken(false)), RetryDecision::BudgetEmpty);
        assert_eq!(next(broken(true)), RetryDecision::Retried);
        let mut attempts = Attempts::new(&Method::GET, false, Instant::now() + SECOND);
        assert_eq!(attempts.next(&broken(false), &budget, Next::AfterProbe).0, RetryDecision::Retried);
    }
}
