//! What a service shows another one: a token of its own, whoever issues it.
//!
//! A [`TokenSource`] makes tokens: here, where the key is known that signs them, or elsewhere, by a proof of who asks
//! (`backends::aws::identity`). [`ServiceToken`] holds one and sees that it is fresh.

mod held;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use thiserror::Error;

pub use self::held::ServiceToken;
use super::{IssueError, SERVICE_SCOPE, TokenIssuer};

/// How long a token of a service is good for, with clocks that differ. To sign one for each call would cost more than
/// the call.
pub const SERVICE_TOKEN_LIFETIME: Duration = Duration::from_secs(300);

/// Where the tokens of a service come from.
#[async_trait]
pub trait TokenSource: fmt::Debug + Send + Sync + 'static {
    /// A new token. May ask others, and then takes its time; whoever shows tokens asks by a [`ServiceToken`].
    ///
    /// # Errors
    /// [`NoToken`].
    async fn token(&self) -> Result<FreshToken, NoToken>;
}

/// A token that was issued just now.
#[derive(Debug, Clone)]
pub struct FreshToken {
    /// For `Authorization: Bearer`.
    pub token: SecretString,
    /// How long it is good for.
    pub lifetime: Duration,
}

/// Why there is no token to show. The text is for the log, and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no token to show: {0}")]
pub struct NoToken(String);

impl NoToken {
    /// For this cause.
    #[must_use]
    pub fn new(cause: impl Into<String>) -> Self {
        Self(cause.into())
    }
}

impl From<IssueError> for NoToken {
    fn from(error: IssueError) -> Self {
        Self(error.to_string())
    }
}

/// Where the services of one process have their tokens from.
#[derive(Debug, Clone)]
pub enum ServiceTokens {
    /// Each issues its own, for the scopes that a route asks for.
    Issued(TokenIssuer),
    /// The process has one, with the scopes that it was given where it was issued.
    Shared(ServiceToken),
}

impl ServiceTokens {
    /// By which another service knows the one that calls, in whichever process and at whichever address: its calls are
    /// not counted with those of others. Issued here, it names `subject` and has these scopes beside that of services.
    #[must_use]
    pub fn of(&self, subject: &'static str, scopes: &[&'static str]) -> ServiceToken {
        match self {
            Self::Shared(token) => token.clone(),
            Self::Issued(issuer) => {
                let scopes = [scopes, &[SERVICE_SCOPE]].concat();
                let clock = Arc::clone(issuer.clock());
                let issuer = issuer.clone().lasting(SERVICE_TOKEN_LIFETIME);
                ServiceToken::new(Arc::new(IssuedTokens { issuer, subject, scopes }), clock)
            }
        }
    }
}

/// Tokens of one service for one use.
#[derive(Debug)]
struct IssuedTokens {
    issuer: TokenIssuer,
    subject: &'static str,
    scopes: Vec<&'static str>,
}

#[async_trait]
impl TokenSource for IssuedTokens {
    async fn token(&self) -> Result<FreshToken, NoToken> {
        let token = self.issuer.issue(self.subject, self.subject, &self.scopes)?;
        Ok(FreshToken { token, lifetime: SERVICE_TOKEN_LIFETIME })
    }
}
