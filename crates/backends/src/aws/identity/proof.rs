//! What a caller shows: the signed headers of a request of `sts:GetCallerIdentity`, which it does not send itself.
//!
//! A proof is the base64url of a JSON object with exactly the headers of [`Proof`], all of them signed (SigV4), and
//! nothing else. Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::clock::Clock;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::time::timeout;

use super::sts::{BODY, CONTENT_TYPE, Sts};
use super::verifier::Refusal;
use crate::OpenError;
use crate::aws::Aws;

/// The signed header that says for which service a proof is.
pub const AUDIENCE_HEADER: &str = "x-keelson-audience";
/// Tells proofs of one second apart.
pub(super) const NONCE_HEADER: &str = "x-keelson-nonce";
pub(super) const DATE_HEADER: &str = "x-amz-date";
pub(super) const TOKEN_HEADER: &str = "x-amz-security-token";

/// Bytes of the longest proof that is read. A session token of AWS has 1 to 2 KB, and no fixed bound.
const MAX_PROOF_BYTES: usize = 8 * 1024;
/// How long STS takes a signature. Source:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>
pub(super) const MAX_AGE: Duration = Duration::from_secs(15 * 60);
/// Seconds that the clock of a caller may be ahead of ours, as with tokens.
const MAX_CLOCK_SKEW_SECONDS: i64 = 60;
const DATE_FORMAT: &str = "%Y%m%dT%H%M%SZ";
const SIGNED_HEADERS: &str = "content-type;host;x-amz-date;x-amz-security-token;x-keelson-audience;x-keelson-nonce";
const NONCE_BYTES: usize = 16;
/// How long the chain of credentials may take; the metadata services answer in milliseconds.
const LOAD_TIMEOUT: Duration = Duration::from_secs(5);

/// The headers of the request. One that stands twice, or is not among these, makes it no proof.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Proof {
    pub(super) authorization: String,
    pub(super) content_type: String,
    pub(super) host: String,
    pub(super) x_amz_date: String,
    pub(super) x_amz_security_token: String,
    pub(super) x_keelson_audience: String,
    pub(super) x_keelson_nonce: String,
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proof").field("audience", &self.x_keelson_audience).finish_non_exhaustive()
    }
}

/// What a proof has to be for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    pub(super) sts: &'a Sts,
    pub(super) audience: &'a str,
    pub(super) now: Timestamp,
    /// Before then nobody remembers what was shown.
    pub(super) since: Timestamp,
}

/// What tells a proof from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checked<'a> {
    pub(super) signature: &'a str,
    pub(super) signed_at: Timestamp,
}

impl Proof {
    pub(super) fn read(shown: &[u8]) -> Result<Self, Refusal> {
        if shown.len() > MAX_PROOF_BYTES {
            return Err(Refusal::TooLong);
        }
        let text = URL_SAFE_NO_PAD.decode(shown).map_err(|_| Refusal::Malformed)?;
        serde_json::from_slice(&text).map_err(|_| Refusal::Malformed)
    }

    /// As it stands in the header.
    pub(super) fn write(&self) -> Result<String, serde_json::Error> {
        Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(self)?))
    }

    /// Whether it is for this service at this time, and every header has the value or form that is right. Whose it is,
    /// STS says.
    pub(super) fn check(&self, expected: Expected<'_>) -> Result<Checked<'_>, Refusal> {
        let sts = expected.sts;
        if self.host != sts.host {
            return Err(Refusal::Host);
        }
        if self.content_type != CONTENT_TYPE {
            return Err(Refusal::Malformed);
        }
        if self.x_keelson_audience != expected.audience {
            return Err(Refusal::Audience);
        }
        // SigV4 makes one space of several: one signature would be that of several texts.
        if !is_graphic(&self.x_amz_security_token) || !is_lower_hex(&self.x_keelson_nonce, 2 * NONCE_BYTES) {
            return Err(Refusal::Malformed);
        }
        let signed_at = read_date(&self.x_amz_date).ok_or(Refusal::Malformed)?;
        check_age(signed_at, expected)?;
        let signature = self.signature(sts)?;
        Ok(Checked { signature, signed_at })
    }

    /// The signature of `Authorization`, all the rest of which is known.
    fn signature(&self, sts: &Sts) -> Result<&str, Refusal> {
        let parts = self.authorization.strip_prefix("AWS4-HMAC-SHA256 Credential=").and_then(|rest| {
            let (credential, rest) = rest.split_once(", SignedHeaders=")?;
            let (signed_headers, signature) = rest.split_once(", Signature=")?;
            Some((credential.split_once('/')?, signed_headers, signature))
        });
        let ((key_id, scope), signed_headers, signature) = parts.ok_or(Refusal::Malformed)?;
        let day = self.x_amz_date.get(..8).ok_or(Refusal::Malformed)?;
        if scope != format!("{day}/{}/sts/aws4_request", sts.region) {
            return Err(Refusal::Scope);
        }
        if signed_headers != SIGNED_HEADERS {
            return Err(Refusal::Unsigned);
        }
        let is_key_id = !key_id.is_empty() && key_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_key_id || !is_lower_hex(signature, 64) {
            return Err(Refusal::Malformed);
        }
        Ok(signature)
    }
}

