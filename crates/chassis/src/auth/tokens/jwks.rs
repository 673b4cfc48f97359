//! Public keys as others fetch them, at `/.well-known/jwks.json`.

use jsonwebtoken::jwk::Jwk;
use serde::Serialize;

/// A JWK set (RFC 7517, section 5) of the keys that verify tokens: `{"keys":[…]}`, each with `kid`, `alg`, `use` and its
/// public numbers (RFC 7518, section 6). Empty when tokens are signed with a secret, which is never in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Jwks {
    keys: Vec<Jwk>,
}

impl Jwks {
    pub(super) fn new(keys: impl Iterator<Item = Jwk>) -> Self {
        Self { keys: keys.collect() }
    }
}
