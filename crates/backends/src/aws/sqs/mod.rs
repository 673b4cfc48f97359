//! The queue on Amazon SQS: a standard queue, and the dead-letter queue of its redrive policy.
//!
//! What SQS does differently from the contract of the port: a delivery that is handed back stays counted, and receipts
//! of earlier deliveries may still work; this process knows its own stale ones (`deliveries`). A redriven message is a
//! new one for SQS; its first id and time travel with it (`origin`).

mod clients;
mod dead_letters;
mod deliveries;
mod error;
mod origin;
mod receipts;
mod redrive_policy;
mod sending;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use chassis::clock::Clock;
use chassis::ports::queue::{Profile, validate_batch, validate_batch_len, validate_visibility};
use chassis::ports::{
    DeadLetter, DeadLetterSummary, DeadLetters, Message, MessageId, NewMessage, Queue, QueueError, QueueStats, Receipt,
    Receive,
};
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::sync::{Mutex, oneshot};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::{Aws, AwsRequests};
use crate::OpenError;
pub use clients::CALL_TIMEOUT;
use clients::{Clients, RECEIVE_TIMEOUT};
use deliveries::Deliveries;
use origin::unpack;
pub(super) use redrive_policy::RedrivePolicy;
use sending::Sender;

/// How long an answer shows that the queue can be reached.
const LATELY: Duration = Duration::from_secs(30);
/// One queue. Cheap to make: SQS is first asked when something is sent or received.
pub struct SqsQueue {
    clients: Clients,
    url: String,
    clock: Arc<dyn Clock>,
    sender: Sender,
    deliveries: Arc<Deliveries>,
    policy: OnceLock<RedrivePolicy>,
    answered: Answered,
    requests: AwsRequests,
    /// Whoever looks into the dead-letter queue hides what he sees from others, so one at a time.
    looking: Mutex<()>,
    tasks: TaskTracker,
}

impl SqsQueue {
    /// The queue under `url`, the `https://sqs.REGION.amazonaws.com/ACCOUNT/NAME` of `SQS_QUEUE_URL`.
    ///
    /// # Errors
    /// When this is no URL of a queue.
    pub async fn open(aws: &Aws, url: &str, clock: Arc<dyn Clock>) -> Result<Arc<Self>, OpenError> {
        check_url(url)?;
        let clients = Clients::of(aws).await;
        let tasks = TaskTracker::new();
        let (sender, run) = Sender::new(clients.sends.clone(), url.to_owned());
        tasks.spawn(run);
        Ok(Arc::new(Self {
            clients,
            url: url.to_owned(),
            clock,
            sender,
            deliveries: Arc::default(),
            policy: OnceLock::new(),
            answered: Answered::default(),
            requests: aws.requests().clone(),
            looking: Mutex::new(()),
            tasks,
        }))
    }

    async fn attributes(&self, url: &str, names: &[QueueAttributeName]) -> Result<Counts, QueueError> {
        let request = self.clients.any.get_queue_attributes().queue_url(url).set_attribute_names(Some(names.to_vec()));
        let output = request.send().await.map_err(|error| error::of_call("GetQueueAttributes", &error))?;
        let count = |name| output.attributes()?.get(&name)?.parse().ok();
        let visible = count(QueueAttributeName::ApproximateNumberOfMessages).unwrap_or(0);
        let in_flight = count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible).unwrap_or(0);
        let delayed = count(QueueAttributeName::ApproximateNumberOfMessagesDelayed).unwrap_or(0);
        Ok(Counts { visible, in_flight, delayed })
    }
}

/// When SQS last did what it was asked. A question for readiness is paid for like any other.
#[derive(Debug, Default)]
struct Answered(AtomicU64);

impl Answered {
    fn now(&self, clock: &dyn Clock) {
        self.0.store(millis(clock).max(1), Ordering::Relaxed);
    }

    fn lately(&self, clock: &dyn Clock) -> bool {
        let last = self.0.load(Ordering::Relaxed);
        last > 0 && millis(clock).saturating_sub(last) < u64::try_from(LATELY.as_millis()).unwrap_or(u64::MAX)
    }
}

fn millis(clock: &dyn Clock) -> u64 {
    u64::try_from(clock.monotonic().as_millis()).unwrap_or(u64::MAX)
}

/// A scheme, a host, an account and a name.
pub(crate) fn check_url(url: &str) -> Result<(), OpenError> {
    let place = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or_default();
    let parts: Vec<_> = place.split('/').collect();
    let is_queue = parts.len() >= 3 && parts.iter().all(|part| !part.is_empty());
    if is_queue && !url.contains(['?', '#', '@', ' ']) {
        return Ok(());
    }
    let expected = "`sqs:` and the queue's URL, such as https://sqs.us-east-1.amazonaws.com/123456789012/messages";
    Err(OpenError::Malformed { kind: "queue", expected })
}

