//! Judges a proof: what can be seen of it first, then by one question to the STS that is configured.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chassis::auth::{ServiceAuthenticator, ServiceIdentity, Unverified};
use chassis::client::{Answer, CallLimits, NoServiceUrl, ServiceClient, ServiceUrls};
use chassis::clock::Clock;
use chassis::telemetry::metrics::Metrics;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use thiserror::Error;

use super::answer::{self, CallerIdentity};
use super::proof::{AUDIENCE_HEADER, DATE_HEADER, Expected, MAX_AGE, NONCE_HEADER, Proof, TOKEN_HEADER};
use super::replays::{NotTaken, ShownProofs};
use super::roles::{AllowedRoles, Role};
use super::sts::{BODY, CONTENT_TYPE, Sts};
use crate::OpenError;
use crate::aws::AwsSettings;

/// One question to STS. Its answer has some 600 bytes.
const LIMITS: CallLimits = CallLimits { timeout: Duration::from_secs(5), max_answer_bytes: 16 * 1024 };

/// Tells the role of whoever shows a proof to this service.
#[derive(Debug)]
pub struct RoleAuthenticator {
    audience: String,
    sts: Sts,
    client: ServiceClient,
    roles: AllowedRoles,
    shown: ShownProofs,
    began_at: Timestamp,
    clock: Arc<dyn Clock>,
}

/// Why a proof proves nothing here. Holds nothing of the proof.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Refusal {
    #[error("the proof is too long")]
    TooLong,
    #[error("it is no proof of a role")]
    Malformed,
    #[error("the proof is for another STS than the one that is configured here")]
    Host,
    #[error("the proof is for another service")]
    Audience,
    #[error("the proof is signed for another day, region or API")]
    Scope,
    #[error("the signed headers of the proof are not those that have to be")]
    Unsigned,
    #[error("the proof is more than 15 minutes old")]
    Old,
    #[error("the proof is of a time that lies ahead: the clocks differ")]
    Ahead,
    #[error("the proof is from before this process began, and may have been shown before")]
    Unremembered,
    #[error("the proof was shown before")]
    Shown,
    #[error("STS refused the proof with {0}")]
    BySts(StatusCode),
    #[error("STS gave no answer to `GetCallerIdentity`: {0}")]
    Answer(&'static str),
    #[error("the proof is not that of a role")]
    NoRole,
    #[error("{0} is not allowed")]
    Role(Role),
}

/// No identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    Refused(Refusal),
    /// Nobody can tell.
    Unavailable(String),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Failure> for Unverified {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => Self::Refused(refusal.to_string()),
            Failure::Unavailable(cause) => Self::Unavailable(cause),
        }
    }
}

impl RoleAuthenticator {
    /// For the service that callers name `audience`. STS is that of the settings and no other. It must be on `https`
    /// wherever the network is not trusted: who answers in its place says who everybody is.
    ///
    /// # Errors
    /// When the endpoint is not one that requests can be signed for, or no client can be made.
    pub fn new(
        settings: &AwsSettings,
        audience: impl Into<String>,
        roles: AllowedRoles,
        clock: Arc<dyn Clock>,
        metrics: &Metrics,
    ) -> Result<Self, OpenError> {
        let sts = Sts::of(settings)?;
        let failed = |problem: String| OpenError::Client { kind: "STS", problem };
        let urls: ServiceUrls = sts.url.parse().map_err(|error: NoServiceUrl| failed(error.to_string()))?;
        let client = ServiceClient::new("sts", urls, LIMITS, metrics).map_err(|error| failed(error.to_string()))?;
        let (audience, shown, began_at) = (audience.into(), ShownProofs::default(), clock.now());
        Ok(Self { audience, sts, client, roles, shown, began_at, clock })
    }

    /// The identity of whoever made this proof, which is used up by that.
    pub(super) async fn verify(&self, shown: &[u8]) -> Result<ServiceIdentity, Failure> {
        let proof = Proof::read(shown)?;
        let now = self.clock.now();
        let expected = Expected { sts: &self.sts, audience: &self.audience, now, since: self.began_at };
        let checked = proof.check(expected)?;
        // Before STS is asked, so that of two that come together one alone is asked about.
        let taken = self.shown.take(checked.signature, checked.signed_at + MAX_AGE, now).map_err(|no| match no {
            NotTaken::Again => Failure::Refused(Refusal::Shown),
            NotTaken::Full => Failure::Unavailable("too many proofs were shown within 15 minutes".into()),
        })?;
        let caller = self.ask(&proof).await?;
        let role = Role::of_session(&caller).ok_or(Refusal::NoRole)?;
        let Some(scopes) = self.roles.scopes(&role) else { return Err(Refusal::Role(role).into()) };
        taken.keep();
        Ok(ServiceIdentity { subject: role.to_string(), scopes: scopes.to_vec() })
    }

    /// Sends the one request there is: what of it the proof does not hold is the same for all. It is not sent again,
    /// and redirects are not followed.
    async fn ask(&self, proof: &Proof) -> Result<CallerIdentity, Failure> {
        let name = HeaderName::from_static;
        let call = self.client.call(Method::POST, &[]);
        let call = call
            .body(HeaderValue::from_static(CONTENT_TYPE), Bytes::from_static(BODY))
            .header(ACCEPT, "text/xml")
            .header(ACCEPT_ENCODING, "identity")
            .header(AUTHORIZATION, &proof.authorization)
            .header(name(DATE_HEADER), &proof.x_amz_date)
            .header(name(TOKEN_HEADER), &proof.x_amz_security_token)
            .header(name(AUDIENCE_HEADER), &proof.x_keelson_audience)
            .header(name(NONCE_HEADER), &proof.x_keelson_nonce);
        let answer = call.send().await.map_err(|error| Failure::Unavailable(error.to_string()))?;
        read(&answer)
    }
}

#[async_trait]
impl ServiceAuthenticator for RoleAuthenticator {
    async fn authenticate(&self, shown: &[u8]) -> Result<ServiceIdentity, Unverified> {
        Ok(self.verify(shown).await?)
    }
}

fn read(answer: &Answer) -> Result<CallerIdentity, Failure> {
    let status = answer.status();
    if status.is_server_error() || is_throttled(answer) {
        return Err(Failure::Unavailable(format!("STS answered {status}")));
    }
    if status.is_client_error() {
        return Err(Refusal::BySts(status).into());
    }
    if status != StatusCode::OK {
        return Err(Refusal::Answer("its status is another than 200").into());
    }
    let mut encodings = answer.headers().get_all(CONTENT_ENCODING).iter();
    if !encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Refusal::Answer("it is encoded, which was not asked for").into());
    }
    let text = std::str::from_utf8(answer.body()).map_err(|_| Refusal::Answer("it is no text"))?;
    answer::read(text).ok_or_else(|| Refusal::Answer("it is another document").into())
}

/// Source: <https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html>
fn is_throttled(answer: &Answer) -> bool {
    let names_it = || {
        let body = answer.body();
        [&b"<Code>Throttling"[..], b"<Code>RequestLimitExceeded"]
            .into_iter()
            .any(|code| body.windows(code.len()).any(|part| part == code))
    };
    answer.status() == StatusCode::TOO_MANY_REQUESTS || (answer.status() == StatusCode::BAD_REQUEST && names_it())
}
