//! A client for each kind of call. Settings could be laid over single calls of one client, at the price of building its
//! whole configuration anew for each.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Builder;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use chassis::ports::queue::MAX_WAIT;

use crate::aws::Aws;

/// How long one attempt at a call may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1_500);
/// How long a call may take with all its attempts.
pub const CALL_TIMEOUT: Duration = Duration::from_millis(4_000);
/// How long a receive may take beyond the wait that was asked for. What an answer brings that nobody waits for any more
/// is hidden until its lease ends, so there is no hurry.
pub(super) const RECEIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Clients {
    /// For calls that may be repeated.
    pub(super) any: Client,
    /// For sends, which nobody repeats but who knows what an answer means.
    pub(super) sends: Client,
    /// For receives, which may wait. Whoever asks for less than the longest wait sees to the end himself.
    pub(super) receives: Client,
}

impl Clients {
    pub(super) async fn of(aws: &Aws) -> Self {
        let config = aws.config().await;
        let base = |attempt, call| {
            let timeouts = TimeoutConfig::builder().operation_attempt_timeout(attempt).operation_timeout(call).build();
            Builder::from(config).timeout_config(timeouts).interceptor(aws.requests().meter())
        };
        let (usual, longest) = (base(ATTEMPT_TIMEOUT, CALL_TIMEOUT), MAX_WAIT + RECEIVE_TIMEOUT);
        Self {
            sends: Client::from_conf(usual.clone().retry_config(RetryConfig::disabled()).build()),
            any: Client::from_conf(usual.build()),
            receives: Client::from_conf(base(longest, longest).build()),
        }
    }
}
