//! Making, describing, emptying and removing queues.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::attributes::unknown_name;
use super::{Attributes, Context, Queue, invalid, name_of, no_such_queue};
use crate::aws::clock::Millis;
use crate::aws::error::AwsError;
use crate::aws::lock;
use crate::aws::reply::{Reply, json_1_0, parse};
use crate::aws::settings::{ACCOUNT, queue_arn};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateQueue {
    queue_name: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetQueueAttributes {
    #[serde(default)]
    attribute_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SetQueueAttributes {
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListQueues {
    #[serde(default)]
    queue_name_prefix: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StartMessageMoveTask {
    source_arn: String,
    destination_arn: Option<String>,
}

pub(super) fn create_queue(context: &Context<'_>) -> Result<Reply, AwsError> {
    let CreateQueue { queue_name, attributes } = parse(context.body)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !(1..=80).contains(&queue_name.len()) || !queue_name.bytes().all(allowed) {
        let message = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length";
        return Err(invalid(message));
    }
    let mut wanted = Attributes::default();
    for (name, value) in &attributes {
        wanted.set(name, value)?;
    }
    let mut sqs = lock(&context.world.sqs);
    if let Some(existing) = sqs.queues.get(&queue_name) {
        let mut same = existing.attributes.clone();
        for (name, value) in &attributes {
            same.set(name, value)?;
        }
        if same != existing.attributes {
            let message = "A queue already exists with the same name and a different value for an attribute";
            return Err(AwsError::new(400, "QueueNameExists", message));
        }
    }
    sqs.create(&queue_name, wanted, context.world.clock.now());
    Ok(json_1_0(&json!({"QueueUrl": context.url(&queue_name)})).into())
}

pub(super) fn get_queue_url(context: &Context<'_>) -> Result<Reply, AwsError> {
    lock(&context.world.sqs).queue(context.queue)?;
    Ok(json_1_0(&json!({"QueueUrl": context.url(context.queue)})).into())
}

pub(super) fn get_queue_attributes(context: &Context<'_>) -> Result<Reply, AwsError> {
    let GetQueueAttributes { attribute_names } = parse(context.body)?;
    let mut sqs = lock(&context.world.sqs);
    let all = describe(context.queue, sqs.queue(context.queue)?, context.world.clock.now());
    let mut answered = BTreeMap::new();
    for wanted in &attribute_names {
        if wanted == "All" {
            answered.extend(all.clone());
        } else if let Some(value) = all.get(wanted) {
            answered.insert(wanted.clone(), value.clone());
        } else {
            // Known ones without a value are left out; others are a mistake.
            Attributes::default().set(wanted, "").or_else(|error| match error.code.as_ref() {
                "InvalidAttributeName" => Err(unknown_name(wanted)),
                _ => Ok(()),
            })?;
        }
    }
    Ok(json_1_0(&json!({"Attributes": answered})).into())
}

pub(super) fn set_queue_attributes(context: &Context<'_>) -> Result<Reply, AwsError> {
    let SetQueueAttributes { attributes } = parse(context.body)?;
    let mut sqs = lock(&context.world.sqs);
    let queue = sqs.queue(context.queue)?;
    let mut changed = queue.attributes.clone();
    for (name, value) in &attributes {
        changed.set(name, value)?;
    }
    (queue.attributes, queue.modified_at) = (changed, context.world.clock.now());
    Ok(json_1_0(&json!({})).into())
}

pub(super) fn list_queues(context: &Context<'_>) -> Result<Reply, AwsError> {
    let ListQueues { queue_name_prefix } = parse(context.body)?;
    let sqs = lock(&context.world.sqs);
    let names = sqs.queues.keys().filter(|name| name.starts_with(&queue_name_prefix));
    let urls: Vec<_> = names.map(|name| context.url(name)).collect();
    Ok(json_1_0(&json!({"QueueUrls": urls})).into())
}

pub(super) fn list_dead_letter_source_queues(context: &Context<'_>) -> Result<Reply, AwsError> {
    let mut sqs = lock(&context.world.sqs);
    sqs.queue(context.queue)?;
    let sources = sqs.queues.iter().filter(|(_, queue)| leads_to(queue, context.queue));
    let urls: Vec<_> = sources.map(|(name, _)| context.url(name)).collect();
    // In lower case, unlike everything else in this API.
    Ok(json_1_0(&json!({"queueUrls": urls})).into())
}

pub(super) fn delete_queue(context: &Context<'_>) -> Result<Reply, AwsError> {
    let removed = lock(&context.world.sqs).queues.remove(context.queue).ok_or_else(no_such_queue)?;
    // Long polls on it learn that it is gone.
    removed.wake.notify_waiters();
    Ok(json_1_0(&json!({})).into())
}

pub(super) fn purge_queue(context: &Context<'_>) -> Result<Reply, AwsError> {
    lock(&context.world.sqs).queue(context.queue)?.clear();
    Ok(json_1_0(&json!({})).into())
}

/// Moves everything at once, where AWS takes its time.
pub(super) fn start_message_move_task(context: &Context<'_>) -> Result<Reply, AwsError> {
    let StartMessageMoveTask { source_arn, destination_arn } = parse(context.body)?;
    let missing = || AwsError::new(404, "ResourceNotFoundException", "The resource that you specified doesn't exist.");
    let mut sqs = lock(&context.world.sqs);
    let source = name_of(&source_arn).to_owned();
    if !sqs.queues.values().any(|queue| leads_to(queue, &source)) {
        return Err(AwsError::new(400, "UnsupportedOperation", "Source queue must be a dead-letter queue."));
    }
    let messages = sqs.queues.get_mut(&source).ok_or_else(missing)?.clear();
    for mut message in messages {
        let home = message.dead_letter_source.take();
        let target = destination_arn.clone().or(home).unwrap_or_else(|| source_arn.clone());
        message.receive_count = 0;
        sqs.queue(name_of(&target)).map_err(|_| missing())?.add(message, None);
    }
    Ok(json_1_0(&json!({"TaskHandle": format!("move-{source}")})).into())
}

/// Whether the redrive policy of a queue names this dead-letter queue.
fn leads_to(queue: &Queue, name: &str) -> bool {
    queue.attributes.redrive.as_ref().is_some_and(|redrive| name_of(&redrive.target_arn) == name)
}

fn describe(name: &str, queue: &mut Queue, now: Millis) -> BTreeMap<String, String> {
    let [visible, in_flight, delayed] = queue.counts(now);
    let mut all = queue.attributes.list();
    let more = [
        ("QueueArn", queue_arn(name)),
        ("CreatedTimestamp", (queue.created_at / 1000).to_string()),
        ("LastModifiedTimestamp", (queue.modified_at / 1000).to_string()),
        ("ApproximateNumberOfMessages", visible.to_string()),
        ("ApproximateNumberOfMessagesNotVisible", in_flight.to_string()),
        ("ApproximateNumberOfMessagesDelayed", delayed.to_string()),
    ];
    all.extend(more.map(|(name, value)| (name.to_owned(), value)));
    all
}

impl Context<'_> {
    fn url(&self, name: &str) -> String {
        format!("{}/{ACCOUNT}/{name}", self.origin)
    }
}
