//! Settings of a bucket, which `object_store` does not ask for: its signature and its HTTP, and two questions of our own.

use std::time::Duration;

use http::header::{AUTHORIZATION, DATE, HeaderMap, HeaderValue};
use http_body_util::{BodyExt, Limited};
use object_store::ClientOptions;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{
    HttpClient, HttpConnector, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, ReqwestConnector,
};
use serde::Deserialize;

use super::{ATTEMPT_TIMEOUT, CONNECT_TIMEOUT, Inspector, Trouble, bounded, trouble};
use crate::OpenError;
use crate::aws::AwsSettings;
use crate::aws::s3::is_plain_http;

/// Bytes of an answer that are read; those asked for here have some hundred.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// A bucket as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketFacts {
    /// How S3 encrypts what is written without a wish of its own, `AES256` or `aws:kms`; `None` when it does not.
    pub encryption: Result<Option<String>, Trouble>,
    /// What is kept from the public.
    pub public_access: Result<PublicAccessBlock, Trouble>,
    /// How long the slower answer took.
    pub took: Duration,
}

/// The four settings that keep a bucket from the public. None is on where there is no such setting.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetPublicAccessBlock.html>
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PublicAccessBlock {
    /// New public ACLs are refused.
    pub block_public_acls: bool,
    /// Public ACLs that are there do not count.
    pub ignore_public_acls: bool,
    /// New public policies are refused.
    pub block_public_policy: bool,
    /// A public policy that is there lets in this account alone.
    pub restrict_public_buckets: bool,
}

impl PublicAccessBlock {
    /// Those that are off, by the names of the API.
    #[must_use]
    pub fn off(&self) -> Vec<&'static str> {
        let all = [
            (self.block_public_acls, "BlockPublicAcls"),
            (self.ignore_public_acls, "IgnorePublicAcls"),
            (self.block_public_policy, "BlockPublicPolicy"),
            (self.restrict_public_buckets, "RestrictPublicBuckets"),
        ];
        all.into_iter().filter(|(on, _)| !on).map(|(_, name)| name).collect()
    }
}

/// By the name of the root: a page of something else is none of them.
#[derive(Deserialize)]
enum Answer {
    ServerSideEncryptionConfiguration(EncryptionConfiguration),
    PublicAccessBlockConfiguration(PublicAccessBlock),
}

#[derive(Deserialize)]
struct EncryptionConfiguration {
    #[serde(rename = "Rule", default)]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    #[serde(rename = "ApplyServerSideEncryptionByDefault")]
    by_default: Option<ByDefault>,
}

#[derive(Deserialize)]
struct ByDefault {
    #[serde(rename = "SSEAlgorithm")]
    algorithm: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Refusal {
    code: String,
    message: String,
    region: Option<String>,
}

/// One question about a bucket.
struct Question {
    parameter: &'static str,
    action: &'static str,
    /// The code that says that there is no such setting.
    unset: &'static str,
}

const ENCRYPTION: Question = Question {
    parameter: "encryption",
    action: "s3:GetEncryptionConfiguration",
    unset: "ServerSideEncryptionConfigurationNotFoundError",
};

const PUBLIC_ACCESS: Question = Question {
    parameter: "publicAccessBlock",
    action: "s3:GetBucketPublicAccessBlock",
    unset: "NoSuchPublicAccessBlockConfiguration",
};

/// The HTTP that objects go through, too.
pub(super) fn client(settings: &AwsSettings) -> Result<HttpClient, OpenError> {
    let is_plain = settings.endpoint_url.as_deref().is_some_and(is_plain_http);
    let options = ClientOptions::new().with_connect_timeout(CONNECT_TIMEOUT).with_timeout(ATTEMPT_TIMEOUT);
    let options = options.with_http1_only().with_allow_http(is_plain);
    let client = ReqwestConnector::default().connect(&options);
    client.map_err(|error| OpenError::Client { kind: "object store", problem: error.to_string() })
}

impl Inspector {
    /// How a bucket is set up. Needs `s3:GetEncryptionConfiguration` and `s3:GetBucketPublicAccessBlock`; without them the
    /// answer still shows that the bucket is there.
    pub async fn bucket(&self, name: &str) -> BucketFacts {
        let begun = self.clock.monotonic();
        let encryption = bounded(self.setting(name, &ENCRYPTION));
        let public_access = bounded(self.setting(name, &PUBLIC_ACCESS));
        let (encryption, public_access) = tokio::join!(encryption, public_access);
        BucketFacts {
            encryption: encryption.and_then(algorithm),
            public_access: public_access.and_then(blocks),
            took: self.since(begun),
        }
    }

