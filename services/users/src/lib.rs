//! Accounts: users as other services see them, and people who register, log in and look at their profile.
//!
//! [`model`] holds the rules, without I/O; [`store`] is the port behind which users are kept.

mod error;
mod handlers;
mod memory;
mod metrics;
pub mod model;
mod routes;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::io;
use std::sync::Arc;

use chassis::auth::{GuessLimits, PasswordHasher, PoolSize, TokenIssuer, TokenKeys};
use chassis::health::{Check, Need};
use chassis::service::{Context, Identity, Service};
use jiff::Timestamp;

pub use memory::MemoryUsers;
use metrics::UserMetrics;
use store::UserStore;

/// Who users is.
pub const IDENTITY: Identity = Identity {
    name: "user-service",
    short_name: "users",
    about: "Keeps accounts; people register, log in and look at their profile.",
};

/// What the service stands on.
#[derive(Debug)]
pub struct Parts {
    /// Where users are kept.
    pub store: Arc<dyn UserStore>,
    /// How many passwords are hashed at once.
    pub hashing: PoolSize,
    /// The keys whose public halves are published.
    pub keys: Arc<TokenKeys>,
    /// Signs the tokens of those who log in.
    pub issuer: TokenIssuer,
}

/// What the handlers work with.
#[derive(Debug)]
struct Users {
    store: Arc<dyn UserStore>,
    keys: Arc<TokenKeys>,
    issuer: TokenIssuer,
    hasher: PasswordHasher,
    guesses: GuessLimits,
    context: Context,
    metrics: UserMetrics,
}

/// Builds the service.
///
/// # Errors
/// When the system gives no threads to hash passwords on.
pub fn service(parts: Parts, context: &Context) -> io::Result<Service> {
    let service = Service::new(IDENTITY, context);
    let Parts { store, hashing, keys, issuer } = parts;
    let users = Arc::new(Users {
        store: Arc::clone(&store),
        keys,
        issuer,
        hasher: PasswordHasher::start(hashing, service.metrics())?,
        guesses: GuessLimits::new(Arc::clone(&context.clock)),
        context: context.clone(),
        metrics: UserMetrics::register(service.metrics()),
    });
    Ok(service.routes(routes::routes().with_state(users)).check(Check::new("store", Need::Required, move || {
        let store = Arc::clone(&store);
        async move { store.ping().await.map_err(|error| error.to_string()) }
    })))
}

impl Users {
    /// The present instant as stores keep it: to the microsecond.
    fn now(&self) -> Timestamp {
        let now = self.context.clock.now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }
}
