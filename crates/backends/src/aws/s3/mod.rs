//! Objects on S3, or on a server that speaks its protocol.
//!
//! The store writes with `If-None-Match: *`, so that of many writers of one key exactly one creates it, and asks for
//! encryption at rest by name. Writing needs `s3:PutObject` alone; `s3:GetObject` and `s3:DeleteObject` are for whoever
//! reads and deletes, such as the end-to-end check, and `s3:ListBucket` for lists.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>

mod answers;
pub(super) mod credentials;
mod list;
mod refusal;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chassis::clock::SystemClock;
use chassis::ports::objects::MAX_KEY_BYTES;
use chassis::ports::{List, ObjectError, ObjectKey, ObjectStore, Put};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, Checksum};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, BackoffConfig, ClientOptions, Error, ObjectStore as _, ObjectStoreExt, PutMode, PutOptions,
    PutPayload, RetryConfig,
};
use tokio::time::timeout;

use self::answers::SortedConnector;
use self::credentials::SdkCredentials;
use self::refusal::{Operation, sort};
use super::{Aws, AwsRequests};
use crate::OpenError;

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long one attempt may take until S3 answers, a megabyte sent over a slow line included, beside [`time_for`] what is
/// larger.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(8);
/// How long a request may take with all of its answer, which may be a whole roll-up.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);
/// Attempts beside the first.
const MAX_RETRIES: usize = 3;
/// The age at which no further attempt begins: with the last attempt it stays below [`OPERATION_TIMEOUT`].
const RETRY_TIMEOUT: Duration = Duration::from_secs(9);
/// How long all attempts together may take, beside [`time_for`] what is large. The archiver gives a write 20 s, and would
/// take its own end for ours.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(18);

/// Bytes of a second on the slowest line that large objects are written and read over.
const SLOWEST_LINE: u64 = 4 << 20;

/// What a large object may take longer than a small one.
fn time_for(bytes: u64) -> Duration {
    Duration::from_secs(bytes / SLOWEST_LINE)
}

/// How S3 encrypts objects at rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum S3Encryption {
    /// SSE-S3 (`AES256`): keys of S3.
    #[default]
    Aes256,
    /// SSE-KMS (`aws:kms`): a key of one's own by id or ARN, or the account's `aws/s3`.
    Kms(Option<String>),
}

/// One bucket, or the keys of one that start with a prefix.
pub struct S3Objects {
    store: AmazonS3,
    bucket: String,
    /// Empty, or ends in `/`.
    prefix: String,
    credentials: Arc<SdkCredentials>,
}

impl S3Objects {
    /// Prepares requests to `bucket`; asks S3 nothing. Keys start with `prefix` and `/`, unless it is empty.
    ///
    /// # Errors
    /// When the name of the bucket or the prefix is none, or TLS cannot be set up.
    pub fn open(aws: &Arc<Aws>, bucket: &str, prefix: &str, encryption: &S3Encryption) -> Result<Arc<Self>, OpenError> {
        check_bucket(bucket)?;
        let prefix = checked_prefix(prefix)?;
        let credentials = Arc::new(SdkCredentials::new(Arc::clone(aws), SystemClock::shared()));
        let builder = located(builder(&credentials, aws.requests()), aws, bucket);
        let store = encrypted(builder, encryption).and_then(AmazonS3Builder::build);
        let store = store.map_err(|error| OpenError::Client { kind: "object store", problem: error.to_string() })?;
        Ok(Arc::new(Self { store, bucket: bucket.to_owned(), prefix, credentials }))
    }

    /// The place of a key in the bucket.
    fn path(&self, key: &ObjectKey) -> Result<Path, ObjectError> {
        let whole = format!("{}{key}", self.prefix);
        if whole.len() > MAX_KEY_BYTES {
            return Err(ObjectError::InvalidKey(format!(
                "{} bytes with the prefix, the limit is {MAX_KEY_BYTES}",
                whole.len()
            )));
        }
        Path::parse(&whole).map_err(|error| ObjectError::InvalidKey(error.to_string()))
    }

