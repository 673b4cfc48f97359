//! Judges the tokens that requests carry.

use std::sync::Arc;

use thiserror::Error;

use super::verifying_keys::VerifyingKeys;
use super::{Claims, MAX_TOKEN_BYTES, Parties, RemoteKeys, TokenKeys};
use crate::client::CallError;
use crate::clock::Clock;

/// Seconds that the clock of the issuer may be ahead of ours.
const MAX_CLOCK_SKEW_SECONDS: i64 = 60;

/// Takes tokens of one issuer for one audience, while they are valid, to the second.
#[derive(Debug)]
pub struct TokenVerifier {
    keys: Keys,
    parties: Parties,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
enum Keys {
    Held(Arc<TokenKeys>),
    Fetched(Arc<RemoteKeys>),
}

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// Signed by us, for us, and within its time.
    Valid(Arc<Claims>),
    /// Not to be believed. The reason is for the log: callers are told no more than that.
    Invalid(Refusal),
    /// Nobody can tell: its key is not known here, and whoever publishes keys gives no answer. The token may be good.
    Unknown(CallError),
}

/// Why a token is not believed. Holds nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Not looked at.
    #[error("it has more than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    /// Not of the form of RFC 7515, section 7.1.
    #[error("it is no JWT")]
    Malformed,
    /// It has `crit` in its header.
    #[error("its header has `crit`, and no extension is known")]
    Critical,
    /// It is for something else.
    #[error("its `typ` is neither `JWT` nor `at+jwt`")]
    Type,
    /// No key that counts now has its `kid`.
    #[error("its key is not known, or no longer")]
    UnknownKey,
    /// `none`, or one that its key is not for.
    #[error("its `alg` is not the one of its key")]
    Algorithm,
    /// It was changed, or signed by somebody else.
    #[error("its signature is wrong")]
    Signature,
    /// One is absent or of another type.
    #[error("its claims cannot be read")]
    Claims,
    /// Another issuer.
    #[error("its `iss` is another")]
    Issuer,
    /// Another audience.
    #[error("its `aud` is another")]
    Audience,
    /// Nobody's token.
    #[error("its `sub` is empty")]
    Subject,
    /// `nbf` or `iat` lies ahead.
    #[error("it is not valid yet")]
    NotYetValid,
    /// `exp` has come.
    #[error("it has expired")]
    Expired,
}

impl TokenVerifier {
    /// A verifier that knows these keys.
    #[must_use]
    pub fn new(keys: Arc<TokenKeys>, parties: Parties, clock: Arc<dyn Clock>) -> Self {
        Self { keys: Keys::Held(keys), parties, clock }
    }

    /// A verifier of tokens that another service issues.
    #[must_use]
    pub fn of_issuer(keys: Arc<RemoteKeys>, parties: Parties, clock: Arc<dyn Clock>) -> Self {
        Self { keys: Keys::Fetched(keys), parties, clock }
    }

    /// Judges a token. Waits for nothing but for a key that has to be fetched. Takes 0.4 µs of processor time for a token
    /// that was judged before; else 2 with HS256, 40 with ES256, with RSA of 2048 bits 17 and of 4096 bits 70.
    pub async fn verify(&self, token: &str) -> Verification {
        let judged = match &self.keys {
            Keys::Held(keys) => self.judge(token, &keys.active().verifying),
            Keys::Fetched(keys) => match self.judge(token, &keys.present()) {
                // Rare, and boxed, since each request would have to carry the room for it.
                Err(Refusal::UnknownKey) => match Box::pin(keys.learn()).await {
                    Ok(keys) => self.judge(token, &keys),
                    Err(failure) => return Verification::Unknown(failure),
                },
                judged => judged,
            },
        };
        match judged {
            Ok(claims) => Verification::Valid(claims),
            Err(refusal) => Verification::Invalid(refusal),
        }
    }

    fn judge(&self, token: &str, keys: &VerifyingKeys) -> Result<Arc<Claims>, Refusal> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refusal::TooLong);
        }
        if let Some(claims) = keys.verified.find(token) {
            self.check(&claims)?;
            return Ok(claims);
        }
        let claims = Arc::new(keys.open(token)?);
        self.check(&claims)?;
        keys.verified.remember(token, &claims);
        Ok(claims)
    }

    fn check(&self, claims: &Claims) -> Result<(), Refusal> {
        let now = self.clock.now().as_second();
        if claims.iss != self.parties.issuer {
            return Err(Refusal::Issuer);
        }
        if claims.aud != self.parties.audience {
            return Err(Refusal::Audience);
        }
        if claims.sub.is_empty() {
            return Err(Refusal::Subject);
        }
        if claims.nbf.is_some_and(|start| now < start) || claims.iat > now.saturating_add(MAX_CLOCK_SKEW_SECONDS) {
            return Err(Refusal::NotYetValid);
        }
        if now >= claims.exp {
            return Err(Refusal::Expired);
        }
        Ok(())
    }
}
