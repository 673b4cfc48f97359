//! SQS in AWS JSON 1.0, with the semantics and limits of standard queues.
//!
//! Sources: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/Welcome.html> and
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-quotas.html>.

mod admin;
mod attributes;
mod batch;
mod digest;
mod message;
mod queue;
mod receipts;
mod receive;
mod send;

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

pub(crate) use attributes::Attributes;
pub(crate) use digest::hex_md5;
pub(crate) use message::{Content, MessageAttribute, NewMessage};
pub(crate) use queue::{Message, Queue};
pub(crate) use send::send;

use super::World;
use super::error::AwsError;
use super::faults::Plan;
use super::reply::Reply;
use super::service::Service;

pub(crate) const ACTIONS: [&str; 16] = [
    "CreateQueue",
    "GetQueueUrl",
    "GetQueueAttributes",
    "SetQueueAttributes",
    "ListQueues",
    "ListDeadLetterSourceQueues",
    "DeleteQueue",
    "PurgeQueue",
    "SendMessage",
    "SendMessageBatch",
    "ReceiveMessage",
    "DeleteMessage",
    "DeleteMessageBatch",
    "ChangeMessageVisibility",
    "ChangeMessageVisibilityBatch",
    "StartMessageMoveTask",
];

/// All queues of the account.
#[derive(Debug)]
pub(crate) struct Sqs {
    pub(crate) queues: BTreeMap<String, Queue>,
    next_queue: u64,
    rng: StdRng,
}

/// What a request is answered from.
pub(crate) struct Context<'a> {
    pub(crate) world: &'a World,
    pub(crate) plan: &'a Plan,
    pub(crate) body: &'a [u8],
    /// The name of the queue that the request names or points to.
    pub(crate) queue: &'a str,
    /// What queue URLs begin with: as the client knows the fake.
    pub(crate) origin: String,
}

impl Sqs {
    pub(crate) fn new(seed: u64) -> Self {
        Self { queues: BTreeMap::new(), next_queue: 1, rng: StdRng::seed_from_u64(seed) }
    }

    /// Whatever was there under this name stays.
    pub(crate) fn create(&mut self, name: &str, attributes: Attributes, now: u64) -> &mut Queue {
        let number = self.next_queue;
        self.next_queue += 1;
        self.queues.entry(name.to_owned()).or_insert_with(|| Queue::new(number, attributes, now))
    }

    pub(crate) fn queue(&mut self, name: &str) -> Result<&mut Queue, AwsError> {
        self.queues.get_mut(name).ok_or_else(no_such_queue)
    }

    pub(crate) fn new_id(&mut self) -> String {
        uuid::Builder::from_random_bytes(self.rng.random()).into_uuid().to_string()
    }
}

pub(crate) async fn answer(action: &str, context: &Context<'_>) -> Result<Reply, AwsError> {
    match action {
        "CreateQueue" => admin::create_queue(context),
        "GetQueueUrl" => admin::get_queue_url(context),
        "GetQueueAttributes" => admin::get_queue_attributes(context),
        "SetQueueAttributes" => admin::set_queue_attributes(context),
        "ListQueues" => admin::list_queues(context),
        "ListDeadLetterSourceQueues" => admin::list_dead_letter_source_queues(context),
        "DeleteQueue" => admin::delete_queue(context),
        "PurgeQueue" => admin::purge_queue(context),
        "StartMessageMoveTask" => admin::start_message_move_task(context),
        "SendMessage" => send::send_message(context),
        "SendMessageBatch" => send::send_message_batch(context),
        "ReceiveMessage" => receive::receive_message(context).await,
        "DeleteMessage" => receipts::delete_message(context),
        "DeleteMessageBatch" => receipts::delete_message_batch(context),
        "ChangeMessageVisibility" => receipts::change_message_visibility(context),
        "ChangeMessageVisibilityBatch" => receipts::change_message_visibility_batch(context),
        _ => Err(AwsError::unknown_action(Service::Sqs)),
    }
}

/// The queue that a URL or an ARN names.
pub(crate) fn name_of(address: &str) -> &str {
    address.rsplit(['/', ':']).next().unwrap_or_default()
}

fn no_such_queue() -> AwsError {
    AwsError::new(400, "QueueDoesNotExist", "The specified queue does not exist.")
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new(400, "InvalidParameterValueException", message.into())
}
