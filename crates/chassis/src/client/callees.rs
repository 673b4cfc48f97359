//! The services that a service may call, by name: those that its room calls itself, and those that the configuration
//! names. Whoever asks for a call by name ([`crate::http`], `POST /call/{service_name}`) reaches these and no others.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;

use super::{CallEncryption, CallLimits, NoClient, Places, ServiceClient, ServiceUrls, Surroundings};
use crate::config::ConsumerService;
use crate::telemetry::metrics::Metrics;
use crate::tls::Tls;

/// How long a call may take that somebody asks for by name, where `CONSUMER_SERVICES` says nothing else.
pub const DEFAULT_CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How often services are looked for of which nothing was heard.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// For how long nothing was heard of an endpoint before it is asked whether it is alive.
const UNHEARD_FOR: Duration = Duration::from_secs(10);

type ByName = BTreeMap<Arc<str>, ServiceClient>;

/// The services that a service may call. Cheap to clone; clones are one register, which may change while the service
/// runs.
#[derive(Debug, Clone)]
pub struct Callees {
    own_name: Arc<str>,
    metrics: Metrics,
    encryption: Arc<CallEncryption>,
    tls: Option<Arc<Tls>>,
    clients: Arc<RwLock<ByName>>,
    /// Where `CONSUMER_SERVICES` said last that each is.
    said: Arc<Mutex<BTreeMap<String, ServiceUrls>>>,
}

impl Callees {
    /// None yet, of the service of this name, which counts its calls there, makes them over `https` with these
    /// certificates, and encrypts them so.
    pub(crate) fn new(
        own_name: Arc<str>,
        metrics: Metrics,
        tls: Option<Arc<Tls>>,
        encryption: Arc<CallEncryption>,
    ) -> Self {
        Self { own_name, metrics, tls, encryption, clients: Arc::default(), said: Arc::default() }
    }

    /// A client of another service, as this service calls it: with the certificates of the process, and encrypted as
    /// the system does or that service wants. It is not one of these yet.
    ///
    /// # Errors
    /// [`NoClient`], for an address of `https` alone.
    pub fn client(
        &self,
        service: impl Into<Arc<str>>,
        places: impl Into<Places>,
        limits: CallLimits,
    ) -> Result<ServiceClient, NoClient> {
        let surroundings = Surroundings { tls: self.tls.clone(), ..Surroundings::default() };
        let client = ServiceClient::within(surroundings, service.into(), places.into(), limits, &self.metrics)?;
        Ok(client.encrypted(Arc::clone(&self.encryption)))
    }

    /// Adds a service, in the place of one of that name. The limits of its client are those of a call by name.
    pub fn insert(&self, client: ServiceClient) {
        self.write().insert(Arc::clone(client.service()), client);
    }

    /// Adds a service by its place, unless it is known already: then calls of it by name may take so long from now on. No
    /// service calls itself.
    ///
    /// # Errors
    /// [`NoClient`].
    pub fn discover(&self, name: &str, places: impl Into<Places>, timeout: Duration) -> Result<(), NoClient> {
        if *name == *self.own_name {
            return Ok(());
        }
        let limits = CallLimits { timeout, ..CallLimits::default() };
        self.insert(match self.get(name) {
            Some(known) => known.with_limits(limits),
            None => self.client(name, places, limits)?,
        });
        Ok(())
    }

    /// Takes what `CONSUMER_SERVICES` says. Services whose place something else says stay where they are, and those that it
    /// no longer names where they were: somebody may be calling them. The first entry of a name says how long to wait.
    ///
    /// # Errors
    /// The last [`NoClient`]. All others count.
    pub fn update(&self, services: &[ConsumerService]) -> Result<(), NoClient> {
        let mut updated = Ok(());
        for (index, service) in services.iter().enumerate() {
            let is_first = services.iter().take(index).all(|earlier| earlier.name != service.name);
            let Some(urls) = ConsumerService::place_of(&service.name, services).filter(|_| is_first) else { continue };
            self.encryption.say(&service.name, service.encryption);
            let said =
                self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(service.name.clone(), urls.clone());
            if let Some(client) = self.get(&service.name).filter(|client| said == Some(client.places().urls())) {
                client.places().change(urls.clone());
            }
            updated = updated.and(self.discover(&service.name, urls, service.call_timeout()));
        }
        updated
    }