struct Counts {
    visible: u64,
    in_flight: u64,
    delayed: u64,
}

const COUNTS: &[QueueAttributeName] = &[
    QueueAttributeName::ApproximateNumberOfMessages,
    QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
    QueueAttributeName::ApproximateNumberOfMessagesDelayed,
];

impl fmt::Debug for SqsQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqsQueue").field("url", &self.url).finish_non_exhaustive()
    }
}

#[async_trait]
impl Queue for SqsQueue {
    async fn send_batch(&self, messages: Vec<NewMessage>) -> Result<Vec<Result<MessageId, QueueError>>, QueueError> {
        validate_batch(&messages)?;
        let answers = join_all(messages.into_iter().map(|message| self.sender.send(message))).await;
        let sent = answers.iter().filter(|answer| answer.is_ok()).count();
        if sent > 0 {
            self.answered.now(&*self.clock);
            self.requests.count_sent(sent);
        }
        Ok(answers)
    }

    async fn receive(&self, request: Receive) -> Result<Vec<Message>, QueueError> {
        request.validate()?;
        let (taker, received) = oneshot::channel();
        let (clients, url, deliveries) = (self.clients.clone(), self.url.clone(), Arc::clone(&self.deliveries));
        // Whoever drops the receive cannot call it back from SQS: what it brings is handed back then.
        self.tasks.spawn(async move {
            let received = receive(&clients.receives, &url, request).await;
            for message in received.iter().flatten() {
                deliveries.delivered(&message.id, &message.receipt);
            }
            if let Err(Ok(unwanted)) = taker.send(received) {
                show_again(&clients.any, &url, &unwanted).await;
            }
        });
        let received = received.await.unwrap_or_else(|_| Err(QueueError::Other("the receive panicked".into())));
        if let Ok(messages) = &received {
            self.answered.now(&*self.clock);
            self.requests.count_received(messages.iter().filter(|message| message.receive_count == 1).count());
        }
        received
    }

    async fn delete(&self, receipts: &[Receipt]) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        validate_batch_len(receipts.len())?;
        self.delete_receipts(receipts).await
    }

    async fn change_visibility(
        &self,
        receipts: &[Receipt],
        visibility: Duration,
    ) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        validate_batch_len(receipts.len())?;
        validate_visibility(visibility)?;
        self.hide_receipts(receipts, visibility).await
    }

    async fn release(&self, receipts: &[Receipt], pause: Duration) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        let answers = self.change_visibility(receipts, pause).await?;
        // For SQS the receipts go on; nobody here may use them, such as a heartbeat that was under way.
        for (receipt, _) in receipts.iter().zip(&answers).filter(|(_, answer)| answer.is_ok()) {
            self.deliveries.given_up(receipt);
        }
        Ok(answers)
    }

    async fn retry(&self, receipts: &[Receipt], pause: Duration) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        self.release(receipts, pause).await
    }

    async fn dead_letter(&self, message: &Message, reason: &str) -> Result<(), QueueError> {
        self.bury(message, reason).await
    }

    fn profile(&self) -> Profile {
        Profile { counts_releases: true, takes_stale_receipts: true, is_metered: true }
    }

    async fn max_receive_count(&self) -> Result<Option<u32>, QueueError> {
        Ok(self.redrive_policy().await?.max_receive_count)
    }

    async fn ping(&self) -> Result<(), QueueError> {
        if self.sender.has_ended() {
            return Err(QueueError::Unavailable("the sender of the queue has ended".into()));
        }
        if self.answered.lately(&*self.clock) {
            return Ok(());
        }
        let request = self.clients.any.get_queue_attributes().queue_url(&self.url);
        match request.attribute_names(QueueAttributeName::QueueArn).send().await {
            Ok(_) => {
                self.answered.now(&*self.clock);
                Ok(())
            }
            // Who may only send learns nothing of the queue, and that much shows that it is there.
            Err(error) if error::is_denial(&error) => {
                self.answered.now(&*self.clock);
                Ok(())
            }
            Err(error) => Err(error::of_call("GetQueueAttributes", &error)),
        }
    }

    async fn stats(&self) -> Result<QueueStats, QueueError> {
        let Counts { visible, in_flight, delayed } = self.attributes(&self.url, COUNTS).await?;
        let dead = match &self.redrive_policy().await?.dead_letter_url {
            Some(url) => match self.attributes(url, COUNTS).await {
                Ok(dead) => Some(dead.visible + dead.in_flight + dead.delayed),
                // Whoever may only send to the dead-letter queue does not learn how full it is.
                Err(error) => {
                    tracing::debug!(cause = %error, "the dead-letter queue does not tell how full it is");
                    None
                }
            },
            None => Some(0),
        };
        // Ages are told by CloudWatch alone.
        Ok(QueueStats { visible, in_flight, delayed, dead, oldest_age_seconds: None })
    }

    async fn purge(&self) -> Result<u64, QueueError> {
        let Counts { visible, in_flight, delayed } = self.attributes(&self.url, COUNTS).await?;
        let request = self.clients.any.purge_queue().queue_url(&self.url).send().await;
        request.map_err(|error| error::of_call("PurgeQueue", &error))?;
        Ok(visible + in_flight + delayed)
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetterSummary>, QueueError> {
        self.list_dead(limit).await
    }

    async fn find_dead_letter(&self, id: &MessageId) -> Result<Option<DeadLetter>, QueueError> {
        self.find_dead(id).await
    }

    async fn redrive(&self, which: DeadLetters) -> Result<u64, QueueError> {
        self.redrive_dead(which).await
    }

    async fn purge_dead_letters(&self, which: DeadLetters) -> Result<u64, QueueError> {
        self.purge_dead(which).await
    }
}

