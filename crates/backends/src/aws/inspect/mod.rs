//! What is set up in AWS, for whoever checks it: facts about the account, queues, buckets and secrets.
//!
//! Everything here reads, and changes nothing. What the facts mean is the caller's.

mod bucket;
mod clock;
mod secret;
mod trouble;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_secretsmanager as secretsmanager;
use aws_sdk_sqs as sqs;
use aws_sdk_sqs::types::QueueAttributeName;
use aws_sdk_ssm as ssm;
use aws_sdk_sts as sts;
use chassis::clock::Clock;
use object_store::client::HttpClient;
use tokio::time::timeout;

use super::Aws;
use super::s3::credentials::SdkCredentials;
use super::sqs::RedrivePolicy;
use crate::OpenError;
use clock::Dates;

pub use bucket::{BucketFacts, PublicAccessBlock};
pub use secret::SecretFacts;
pub use trouble::Trouble;

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long one attempt at a question may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a question may take with all its attempts.
const CALL_TIMEOUT: Duration = Duration::from_secs(7);
/// Attempts, the first one included: a second one gets past a moment of throttling.
const ATTEMPTS: u32 = 2;

/// Asks AWS what is set up. Every question is bounded in time.
pub struct Inspector {
    region: String,
    endpoint_url: Option<String>,
    credentials: SdkCredentials,
    sqs: sqs::Client,
    ssm: ssm::Client,
    secrets: secretsmanager::Client,
    sts: sts::Client,
    s3: HttpClient,
    clock: Arc<dyn Clock>,
    dates: Arc<Dates>,
}

/// A queue as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueFacts {
    /// Its name in policies.
    pub arn: String,
    /// How long a message stays hidden for a receiver that names no time of its own.
    pub visibility: Option<Duration>,
    /// Messages that can be received.
    pub visible: u64,
    /// When it gives messages up; `None` when it never does.
    pub redrive: Option<Redrive>,
    /// How long the answer took.
    pub took: Duration,
}

/// When a queue gives a message up, and where it goes then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrive {
    /// The name of the dead-letter queue in policies.
    pub dead_letter_arn: String,
    /// Where the dead-letter queue is asked.
    pub dead_letter_url: String,
    /// Deliveries before that; `None` where the policy does not tell.
    pub max_receive_count: Option<u32>,
}

impl Inspector {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// When no client can be made, such as without any trusted certificates.
    pub async fn open(aws: &Arc<Aws>, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let dates = Arc::new(Dates::new(Arc::clone(&clock)));
        let base = aws.config().await;
        let (retry, timeouts) = (RetryConfig::standard().with_max_attempts(ATTEMPTS), bounds());
        macro_rules! client {
            ($service:ident) => {
                $service::Client::from_conf(
                    $service::config::Builder::from(base)
                        .retry_config(retry.clone())
                        .timeout_config(timeouts.clone())
                        .interceptor(clock::ReadDate(Arc::clone(&dates)))
                        .build(),
                )
            };
        }
        Ok(Self {
            region: aws.settings().region.clone(),
            endpoint_url: aws.settings().endpoint_url.clone(),
            credentials: SdkCredentials::new(Arc::clone(aws), Arc::clone(&clock)),
            sqs: client!(sqs),
            ssm: client!(ssm),
            secrets: client!(secretsmanager),
            sts: client!(sts),
            s3: bucket::client(aws.settings())?,
            clock,
            dates,
        })
    }

    /// Whether there are credentials at all; they are not shown.
    ///
    /// # Errors
    /// Why there are none, and where they are looked for.
    pub async fn find_credentials(&self) -> Result<(), String> {
        self.credentials.get().await.map(drop).map_err(|error| error.to_string())
    }

    /// The ARN of whoever asks. Needs no permission.
    ///
    /// # Errors
    /// When STS does not say.
    pub async fn identity(&self) -> Result<String, Trouble> {
        let ask = async {
            let answer = self.sts.get_caller_identity().send().await;
            answer.map_err(|error| trouble::of_call("sts:GetCallerIdentity", &error))
        };
        let answer = bounded(ask).await?;
        answer.arn.ok_or_else(|| Trouble::Unexpected("the answer has no ARN".into()))
    }

    /// The attributes of the queue under `url`. Needs `sqs:GetQueueAttributes`.
    ///
    /// # Errors
    /// When SQS does not say.
    pub async fn queue(&self, url: &str) -> Result<QueueFacts, Trouble> {
        let begun = self.clock.monotonic();
        let request = self.sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
        let ask = async {
            let answer = request.send().await;
            answer.map_err(|error| trouble::of_call("sqs:GetQueueAttributes", &error))
        };
        let attributes = bounded(ask).await?.attributes.unwrap_or_default();
        let took = self.since(begun);
        let number = |name| attributes.get(&name).and_then(|text| text.parse().ok());
        let redrive = attributes.get(&QueueAttributeName::RedrivePolicy).filter(|text| !text.is_empty());
        Ok(QueueFacts {
            arn: attributes.get(&QueueAttributeName::QueueArn).cloned().unwrap_or_default(),
            visibility: number(QueueAttributeName::VisibilityTimeout).map(Duration::from_secs),
            visible: number(QueueAttributeName::ApproximateNumberOfMessages).unwrap_or(0),
            redrive: redrive.map(|text| read_redrive(text, url)).transpose()?,
            took,
        })
    }

    /// How far AWS is ahead of this machine's clock in seconds, by the answers so far; `None` before the first. Negative
    /// when it is behind. Answers tell whole seconds.
    #[must_use]
    pub fn clock_skew_seconds(&self) -> Option<i64> {
        self.dates.skew_seconds()
    }

    fn since(&self, begun: Duration) -> Duration {
        self.clock.monotonic().saturating_sub(begun)
    }
}

fn bounds() -> TimeoutConfig {
    let builder = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT);
    builder.operation_attempt_timeout(ATTEMPT_TIMEOUT).operation_timeout(CALL_TIMEOUT).build()
}

/// The SDK's own bound does not hold while it looks for credentials.
async fn bounded<T>(ask: impl Future<Output = Result<T, Trouble>> + Send) -> Result<T, Trouble> {
    timeout(CALL_TIMEOUT, ask).await.unwrap_or(Err(Trouble::TimedOut))
}

fn read_redrive(text: &str, url: &str) -> Result<Redrive, Trouble> {
    let unexpected = |why: String| Trouble::Unexpected(why);
    let policy = RedrivePolicy::read(text, url).map_err(|error| unexpected(error.to_string()))?;
    let (Some(dead_letter_arn), Some(dead_letter_url)) = (policy.dead_letter_arn, policy.dead_letter_url) else {
        return Err(unexpected("the queue's redrive policy names no queue".into()));
    };
    Ok(Redrive { dead_letter_arn, dead_letter_url, max_receive_count: policy.max_receive_count })
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspector").field("region", &self.region).finish_non_exhaustive()
    }
}
