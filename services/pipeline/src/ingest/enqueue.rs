//! The way of a checked message onto the queue.

use std::time::Duration;

use chassis::ports::Queue;
use chassis::ports::queue::{Attributes, MessageId, NewMessage, QueueError};
use chassis::telemetry::correlation;
use tokio::time::timeout;

use crate::model::names::{self, Source};

/// How long the work on a message may take, until the queue has confirmed it. Callers have their answer within 5 s, and a
/// service that is busy has made them wait for a second of those.
pub const WORK_TIMEOUT: Duration = Duration::from_millis(3800);

/// Puts a checked message on the queue, with the ids of the present scope; answers when the queue has it durably.
///
/// # Errors
/// Those of the queue; [`QueueError::Timeout`] after `within`.
pub async fn enqueue(
    queue: &dyn Queue,
    source: Source,
    body: String,
    email_instant: Option<String>,
    within: Duration,
) -> Result<MessageId, QueueError> {
    let message = NewMessage::new(in_plain_characters(body), attributes(source, email_instant));
    timeout(within, queue.send(message)).await.unwrap_or(Err(QueueError::Timeout))
}

/// Two characters that are none by Unicode are allowed in JSON and not on SQS. They can stand in strings alone, where
/// an escape says the same.
fn in_plain_characters(json: String) -> String {
    // Both begin with this byte, which most texts do not have, and one byte is found faster than two characters.
    if json.as_bytes().contains(&0xEF) && json.contains(['\u{fffe}', '\u{ffff}']) {
        return json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
    }
    json
}

fn attributes(source: Source, email_instant: Option<String>) -> Attributes {
    let scope = correlation::current();
    let correlation_id = scope.as_ref().and_then(|scope| scope.correlation_id.as_ref()).map(ToString::to_string);
    let traceparent = scope.and_then(|scope| scope.trace).map(|trace| trace.traceparent());
    let named = [
        (names::SOURCE, Some(source.as_str().to_owned())),
        (names::CONTENT_TYPE, Some("application/json".to_owned())),
        (names::CORRELATION_ID, correlation_id),
        (names::TRACEPARENT, traceparent),
        (names::EMAIL_INSTANT, email_instant),
    ];
    named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_character_is_escaped_and_means_the_same() {
        let json = "{\"a\u{fffe}\":\"\u{ffff}ü\"}";
        let plain = in_plain_characters(json.to_owned());
        assert_eq!(plain, r#"{"a\ufffe":"\uffffü"}"#);
        let value = |text| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&plain), value(json));
    }
}
