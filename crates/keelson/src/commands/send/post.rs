//! One message to the service: sent until its answer is final, the sending ends, or it has failed too often.

use std::time::Duration;

use super::gate::Gate;
use super::way::Way;
use crate::failure::Failure;

/// Attempts for a message that fails while others pass.
const MAX_ATTEMPTS: u32 = 8;

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The service has it, under this id.
    Sent(String),
    /// The service will never take it.
    Refused(String),
    /// The service may take it another time.
    Failed(String),
    /// The sending ended before it was its turn, or before its answer.
    NotSent,
}

/// What the service said, or the queue.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Accepted(String),
    Refused(String),
    /// Not now; after a pause, if it told one.
    Later(Option<Duration>, String),
    /// The same, because there is too much of everything.
    TooMany(Option<Duration>, String),
    /// Nothing can be sent there.
    WrongTarget(String),
}

/// Sends one way.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) way: Way,
    pub(super) gate: Gate,
}

impl Post {
    /// Sends one message. `data` is a JSON text.
    pub(super) async fn deliver(&self, data: &str) -> Outcome {
        let mut attempts = 0;
        let mut others_finished = self.gate.finished_count();
        loop {
            if self.gate.pass().await.is_err() {
                return Outcome::NotSent;
            }
            match self.way.send(data).await {
                Reply::Accepted(id) => {
                    self.gate.finished();
                    return Outcome::Sent(id);
                }
                Reply::Refused(reason) => {
                    self.gate.finished();
                    return Outcome::Refused(reason);
                }
                Reply::WrongTarget(reason) => {
                    self.gate.stop(Failure::usage(format!("{}: {reason}", self.way.shown())));
                    return Outcome::NotSent;
                }
                Reply::Later(asked, reason) => {
                    // While nothing passes it is not this message's fault.
                    let finished = self.gate.finished_count();
                    attempts += u32::from(finished != others_finished);
                    others_finished = finished;
                    if attempts >= MAX_ATTEMPTS {
                        return Outcome::Failed(format!("{reason}, {MAX_ATTEMPTS} times"));
                    }
                    self.gate.setback(asked, &reason);
                }
                Reply::TooMany(asked, reason) => self.gate.setback(asked, &reason),
            }
        }
    }
}
