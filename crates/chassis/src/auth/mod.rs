//! Who may do what: the API token of ingest, users' tokens, services' identities, passwords and who guesses at them.

mod access;
mod allowed;
mod api_token;
mod certificate;
mod compare;
mod guesses;
mod identity;
mod passwords;
mod service_token;
mod spiffe;
mod tokens;

pub use access::{Access, Caller};
pub use allowed::{AllowedIdentities, NoAllowedIdentities};
pub use api_token::{ApiToken, Verdict};
pub use certificate::CertificateAuthenticator;
pub(crate) use certificate::expires_at;
pub(crate) use compare::is_same;
pub use guesses::{Attempt, GuessLimits};
pub use identity::{IDENTITY_HEADER, ServiceAuthenticator, ServiceIdentity, Unverified};
pub use passwords::{Check, PasswordError, PasswordHash, PasswordHasher, PoolSize, Weakness, weakness_of};
pub use service_token::{FreshToken, NoToken, SERVICE_TOKEN_LIFETIME, ServiceToken, ServiceTokens, TokenSource};
pub use spiffe::{NoSpiffeId, SpiffeId};
pub use tokens::{
    Claims, IssueError, Jwks, KeyError, KeyRing, MAX_TOKEN_BYTES, Parties, Refusal, RemoteKeys, SERVICE_SCOPE,
    SigningKey, TokenIssuer, TokenKeys, TokenVerifier, Verification,
};
