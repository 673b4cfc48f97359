//! `SendMessage` and `SendMessageBatch`.

use serde::Serialize;

use super::attributes::MAX_BYTES;
use super::batch::{self, Batch, Entry};
use super::message::NewMessage;
use super::{Context, Message, Sqs};
use crate::aws::clock::Millis;
use crate::aws::error::AwsError;
use crate::aws::lock;
use crate::aws::reply::{Reply, json_1_0, parse};

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
    let message = parse(context.body)?;
    let now = context.world.clock.now();
    let sent = send(&mut lock(&context.world.sqs), context.queue, message, now)?;
    Ok(json_1_0(&sent).into())
}

pub(super) fn send_message_batch(context: &Context<'_>) -> Result<Reply, AwsError> {
    let batch: Batch<NewMessage> = parse(context.body)?;
    let mut sqs = lock(&context.world.sqs);
    sqs.queue(context.queue)?;
    let entries = batch.checked()?;
    if entries.iter().map(|entry| entry.bytes()).sum::<u64>() > MAX_BYTES {
        let message = format!("Batch requests cannot be longer than {MAX_BYTES} bytes.");
        return Err(AwsError::new(400, "BatchRequestTooLong", message));
    }
    let now = context.world.clock.now();
    Ok(batch::each(entries, context.plan, |message: NewMessage| {
        let id = Some(message.id.clone());
        let sent = send(&mut sqs, context.queue, message, now)?;
        Ok(Sent { id, ..sent })
    }))
}

impl Entry for NewMessage {
    fn id(&self) -> &str {
        &self.id
    }
}

pub(crate) fn send(sqs: &mut Sqs, queue: &str, message: NewMessage, now: Millis) -> Result<Sent, AwsError> {
    let id = sqs.new_id();
    let queue = sqs.queue(queue)?;
    message.check(queue.attributes.max_message_bytes())?;
    let delay = message.delay_seconds.unwrap_or(queue.attributes.delay_seconds());
    let content = message.into_content(id, now);
    let (body_md5, attributes_md5) = (content.body_md5.clone(), content.attributes_md5.clone());
    let sent = Sent { id: None, message_id: content.id.clone(), body_md5, attributes_md5 };
    queue.add(Message::new(content), (delay > 0).then_some(now + delay * 1000));
    Ok(sent)
}
