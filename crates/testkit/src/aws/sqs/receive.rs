//! `ReceiveMessage`: the long poll, the redrive policy, and what a message looks like in the answer.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::queue::{Delivery, Receiving};
use super::{Context, Message, MessageAttribute, Sqs, digest, invalid, name_of};
use crate::aws::clock::Millis;
use crate::aws::error::AwsError;
use crate::aws::lock;
use crate::aws::reply::{Reply, json_1_0, parse};
use crate::aws::settings::{ACCOUNT, queue_arn};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReceiveMessage {
    max_number_of_messages: Option<usize>,
    visibility_timeout: Option<u64>,
    wait_time_seconds: Option<u64>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
    /// The older name of the next one; clients of any age are welcome.
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<Received<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Received<'a> {
    message_id: &'a str,
    receipt_handle: &'a str,
    #[serde(rename = "MD5OfBody")]
    body_md5: &'a str,
    body: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<&'static str, String>,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    attributes_md5: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    message_attributes: BTreeMap<String, MessageAttribute>,
}

pub(super) async fn receive_message(context: &Context<'_>) -> Result<Reply, AwsError> {
    let request: ReceiveMessage = parse(context.body)?;
    request.check()?;
    let clock = &context.world.clock;
    let (wake, wait) = {
        let mut sqs = lock(&context.world.sqs);
        let queue = sqs.queue(context.queue)?;
        (queue.wake.clone(), request.wait_time_seconds.unwrap_or(queue.attributes.wait_seconds()))
    };
    let deadline = clock.now() + wait * 1000;
    loop {
        // Registered before the look, or a message that comes in between would wake nobody.
        let mut woken = pin!(wake.notified());
        woken.as_mut().enable();
        let (deliveries, next_visible_at) = request.look(context)?;
        let now = clock.now();
        if !deliveries.is_empty() || now >= deadline {
            return Ok(request.reply(&deliveries));
        }
        let until = next_visible_at.map_or(deadline, |at| at.min(deadline));
        tokio::select! {
            () = woken => {}
            () = sleep(Duration::from_millis(until.saturating_sub(now).max(1))) => {}
        }
    }
}

impl ReceiveMessage {
    fn check(&self) -> Result<(), AwsError> {
        let out_of_range = |name: &str, range: &str| {
            Err(invalid(format!("Value for parameter {name} is invalid. Reason: Must be {range}, if provided.")))
        };
        if self.max_number_of_messages.is_some_and(|count| !(1..=10).contains(&count)) {
            return out_of_range("MaxNumberOfMessages", "between 1 and 10");
        }
        if self.wait_time_seconds.is_some_and(|seconds| seconds > 20) {
            return out_of_range("WaitTimeSeconds", "≥ 0 and ≤ 20");
        }
        if self.visibility_timeout.is_some_and(|seconds| seconds > 43_200) {
            return out_of_range("VisibilityTimeout", "≥ 0 and ≤ 43200");
        }
        Ok(())
    }

    /// Takes what is visible, and says when more will be.
    fn look(&self, context: &Context<'_>) -> Result<(Vec<Delivery>, Option<Millis>), AwsError> {
        let now = context.world.clock.now();
        let mut sqs = lock(&context.world.sqs);
        let queue = sqs.queue(context.queue)?;
        let [_, in_flight, _] = queue.counts(now);
        let room = context.world.settings.max_in_flight.saturating_sub(in_flight);
        if room == 0 {
            // https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
            return Err(AwsError::new(403, "OverLimit", "Too many messages in flight."));
        }
        let hidden = self.visibility_timeout.unwrap_or(queue.attributes.visibility_seconds());
        let receiving = Receiving {
            limit: self.max_number_of_messages.unwrap_or(1).min(room),
            now,
            hidden_until: now + hidden * 1000,
            twice: context.plan.deliver_twice,
        };
        let seed = context.plan.reorder.then_some(context.plan.seed);
        let deliveries = receive(&mut sqs, context.queue, receiving, seed)?;
        let next = sqs.queue(context.queue)?.next_visible_at();
        Ok((deliveries, next))
    }

    fn reply(&self, deliveries: &[Delivery]) -> Reply {
        let messages = deliveries.iter().map(|delivery| self.received(delivery)).collect();
        Reply { response: json_1_0(&Answer { messages }), entries: deliveries.len(), failed: 0 }
    }

    fn received<'a>(&self, delivery: &'a Delivery) -> Received<'a> {
        let content = &delivery.message.content;
        let mut attributes = system_attributes(&delivery.message);
        attributes.retain(|name, _| self.wants_system(name));
        // The digest is of what is answered, not of what was sent.
        let mut message_attributes = content.attributes.clone();
        message_attributes.retain(|name, _| self.wants(name));
        let all = message_attributes.len() == content.attributes.len();
        let attributes_md5 =
            if all { content.attributes_md5.clone() } else { digest::of_attributes(&message_attributes) };
        Received {
            message_id: &content.id,
            receipt_handle: &delivery.handle,
            body_md5: &content.body_md5,
            body: &content.body,
            attributes,
            attributes_md5,
            message_attributes,
        }
    }

    fn wants_system(&self, name: &str) -> bool {
        let mut asked = self.attribute_names.iter().chain(&self.message_system_attribute_names);
        asked.any(|asked| asked == "All" || asked == name)
    }

    fn wants(&self, name: &str) -> bool {
        self.message_attribute_names.iter().any(|asked| match asked.strip_suffix(".*") {
            Some(prefix) => name.starts_with(prefix),
            None => asked == "All" || asked == name,
        })
    }
}

/// Receives, and moves what was received too often to the dead-letter queue, if that is there.
fn receive(sqs: &mut Sqs, name: &str, receiving: Receiving, seed: Option<u64>) -> Result<Vec<Delivery>, AwsError> {
    let redrive = sqs.queue(name)?.attributes.redrive.clone();
    let redrive = redrive.filter(|redrive| sqs.queues.contains_key(name_of(&redrive.target_arn)));
    let max_receive_count = redrive.as_ref().map_or(u64::MAX, |redrive| redrive.max_receive_count);
    let mut rng = seed.map(StdRng::seed_from_u64);
    let (deliveries, dead) = sqs.queue(name)?.receive(receiving, max_receive_count, rng.as_mut());
    if let Some(redrive) = redrive {
        let target = sqs.queue(name_of(&redrive.target_arn))?;
        for mut message in dead {
            message.dead_letter_source = Some(queue_arn(name));
            target.add(message, None);
        }
    }
    Ok(deliveries)
}

fn system_attributes(message: &Message) -> BTreeMap<&'static str, String> {
    let mut all = BTreeMap::from([
        ("SenderId", format!("AIDA{ACCOUNT}")),
        ("SentTimestamp", message.content.sent_at.to_string()),
        ("ApproximateReceiveCount", message.receive_count.to_string()),
    ]);
    all.extend(message.first_received_at.map(|at| ("ApproximateFirstReceiveTimestamp", at.to_string())));
    all.extend(message.dead_letter_source.clone().map(|arn| ("DeadLetterQueueSourceArn", arn)));
    all.extend(message.content.trace_header.clone().map(|trace| ("AWSTraceHeader", trace)));
    all
}
