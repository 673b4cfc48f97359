//! What is done with a receipt handle: deleting, and changing the visibility.

use serde::{Deserialize, Serialize};

use super::batch::{self, Batch, Entry};
use super::queue::Receipt;
use super::{Context, Queue, invalid};
use crate::aws::error::AwsError;
use crate::aws::lock;
use crate::aws::reply::{Reply, json_1_0, parse};
use crate::aws::settings::StaleHandles;

const MAX_VISIBILITY_SECONDS: u64 = 43_200;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Delete {
    #[serde(default)]
    id: String,
    receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeVisibility {
    #[serde(default)]
    id: String,
    receipt_handle: String,
    visibility_timeout: u64,
}

impl Entry for Delete {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Entry for ChangeVisibility {
    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Done {
    id: String,
}

#[derive(Serialize)]
struct Nothing {}

pub(super) fn delete_message(context: &Context<'_>) -> Result<Reply, AwsError> {
    let item = parse(context.body)?;
    let mut sqs = lock(&context.world.sqs);
    delete(context, sqs.queue(context.queue)?, &item)?;
    Ok(json_1_0(&Nothing {}).into())
}

pub(super) fn delete_message_batch(context: &Context<'_>) -> Result<Reply, AwsError> {
    let batch: Batch<Delete> = parse(context.body)?;
    let mut sqs = lock(&context.world.sqs);
    let queue = sqs.queue(context.queue)?;
    Ok(batch::each(batch.checked()?, context.plan, |item| {
        delete(context, queue, &item)?;
        Ok(Done { id: item.id })
    }))
}

pub(super) fn change_message_visibility(context: &Context<'_>) -> Result<Reply, AwsError> {
    let item = parse(context.body)?;
    let mut sqs = lock(&context.world.sqs);
    change_visibility(context, sqs.queue(context.queue)?, &item)?;
    Ok(json_1_0(&Nothing {}).into())
}

pub(super) fn change_message_visibility_batch(context: &Context<'_>) -> Result<Reply, AwsError> {
    let batch: Batch<ChangeVisibility> = parse(context.body)?;
    let mut sqs = lock(&context.world.sqs);
    let queue = sqs.queue(context.queue)?;
    Ok(batch::each(batch.checked()?, context.plan, |item| {
        change_visibility(context, queue, &item)?;
        Ok(Done { id: item.id })
    }))
}

/// A message that is gone is deleted again with success, whatever its handle.
fn delete(context: &Context<'_>, queue: &mut Queue, item: &Delete) -> Result<(), AwsError> {
    let key = match (queue.receipt(&item.receipt_handle), context.world.settings.stale_handles) {
        (Receipt::Current(key), _) | (Receipt::Stale(key), StaleHandles::Valid) => key,
        (Receipt::Gone, _) | (Receipt::Stale(_), StaleHandles::Ignored) => return Ok(()),
        (Receipt::Invalid, _) | (Receipt::Stale(_), StaleHandles::Refused) => return Err(invalid_handle()),
    };
    if !context.plan.forget_delete {
        queue.delete(key);
    }
    Ok(())
}

fn change_visibility(context: &Context<'_>, queue: &mut Queue, item: &ChangeVisibility) -> Result<(), AwsError> {
    if item.visibility_timeout > MAX_VISIBILITY_SECONDS {
        let range = format!("VisibilityTimeout must be an integer between 0 and {MAX_VISIBILITY_SECONDS}");
        return Err(invalid(format!("Value for parameter VisibilityTimeout is invalid. Reason: {range}")));
    }
    let key = match (queue.receipt(&item.receipt_handle), context.world.settings.stale_handles) {
        (Receipt::Current(key), _) | (Receipt::Stale(key), StaleHandles::Valid) => key,
        (Receipt::Stale(_), StaleHandles::Ignored) => return Ok(()),
        (Receipt::Stale(_), StaleHandles::Refused) | (Receipt::Invalid, _) => return Err(invalid_handle()),
        (Receipt::Gone, _) => {
            let reason = "Message does not exist or is not available for visibility timeout change.";
            return Err(invalid(format!("Value for parameter ReceiptHandle is invalid. Reason: {reason}")));
        }
    };
    let now = context.world.clock.now();
    if !queue.hide(key, now, now + item.visibility_timeout * 1000) {
        let message = "The message referred to is not in flight.";
        return Err(AwsError::new(400, "MessageNotInflight", message));
    }
    Ok(())
}

fn invalid_handle() -> AwsError {
    AwsError::new(404, "ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
}
