//! `SendMessage` and `SendMessageBatch`.

use serde::{Deserialize, Serialize};

use super::attributes::MAX_BYTES;
use super::batch::{self, Batch};
use super::message::NewMessage;
use super::{Context, Message, Sqs};
use crate::aws::clock::Millis;
use crate::aws::error::AwsError;
use crate::aws::lock;
use crate::aws::reply::{Reply, json_1_0, parse};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessage {
    queue_url: String,
    #[serde(flatten)]
    message: NewMessage,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Sent {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    pub(crate) message_id: String,
    #[serde(rename = "MD5OfMessageBody")]
    body_md5: String,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    attributes_md5: Option<String>,
}

pub(super) fn send_message(context: &Context<'_>) -> Result<Reply, AwsError> {
    let SendMessage { queue_url, message } = parse(context.body)?;
    let now = context.world.clock.now();
    let sent = send(&mut lock(&context.world.sqs), &queue_url, message, now)?;
    Ok(json_1_0(&sent).into())
}

pub(super) fn send_message_batch(context: &Context<'_>) -> Result<Reply, AwsError> {
    let batch: Batch<NewMessage> = parse(context.body)?;
    let queue_url = batch.queue_url.clone();
    let mut sqs = lock(&context.world.sqs);
    sqs.queue(&queue_url)?;
    let entries = batch.checked()?;
    if entries.iter().map(|entry| entry.item.bytes()).sum::<u64>() > MAX_BYTES {
        let message = format!("Batch requests cannot be longer than {MAX_BYTES} bytes.");
        return Err(AwsError::new(400, "BatchRequestTooLong", message));
    }
    let now = context.world.clock.now();
    Ok(batch::each(entries, context.plan, |id, message| {
        let sent = send(&mut sqs, &queue_url, message, now)?;
        Ok(Sent { id: Some(id.to_owned()), ..sent })
    }))
}

pub(crate) fn send(sqs: &mut Sqs, queue_url: &str, message: NewMessage, now: Millis) -> Result<Sent, AwsError> {
    let id = sqs.new_id();
    let queue = sqs.queue(queue_url)?;
    message.check(queue.attributes.max_message_bytes())?;
    let delay = message.delay_seconds.unwrap_or(queue.attributes.delay_seconds());
    let content = message.into_content(id, now);
    let (body_md5, attributes_md5) = (content.body_md5.clone(), content.attributes_md5.clone());
    let sent = Sent { id: None, message_id: content.id.clone(), body_md5, attributes_md5 };
    queue.add(Message::new(content), (delay > 0).then_some(now + delay * 1000));
    Ok(sent)
}