fn check_age(signed_at: Timestamp, expected: Expected<'_>) -> Result<(), Refusal> {
    let age = expected.now.as_second() - signed_at.as_second();
    if age < -MAX_CLOCK_SKEW_SECONDS {
        return Err(Refusal::Ahead);
    }
    if Duration::try_from(expected.now.duration_since(signed_at)).is_ok_and(|age| age > MAX_AGE) {
        return Err(Refusal::Old);
    }
    // Signatures tell whole seconds.
    if signed_at.as_second() < expected.since.as_second() {
        return Err(Refusal::Unremembered);
    }
    Ok(())
}

/// One form alone: what is written again is the same.
pub(super) fn read_date(text: &str) -> Option<Timestamp> {
    let civil = DateTime::strptime(DATE_FORMAT, text).ok()?;
    let date = TimeZone::UTC.to_timestamp(civil).ok()?;
    (date.strftime(DATE_FORMAT).to_string() == text).then_some(date)
}

fn is_graphic(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_lower_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Makes proofs of the role that this process has.
#[derive(Debug)]
pub struct RoleProofs {
    aws: Arc<Aws>,
    sts: Sts,
    clock: Arc<dyn Clock>,
}

/// Why there is no proof.
#[derive(Debug, Error)]
pub enum NoProof {
    /// The chain brought no credentials.
    #[error("there are no AWS credentials ({0}): give the task or pod a role")]
    NoCredentials(String),
    /// The credentials are those of a user.
    #[error("the AWS credentials are not those of a role, which services are known by: give the task or pod a role")]
    NoRole,
    /// It could not be signed.
    #[error("the proof could not be signed: {0}")]
    Signing(String),
}

impl RoleProofs {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// When the endpoint is not one that requests can be signed for.
    pub fn new(aws: Arc<Aws>, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let sts = Sts::of(aws.settings())?;
        Ok(Self { aws, sts, clock })
    }

    /// A new proof for the service `audience`, good there once and for a quarter of an hour at most. Nothing is sent
    /// but to the source of the credentials.
    ///
    /// # Errors
    /// [`NoProof`].
    pub async fn make(&self, audience: &str) -> Result<SecretString, NoProof> {
        let credentials = match timeout(LOAD_TIMEOUT, self.aws.credentials()).await {
            Ok(found) => found.map_err(|error| NoProof::NoCredentials(error.to_string()))?,
            Err(_) => return Err(NoProof::NoCredentials("their source does not answer".into())),
        };
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| NoProof::Signing(error.to_string()))?;
        let nonce = nonce.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let headers = [("content-type", CONTENT_TYPE), (AUDIENCE_HEADER, audience), (NONCE_HEADER, nonce.as_str())];
        let proof = signed(credentials, &self.sts, self.clock.now(), headers)?;
        proof.write().map(SecretString::from).map_err(|error| NoProof::Signing(error.to_string()))
    }
}

/// These headers, in this order: the content type, the audience and the nonce; and those that the signer adds.
pub(super) fn signed(
    credentials: Credentials,
    sts: &Sts,
    now: Timestamp,
    headers: [(&str, &str); 3],
) -> Result<Proof, NoProof> {
    let Some(token) = credentials.session_token().map(str::to_owned) else { return Err(NoProof::NoRole) };
    let authorization = authorization(credentials, sts, now, headers, BODY)?;
    let [(_, content_type), (_, audience), (_, nonce)] = headers;
    Ok(Proof {
        authorization,
        content_type: content_type.to_owned(),
        host: sts.host.clone(),
        x_amz_date: now.strftime(DATE_FORMAT).to_string(),
        x_amz_security_token: token,
        x_keelson_audience: audience.to_owned(),
        x_keelson_nonce: nonce.to_owned(),
    })
}

/// The header `Authorization` of a `POST` of this body with these headers.
pub(super) fn authorization<'a>(
    credentials: Credentials,
    sts: &'a Sts,
    now: Timestamp,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    body: &'a [u8],
) -> Result<String, NoProof> {
    let url = format!("{}/", sts.url);
    let request = Request { method: "POST", url, region: &sts.region, service: "sts", now, body };
    sign_request(credentials, request, headers)
}

/// What is signed besides the headers.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) url: String,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) now: Timestamp,
    pub(super) body: &'a [u8],
}

/// The header `Authorization`.
pub(super) fn sign_request<'a>(
    credentials: Credentials,
    request: Request<'a>,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<String, NoProof> {
    let failed = |error: &dyn std::error::Error| NoProof::Signing(error.to_string());
    let Request { method, url, region, service, now, body } = request;
    let identity: Identity = credentials.into();
    let params = v4::SigningParams::builder().identity(&identity).region(region).name(service);
    let params = params.time(now.into()).settings(SigningSettings::default()).build();
    let params = params.map_err(|error| failed(&error))?.into();
    let request = SignableRequest::new(method, url, headers.into_iter(), SignableBody::Bytes(body));
    let (instructions, _signature) =
        sign(request.map_err(|error| failed(&error))?, &params).map_err(|error| failed(&error))?.into_parts();
    let found = instructions.headers().find(|(name, _)| *name == "authorization").map(|(_, value)| value.to_owned());
    found.ok_or_else(|| NoProof::Signing("the signer made no `Authorization`".into()))
}
