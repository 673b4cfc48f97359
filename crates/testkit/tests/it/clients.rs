//! Clients of the fake with static credentials and no retries of their own, and shorthands for them.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Credentials;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, SendMessageBatchRequestEntry};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use testkit::aws::{Fake, REGION};

/// Longer than anything here takes, shorter than a stuck test is worth.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn config(url: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new("AKIAFAKE", "fake", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(url)
        .load()
        .await
}

pub(crate) async fn sqs(fake: &Fake) -> Client {
    Client::new(&config(&fake.url()).await)
}

pub(crate) async fn send(client: &Client, url: &str, body: &str) -> String {
    let sent = client.send_message().queue_url(url).message_body(body).send().await.unwrap();
    sent.message_id.unwrap()
}

/// A batch whose entries have their number as id and body.
pub(crate) fn entries(count: usize) -> Vec<SendMessageBatchRequestEntry> {
    let entry = |number: usize| {
        SendMessageBatchRequestEntry::builder().id(number.to_string()).message_body(number.to_string()).build().unwrap()
    };
    (0..count).map(entry).collect()
}

/// Up to ten messages with everything that there is to know about them, without waiting.
pub(crate) async fn receive(client: &Client, url: &str) -> Vec<Message> {
    let request = client.receive_message().queue_url(url).max_number_of_messages(10).message_attribute_names("All");
    let request = request.message_system_attribute_names(MessageSystemAttributeName::All).wait_time_seconds(0);
    request.send().await.unwrap().messages.unwrap_or_default()
}

pub(crate) fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body().unwrap()).collect()
}

/// The code that the client sees, or why there is none.
pub(crate) fn code<E: ProvideErrorMetadata + std::fmt::Debug>(error: &E) -> &str {
    error.code().unwrap_or("no answer")
}
