//! Batches of receipts: delete, hide, show.

use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
};
use chassis::ports::{QueueError, Receipt};
use std::time::Duration;

use super::deliveries::Known;
use super::{SqsQueue, error, whole_seconds};

type Answers = Vec<Result<(), QueueError>>;

impl SqsQueue {
    pub(super) async fn delete_receipts(&self, receipts: &[Receipt]) -> Result<Answers, QueueError> {
        let judge = |known| match known {
            Known::Deleted => Some(Ok(())),
            Known::Stale => Some(Err(QueueError::StaleReceipt)),
            Known::Nothing | Known::Newest => None,
        };
        let mut answers: Vec<_> = receipts.iter().map(|receipt| judge(self.deliveries.look(receipt))).collect();
        let entries = asked(receipts, &answers).map(|(place, receipt)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(place.to_string()).receipt_handle(&receipt.0);
            entry.build().map_err(|error| QueueError::Invalid(error.to_string()))
        });
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        if !entries.is_empty() {
            let request = self.clients.any.delete_message_batch().queue_url(&self.url).set_entries(Some(entries));
            let output = request.send().await.map_err(|error| error::of_call("DeleteMessage", &error))?;
            fill(&mut answers, output.successful().iter().map(|entry| entry.id()), output.failed(), "DeleteMessage");
        }
        // Of two same ones in a batch the second finds its message deleted.
        for (receipt, answer) in receipts.iter().zip(&mut answers) {
            if matches!(answer, Some(Ok(()))) {
                self.deliveries.deleted(receipt);
            } else if matches!(answer, Some(Err(_))) && self.deliveries.look(receipt) == Known::Deleted {
                *answer = Some(Ok(()));
            }
        }
        Ok(answered(answers, "DeleteMessage"))
    }

    pub(super) async fn hide_receipts(&self, receipts: &[Receipt], hidden: Duration) -> Result<Answers, QueueError> {
        const ACTION: &str = "ChangeMessageVisibility";
        let judge = |known| match known {
            Known::Deleted | Known::Stale => Some(Err(QueueError::StaleReceipt)),
            Known::Nothing | Known::Newest => None,
        };
        let mut answers: Vec<_> = receipts.iter().map(|receipt| judge(self.deliveries.look(receipt))).collect();
        let entries = asked(receipts, &answers).map(|(place, receipt)| {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(place.to_string())
                .receipt_handle(&receipt.0)
                .visibility_timeout(whole_seconds(hidden));
            entry.build().map_err(|error| QueueError::Invalid(error.to_string()))
        });
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        if !entries.is_empty() {
            let request = self.clients.any.change_message_visibility_batch().queue_url(&self.url);
            let output = request.set_entries(Some(entries)).send().await;
            let output = output.map_err(|error| error::of_call(ACTION, &error))?;
            fill(&mut answers, output.successful().iter().map(|entry| entry.id()), output.failed(), ACTION);
        }
        Ok(answered(answers, ACTION))
    }
}

/// Those that SQS has to be asked about, with their places.
fn asked<'a>(
    receipts: &'a [Receipt],
    answers: &'a [Option<Result<(), QueueError>>],
) -> impl Iterator<Item = (usize, &'a Receipt)> {
    receipts.iter().enumerate().zip(answers).filter(|(_, answer)| answer.is_none()).map(|(receipt, _)| receipt)
}

fn fill<'a>(
    answers: &mut [Option<Result<(), QueueError>>],
    successful: impl Iterator<Item = &'a str>,
    failed: &[BatchResultErrorEntry],
    action: &str,
) {
    let failed = failed.iter().map(|entry| (entry.id(), Err(error::of_entry(action, entry))));
    for (id, outcome) in successful.map(|id| (id, Ok(()))).chain(failed) {
        if let Some(answer) = id.parse::<usize>().ok().and_then(|place| answers.get_mut(place)) {
            *answer = Some(outcome);
        }
    }
}

fn answered(answers: Vec<Option<Result<(), QueueError>>>, action: &str) -> Answers {
    let missing = || Err(QueueError::Other(format!("no answer of sqs:{action} for an entry")));
    answers.into_iter().map(|answer| answer.unwrap_or_else(missing)).collect()
}