    /// Bounds an operation by what it carries, and sorts its failure by meaning.
    async fn bounded<T>(
        &self,
        operation: Operation,
        bytes: u64,
        work: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, Failure> {
        match timeout(OPERATION_TIMEOUT + time_for(bytes), work).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Error::AlreadyExists { .. })) => Err(Failure::Exists),
            Ok(Err(Error::NotFound { .. })) => Err(Failure::Missing),
            Ok(Err(error)) => Err(Failure::Refused(sort(&error, operation, &self.bucket))),
            Err(_) => Err(Failure::Refused(ObjectError::Timeout)),
        }
    }
}

/// What an operation found in place of success.
enum Failure {
    Exists,
    Missing,
    Refused(ObjectError),
}

impl From<Failure> for ObjectError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Exists => Self::Other("S3 says that the object exists".into()),
            Failure::Missing => Self::Other("S3 says that there is no such object".into()),
            Failure::Refused(error) => error,
        }
    }
}

#[async_trait]
impl ObjectStore for S3Objects {
    /// An attempt whose answer was lost may have stored the object; the next one then finds it there, as a redelivered
    /// message does.
    async fn put_if_absent(&self, key: &ObjectKey, body: Bytes, content_type: &str) -> Result<Put, ObjectError> {
        let path = self.path(key)?;
        let attributes = Attributes::from_iter([(Attribute::ContentType, content_type.to_owned())]);
        let options = PutOptions { mode: PutMode::Create, attributes, ..PutOptions::default() };
        let bytes = body.len() as u64;
        let put = self.store.put_opts(&path, PutPayload::from_bytes(body), options);
        match self.bounded(Operation::Put, bytes, put).await {
            Ok(_) => Ok(Put::Created),
            Err(Failure::Exists) => Ok(Put::AlreadyExists),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>, ObjectError> {
        let path = self.path(key)?;
        let found = match self.bounded(Operation::Get, 0, self.store.get(&path)).await {
            Ok(found) => found,
            Err(Failure::Missing) => return Ok(None),
            Err(failure) => return Err(failure.into()),
        };
        let bytes = found.meta.size;
        Ok(Some(self.bounded(Operation::Get, bytes, found.bytes()).await?))
    }

    /// S3 does not say what it deleted, so it is asked before: of two who delete at once both may hear yes.
    async fn delete(&self, key: &ObjectKey) -> Result<bool, ObjectError> {
        let path = self.path(key)?;
        match self.bounded(Operation::Get, 0, self.store.head(&path)).await {
            Ok(_) => {}
            Err(Failure::Missing) => return Ok(false),
            Err(failure) => return Err(failure.into()),
        }
        match self.bounded(Operation::Delete, 0, self.store.delete(&path)).await {
            Ok(()) => Ok(true),
            Err(Failure::Missing) => Ok(false),
            Err(failure) => Err(failure.into()),
        }
    }

    fn list(&self, folder: Option<&ObjectKey>) -> List {
        list::list(self, folder)
    }

    /// Looks for credentials alone. Asking the bucket would need `s3:ListBucket`, which a process that only writes
    /// should not have, and whether writes work is told by the last one.
    async fn ping(&self) -> Result<(), ObjectError> {
        self.credentials.get().await.map(drop).map_err(|error| ObjectError::Unavailable(error.to_string()))
    }
}

impl fmt::Debug for S3Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Objects").field("bucket", &self.bucket).field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

fn builder(credentials: &Arc<SdkCredentials>, requests: &AwsRequests) -> AmazonS3Builder {
    let client =
        ClientOptions::new().with_connect_timeout(CONNECT_TIMEOUT).with_timeout(REQUEST_TIMEOUT).with_http1_only();
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(2),
        ..BackoffConfig::default()
    };
    // The SHA-256 is there anyway, for the signature. Buckets with object lock refuse writes without a checksum.
    AmazonS3Builder::new()
        .with_credentials(Arc::clone(credentials) as _)
        .with_checksum_algorithm(Checksum::SHA256)
        .with_client_options(client)
        .with_retry(RetryConfig { backoff, max_retries: MAX_RETRIES, retry_timeout: RETRY_TIMEOUT })
        .with_http_connector(SortedConnector(requests.clone()))
}

/// Local servers and private endpoints know the bucket by path. AWS wants it in the host's name, where its certificate
/// lets it: a name with dots is not covered.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>
fn located(builder: AmazonS3Builder, aws: &Aws, bucket: &str) -> AmazonS3Builder {
    let settings = aws.settings();
    let builder = builder.with_region(&settings.region).with_bucket_name(bucket);
    match &settings.endpoint_url {
        Some(endpoint) => {
            builder.with_endpoint(endpoint.trim_end_matches('/')).with_allow_http(is_plain_http(endpoint))
        }
        None => builder.with_virtual_hosted_style_request(!bucket.contains('.')),
    }
}

pub(super) fn is_plain_http(endpoint: &str) -> bool {
    endpoint.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"))
}

fn encrypted(builder: AmazonS3Builder, encryption: &S3Encryption) -> Result<AmazonS3Builder, Error> {
    let name = match encryption {
        S3Encryption::Kms(Some(key_id)) => return Ok(builder.with_sse_kms_encryption(key_id)),
        S3Encryption::Kms(None) => "aws:kms",
        S3Encryption::Aes256 => "AES256",
    };
    let setting: AmazonS3ConfigKey = "aws_server_side_encryption".parse()?;
    Ok(builder.with_config(setting, name))
}

/// 3 to 63 lower-case letters, digits, dots and hyphens; anything else could change the request's host or path.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
pub(crate) fn check_bucket(bucket: &str) -> Result<(), OpenError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let is_name = (3..=63).contains(&bucket.len()) && bucket.bytes().all(allowed) && !bucket.contains("..");
    let is_edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    if is_name && is_edge(bucket.bytes().next()) && is_edge(bucket.bytes().last()) {
        return Ok(());
    }
    Err(malformed(
        "`s3:BUCKET` or `s3://BUCKET/PREFIX`, the bucket in 3 to 63 lower-case letters, digits, dots and hyphens",
    ))
}

