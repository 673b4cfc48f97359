//! Users' tokens: JWTs (RFC 7519) that one service signs and all services verify, by the rules of RFC 8725.
//!
//! [`SigningKey`] is made of a text, [`KeyRing`] holds the present key and the one before it, [`TokenKeys`] the ring
//! that counts now. [`TokenIssuer`] signs with it, [`TokenVerifier`] judges, [`Jwks`] is what others may know of it,
//! and [`RemoteKeys`] fetches that.
//! Where a request carries its token, and which routes need one, is the edge's.

mod claims;
mod compact;
mod issuer;
mod jwks;
mod key_ring;
mod keys;
mod published;
mod remote_keys;
mod signing_key;
#[cfg(test)]
mod tests;
mod verified;
mod verifier;
mod verifying_key;
mod verifying_keys;

pub use claims::{Claims, Parties, SERVICE_SCOPE};
pub(crate) use issuer::is_scope;
pub use issuer::{IssueError, TokenIssuer};
pub use jwks::Jwks;
pub use key_ring::KeyRing;
pub use keys::TokenKeys;
pub use remote_keys::RemoteKeys;
pub use signing_key::{KeyError, SigningKey};
pub use verifier::{Refusal, TokenVerifier, Verification};

/// Bytes of the longest token: a longer one is refused before anything of it is read, and is not issued either.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;
