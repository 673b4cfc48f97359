//! From the name of a service to its addresses, over DNS.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::proto::rr::rdata::SRV;
use tokio::time::Instant;
use url::Host;

use super::ServiceUrl;

/// A query that nobody answers for so long is sent again.
const QUERY_TIMEOUT: Duration = Duration::from_secs(1);
/// How often it is sent again.
const REPEATED: usize = 1;
/// For how long an answer is believed, whatever it says: shorter would ask for every call, longer would take what is
/// long gone for true.
const SHORTEST_LIFE: Duration = Duration::from_secs(1);
const LONGEST_LIFE: Duration = Duration::from_secs(60);
/// Addresses of one name. More are not called.
const MOST_ADDRESSES: usize = 256;

/// Asks the name servers of the system.
#[derive(Debug)]
pub(super) struct Resolver(TokioResolver);

/// Why nothing was found.
#[derive(Debug, Clone)]
pub(super) struct Unfound {
    pub(super) cause: String,
    /// A name server says that there is nothing.
    pub(super) is_denied: bool,
}

impl Unfound {
    /// For this moment.
    pub(super) fn now(cause: String) -> Self {
        Self { cause, is_denied: false }
    }

    fn denied(cause: &str) -> Self {
        Self { cause: cause.to_owned(), is_denied: true }
    }

    /// The same, with what was looked up.
    pub(super) fn of(self, name: &str) -> Self {
        Self { cause: format!("`{name}`: {}", self.cause), ..self }
    }
}

impl From<NetError> for Unfound {
    fn from(error: NetError) -> Self {
        Self { is_denied: error.is_no_records_found(), cause: error.to_string() }
    }
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) addresses: Vec<SocketAddr>,
    /// Until when.
    pub(super) until: Instant,
}

impl Resolver {
    /// Asks those that the system names (`/etc/resolv.conf`, and first of all `/etc/hosts`), or these.
    pub(super) fn new(servers: Option<&ResolverConfig>) -> Result<Self, String> {
        let text = |error: NetError| error.to_string();
        let mut builder = match servers {
            Some(servers) => TokioResolver::builder_with_config(servers.clone(), TokioRuntimeProvider::default()),
            None => TokioResolver::builder_tokio().map_err(text)?,
        };
        let options = builder.options_mut();
        // Whoever asks again wants to know what is true now.
        options.cache_size = 0;
        options.timeout = QUERY_TIMEOUT;
        options.attempts = REPEATED;
        // Both would count a replica twice that has both.
        options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
        Ok(Self(builder.build().map_err(text)?))
    }

    /// Where the service of this URL is. A host that begins with `_`, as no host does, is the name of a service record
    /// (RFC 2782), which tells ports too; of its records those with the lowest priority count.
    pub(super) async fn find(&self, url: &ServiceUrl) -> Result<Found, Unfound> {
        match url.url().host() {
            Some(Host::Domain(name)) if name.starts_with('_') => self.service(name).await,
            Some(Host::Domain(name)) => self.host(name, url.port()).await,
            _ => url.address().map(Found::for_good).ok_or_else(|| Unfound::denied("it has no host")),
        }
    }

    async fn host(&self, name: &str, port: u16) -> Result<Found, Unfound> {
        let found = self.0.lookup_ip(name).await?;
        let until = until(found.valid_until());
        let addresses = found.iter().map(|ip| SocketAddr::new(ip, port)).collect();
        Found { addresses, until }.unless_empty()
    }

    async fn service(&self, name: &str) -> Result<Found, Unfound> {
        let found = self.0.srv_lookup(name).await?;
        let records = || {
            found.answers().iter().filter_map(|record| match &record.data {
                RData::SRV(record) => Some(record),
                _ => None,
            })
        };
        let first = records().map(|record| record.priority).min();
        let mut all = Found { addresses: Vec::new(), until: until(found.valid_until()) };
        let mut failed = None;
        for SRV { target, port, .. } in records().filter(|record| Some(record.priority) == first).take(MOST_ADDRESSES) {
            match self.host(&target.to_string(), *port).await {
                Ok(host) => {
                    all.addresses.extend(host.addresses);
                    all.until = all.until.min(host.until);
                }
                Err(unfound) => failed = Some(unfound.of(&target.to_string())),
            }
        }
        match failed {
            // Of some nothing is known at the moment: better those of before.
            Some(unfound) if all.addresses.is_empty() || !unfound.is_denied => Err(unfound),
            _ => all.unless_empty(),
        }
    }
}

impl Found {
    /// An address that is one.
    pub(super) fn for_good(address: SocketAddr) -> Self {
        // The end of time would be past what the clock can tell.
        Self { addresses: vec![address], until: Instant::now() + Duration::from_secs(u64::from(u32::MAX)) }
    }

    fn unless_empty(mut self) -> Result<Self, Unfound> {
        // Name servers tell them in another order each time.
        self.addresses.sort_unstable();
        self.addresses.dedup();
        self.addresses.truncate(MOST_ADDRESSES);
        if self.addresses.is_empty() { Err(Unfound::denied("the name has no address")) } else { Ok(self) }
    }
}

fn until(valid_until: std::time::Instant) -> Instant {
    let now = Instant::now();
    let life = valid_until.saturating_duration_since(now.into_std());
    now + life.clamp(SHORTEST_LIFE, LONGEST_LIFE)
}
