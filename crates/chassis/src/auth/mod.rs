//! Who may do what: the API token of ingest, users' tokens, and passwords.

mod api_token;
mod compare;
mod passwords;
mod tokens;

pub use api_token::{ApiToken, Verdict};
pub(crate) use compare::is_same;
pub use passwords::{Check, PasswordError, PasswordHash, PasswordHasher, PoolSize, Weakness, is_common, refuse};
pub use tokens::{
    Claims, IssueError, Jwks, KeyError, KeyRing, MAX_TOKEN_BYTES, Parties, Refusal, SigningKey, TokenIssuer, TokenKeys,
    TokenVerifier, Verification,
};
