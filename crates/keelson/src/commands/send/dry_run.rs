//! `--dry-run`: everything is read and checked with the rules of the service itself, and nothing is sent.

use chassis::ports::queue::MAX_MESSAGE_BYTES;
use pipeline::model::message::MessageRequest;

use super::report::Problem;
use super::{start_reading, verdict};
use crate::cli::SendArgs;
use crate::failure::Failure;

/// Tells what would be sent.
pub(super) async fn run(args: &SendArgs) -> Result<(), Failure> {
    let (mut report, mut fodder) = start_reading(args);
    while let Some(fed) = fodder.next().await {
        match fed.found.content {
            Err(reason) => report.problem(Problem::Unreadable, &fed.found.place, &reason),
            Ok(content) => match refusal(&content.data) {
                Some(reason) => report.problem(Problem::Refused, &fed.found.place, &reason),
                None => report.sent(),
            },
        }
    }
    report.finish(None, args.json);
    verdict(fodder.fault().await, &report, true)
}

fn refusal(data: &str) -> Option<String> {
    let body = format!(r#"{{"data":{data},"token":""}}"#);
    match MessageRequest::parse(body.as_bytes()).and_then(MessageRequest::into_queue_body) {
        Ok(body) if body.len() > MAX_MESSAGE_BYTES => Some("Payload too large".to_owned()),
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    }
}
