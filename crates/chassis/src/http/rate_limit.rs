//! A rate limit for each client: a bucket that holds one minute's requests and refills evenly (GCRA). Memory is bounded however many clients there are: the least used are forgotten.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock as GovernorClock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use http::HeaderName;
use quick_cache::sync::Cache;

use crate::clock::Clock;
use crate::error::{Error, Kind};

/// Clients that are remembered at once, some 10 MB.
const MAX_CLIENTS: usize = 65_536;

/// Seconds of the window that headers speak of.
const WINDOW_SECONDS: u64 = 60;

const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

#[derive(Clone)]
struct Monotonic(Arc<dyn Clock>);

impl GovernorClock for Monotonic {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.monotonic().into()
    }
}

/// Who is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Client {
    /// Of a verified token.
    Subject(Box<str>),
    /// Everybody else.
    Network(IpAddr),
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, Monotonic, NoOpMiddleware<Nanos>>;

/// Requests per minute for each client, with bursts of the same size (GCRA).
pub(super) struct ClientLimits {
    pub(super) per_minute: NonZeroU32,
    spare_loopback: bool,
    clock: Monotonic,
    clients: Cache<Client, Arc<Limiter>>,
}

impl ClientLimits {
    pub(super) fn new(per_minute: NonZeroU32, spare_loopback: bool, clock: Arc<dyn Clock>) -> Self {
        Self { per_minute, spare_loopback, clock: Monotonic(clock), clients: Cache::new(MAX_CLIENTS) }
    }

    /// Counts one request from an address, of the subject of a verified token; over the limit, how long to wait.
    pub(super) fn count(&self, address: IpAddr, subject: Option<&str>) -> Result<(), Duration> {
        if self.spare_loopback && address.is_loopback() {
            return Ok(());
        }
        let client = match subject {
            Some(subject) => Client::Subject(subject.into()),
            None => Client::Network(network_of(address)),
        };
        let fresh = || {
            Ok::<_, Infallible>(Arc::new(RateLimiter::direct_with_clock(
                Quota::per_minute(self.per_minute),
                self.clock.clone(),
            )))
        };
        let Ok(limiter) = self.clients.get_or_insert_with(&client, fresh);
        limiter.check().map_err(|early| early.earliest_possible().duration_since(self.clock.now()).into())
    }
}

impl fmt::Debug for ClientLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientLimits").field("per_minute", &self.per_minute).finish_non_exhaustive()
    }
}

/// An IPv6 client commands a whole /64, so that is what counts.
pub(crate) fn network_of(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

/// 429 with the headers of draft-ietf-httpapi-ratelimit-headers-10.
pub(super) fn over_the_limit(limits: &ClientLimits, wait: Duration) -> Error {
    let seconds = wait.as_secs_f64().ceil();
    Error::new(Kind::TooManyRequests, "Rate limit exceeded")
        .retry_after(wait)
        .with_header(RATE_LIMIT_POLICY, &format!("\"default\";q={};w={WINDOW_SECONDS}", limits.per_minute))
        .with_header(RATE_LIMIT, &format!("\"default\";r=0;t={seconds}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ManualClock;

    fn limits(per_minute: u32, clock: &Arc<ManualClock>) -> ClientLimits {
        ClientLimits::new(NonZeroU32::new(per_minute).unwrap(), false, Arc::clone(clock) as Arc<dyn Clock>)
    }

    #[test]
    fn a_client_over_its_limit_waits_and_others_do_not() {
        let clock = ManualClock::new();
        let limits = limits(2, &clock);
        let (one, other) = ("203.0.113.1".parse().unwrap(), "203.0.113.2".parse().unwrap());
        assert!(limits.count(one, None).is_ok() && limits.count(one, None).is_ok());
        let wait = limits.count(one, None).unwrap_err();
        assert!(wait > Duration::from_secs(29) && wait <= Duration::from_secs(30), "{wait:?}");
        assert!(limits.count(other, None).is_ok());
        clock.advance(Duration::from_secs(30));
        assert!(limits.count(one, None).is_ok());
    }

    #[test]
    fn ipv6_clients_count_by_their_network() {
        let limits = limits(1, &ManualClock::new());
        assert!(limits.count("2001:db8::1".parse().unwrap(), None).is_ok());
        assert!(limits.count("2001:db8::ffff".parse().unwrap(), None).is_err());
        assert!(limits.count("2001:db8:0:1::1".parse().unwrap(), None).is_ok());
    }

    #[test]
    fn a_subject_counts_as_itself_wherever_it_is() {
        let limits = limits(1, &ManualClock::new());
        let (here, there) = ("203.0.113.1".parse().unwrap(), "203.0.113.2".parse().unwrap());
        assert!(limits.count(here, Some("ann")).is_ok());
        assert!(limits.count(there, Some("ann")).is_err());
        assert!(limits.count(here, Some("bob")).is_ok() && limits.count(here, None).is_ok());
    }

    #[test]
    fn memory_is_bounded_however_many_clients_there_are() {
        let limits = limits(1, &ManualClock::new());
        for client in 0..200_000_u32 {
            let _ = limits.count(IpAddr::from(client.to_be_bytes()), None);
        }
        assert!(limits.clients.len() <= MAX_CLIENTS);
    }
}
