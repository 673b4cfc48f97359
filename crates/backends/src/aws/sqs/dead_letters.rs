//! The dead-letter queue, seen through receives: SQS has no other way to look into a queue.
//!
//! What is looked at is hidden from others for a moment and then shown again. A message that the redrive policy itself
//! has moved has no reason and no time of death: those are said as well as they are known.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageSystemAttributeName,
};
use chassis::ports::queue::{MAX_BATCH, NewMessage};
use chassis::ports::{DeadLetter, DeadLetterSummary, DeadLetters, Message, MessageId, QueueError, Receipt};
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::sleep;

use super::deliveries::Known;
use super::origin::{pack, unpack};
use super::sending::send_batch;
use super::{SqsQueue, error, in_time, whole_seconds};

/// How long a letter that is looked at stays hidden.
const HIDDEN: Duration = Duration::from_secs(60);
/// How long a look waits: long enough to ask every server of SQS, which a short poll does not.
const WAIT: Duration = Duration::from_secs(1);
/// How often a message that is in the dead-letter queue is deleted, until it is, and the pause in between.
const DELETE_TRIES: u32 = 4;
const DELETE_PAUSE: Duration = Duration::from_millis(100);
/// Characters of a reason.
const REASON_CHARACTERS: usize = 1024;

/// A dead letter and the right to delete it. Its body is kept only where it is needed: there may be many.
struct Found {
    letter: DeadLetter,
    size_bytes: u64,
    receipt: String,
}

impl Found {
    fn drop_body(&mut self) {
        self.letter.body = String::new();
    }
}

/// What becomes of a letter that leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Redriven,
    Purged,
}

impl SqsQueue {
    /// Sends it to the dead-letter queue, with its reason, then deletes it. Whoever fails in between sends it again when
    /// it comes back: the dead-letter queue shows both as one.
    pub(super) async fn bury(&self, message: &Message, reason: &str) -> Result<(), QueueError> {
        match self.deliveries.look(&message.receipt) {
            Known::Newest => {}
            // Sent before SQS is asked, so what this process was never handed must not bring a letter.
            Known::Nothing => return Err(QueueError::Invalid("the receipt is none of this queue".into())),
            Known::Stale | Known::Deleted => return Err(QueueError::StaleReceipt),
        }
        let url = self.dead_letter_url().await?;
        let first_life = (&message.id, message.sent_at, message.receive_count);
        let attributes = pack(message.attributes.clone(), first_life, Some(&sendable(reason)))?;
        let letter = NewMessage::new(message.body.clone(), attributes);
        if let Err(QueueError::TooLarge { size_bytes }) = letter.validate() {
            let why =
                format!("{size_bytes} bytes with its reason are too many: the queue's redrive policy will move it");
            return Err(QueueError::Other(why));
        }
        send_batch(&self.clients.sends, &url, vec![letter]).await.pop().unwrap_or(Err(QueueError::Timeout)).map_err(
            |error| match error {
                QueueError::Unavailable(cause) => QueueError::Unavailable(format!("dead-letter queue: {cause}")),
                other => other,
            },
        )?;
        self.forget(&message.receipt).await;
        Ok(())
    }

    /// The letter is there, whatever becomes of the message: one that comes back is sent again, and both are shown as
    /// one.
    async fn forget(&self, receipt: &Receipt) {
        for _ in 0..DELETE_TRIES {
            let mut answers = self.delete_receipts(std::slice::from_ref(receipt)).await;
            match answers.as_mut().map(Vec::pop) {
                Ok(Some(Ok(()) | Err(QueueError::StaleReceipt))) => break,
                _ => sleep(DELETE_PAUSE).await,
            }
        }
        self.deliveries.given_up(receipt);
    }

