//! The keys that verify at one time, and what was verified with them: they come and go together, so no token outlives
//! its key in the cache.

use std::fmt;

use super::compact::Compact;
use super::verified::VerifiedTokens;
use super::verifying_key::VerifyingKey;
use super::{Claims, Refusal};

/// No key at all, unless it is made of some.
#[derive(Default)]
pub(super) struct VerifyingKeys {
    keys: Vec<VerifyingKey>,
    /// A hit costs 0.4 µs for a token of 450 bytes, HS256 2.2, RS256 17 and ES256 40 µs.
    pub(super) verified: VerifiedTokens,
}

impl VerifyingKeys {
    pub(super) fn new(keys: Vec<VerifyingKey>) -> Self {
        Self { keys, verified: VerifiedTokens::default() }
    }

    /// What a token says, once one of the keys has proved to have signed it.
    pub(super) fn open(&self, token: &str) -> Result<Claims, Refusal> {
        let token = Compact::parse(token)?;
        let named = || self.named(token.kid());
        let fitting = || named().filter(|key| key.is_for(&token));
        if fitting().any(|key| key.has_signed(&token)) {
            return token.claims();
        }
        Err(match (named().next(), fitting().next()) {
            (None, _) => Refusal::UnknownKey,
            (Some(_), None) => Refusal::Algorithm,
            (Some(_), Some(_)) => Refusal::Signature,
        })
    }

    /// The keys with this id, or all keys without one.
    fn named<'a>(&'a self, kid: Option<&'a str>) -> impl Iterator<Item = &'a VerifyingKey> {
        self.keys.iter().filter(move |key| kid.is_none_or(|kid| key.kid == kid))
    }
}

impl fmt::Debug for VerifyingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| (&key.kid, key.algorithm))).finish()
    }
}
