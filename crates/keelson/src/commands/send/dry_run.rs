//! `--dry-run`: everything is read and checked with the rules of the service itself, and nothing is sent.

use std::collections::HashSet;

use chassis::ports::queue::MAX_MESSAGE_BYTES;

use super::checks::{queue_body, too_large};
use super::report::Problem;
use super::state::State;
use super::{start_reading, verdict, way};
use crate::cli::{Common, SendArgs};
use crate::failure::Failure;

/// Tells what would be sent, without what the file of `--resume` has.
pub(super) async fn run(common: &Common, args: &SendArgs) -> Result<(), Failure> {
    let already_sent = match &args.resume {
        Some(path) => State::peek(path, &way::name(common, args.url.as_deref())?)?,
        None => HashSet::new(),
    };
    let (mut report, mut fodder) = start_reading(args);
    while let Some(fed) = fodder.next().await {
        match fed.found.content {
            Err(reason) => report.problem(Problem::Unreadable, &fed.found.place, &reason),
            Ok(content) if already_sent.contains(&content.key) => report.already_sent(),
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
    match queue_body(data) {
        Ok(body) if body.len() > MAX_MESSAGE_BYTES => Some(too_large()),
        Ok(_) => None,
        Err(reason) => Some(reason),
    }
}
