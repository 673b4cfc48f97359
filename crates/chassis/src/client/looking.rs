//! What whoever looks up where a service is works with, and remembers until the next time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::resolve::{Found, Resolver, Unfound};
use super::transport::{Origin, Trust};
use super::{ServiceUrl, ServiceUrls, Surroundings};

/// How soon a name is looked up again whose look-up failed, or whose addresses are in doubt.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// How long a service is still called where it was after a name server said that it is nowhere.
const BELIEVED: Duration = Duration::from_secs(60);

/// One looks at a time.
#[derive(Debug)]
pub(super) struct Looking {
    surroundings: Surroundings,
    /// Made when the first name is looked up: what is an address needs none.
    resolver: Option<Resolver>,
    /// Made when the first endpoint is called over TLS, for the same reason.
    trust: Option<Trust>,
    plain: Trust,
    known: Vec<Known>,
    /// Of the places that `known` is about.
    version: Option<u64>,
    at: Option<Instant>,
}

/// What a URL stands for.
#[derive(Debug)]
struct Known {
    url: ServiceUrl,
    found: Found,
    /// When a name server said so.
    at: Instant,
}

impl Looking {
    /// With nothing known.
    ///
    /// # Errors
    /// A service is called over TLS, and the system trusts nobody.
    pub(super) fn new(is_encrypted: bool, surroundings: Surroundings) -> Result<Self, rustls::Error> {
        Ok(Self {
            trust: is_encrypted.then(|| Trust::of(surroundings.tls.as_deref())).transpose()?,
            surroundings,
            resolver: None,
            plain: Trust::nobody()?,
            known: Vec::new(),
            version: None,
            at: None,
        })
    }

    /// Whether there is something to find out that nobody did since `now`, or less than `rest` before.
    pub(super) fn is_needed(&self, version: u64, now: Instant, rest: Duration) -> bool {
        let has_only_addresses = !self.known.is_empty() && self.known.iter().all(|it| it.url.address().is_some());
        let is_fresh = has_only_addresses || self.at.is_some_and(|at| at + rest >= now);
        self.version != Some(version) || !is_fresh
    }

    /// Looks all of them up. Answers until when that holds, and what could not be found out.
    pub(super) async fn look_up(&mut self, urls: &ServiceUrls, version: u64) -> (Instant, Option<String>) {
        let found = self.find_all(urls.iter()).await;
        let failed = found.iter().find_map(|(_, found)| found.as_ref().err().map(|unfound| unfound.cause.clone()));
        if failed.is_some() {
            // The system may name others by now.
            self.resolver = None;
        }
        let (now, old) = (Instant::now(), std::mem::take(&mut self.known));
        let known = found.into_iter().filter_map(|(url, found)| match found {
            Ok(found) => Some(Known { url, found, at: now }),
            Err(unfound) => old.iter().find(|known| known.url == url)?.still(&unfound, now),
        });
        self.known = known.collect();
        (self.version, self.at) = (Some(version), Some(now));
        let until = self.known.iter().map(|known| known.found.until).min();
        let retry = failed.is_some().then_some(now + PATIENCE);
        (until.into_iter().chain(retry).min().unwrap_or(now + PATIENCE), failed)
    }

    /// Each address with the URL that stands for it.
    pub(super) fn places(&self) -> Vec<(ServiceUrl, SocketAddr)> {
        let known = self.known.iter();
        known.flat_map(|known| known.found.addresses.iter().map(|address| (known.url.clone(), *address))).collect()
    }

    async fn find_all<'a>(
        &mut self,
        urls: impl Iterator<Item = &'a ServiceUrl>,
    ) -> Vec<(ServiceUrl, Result<Found, Unfound>)> {
        let mut all = Vec::new();
        for url in urls {
            let found = match url.address() {
                Some(address) => Ok(Found::for_good(address)),
                None => self.find(url).await.map_err(|unfound| unfound.of(&url.authority())),
            };
            all.push((url.clone(), found));
        }
        all
    }

    async fn find(&mut self, url: &ServiceUrl) -> Result<Found, Unfound> {
        let resolver = match self.resolver.take() {
            Some(resolver) => resolver,
            None => Resolver::new(self.surroundings.servers.as_ref()).map_err(Unfound::now)?,
        };
        self.resolver.insert(resolver).find(url).await
    }

    /// A new endpoint.
    pub(super) fn endpoint(&mut self, url: &ServiceUrl, address: SocketAddr) -> Result<Arc<Endpoint>, String> {
        let origin = Origin::new(url.clone(), address)?;
        if !url.is_encrypted() {
            return Ok(Arc::new(Endpoint::new(origin, &self.plain)));
        }
        let trust = match self.trust.take() {
            Some(trust) => trust,
            None => Trust::of(self.surroundings.tls.as_deref()).map_err(|error| error.to_string())?,
        };
        Ok(Arc::new(Endpoint::new(origin, self.trust.insert(trust))))
    }
}

impl Known {
    /// What cannot be looked up is where it was. Who says that there is no such name may be wrong for a moment; later others
    /// may have the addresses.
    fn still(&self, unfound: &Unfound, now: Instant) -> Option<Self> {
        let counts = !unfound.is_denied || self.at + BELIEVED > now;
        let found = Found { until: now + PATIENCE, ..self.found.clone() };
        counts.then(|| Self { url: self.url.clone(), found, at: self.at })
    }
}