    /// Adds a service that the room calls: over the same connections and circuits. What a room waits for while its
    /// own caller waits is often short, so a call by name has another time limit.
    pub fn share(&self, client: &ServiceClient) {
        self.insert(client.with_limits(CallLimits { timeout: DEFAULT_CALL_TIMEOUT, ..CallLimits::default() }));
    }

    /// The service of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<ServiceClient> {
        self.read().get(name).cloned()
    }

    /// All of them, in the order of their names.
    #[must_use]
    pub fn all(&self) -> Vec<ServiceClient> {
        self.read().values().cloned().collect()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.read().len()
    }

    /// Asks those of which nothing was heard for a while whether they are alive, so that what is told of them is true
    /// of now and not of their last call.
    pub(crate) async fn keep_probed(&self) -> Infallible {
        loop {
            sleep(PROBE_INTERVAL).await;
            let all = self.all();
            join_all(all.iter().map(|client| client.probe_idle(UNHEARD_FOR))).await;
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, ByName> {
        self.clients.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, ByName> {
        self.clients.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(name: &str, timeout: Duration) -> ServiceClient {
        let limits = CallLimits { timeout, max_answer_bytes: 10 };
        let nowhere: ServiceUrls = "http://127.0.0.1:1".parse().unwrap();
        ServiceClient::new(name, nowhere, limits, &Metrics::new("order-service", "1")).unwrap()
    }

    fn callees() -> Callees {
        let encryption = CallEncryption::new("order-service", None);
        Callees::new("order-service".into(), Metrics::new("order-service", "1"), None, encryption)
    }

    fn named(name: &str, endpoint: &str, timeout: f64) -> ConsumerService {
        let (name, endpoint, scheme) = (name.into(), endpoint.into(), "http".into());
        ConsumerService { name, endpoint, port: 80, timeout, scheme, encryption: None }
    }

    #[tokio::test]
    async fn there_is_one_service_of_a_name_and_the_last_one_counts() {
        let callees = callees();
        let second = Duration::from_secs(1);
        for (name, timeout) in [("b", second), ("a", second), ("b", second * 2)] {
            callees.insert(client(name, timeout));
        }
        let names: Vec<_> = callees.all().iter().map(|client| client.service().to_string()).collect();
        assert_eq!((names, callees.count()), (vec!["a".to_owned(), "b".to_owned()], 2));
        assert_eq!(callees.get("b").unwrap().limits().timeout, second * 2);
        assert!(callees.get("c").is_none());
        callees.clone().insert(client("c", second));
        assert!(callees.get("c").is_some(), "a clone is the same register");
    }

    #[tokio::test]
    async fn a_call_by_name_has_a_time_limit_of_its_own() {
        let callees = callees();
        let own = client("user-service", Duration::from_millis(10));
        callees.share(&own);
        let limits = CallLimits { timeout: DEFAULT_CALL_TIMEOUT, max_answer_bytes: 1 << 20 };
        assert_eq!(callees.get("user-service").unwrap().limits(), limits);
        assert_eq!(own.limits().timeout, Duration::from_millis(10));
    }

    #[tokio::test]
    async fn services_follow_the_setting_that_said_where_they_are() {
        let callees = callees();
        let said = [named("a", "10.0.0.1", 1.0), named("b", "10.0.0.2", 1.0), named("order-service", "10.0.0.3", 1.0)];
        callees.update(&said).unwrap();
        let own = client("c", Duration::from_secs(1));
        callees.share(&own);
        let a = callees.get("a").unwrap();
        let now = [named("a", "10.0.0.7", 5.0), named("a", "10.0.0.8", 9.0), named("c", "10.0.0.9", 1.0)];
        callees.update(&now).unwrap();
        let place = |name: &str| callees.get(name).unwrap().places().urls().to_string();
        assert_eq!(place("a"), "http://10.0.0.7,http://10.0.0.8");
        assert_eq!(a.places().urls().to_string(), place("a"), "whoever had it before sees it too");
        assert_eq!(callees.get("a").unwrap().limits().timeout, Duration::from_secs(5));
        assert_eq!(place("b"), "http://10.0.0.2", "it may be called still");
        assert_eq!(place("c"), "http://127.0.0.1:1", "something else says where it is");
        assert!(callees.get("order-service").is_none());
        callees.update(&[named("b", "10.0.0.20", 1.0)]).unwrap();
        assert_eq!(place("b"), "http://10.0.0.20", "it is back");
    }
}
