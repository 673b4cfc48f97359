//! How services of the system find each other, and what they know each other's tokens by.

use std::net::SocketAddr;
use std::sync::Arc;

use chassis::auth::{RemoteKeys, TokenVerifier};
use chassis::client::{CallLimits, NoServiceUrl, ServiceClient, ServiceUrls};
use chassis::service::{Context, Service};

use super::Stores;
use super::secrets::{refers_to_keys, refresh_keys};
use crate::cli::ServiceName;
use crate::failure::Failure;
use crate::run_file::url;
use crate::settings::Settings;

/// Where services are that others call: where the settings say, or else in this process.
#[derive(Debug)]
pub(crate) struct Peers {
    pub(crate) users: Option<ServiceUrls>,
    pub(crate) analytics: Option<ServiceUrls>,
}

impl Peers {
    /// Those of the settings, and those whose ports this process has taken.
    pub(crate) fn new(settings: &Settings, own: &[(ServiceName, SocketAddr)]) -> Result<Self, Failure> {
        let find = |said: &Option<ServiceUrls>, name| match said {
            Some(said) => Ok(Some(said.clone())),
            None => own.iter().find(|(own, _)| *own == name).map(|(_, address)| url(*address).parse()).transpose(),
        };
        let failed = |error: NoServiceUrl| Failure::failed(error.to_string());
        Ok(Self {
            users: find(&settings.users_at, ServiceName::Users).map_err(failed)?,
            analytics: find(&settings.analytics_at, ServiceName::Analytics).map_err(failed)?,
        })
    }
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
                tokio::select! {
                    never = refreshing => match never {},
                    () = lifecycle.draining().cancelled() => {}
                }
            });
        }
        return Ok(Some(Arc::new(TokenVerifier::new(Arc::clone(keys), parties, clock))));
    }
    let (Some(url), Some(first)) = (peers.users.clone(), first) else { return Ok(None) };
    let client = ServiceClient::new(users::IDENTITY.name, url, CallLimits::default(), first.metrics());
    let keys = RemoteKeys::new(client.map_err(|error| Failure::failed(error.to_string()))?, Arc::clone(&clock));
    let fresh = Arc::clone(&keys);
    first.add_worker("token-keys", |lifecycle| fresh.keep_fresh(lifecycle));
    Ok(Some(Arc::new(TokenVerifier::of_issuer(keys, parties, clock))))
}
