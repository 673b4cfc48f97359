//! The services behind the gateway, and how each is called.

use std::sync::Arc;

use chassis::client::{Callees, DEFAULT_CALL_TIMEOUT, NoClient, Places, ServiceClient};
use chassis::error::{Error, Kind};
use chassis::health::Check;
use chassis::service::{Context, Service};
use http::HeaderMap;
use tracing::warn;

use crate::model::Hop;

/// Where the services are behind the gateway. Where one is `None`, nobody said that: its routes answer 503 until somebody does.
#[derive(Debug, Default)]
pub struct Parts {
    /// `user-service`.
    pub users: Option<Places>,
    /// `order-service`.
    pub orders: Option<Places>,
    /// `analytics-service`.
    pub analytics: Option<Places>,
    /// `ingest`.
    pub ingest: Option<Places>,
}

/// A service as routes lead to it.
#[derive(Debug)]
pub(crate) struct Destination {
    name: &'static str,
    /// What is passed on and what is called by name (`/call`) go the same way, and a service may turn up later.
    callees: Callees,
    pub(crate) hop: Arc<Hop>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Destinations {
    pub(crate) users: Arc<Destination>,
    pub(crate) orders: Arc<Destination>,
    pub(crate) analytics: Arc<Destination>,
    pub(crate) ingest: Arc<Destination>,
}

impl Destination {
    /// As the service is called everywhere.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Who calls the service, for a request with these headers.
    ///
    /// # Errors
    /// 503 where nobody said where it is, or where that turned out to be this gateway.
    pub(crate) fn client(&self, headers: &HeaderMap) -> Result<ServiceClient, Error> {
        let unavailable = |cause: &'static str| {
            let text = format!("{} unavailable", self.name);
            Err(Error::new(Kind::Unavailable, text).caused_by(cause))
        };
        if self.hop.has_passed(headers) {
            return unavailable("the request was here before: an address of a service is that of this gateway");
        }
        self.callees.get(self.name).map_or_else(|| unavailable("nobody said where it is"), Ok)
    }
}

impl Destinations {
    pub(crate) fn new(parts: Parts, context: &Context, service: &Service) -> Result<Self, NoClient> {
        let speaks_tls = context.tls.as_ref().is_some_and(|tls| tls.is_served());
        let hop = Arc::new(Hop::new(&context.process, speaks_tls));
        let to = |name: &'static str, places: Option<Places>| -> Result<Arc<Destination>, NoClient> {
            let (callees, hop) = (service.callees().clone(), Arc::clone(&hop));
            if let Some(places) = places {
                callees.discover(name, places, DEFAULT_CALL_TIMEOUT)?;
            }
            Ok(Arc::new(Destination { name, callees, hop }))
        };
        Ok(Self {
            users: to("user-service", parts.users)?,
            orders: to("order-service", parts.orders)?,
            analytics: to("analytics-service", parts.analytics)?,
            ingest: to("ingest", parts.ingest)?,
        })
    }

    /// Says once, at the start, which routes lead nowhere.
    pub(crate) fn warn_of_unknown(&self) {
        let unknown: Vec<_> =
            self.all().filter(|to| to.callees.get(to.name).is_none()).map(Destination::name).collect();
        if !unknown.is_empty() {
            warn!(
                "nobody said where these are, so their routes answer 503: {} (CONSUMER_SERVICES names them)",
                unknown.join(", ")
            );
        }
    }

    /// Whether each service is alive. Without one the gateway still serves the others.
    pub(crate) fn checks(&self) -> impl Iterator<Item = Check> {
        self.all().filter_map(|to| to.callees.get(to.name).map(|client| client.check(to.name)))
    }

    fn all(&self) -> impl Iterator<Item = &Destination> {
        [&self.users, &self.orders, &self.analytics, &self.ingest].into_iter().map(Arc::as_ref)
    }
}
