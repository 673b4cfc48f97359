//! Accounts: users as other services see them, and people who register, log in and look at their profile.
//!
//! [`model`] holds the rules, without I/O; [`store`] is the port behind which users are kept.

mod error;
mod events;
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
use std::time::{Duration, Instant};

use chassis::auth::{
    GuessLimits, PasswordHasher, PoolSize, ServiceAuthenticator, ServiceTokens, TokenIssuer, TokenKeys,
};
use chassis::client::{NoClient, ServiceUrls};
use chassis::health::{Check, Need};
use chassis::http::Idempotency;
use chassis::outbox::{Reporter, ServiceSink};
use chassis::ports::Outbox;
use chassis::service::{Context, Identity, Service};
use thiserror::Error;
use tokio::sync::Mutex;

pub use memory::MemoryUsers;
use metrics::UserMetrics;
use model::UserCounts;
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
    /// Their events, which the store writes.
    pub outbox: Arc<dyn Outbox>,
    /// Where analytics is, which is told of them. Without it they are not even written.
    pub analytics: Option<ServiceUrls>,
    /// How many passwords are hashed at once.
    pub hashing: PoolSize,
    /// How long answers to requests with a key are kept.
    pub answer_lifetime: Duration,
    /// The keys whose public halves are published.
    pub keys: Arc<TokenKeys>,
    /// Signs the tokens of those who log in, and of services.
    pub issuer: TokenIssuer,
    /// Tells which service asks for a token. Without it none gets one.
    pub authenticator: Option<Arc<dyn ServiceAuthenticator>>,
}

/// What the handlers work with.
#[derive(Debug)]
struct Users {
    store: Arc<dyn UserStore>,
    keys: Arc<TokenKeys>,
    issuer: TokenIssuer,
    authenticator: Option<Arc<dyn ServiceAuthenticator>>,
    reporter: Reporter,
    hasher: PasswordHasher,
    idempotency: Idempotency,
    /// The last count, and when it began.
    counted: Mutex<Option<(Instant, UserCounts)>>,
    guesses: GuessLimits,
    context: Context,
    metrics: UserMetrics,
}

/// Why the service cannot be built.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The system gives no threads.
    #[error("no threads to hash passwords on: {0}")]
    Threads(#[from] io::Error),
    /// Analytics cannot be called.
    #[error(transparent)]
    Analytics(#[from] NoClient),
}

/// Builds the service.
///
/// # Errors
/// [`BuildError`].
pub fn service(parts: Parts, context: &Context) -> Result<Service, BuildError> {
    let service = Service::new(IDENTITY, context);
    let Parts { store, outbox, analytics, hashing, answer_lifetime, keys, issuer, authenticator } = parts;
    let tokens = ServiceTokens::Issued(issuer.clone());
    let sink = analytics.map(|url| ServiceSink::connect(&events::ROUTE, url, Some(&tokens), &service)).transpose()?;
    let (reporter, relay) = chassis::outbox::connect(&service, context, outbox, sink);
    let users = Arc::new(Users {
        store: Arc::clone(&store),
        keys,
        issuer,
        authenticator,
        reporter,
        hasher: PasswordHasher::start(hashing, service.metrics())?,
        counted: Mutex::default(),
        idempotency: Idempotency::new(answer_lifetime, Arc::clone(&context.clock)),
        guesses: GuessLimits::new(Arc::clone(&context.clock)),
        context: context.clone(),
        metrics: UserMetrics::register(service.metrics()),
    });
    let forgetful = Arc::clone(&store);
    let service = service.routes(routes::routes().with_state(users)).outbox(relay).expired_answers(move |now| {
        let store = Arc::clone(&forgetful);
        async move { store.forget_answers(now).await.map_err(|error| error.to_string()) }
    });
    Ok(service.check(Check::new("store", Need::Required, move || {
        let store = Arc::clone(&store);
        async move { store.ping().await.map_err(|error| error.to_string()) }
    })))
}