    pub(super) async fn list_dead(&self, limit: usize) -> Result<Vec<DeadLetterSummary>, QueueError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        // SQS keeps no order, so the oldest of a few are found among some more.
        let found = self.look(limit.max(100), |_| false).await?;
        let mut letters: Vec<_> = found.into_iter().map(summary).collect();
        letters.sort_by(|one, other| (one.dead_at, &one.id).cmp(&(other.dead_at, &other.id)));
        letters.truncate(limit);
        Ok(letters)
    }

    pub(super) async fn find_dead(&self, id: &MessageId) -> Result<Option<DeadLetter>, QueueError> {
        let found = self.look(usize::MAX, |letter| letter.id == *id).await?;
        Ok(found.into_iter().map(|found| found.letter).find(|letter| letter.id == *id))
    }

    /// Sends each back and then deletes it: a failure in between leaves both, and both make the same object.
    pub(super) async fn redrive_dead(&self, which: DeadLetters) -> Result<u64, QueueError> {
        self.take(which, Fate::Redriven).await
    }

    pub(super) async fn purge_dead(&self, which: DeadLetters) -> Result<u64, QueueError> {
        self.take(which, Fate::Purged).await
    }

    /// Looks at up to `most` letters, or until one is `wanted`, whose body is kept; then shows them again. Doubles are
    /// left out.
    async fn look(&self, most: usize, wanted: impl Fn(&DeadLetter) -> bool) -> Result<Vec<Found>, QueueError> {
        let _one_at_a_time = self.looking.lock().await;
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        let mut ended = false;
        while !ended && found.len() < most {
            let mut letters = self.receive_dead().await?;
            // In a long queue the first ones are visible again before the last ones are seen.
            let is_new = letters.iter().filter(|found| seen.insert(found.letter.id.clone())).count() > 0;
            ended = !is_new || letters.iter().any(|found| wanted(&found.letter));
            letters.iter_mut().filter(|found| !wanted(&found.letter)).for_each(Found::drop_body);
            found.extend(letters);
        }
        self.show_dead(&found).await?;
        seen.clear();
        found.retain(|found| seen.insert(found.letter.id.clone()));
        Ok(found)
    }

    /// Lets their fate come over those that are wanted, batch by batch, and deletes them; answers how many there were.
    async fn take(&self, which: DeadLetters, fate: Fate) -> Result<u64, QueueError> {
        let _one_at_a_time = self.looking.lock().await;
        let mut wanted: Option<BTreeSet<MessageId>> = match which {
            DeadLetters::All => None,
            DeadLetters::Ids(ids) => Some(ids.into_iter().collect()),
        };
        let (mut done, mut others, mut seen) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
        while wanted.as_ref().is_none_or(|wanted| !wanted.is_empty()) {
            let letters = self.receive_dead().await?;
            if letters.iter().filter(|found| seen.insert(found.letter.id.clone())).count() == 0 {
                others.extend(letters);
                break;
            }
            let is_wanted = |found: &Found| wanted.as_ref().is_none_or(|wanted| wanted.contains(&found.letter.id));
            let (chosen, rest): (Vec<_>, Vec<_>) = letters.into_iter().partition(is_wanted);
            others.extend(rest);
            let (mut doubles, chosen): (Vec<_>, Vec<_>) =
                chosen.into_iter().partition(|found| done.contains(&found.letter.id));
            // One that went back and died again is no double of itself.
            if fate == Fate::Redriven {
                others.append(&mut doubles);
            }
            others.iter_mut().for_each(Found::drop_body);
            let outcomes = self.meet(fate, &chosen).await?;
            let (taken, failed): (Vec<_>, Vec<_>) = chosen.into_iter().zip(outcomes).partition(|(_, it)| it.is_ok());
            let finished: Vec<Found> = taken.into_iter().map(|(found, _)| found).chain(doubles).collect();
            self.delete_dead(&finished).await?;
            done.extend(finished.into_iter().map(|found| found.letter.id));
            if let Some((_, Err(error))) = failed.into_iter().next() {
                self.show_dead(&others).await?;
                return Err(error);
            }
            wanted.iter_mut().for_each(|wanted| wanted.retain(|id| !done.contains(id)));
        }
        self.show_dead(&others).await?;
        Ok(done.len() as u64)
    }

    /// An answer for each letter, in their order.
    async fn meet(&self, fate: Fate, letters: &[Found]) -> Result<Vec<Result<MessageId, QueueError>>, QueueError> {
        if letters.is_empty() || fate == Fate::Purged {
            return Ok(letters.iter().map(|found| Ok(found.letter.id.clone())).collect());
        }
        let messages = letters.iter().map(|found| revived(&found.letter)).collect::<Result<Vec<_>, _>>()?;
        Ok(join_all(messages.into_iter().map(|message| self.sender.send(message))).await)
    }

    async fn receive_dead(&self) -> Result<Vec<Found>, QueueError> {
        let policy = self.redrive_policy().await?;
        let request = self
            .clients
            .receives
            .receive_message()
            .queue_url(self.dead_letter_url().await?)
            .set_max_number_of_messages(i32::try_from(MAX_BATCH).ok())
            .wait_time_seconds(whole_seconds(WAIT))
            .visibility_timeout(whole_seconds(HIDDEN))
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::All);
        let sent = async { request.send().await.map_err(|error| error::of_call("ReceiveMessage", &error)) };
        let output = in_time(WAIT, sent).await?;
        let now = self.clock.now();
        let received = output.messages.unwrap_or_default().into_iter();
        Ok(received.filter_map(|message| found(message, policy.max_receive_count, now)).collect())
    }

    async fn show_dead(&self, letters: &[Found]) -> Result<(), QueueError> {
        let url = self.dead_letter_url().await?;
        for batch in letters.chunks(MAX_BATCH) {
            let entries = batch.iter().enumerate().filter_map(|(place, found)| {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(place.to_string());
                entry.receipt_handle(&found.receipt).visibility_timeout(0).build().ok()
            });
            let request = self.clients.any.change_message_visibility_batch().queue_url(&url);
            let output = request.set_entries(Some(entries.collect())).send().await;
            output.map_err(|error| error::of_call("ChangeMessageVisibility", &error))?;
        }
        Ok(())
    }

    async fn delete_dead(&self, letters: &[Found]) -> Result<(), QueueError> {
        let url = self.dead_letter_url().await?;
        for batch in letters.chunks(MAX_BATCH) {
            let entries = batch.iter().enumerate().filter_map(|(place, found)| {
                let entry = DeleteMessageBatchRequestEntry::builder().id(place.to_string());
                entry.receipt_handle(&found.receipt).build().ok()
            });
            let request = self.clients.any.delete_message_batch().queue_url(&url).set_entries(Some(entries.collect()));
            let output = request.send().await.map_err(|error| error::of_call("DeleteMessage", &error))?;
            if let Some(entry) = output.failed().first() {
                return Err(error::of_entry("DeleteMessage", entry));
            }
        }
        Ok(())
    }
}

