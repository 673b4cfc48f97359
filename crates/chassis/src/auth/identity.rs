//! Which service of the system calls: what a caller shows, and who it turns out to be.
//!
//! [`ServiceAuthenticator`] has an implementation for each thing that can be shown: a service token off AWS
//! ([`TokenVerifier`], here), a proof of an IAM role on AWS (`backends::aws`), a client certificate. Where a request
//! carries it is the edge's.

use std::fmt;

use async_trait::async_trait;
use http::HeaderName;
use secrecy::SecretString;
use thiserror::Error;

use super::{
    Claims, IssueError, Refusal, SERVICE_SCOPE, SERVICE_TOKEN_LIFETIME, TokenIssuer, TokenVerifier, Verification,
};
use crate::error::{Error, Kind};

/// The header in which a service proves who it is, where it does not show a token.
pub const IDENTITY_HEADER: HeaderName = HeaderName::from_static("x-service-identity");

/// Tells which service shows something.
#[async_trait]
pub trait ServiceAuthenticator: fmt::Debug + Send + Sync + 'static {
    /// Judges what a caller shows: the text of a header, or a certificate in DER. May ask somebody else, and is bounded
    /// in time. A credential that is good for one use is used up by an answer.
    ///
    /// # Errors
    /// [`Unverified`]; never an identity without proof.
    async fn authenticate(&self, shown: &[u8]) -> Result<ServiceIdentity, Unverified>;
}

/// A service that has proved who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceIdentity {
    /// What it is called: the subject of its token, or the ARN of its role.
    pub subject: String,
    /// What it may do, beside being a service.
    pub scopes: Vec<String>,
}

/// Why a caller is not known. The texts are for the log, and hold nothing that was shown.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unverified {
    /// What it shows proves nothing here.
    #[error("the caller's identity is refused: {0}")]
    Refused(String),
    /// Nobody can tell at present; what it shows may be good.
    #[error("the caller's identity cannot be checked: {0}")]
    Unavailable(String),
}

impl ServiceIdentity {
    /// A token for what was shown, good for [`SERVICE_TOKEN_LIFETIME`] and at every service that takes tokens of this
    /// issuer.
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn token(&self, issuer: &TokenIssuer) -> Result<SecretString, IssueError> {
        let scopes = self.scopes.iter().map(String::as_str).chain([SERVICE_SCOPE]);
        let scopes: Vec<&str> = scopes.collect();
        issuer.clone().lasting(SERVICE_TOKEN_LIFETIME).issue(&self.subject, &self.subject, &scopes)
    }

    fn of(claims: &Claims) -> Self {
        let scopes = claims.scope.split_ascii_whitespace().filter(|scope| *scope != SERVICE_SCOPE);
        Self { subject: claims.sub.clone(), scopes: scopes.map(str::to_owned).collect() }
    }
}

#[async_trait]
impl ServiceAuthenticator for TokenVerifier {
    async fn authenticate(&self, shown: &[u8]) -> Result<ServiceIdentity, Unverified> {
        let refused = |refusal: Refusal| Unverified::Refused(refusal.to_string());
        let token = std::str::from_utf8(shown).map_err(|_| refused(Refusal::Malformed))?;
        match self.verify(token).await {
            Verification::Valid(claims) if claims.has_scope(SERVICE_SCOPE) => Ok(ServiceIdentity::of(&claims)),
            Verification::Valid(_) => Err(Unverified::Refused("its token is not one of a service".into())),
            Verification::Invalid(refusal) => Err(refused(refusal)),
            Verification::Unknown(failure) => Err(Unverified::Unavailable(failure.to_string())),
        }
    }
}

impl From<Unverified> for Error {
    /// 401, or 503 with `Retry-After`. Why, is in the log alone.
    fn from(unverified: Unverified) -> Self {
        match unverified {
            Unverified::Refused(_) => Self::new(Kind::Unauthorized, "Invalid service identity").caused_by(unverified),
            Unverified::Unavailable(_) => {
                Self::new(Kind::Unavailable, "Service identity cannot be checked").caused_by(unverified)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::auth::Parties;
    use crate::clock::Clock;
    use crate::ids::Ids;
    use crate::testing::{ManualClock, token_keys};

    fn issuer_and_verifier() -> (TokenIssuer, TokenVerifier) {
        let clock: Arc<dyn Clock> = ManualClock::new();
        let keys = token_keys();
        let parties = Parties { issuer: "keelson".into(), audience: "keelson".into() };
        let ids = Ids::seeded(Arc::clone(&clock), 1);
        let verifier = TokenVerifier::new(Arc::clone(&keys), parties.clone(), Arc::clone(&clock));
        (TokenIssuer::new(keys, parties, Duration::from_secs(60), clock, ids), verifier)
    }

    #[tokio::test]
    async fn the_token_of_an_identity_proves_that_identity() {
        let (issuer, verifier) = issuer_and_verifier();
        let identity = ServiceIdentity { subject: "order-service".into(), scopes: vec!["users:read".into()] };
        let token = identity.token(&issuer).unwrap();
        assert_eq!(verifier.authenticate(token.expose_secret().as_bytes()).await, Ok(identity));
    }

    #[tokio::test]
    async fn a_token_of_a_user_or_of_nobody_proves_no_service() {
        let (issuer, verifier) = issuer_and_verifier();
        let user = issuer.issue("7", "ann", &["users:read"]).unwrap();
        for shown in [user.expose_secret().as_bytes(), b"no token", b"\xff"] {
            let unverified = verifier.authenticate(shown).await.unwrap_err();
            assert!(matches!(unverified, Unverified::Refused(_)), "{unverified}");
            assert_eq!(Error::from(unverified).kind(), Kind::Unauthorized);
        }
    }
}
