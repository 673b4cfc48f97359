//! A key that tells whether a token was signed with it.

use jsonwebtoken::{Algorithm, DecodingKey};

use super::compact::Compact;

/// Has one algorithm, whatever a token claims (RFC 8725, section 3.1).
#[derive(Clone)]
pub(super) struct VerifyingKey {
    pub(super) kid: String,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

impl VerifyingKey {
    pub(super) fn is_for(&self, token: &Compact<'_>) -> bool {
        token.claims_algorithm(self.algorithm)
    }

    pub(super) fn has_signed(&self, token: &Compact<'_>) -> bool {
        let message = token.message.as_bytes();
        jsonwebtoken::crypto::verify(token.signature, message, &self.key, self.algorithm).unwrap_or(false)
    }
}
