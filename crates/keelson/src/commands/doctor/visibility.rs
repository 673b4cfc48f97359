//! How long a message stays hidden, against how long the work on it takes.

use std::time::Duration;

use pipeline::config::HIDDEN_AGES;

use super::fix::Fixes;
use super::report::Check;
use super::work::Work;

const VISIBILITY: &str = "visibility";

/// What is compared.
#[derive(Debug)]
pub(super) struct Visibility<'a> {
    /// What the archiver asks for with each receive, and with each extension.
    pub(super) asked: Duration,
    /// The age of roll-ups, where that rules and not `VISIBILITY_TIMEOUT`.
    pub(super) rollup_age: Option<Duration>,
    /// The queue that hides them.
    pub(super) queue: Hiding<'a>,
    /// What an archiver has measured, or why nobody has.
    pub(super) work: Result<&'a Work, &'a str>,
    /// How long the queue and the bucket took to answer just now.
    pub(super) answers: Duration,
}

/// Who hides the messages.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hiding<'a> {
    /// SQS, which has a time of its own for receivers that ask for none.
    Sqs { url: &'a str, own: Option<Duration>, fixes: Fixes<'a> },
    /// PostgreSQL, which has none.
    Postgres,
}

impl Hiding<'_> {
    /// As messages name it, and the most that one call to it takes.
    fn slowest_call(self) -> (&'static str, Duration) {
        match self {
            Self::Sqs { .. } => ("SQS", backends::aws::CALL_TIMEOUT),
            Self::Postgres => ("PostgreSQL", backends::postgres::inspect::CALL_TIMEOUT),
        }
    }
}

impl Visibility<'_> {
    /// Leases are extended at half of the time-out, so that work which takes longer is no mistake by itself: what counts is
    /// whether an extension that is late, or fails once, leaves time for another.
    pub(super) fn check(&self) -> Check {
        let half = self.asked / 2;
        let (store, slowest) = self.queue.slowest_call();
        if half < slowest {
            let text = format!(
                "{}: leases are extended after {half:?}, and one slow call to {store} ({slowest:?} at most) then delivers messages in work once more",
                self.name()
            );
            return Check::warning(VISIBILITY, text, "VISIBILITY_TIMEOUT=30s");
        }
        match self.work {
            Ok(work) => self.against(work),
            Err(_) if self.answers > half => {
                let text = format!("{}, and answers take long; {}", self.name(), self.observed());
                Check::warning(VISIBILITY, text, format!("VISIBILITY_TIMEOUT={}s", self.answers.as_secs() * 4 + 1))
            }
            Err(_) => self.enough(),
        }
    }

    fn against(&self, work: &Work) -> Check {
        let longest = work.most_take_at_most();
        if work.is_longer_than(self.asked) {
            let text = format!(
                "{}, and {}; that is more. The lease is extended while the work goes on, so nothing is stored twice for it alone; a stalled process has its messages delivered once more",
                self.name(),
                self.observed()
            );
            return Check::warning(VISIBILITY, text, format!("VISIBILITY_TIMEOUT={}s", longest.as_secs() * 2 + 1));
        }
        match self.queue {
            Hiding::Sqs { url, own: Some(own), fixes } if work.is_longer_than(own) => {
                let text = format!(
                    "{}; that is more than the queue's own {own:?}, which counts for receivers that ask for no time, such as a script or a Lambda. The archiver asks for {:?}",
                    self.observed(),
                    self.asked
                );
                let seconds = self.asked.as_secs().to_string();
                Check::warning(VISIBILITY, text, fixes.set_queue_attribute(url, "VisibilityTimeout", &seconds))
            }
            _ => self.enough(),
        }
    }

    fn enough(&self) -> Check {
        let text = format!("{}, extended at half of it while work goes on; {}", self.name(), self.observed());
        Check::ok(VISIBILITY, text)
    }

    /// The time-out that counts, and where it is from.
    fn name(&self) -> String {
        let asked = self.asked;
        match self.rollup_age {
            Some(age) => {
                format!("messages are hidden for {asked:?}, {HIDDEN_AGES} times the age of ARCHIVE_ROLLUP ({age:?})")
            }
            None => format!("VISIBILITY_TIMEOUT is {asked:?}"),
        }
    }

    fn observed(&self) -> String {
        match self.work {
            Ok(work) => work.to_string(),
            Err(why) if self.answers.is_zero() => format!("no work was observed: {why}"),
            Err(why) => {
                format!("no work was observed: {why}; the stores answered in {:.0?} together", self.answers)
            }
        }
    }
}