fn checked_prefix(prefix: &str) -> Result<String, OpenError> {
    let prefix = prefix.trim_matches('/');
    if prefix.is_empty() {
        return Ok(String::new());
    }
    // The rules of keys are those of their beginnings.
    let key: Result<ObjectKey, _> = prefix.parse();
    key.map(|key| format!("{key}/")).map_err(|_| malformed("`s3://BUCKET/PREFIX`, the prefix in words joined by `/`"))
}

fn malformed(expected: &'static str) -> OpenError {
    OpenError::Malformed { kind: "object store", expected }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::AwsSettings;

    fn open(bucket: &str, prefix: &str) -> Result<Arc<S3Objects>, OpenError> {
        let aws = Aws::new(AwsSettings { region: "eu-central-1".into(), endpoint_url: None });
        S3Objects::open(&aws, bucket, prefix, &S3Encryption::default())
    }

    #[test]
    fn a_name_that_is_no_buckets_is_refused() {
        for bad in ["", "ab", "Upper", "under_score", "a b", "-a-b", "a..b", "a/b", "bücket", "a:b@c", &"x".repeat(64)]
        {
            assert!(matches!(open(bad, ""), Err(OpenError::Malformed { .. })), "{bad:?}");
        }
        for good in ["abc", "my.bucket-1", &"x".repeat(63)] {
            open(good, "").unwrap();
        }
    }

    #[test]
    fn a_prefix_stands_before_each_key_and_counts_towards_its_length() {
        let key: ObjectKey = "a/b.json".parse().unwrap();
        for (prefix, path) in [("", "a/b.json"), ("/", "a/b.json"), ("in", "in/a/b.json"), ("/in/x/", "in/x/a/b.json")]
        {
            assert_eq!(open("bucket", prefix).unwrap().path(&key).unwrap().as_ref(), path);
        }
        for bad in ["../up", "a//b", ".hidden"] {
            assert!(matches!(open("bucket", bad), Err(OpenError::Malformed { .. })), "{bad:?}");
        }
        let longest: ObjectKey = ["k".repeat(204).as_str(); 5].join("/").parse().unwrap();
        assert!(matches!(open("bucket", "p").unwrap().path(&longest), Err(ObjectError::InvalidKey(_))));
    }

    #[test]
    fn plain_http_is_what_the_endpoint_says() {
        assert!(is_plain_http("http://127.0.0.1:4566") && is_plain_http("HTTP://minio"));
        assert!(!is_plain_http("https://s3.example.com") && !is_plain_http("s3.example.com"));
    }
}
