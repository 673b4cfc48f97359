//! What is in the fake: for asserts, and to set it up without a client.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::fake::Fake;
use super::lock;
use super::s3::{self, Bucket, Object};
use super::settings::{ACCOUNT, queue_arn};
use super::sqs::{self, Attributes, MessageAttribute, NewMessage};
use super::ssm::Parameter;

/// A message on a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Stays the same in the dead-letter queue.
    pub id: String,
    /// As it was sent.
    pub body: String,
    /// By name; of binary ones the base64.
    pub attributes: BTreeMap<String, String>,
    /// How often it was handed out.
    pub receive_count: u64,
    /// Handed out, and neither deleted nor visible again.
    pub in_flight: bool,
    /// When it was sent, in milliseconds since 1970.
    pub sent_at_millis: u64,
}

impl Fake {
    /// Makes a queue with the defaults of AWS, if there is none of this name, and says its URL.
    pub fn create_queue(&self, name: &str) -> String {
        self.create_queue_with(name, &[])
    }

    /// Makes a queue with these attributes, if there is none of this name, and says its URL.
    ///
    /// # Panics
    ///
    /// If SQS would refuse the attributes.
    pub fn create_queue_with(&self, name: &str, attributes: &[(&str, &str)]) -> String {
        let mut wanted = Attributes::default();
        for (attribute, value) in attributes {
            let set = wanted.set(attribute, value);
            assert!(set.is_ok(), "{attribute} = {value}: {set:?}");
        }
        lock(&self.world.sqs).create(name, wanted, self.world.clock.now());
        format!("{}/{ACCOUNT}/{name}", self.url())
    }

    /// Makes a queue, its dead-letter queue `NAME-dlq`, and the redrive policy between them. Says the queue's URL.
    pub fn create_queue_with_dead_letters(&self, name: &str, visibility_seconds: u64, max_receives: u64) -> String {
        let dead_letters = format!("{name}-dlq");
        self.create_queue(&dead_letters);
        let target = queue_arn(&dead_letters);
        let policy = serde_json::json!({"deadLetterTargetArn": target, "maxReceiveCount": max_receives}).to_string();
        let visibility = visibility_seconds.to_string();
        self.create_queue_with(name, &[("VisibilityTimeout", &visibility), ("RedrivePolicy", &policy)])
    }

    /// Puts a message on a queue, and says its id.
    ///
    /// # Panics
    ///
    /// If there is no such queue, or SQS would refuse the message.
    pub fn send(&self, queue: &str, body: &str, attributes: &[(&str, &str)]) -> String {
        let attribute = |(name, value): &(&str, &str)| {
            let text = Some((*value).to_owned());
            let attribute = MessageAttribute { data_type: "String".to_owned(), string_value: text, binary_value: None };
            ((*name).to_owned(), attribute)
        };
        let message = NewMessage {
            id: String::new(),
            message_body: body.to_owned(),
            delay_seconds: None,
            message_attributes: attributes.iter().map(attribute).collect(),
            message_system_attributes: BTreeMap::new(),
        };
        match sqs::send(&mut lock(&self.world.sqs), queue, message, self.world.clock.now()) {
            Ok(sent) => sent.message_id,
            Err(error) => panic!("{queue}: {error:?}"),
        }
    }

    /// Every message of a queue in the order of arrival, hidden ones too; none when there is no such queue.
    #[must_use]
    pub fn messages(&self, queue: &str) -> Vec<StoredMessage> {
        let mut sqs = lock(&self.world.sqs);
        let Ok(queue) = sqs.queue(queue) else { return Vec::new() };
        queue.messages(self.world.clock.now()).into_iter().map(stored).collect()
    }

    /// How many messages a queue has, hidden ones too.
    #[must_use]
    pub fn depth(&self, queue: &str) -> usize {
        let mut sqs = lock(&self.world.sqs);
        sqs.queue(queue).map_or(0, |queue| queue.counts(self.world.clock.now()).into_iter().sum())
    }

    /// Every message of the queue that the redrive policy of this one names.
    #[must_use]
    pub fn dead_letters(&self, queue: &str) -> Vec<StoredMessage> {
        let target = lock(&self.world.sqs).queue(queue).ok().and_then(|queue| queue.attributes.redrive.clone());
        target.map_or_else(Vec::new, |redrive| self.messages(sqs::name_of(&redrive.target_arn)))
    }

    /// Makes a bucket, if there is none of this name: encrypted, and closed to the public.
    pub fn create_bucket(&self, name: &str) {
        let now = self.world.clock.now();
        lock(&self.world.s3).buckets.entry(name.to_owned()).or_insert_with(|| Bucket::new(now));
    }

    /// Sets the encryption of a bucket (`AES256`, `aws:kms`), or takes it away; and whether all public access is
    /// blocked, where `None` has no setting at all. Without such a bucket nothing happens.
    pub fn configure_bucket(&self, name: &str, encryption: Option<&str>, block_public_access: Option<bool>) {
        if let Some(bucket) = lock(&self.world.s3).buckets.get_mut(name) {
            bucket.encryption = encryption.map(s3::encryption);
            bucket.public_access_block = block_public_access.map(s3::public_access_block);
        }
    }

    /// Puts an object, into a new bucket if need be.
    pub fn put_object(&self, bucket: &str, key: &str, body: impl Into<Bytes>) {
        self.create_bucket(bucket);
        let object = Object::new(body.into(), BTreeMap::new(), self.world.clock.now());
        if let Some(bucket) = lock(&self.world.s3).buckets.get_mut(bucket) {
            bucket.objects.insert(key.to_owned(), object);
        }
    }

    /// Every object of a bucket by key; none when there is no such bucket.
    #[must_use]
    pub fn objects(&self, bucket: &str) -> BTreeMap<String, Object> {
        lock(&self.world.s3).buckets.get(bucket).map_or_else(BTreeMap::new, |bucket| bucket.objects.clone())
    }

    /// Writes a `SecureString` parameter, over whatever it was, and says its version.
    pub fn set_parameter(&self, name: &str, value: &str) -> u64 {
        lock(&self.world.ssm).set(name, value.to_owned(), "SecureString", self.world.clock.now())
    }

    /// A parameter, decrypted.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<Parameter> {
        lock(&self.world.ssm).parameters.get(name).cloned()
    }

    /// Writes a secret's current text, and says its ARN.
    pub fn set_secret(&self, name: &str, text: &str) -> String {
        lock(&self.world.secrets).set(name, text, self.world.clock.now())
    }

    /// The current text of a secret.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<String> {
        lock(&self.world.secrets).text(name)
    }
}

fn stored(message: &sqs::Message) -> StoredMessage {
    let text = |attribute: &MessageAttribute| {
        attribute.string_value.clone().or_else(|| attribute.binary_value.clone()).unwrap_or_default()
    };
    let attributes = &message.content.attributes;
    StoredMessage {
        id: message.content.id.clone(),
        body: message.content.body.clone(),
        attributes: attributes.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        receive_count: message.receive_count,
        in_flight: message.in_flight(),
        sent_at_millis: message.content.sent_at,
    }
}
