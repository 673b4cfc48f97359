//! When the queue gives a message up, and where it goes then.

use aws_sdk_sqs::types::QueueAttributeName;
use chassis::ports::QueueError;
use serde::Deserialize;
use serde_json::Value;

use super::{SqsQueue, error};

/// Of the queue. All are unset when it has none: then it delivers a message again and again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::aws) struct RedrivePolicy {
    pub(in crate::aws) max_receive_count: Option<u32>,
    pub(in crate::aws) dead_letter_url: Option<String>,
    pub(in crate::aws) dead_letter_arn: Option<String>,
}

impl SqsQueue {
    /// Asked for until there is one: a policy that changes is known after the next start.
    pub(super) async fn redrive_policy(&self) -> Result<RedrivePolicy, QueueError> {
        if let Some(policy) = self.policy.get() {
            return Ok(policy.clone());
        }
        let policy = self.ask_for_policy().await?;
        if policy.dead_letter_url.is_some() {
            // Another call may have been first, with the same.
            let _ = self.policy.set(policy.clone());
        }
        Ok(policy)
    }

    async fn ask_for_policy(&self) -> Result<RedrivePolicy, QueueError> {
        let request = self.clients.any.get_queue_attributes().queue_url(&self.url);
        let output = request.attribute_names(QueueAttributeName::RedrivePolicy).send().await;
        let output = output.map_err(|error| error::of_call("GetQueueAttributes", &error))?;
        match output.attributes().and_then(|attributes| attributes.get(&QueueAttributeName::RedrivePolicy)) {
            Some(text) => RedrivePolicy::read(text, &self.url),
            None => Ok(RedrivePolicy::default()),
        }
    }

    pub(super) async fn dead_letter_url(&self) -> Result<String, QueueError> {
        let policy = self.redrive_policy().await?;
        policy.dead_letter_url.ok_or_else(|| {
            QueueError::Other("the queue has no dead-letter queue: give it a redrive policy that names one".into())
        })
    }
}

impl RedrivePolicy {
    /// The URL of the dead-letter queue is the queue's own with another account and name: asking for it would need one
    /// more permission.
    pub(in crate::aws) fn read(text: &str, url: &str) -> Result<Self, QueueError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire {
            /// A number, which some tools write as text.
            max_receive_count: Value,
            dead_letter_target_arn: String,
        }
        let wrong = |why: &str| QueueError::Other(format!("the queue's redrive policy is not understood: {why}"));
        let wire: Wire = serde_json::from_str(text).map_err(|error| wrong(&error.to_string()))?;
        let count = wire.max_receive_count.as_u64().or_else(|| wire.max_receive_count.as_str()?.parse().ok());
        let mut of_arn = wire.dead_letter_target_arn.rsplit(':');
        let (Some(name), Some(account)) = (of_arn.next(), of_arn.next()) else {
            return Err(wrong("deadLetterTargetArn is no ARN"));
        };
        let host = url.rsplitn(3, '/').nth(2).ok_or_else(|| wrong("the queue's URL has no account and name"))?;
        Ok(Self {
            max_receive_count: count.and_then(|count| u32::try_from(count).ok()),
            dead_letter_url: Some(format!("{host}/{account}/{name}")),
            dead_letter_arn: Some(wire.dead_letter_target_arn),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_the_dead_letter_queue_by_its_arn() {
        let url = "https://sqs.eu-west-1.amazonaws.com/123456789012/messages";
        for count in ["5", "\"5\""] {
            let text = format!(
                r#"{{"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:210987654321:dead", "maxReceiveCount": {count}}}"#
            );
            let expected = RedrivePolicy {
                max_receive_count: Some(5),
                dead_letter_url: Some("https://sqs.eu-west-1.amazonaws.com/210987654321/dead".into()),
                dead_letter_arn: Some("arn:aws:sqs:eu-west-1:210987654321:dead".into()),
            };
            assert_eq!(RedrivePolicy::read(&text, url).unwrap(), expected);
        }
        assert!(RedrivePolicy::read("{}", url).is_err());
    }
}
