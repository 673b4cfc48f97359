//! How the fake behaves when nothing is broken, and the names in its account.

/// The account that everything belongs to.
pub const ACCOUNT: &str = "000000000000";
/// The region in every ARN. Requests signed for any other are answered too.
pub const REGION: &str = "us-east-1";

/// How the fake behaves when no fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// What becomes of a receipt handle after its message was delivered again.
    pub stale_handles: StaleHandles,
    /// Messages of a queue that may be in flight before a receive is answered `OverLimit`.
    pub max_in_flight: usize,
    /// Seeds message ids, the order of disturbed receives, and faults with a probability.
    pub seed: u64,
}

/// What the fake makes of a receipt handle that is not the newest of its message. AWS promises nothing for them:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaleHandles {
    /// Answered with success, and nothing is changed: what the documentation warns of.
    Ignored,
    /// As good as the newest, as often seen on standard queues: a late process deletes what another one works on.
    Valid,
    /// `ReceiptHandleIsInvalid`.
    Refused,
}

impl Default for Settings {
    fn default() -> Self {
        // https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html
        Self { stale_handles: StaleHandles::Ignored, max_in_flight: 120_000, seed: 0 }
    }
}

/// The ARN of a queue of this name.
#[must_use]
pub fn queue_arn(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
}

/// The ARN of a secret of this name.
#[must_use]
pub(crate) fn secret_arn(name: &str) -> String {
    format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-AbCdEf")
}