/// None for what is no message at all.
fn found(received: aws_sdk_sqs::types::Message, max_receive_count: Option<u32>, now: Timestamp) -> Option<Found> {
    let system: BTreeMap<_, _> = received.attributes.unwrap_or_default().into_iter().collect();
    let time = |name| Timestamp::from_millisecond(system.get(&name)?.parse().ok()?).ok();
    let sent_at = time(MessageSystemAttributeName::SentTimestamp).unwrap_or(now);
    let attributes = received.message_attributes.unwrap_or_default();
    let unpacked = unpack(attributes.into_iter().filter_map(|(name, it)| Some((name, it.string_value?))).collect());
    let body = received.body.unwrap_or_default();
    let letter = match (unpacked.origin, unpacked.reason) {
        (Some(origin), Some(reason)) => DeadLetter {
            id: origin.id,
            body,
            attributes: unpacked.attributes,
            sent_at: origin.sent_at,
            receive_count: origin.receive_count,
            reason,
            dead_at: sent_at,
        },
        (origin, _) => {
            let count = max_receive_count.unwrap_or(0);
            let (id, sent) = origin.map_or((None, sent_at), |origin| (Some(origin.id), origin.sent_at));
            DeadLetter {
                id: id.or(received.message_id.map(MessageId))?,
                body,
                attributes: unpacked.attributes,
                sent_at: sent,
                receive_count: count,
                reason: format!("received {count} times and never deleted: moved by the queue's redrive policy"),
                // Not before this.
                dead_at: time(MessageSystemAttributeName::ApproximateFirstReceiveTimestamp).unwrap_or(now),
            }
        }
    };
    let size_bytes = letter.body.len() as u64;
    Some(Found { letter, size_bytes, receipt: received.receipt_handle? })
}

fn revived(letter: &DeadLetter) -> Result<NewMessage, QueueError> {
    let attributes = pack(letter.attributes.clone(), (&letter.id, letter.sent_at, 0), None)?;
    let message = NewMessage::new(letter.body.clone(), attributes);
    // Where there is no room for what it was, it goes on as a new message: better than to stay dead for ever.
    let fits = !matches!(message.validate(), Err(QueueError::TooLarge { .. }));
    Ok(if fits { message } else { NewMessage::new(letter.body.clone(), letter.attributes.clone()) })
}

fn summary(found: Found) -> DeadLetterSummary {
    let Found { letter, size_bytes, .. } = found;
    let DeadLetter { id, attributes, sent_at, receive_count, reason, dead_at, .. } = letter;
    DeadLetterSummary { id, size_bytes, attributes, sent_at, receive_count, reason, dead_at }
}

/// SQS takes no control characters and nothing empty.
fn sendable(reason: &str) -> String {
    let is_taken = |character: &char| !character.is_control() && !matches!(character, '\u{fffe}' | '\u{ffff}');
    let text: String = reason.chars().filter(is_taken).take(REASON_CHARACTERS).collect();
    if text.is_empty() { "no reason given".to_owned() } else { text }
}
