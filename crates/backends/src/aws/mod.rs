//! AWS: the queue on SQS, objects on S3, secrets in Parameter Store and Secrets Manager, and services known by their
//! roles.
//!
//! All of them work with one [`Aws`]: one region, one endpoint, one chain of credentials.

mod bill;
mod config;
mod denial;
pub mod identity;
pub mod inspect;
mod prices;
mod requests;
mod s3;
mod secrets;
mod sqs;

pub use bill::{Bill, BilledRequests, CostCollector};
pub use config::{Aws, AwsSettings};
pub use prices::{NoPrices, Prices};
pub use requests::{AwsRequests, Counted, SQS_BILLED_BYTES};
pub use s3::{S3Encryption, S3Objects};
pub use secrets::{ParameterSecrets, SecretsManagerSecrets};
pub use sqs::{CALL_TIMEOUT, SqsQueue};

pub(crate) use s3::check_bucket;
pub(crate) use sqs::check_url as check_queue_url;
