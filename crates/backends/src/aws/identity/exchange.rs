//! The caller's side of the exchange: a proof of the role that this process has becomes a token.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chassis::auth::{FreshToken, IDENTITY_HEADER, MAX_TOKEN_BYTES, NoToken, TokenSource};
use chassis::client::{Answer, CallLimits, ServiceClient};
use chassis::clock::Clock;
use http::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::proof::RoleProofs;
use crate::OpenError;
use crate::aws::Aws;

/// Where proofs are exchanged.
const ROUTE: &[&str] = &["api", "v1", "service-tokens"];
/// One exchange: whoever judges the proof asks STS, which may take five seconds. The answer has a kilobyte.
const LIMITS: CallLimits = CallLimits { timeout: Duration::from_secs(8), max_answer_bytes: 16 * 1024 };
/// A token that is good for longer is no short-lived one.
const MAX_LIFETIME: Duration = Duration::from_secs(3600);

/// Tokens for the role that this process has, from the service that issues them: each by a new proof for it.
#[derive(Debug)]
pub struct RoleTokens {
    proofs: RoleProofs,
    issuer: ServiceClient,
}

#[derive(Deserialize)]
struct Exchanged {
    access_token: SecretString,
    token_type: String,
    /// Seconds.
    expires_in: u64,
}

impl RoleTokens {
    /// `issuer` calls the service that issues tokens, by the name that it knows itself by.
    ///
    /// # Errors
    /// When the endpoint of STS is not one that requests can be signed for.
    pub fn new(aws: Arc<Aws>, clock: Arc<dyn Clock>, issuer: &ServiceClient) -> Result<Self, OpenError> {
        Ok(Self { proofs: RoleProofs::new(aws, clock)?, issuer: issuer.with_limits(LIMITS) })
    }
}

#[async_trait]
impl TokenSource for RoleTokens {
    /// Sends the proof once: it is made anew for the next time.
    async fn token(&self) -> Result<FreshToken, NoToken> {
        let proof = self.proofs.make(self.issuer.service()).await.map_err(|error| NoToken::new(error.to_string()))?;
        let call = self.issuer.call(Method::POST, ROUTE).header(IDENTITY_HEADER, proof.expose_secret());
        let answer = call.send().await.map_err(|error| NoToken::new(error.to_string()))?;
        read(&answer)
    }
}

/// What is not exactly a token that services show, is none.
fn read(answer: &Answer) -> Result<FreshToken, NoToken> {
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED => {
            let cause = "the identity of this process is refused (401): is its role among SERVICE_IDENTITIES there?";
            return Err(NoToken::new(cause));
        }
        _ => return Err(NoToken::new(answer.unexpected().to_string())),
    }
    let exchanged: Exchanged = answer.json().map_err(|error| NoToken::new(error.to_string()))?;
    let Exchanged { access_token: token, token_type, expires_in } = exchanged;
    let text = token.expose_secret();
    let is_text = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_text || text.len() > MAX_TOKEN_BYTES || !token_type.eq_ignore_ascii_case("bearer") {
        return Err(NoToken::new("the answer to its proof holds no token that services show"));
    }
    let lifetime = Duration::from_secs(expires_in);
    if lifetime.is_zero() || lifetime > MAX_LIFETIME {
        return Err(NoToken::new(format!("the token for its proof is good for {expires_in} s, expected 1 to 3600")));
    }
    Ok(FreshToken { token, lifetime })
}
