//! Many callers, few calls: what is sent at about the same time goes out as one `SendMessageBatch`.
//!
//! Each caller is answered when its own entry is confirmed; an entry that fails concerns nobody else. A call costs the
//! same with one entry as with ten.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::operation::send_message_batch::SendMessageBatchOutput;
use aws_sdk_sqs::operation::send_message_batch::builders::SendMessageBatchFluentBuilder;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use backon::{BackoffBuilder, ExponentialBuilder};
use chassis::ports::queue::{MAX_BATCH, MAX_MESSAGE_BYTES, MessageId, NewMessage, QueueError};
use futures_util::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::{error, origin, whole_seconds};

/// How long the first entry of a batch waits for others.
const LINGER: Duration = Duration::from_millis(3);
/// The same while calls are under way and the batch before was at least half full: then whoever is answered sends again at
/// once, and the next batch fills up sooner than this on any machine that is not short of time.
const BUSY_LINGER: Duration = Duration::from_millis(50);
/// Entries that wait for a batch; beyond them callers wait before they hand theirs over.
const WAITING: usize = 1024;
/// The same in KiB of messages, those on their way included. A caller who leaves leaves his message here, where nobody
/// else counts it, until a call has room for it.
const WAITING_KIB: usize = 8 * 1024;
/// Calls under way at once. While all are, the next batches fill up.
const CALLS: usize = 16;

/// The pauses between tries of one call.
const PAUSES: ExponentialBuilder =
    ExponentialBuilder::new().with_min_delay(Duration::from_millis(50)).with_max_times(3);

type Answer = Result<MessageId, QueueError>;

struct Entry {
    message: NewMessage,
    size_bytes: usize,
    caller: oneshot::Sender<Answer>,
    room: OwnedSemaphorePermit,
}

/// Where callers hand over their messages. The task behind it ends when this is dropped and everything is sent.
#[derive(Debug)]
pub(super) struct Sender {
    inbox: mpsc::Sender<Entry>,
    room: Arc<Semaphore>,
}

