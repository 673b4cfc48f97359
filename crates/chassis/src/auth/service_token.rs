//! What a service shows another one.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

use super::{IssueError, SERVICE_SCOPE, TokenIssuer};

/// How long one token is shown: to sign one for each call would cost more than the call.
const TOKEN_AGE: Duration = Duration::from_secs(60);
/// How long it is good for, with clocks that differ.
pub(super) const TOKEN_LIFETIME: Duration = Duration::from_secs(300);

/// By which another service knows the one that calls, in whichever process and at whichever address: its calls are not
/// counted with those of others.
pub struct ServiceToken {
    issuer: TokenIssuer,
    subject: &'static str,
    scopes: Vec<&'static str>,
    last: Mutex<Option<(Instant, SecretString)>>,
}

impl ServiceToken {
    /// Tokens of the service `subject`, with these scopes beside that of services.
    #[must_use]
    pub fn new(issuer: TokenIssuer, subject: &'static str, scopes: &[&'static str]) -> Self {
        let scopes = [scopes, &[SERVICE_SCOPE]].concat();
        Self { issuer: issuer.lasting(TOKEN_LIFETIME), subject, scopes, last: Mutex::default() }
    }

    /// One that is good for some minutes more.
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn show(&self) -> Result<SecretString, IssueError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((issued, token)) = &*last
            && issued.elapsed() < TOKEN_AGE
        {
            return Ok(token.clone());
        }
        let token = self.issuer.issue(self.subject, self.subject, &self.scopes)?;
        *last = Some((Instant::now(), token.clone()));
        Ok(token)
    }
}

impl fmt::Debug for ServiceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceToken").field("subject", &self.subject).finish_non_exhaustive()
    }
}