/// SQS counts whole seconds. What is shorter than one becomes one.
fn whole_seconds(time: Duration) -> i32 {
    i32::try_from(time.as_secs() + u64::from(time.subsec_nanos() > 0)).unwrap_or(i32::MAX)
}

/// The longest that a receive may take.
async fn in_time<T>(wait: Duration, receive: impl Future<Output = Result<T, QueueError>>) -> Result<T, QueueError> {
    timeout(wait + RECEIVE_TIMEOUT, receive).await.unwrap_or(Err(QueueError::Timeout))
}

/// One call. A wait of none is a short poll.
async fn receive(client: &Client, url: &str, request: Receive) -> Result<Vec<Message>, QueueError> {
    // What is not asked for need not be read.
    let asked = [MessageSystemAttributeName::SentTimestamp, MessageSystemAttributeName::ApproximateReceiveCount];
    let call = client
        .receive_message()
        .queue_url(url)
        .set_max_number_of_messages(i32::try_from(request.max).ok())
        .wait_time_seconds(whole_seconds(request.wait))
        .visibility_timeout(whole_seconds(request.visibility))
        .message_attribute_names("All")
        .set_message_system_attribute_names(Some(asked.to_vec()));
    let sent = async { call.send().await.map_err(|error| error::of_call("ReceiveMessage", &error)) };
    let output = in_time(request.wait, sent).await?;
    Ok(output.messages.unwrap_or_default().into_iter().filter_map(to_message).collect())
}

/// None for what is no message of SQS: it comes again, and must not hold up others meanwhile.
fn to_message(received: aws_sdk_sqs::types::Message) -> Option<Message> {
    let system = received.attributes.unwrap_or_default();
    let number = |name| system.get(&name).and_then(|text| text.parse::<i64>().ok());
    let sent_at = number(MessageSystemAttributeName::SentTimestamp).map(Timestamp::from_millisecond);
    let attributes = received.message_attributes.unwrap_or_default();
    let texts = attributes.into_iter().filter_map(|(name, value)| Some((name, value.string_value?)));
    let unpacked = unpack(texts.collect());
    let (id, sent_at) = match unpacked.origin {
        Some(origin) => (origin.id, origin.sent_at),
        None => (MessageId(received.message_id?), sent_at.and_then(Result::ok)?),
    };
    let count = number(MessageSystemAttributeName::ApproximateReceiveCount);
    Some(Message {
        id,
        receipt: Receipt(received.receipt_handle?),
        body: received.body.unwrap_or_default(),
        attributes: unpacked.attributes,
        sent_at,
        receive_count: count.and_then(|count| u32::try_from(count).ok()).unwrap_or(1),
    })
}

async fn show_again(client: &Client, url: &str, messages: &[Message]) {
    for message in messages {
        let request = client.change_message_visibility().queue_url(url).receipt_handle(&message.receipt.0);
        if let Err(error) = request.visibility_timeout(0).send().await {
            tracing::debug!(cause = %error::of_call("ChangeMessageVisibility", &error), "a message stays hidden");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_url_of_a_queue_is_refused() {
        for good in ["https://sqs.us-east-1.amazonaws.com/123456789012/messages", "http://127.0.0.1:4566/0/q"] {
            assert!(check_url(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "messages",
            "https://",
            "https://sqs/q",
            "ftp://h/1/q",
            "https://h/1/",
            "https://h/1/q?x",
            "https://u@h/1/q",
        ] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
    }
}
