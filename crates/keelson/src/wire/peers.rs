//! How services of the system find each other, and what they know each other's tokens by.

use std::net::SocketAddr;
use std::sync::Arc;

use backends::aws::identity::{RoleAuthenticator, RoleTokens};
use chassis::auth::{RemoteKeys, ServiceAuthenticator, ServiceToken, ServiceTokens, TokenVerifier};
use chassis::client::{CallLimits, DEFAULT_CALL_TIMEOUT, NoClient, NoServiceUrl, ServiceUrls};
use chassis::config::ConsumerService;
use chassis::service::{Context, Identity, Service};
use chassis::telemetry::metrics::Metrics;

use super::secrets::{refers_to_keys, refresh_keys, token_issuer};
use super::{Stores, identity};
use crate::cli::ServiceName;
use crate::failure::Failure;
use crate::run_file::url;
use crate::settings::{Settings, ShownIdentity};

/// Where services are that others call: where the settings say, or else in this process.
#[derive(Debug)]
pub(crate) struct Peers {
    /// Each service of the system whose place is known.
    known: Vec<(ServiceName, ServiceUrls)>,
    /// What services of this process show others.
    tokens: Option<ServiceTokens>,
}

impl Peers {
    /// Those of the settings, and those whose ports this process has taken.
    pub(crate) fn new(settings: &Settings, own: &[(ServiceName, SocketAddr)]) -> Result<Self, Failure> {
        let failed = |error: NoServiceUrl| Failure::failed(error.to_string());
        let (scheme, mut known) = (settings.chassis.tls.scheme(), Vec::new());
        for &name in ServiceName::ALL {
            let taken = own.iter().find(|(own, _)| *own == name).map(|(_, address)| url(scheme, *address));
            let place = match (said(settings, name), taken) {
                (Some(said), _) => said,
                (None, Some(url)) => url.parse::<ServiceUrls>().map_err(failed)?,
                (None, None) => continue,
            };
            known.push((name, place));
        }
        Ok(Self { known, tokens: None })
    }

    /// The same, and services show each other tokens: of their own where there is a key to sign them with, or those
    /// that users gives the process for a proof of its role.
    pub(crate) fn showing_tokens(
        mut self,
        settings: &Settings,
        stores: &Stores,
        context: &Context,
    ) -> Result<Self, Failure> {
        let is_proved = settings.shown_identity == ShownIdentity::Aws && stores.users.is_none();
        let users = self.place_of(ServiceName::Users);
        self.tokens = match (is_proved, users, &stores.keys) {
            (true, Some(users), _) => Some(ServiceTokens::Shared(tokens_of_role(settings, users, context)?)),
            (false, _, Some(keys)) => Some(ServiceTokens::Issued(token_issuer(settings, keys, context))),
            _ => None,
        };
        Ok(self)
    }

    /// What a service of this process shows others, where it has something to show.
    pub(super) fn tokens(&self) -> Option<ServiceTokens> {
        self.tokens.clone()
    }

    /// Lets callers of a service reach the others by their names: those whose place is known here, and those that
    /// `CONSUMER_SERVICES` names, which also says how long a call may take.
    pub(super) fn introduce(&self, name: ServiceName, service: &Service, settings: &Settings) -> Result<(), NoClient> {
        for (other, place) in self.known.iter().filter(|(other, _)| *other != name) {
            service.callees().discover(identity(*other).name, place.clone(), DEFAULT_CALL_TIMEOUT)?;
        }
        service.callees().update(&settings.chassis.consumer_services)
    }

    /// Where a service is, where that is known.
    pub(super) fn place_of(&self, name: ServiceName) -> Option<ServiceUrls> {
        self.known.iter().find(|(known, _)| *known == name).map(|(_, place)| place.clone())
    }
}

/// Where the settings say that a service is.
fn said(settings: &Settings, name: ServiceName) -> Option<ServiceUrls> {
    match name {
        ServiceName::Users => settings.users_at.clone(),
        ServiceName::Analytics => settings.analytics_at.clone(),
        _ => ConsumerService::place_of(identity(name).name, &settings.chassis.consumer_services),
    }
}

/// One for the process, of users at this place. Its exchanges are no calls of one service, and are counted nowhere.
fn tokens_of_role(settings: &Settings, users: ServiceUrls, context: &Context) -> Result<ServiceToken, Failure> {
    let nobody = Service::new(Identity { name: "keelson", short_name: "keelson", about: "The process." }, context);
    let client = nobody.callees().client(users::IDENTITY.name, users, CallLimits::default());
    let client = client.map_err(|error| Failure::failed(error.to_string()))?;
    let tokens = RoleTokens::new(Arc::clone(&settings.aws), Arc::clone(&context.clock), &client)?;
    Ok(ServiceToken::new(Arc::new(tokens), Arc::clone(&context.clock)))
}

/// Knows the services that users gives tokens, where there are any.
pub(super) fn service_authenticator(
    settings: &Settings,
    context: &Context,
) -> Result<Option<Arc<dyn ServiceAuthenticator>>, Failure> {
    let roles = settings.allowed_roles.clone();
    if roles.is_empty() {
        return Ok(None);
    }
    let (name, clock) = (users::IDENTITY.name, Arc::clone(&context.clock));
    let metrics = Metrics::new(name, &context.version);
    Ok(Some(Arc::new(RoleAuthenticator::new(settings.aws.settings(), name, roles, clock, &metrics)?)))
}

/// Verifies users' tokens where there is something to verify them with: the keys of this process, or those that users
/// publishes. The first service keeps them fresh.
pub(crate) fn token_verifier(
    settings: &Settings,
    stores: &Stores,
    peers: &Peers,
    services: &mut [Service],
    context: &Context,
) -> Result<Option<Arc<TokenVerifier>>, Failure> {
    let (parties, clock) = (settings.chassis.tokens.parties.clone(), Arc::clone(&context.clock));
    let first = services.first_mut();
    if let Some(keys) = &stores.keys {
        if let (Some(first), true) = (first, refers_to_keys(settings)) {
            let refreshing = refresh_keys(settings.clone(), Arc::clone(keys));
            first.add_worker("token-keys", |lifecycle| async move {
                lifecycle.draining().run_until_cancelled(refreshing).await;
            });
        }
        return Ok(Some(Arc::new(TokenVerifier::new(Arc::clone(keys), parties, clock))));
    }
    let (Some(url), Some(first)) = (peers.place_of(ServiceName::Users), first) else { return Ok(None) };
    let client = match first.callees().get(users::IDENTITY.name) {
        Some(known) => Ok(known.with_limits(CallLimits::default())),
        None => first.callees().client(users::IDENTITY.name, url, CallLimits::default()),
    };
    let keys = RemoteKeys::new(client.map_err(|error| Failure::failed(error.to_string()))?, Arc::clone(&clock));
    let fresh = Arc::clone(&keys);
    first.add_worker("token-keys", |lifecycle| fresh.keep_fresh(lifecycle));
    Ok(Some(Arc::new(TokenVerifier::of_issuer(keys, parties, clock))))
}