    async fn setting(&self, bucket: &str, question: &Question) -> Result<Option<Answer>, Trouble> {
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        let uri = self.place(bucket, question.parameter).parse();
        *request.uri_mut() = uri.map_err(|_| Trouble::Unexpected("the bucket has no URL".into()))?;
        let credential = self.credentials.get().await.map_err(|error| Trouble::Unexpected(error.to_string()))?;
        sign(&mut request, &credential, &self.region)?;
        let response = self.s3.execute(request).await.map_err(|error| match error.kind() {
            HttpErrorKind::Timeout => Trouble::TimedOut,
            HttpErrorKind::Connect => Trouble::Unreachable("nothing answers".into()),
            _ => Trouble::Unreachable("the connection broke".into()),
        })?;
        if let Some(date) = response.headers().get(DATE).and_then(|date| date.to_str().ok()) {
            self.dates.observe(date);
        }
        read(response, question).await
    }

    /// As `object_store` builds it, so that what is seen here is where objects go.
    fn place(&self, bucket: &str, parameter: &str) -> String {
        let region = &self.region;
        match &self.endpoint_url {
            Some(endpoint) => format!("{}/{bucket}?{parameter}=", endpoint.trim_end_matches('/')),
            None if bucket.contains('.') => format!("https://s3.{region}.amazonaws.com/{bucket}?{parameter}="),
            None => format!("https://{bucket}.s3.{region}.amazonaws.com/?{parameter}="),
        }
    }
}

/// The signer puts the credentials into headers and takes for granted that they can stand there.
fn sign(request: &mut HttpRequest, credential: &AwsCredential, region: &str) -> Result<(), Trouble> {
    let texts = [Some(&credential.key_id), credential.token.as_ref()];
    if !texts.into_iter().flatten().all(|text| HeaderValue::from_str(text).is_ok()) {
        return Err(Trouble::Credentials { code: "they have letters that no header can have".into() });
    }
    let signed = AwsAuthorizer::new(credential, "s3", region).try_authorize(request, None);
    signed.map_err(|error| Trouble::Unexpected(error.to_string()))?;
    if let Some(authorization) = request.headers_mut().get_mut(AUTHORIZATION) {
        authorization.set_sensitive(true);
    }
    Ok(())
}

fn algorithm(answer: Option<Answer>) -> Result<Option<String>, Trouble> {
    match answer {
        Some(Answer::ServerSideEncryptionConfiguration(found)) => {
            Ok(found.rules.into_iter().find_map(|rule| rule.by_default).map(|default| default.algorithm))
        }
        Some(Answer::PublicAccessBlockConfiguration(_)) => Err(not_understood()),
        None => Ok(None),
    }
}

fn blocks(answer: Option<Answer>) -> Result<PublicAccessBlock, Trouble> {
    match answer {
        Some(Answer::PublicAccessBlockConfiguration(found)) => Ok(found),
        Some(Answer::ServerSideEncryptionConfiguration(_)) => Err(not_understood()),
        None => Ok(PublicAccessBlock::default()),
    }
}

fn not_understood() -> Trouble {
    Trouble::Unexpected("the answer of S3 is not understood".into())
}

async fn read(response: HttpResponse, question: &Question) -> Result<Option<Answer>, Trouble> {
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
    let body = body.map_err(|_| Trouble::Unexpected("the answer of S3 broke off".into()))?.to_bytes();
    let text = String::from_utf8_lossy(&body);
    if parts.status.is_success() {
        return quick_xml::de::from_str(&text).map(Some).map_err(|_| not_understood());
    }
    // A gateway's page is no refusal of S3, and leaves the status.
    let refusal: Refusal = quick_xml::de::from_str(&text).unwrap_or_default();
    if refusal.code == question.unset {
        return Ok(None);
    }
    let status = parts.status.as_u16();
    if matches!(status, 301 | 307 | 308) || refusal.code == "AuthorizationHeaderMalformed" {
        return Err(Trouble::Elsewhere { region: refusal.region.or_else(|| region_of(&parts.headers)) });
    }
    Err(trouble::of_answer(question.action, status, &refusal.code, &refusal.message))
}

fn region_of(headers: &HeaderMap) -> Option<String> {
    headers.get("x-amz-bucket-region")?.to_str().ok().map(str::to_owned)
}