impl Sender {
    /// The future sends what comes in, and is to be spawned.
    pub(super) fn new(client: Client, url: String) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (inbox, entries) = mpsc::channel(WAITING);
        (Self { inbox, room: Arc::new(Semaphore::new(WAITING_KIB)) }, run(entries, client, url))
    }

    /// Whether nothing is sent any more.
    pub(super) fn has_ended(&self) -> bool {
        self.inbox.is_closed()
    }

    /// Answers when the queue has the message. A caller that leaves takes its message along, unless it is on its way.
    pub(super) async fn send(&self, message: NewMessage) -> Answer {
        message.validate()?;
        let gone = || QueueError::Unavailable("the sender of the queue has ended".into());
        let (caller, answer) = oneshot::channel();
        let size_bytes = message.size_bytes();
        let kib = u32::try_from(size_bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(kib).await.map_err(|_| gone())?;
        let entry = Entry { size_bytes, message, caller, room };
        self.inbox.send(entry).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

async fn run(entries: mpsc::Receiver<Entry>, client: Client, url: String) {
    let mut batches = Batches { entries, next: None, was_busy: false };
    let mut calls = JoinSet::new();
    while batches.wait().await {
        while calls.len() >= CALLS {
            calls.join_next().await;
        }
        while calls.try_join_next().is_some() {}
        let batch = batches.gather(&mut calls).await;
        if !batch.is_empty() {
            calls.spawn(call(client.clone(), url.clone(), batch));
        }
    }
    calls.join_all().await;
}

/// Puts together what fits into one call.
struct Batches {
    entries: mpsc::Receiver<Entry>,
    /// The first of the next batch.
    next: Option<Entry>,
    /// Whether the batch before was at least half full.
    was_busy: bool,
}

impl Batches {
    /// False when nothing comes any more.
    async fn wait(&mut self) -> bool {
        if self.next.is_none() {
            self.next = self.entries.recv().await;
        }
        self.next.is_some()
    }

    /// Until the batch is full, or has waited for long enough. Whoever has left meanwhile is left out.
    async fn gather(&mut self, calls: &mut JoinSet<()>) -> Vec<Entry> {
        let mut batch: Vec<Entry> = self.next.take().filter(|first| !first.caller.is_closed()).into_iter().collect();
        let mut size_bytes: usize = batch.iter().map(|entry| entry.size_bytes).sum();
        let is_busy = self.was_busy && !calls.is_empty();
        let mut until = Instant::now() + if is_busy { BUSY_LINGER } else { LINGER };
        while batch.len() < MAX_BATCH {
            let entry = tokio::select! {
                biased;
                Some(entry) = self.entries.recv() => entry,
                Some(_) = calls.join_next() => {
                    if calls.is_empty() {
                        until = until.min(Instant::now() + LINGER);
                    }
                    continue;
                }
                () = sleep_until(until) => break,
            };
            if entry.caller.is_closed() {
                continue;
            }
            size_bytes += entry.size_bytes;
            if size_bytes > MAX_MESSAGE_BYTES {
                self.next = Some(entry);
                break;
            }
            batch.push(entry);
        }
        self.was_busy = batch.len() * 2 >= MAX_BATCH;
        batch
    }
}

async fn call(client: Client, url: String, batch: Vec<Entry>) {
    let apart = |entry: Entry| (entry.message, (entry.caller, entry.room));
    let (messages, callers): (Vec<_>, Vec<_>) = batch.into_iter().map(apart).unzip();
    let answers = send_batch(&client, &url, messages).await;
    for ((caller, _room), answer) in callers.into_iter().zip(answers) {
        // Whoever has left gets no answer, and its message is on the queue.
        let _ = caller.send(answer);
    }
}

/// An answer for each message, in their order. One call, where the queue takes it. More than a batch is refused by SQS.
pub(super) async fn send_batch(client: &Client, url: &str, messages: Vec<NewMessage>) -> Vec<Answer> {
    let sizes: Vec<_> = messages.iter().map(NewMessage::size_bytes).collect();
    let entries: Result<Vec<_>, _> = messages.into_iter().enumerate().map(to_sqs).collect();
    let entries = match entries {
        Ok(entries) => entries,
        Err(error) => return vec![Err(error); sizes.len()],
    };
    let request = client.send_message_batch().queue_url(url).set_entries(Some(entries));
    match try_batch(&request).await {
        Ok(output) => answers(&output, &sizes),
        // A queue may take less than SQS does. Nothing was sent; which message is too large shows when each goes alone.
        Err(QueueError::TooLarge { .. }) if sizes.len() > 1 => {
            let entries = request.get_entries().clone().unwrap_or_default();
            let alone = entries.into_iter().zip(&sizes).map(async |(mut entry, size)| {
                "0".clone_into(&mut entry.id);
                let request = client.send_message_batch().queue_url(url).entries(entry);
                let sent = try_batch(&request).await.map_err(|error| sized(error, *size));
                answers(&sent?, &[*size]).pop().unwrap_or(Err(QueueError::Timeout))
            });
            join_all(alone).await
        }
        Err(error) => sizes.iter().map(|size| Err(sized(error.clone(), *size))).collect(),
    }
}

fn answers(output: &SendMessageBatchOutput, sizes: &[usize]) -> Vec<Answer> {
    let missing = || Err(QueueError::Other("no answer of sqs:SendMessage for an entry".into()));
    let mut answers: Vec<Answer> = sizes.iter().map(|_| missing()).collect();
    let place = |id: &str| id.parse::<usize>().ok().filter(|place| *place < sizes.len());
    for sent in output.successful() {
        if let Some(answer) = place(sent.id()).and_then(|place| answers.get_mut(place)) {
            *answer = Ok(MessageId(sent.message_id().to_owned()));
        }
    }
    for entry in output.failed() {
        if let Some((answer, size)) = place(entry.id()).and_then(|place| answers.get_mut(place).zip(sizes.get(place))) {
            *answer = Err(sized(error::of_entry("SendMessage", entry), *size));
        }
    }
    answers
}

/// SQS says that a message is too large, and not how large it is.
fn sized(error: QueueError, size_bytes: usize) -> QueueError {
    match error {
        QueueError::TooLarge { .. } => QueueError::TooLarge { size_bytes },
        other => other,
    }
}

/// One call. Tries again only where SQS says that it took nothing. After an answer that was lost or late nobody knows,
/// and another try could send every message twice.
async fn try_batch(request: &SendMessageBatchFluentBuilder) -> Result<SendMessageBatchOutput, QueueError> {
    let mut pauses = PAUSES.with_jitter().build();
    loop {
        match request.clone().send().await {
            Ok(output) => return Ok(output),
            Err(error) => match pauses.next().filter(|_| error::is_refusal(&error)) {
                Some(pause) => sleep(pause).await,
                None => return Err(error::of_call("SendMessage", &error)),
            },
        }
    }
}

fn to_sqs((place, message): (usize, NewMessage)) -> Result<SendMessageBatchRequestEntry, QueueError> {
    let entry = SendMessageBatchRequestEntry::builder()
        .id(place.to_string())
        .message_body(message.body)
        .set_delay_seconds(Some(whole_seconds(message.delay)).filter(|seconds| *seconds > 0))
        .set_message_attributes(Some(origin::to_sqs(&message.attributes)?.into_iter().collect()));
    entry.build().map_err(|error| QueueError::Invalid(error.to_string()))
}
