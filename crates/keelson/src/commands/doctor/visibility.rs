//! How long a message stays hidden, against how long the work on it takes.

use std::time::Duration;

use backends::aws::CALL_TIMEOUT;

use super::fix::Fixes;
use super::report::Check;
use super::work::Work;

const VISIBILITY: &str = "visibility";

/// What is compared.
#[derive(Debug)]
pub(super) struct Visibility<'a> {
    /// `VISIBILITY_TIMEOUT`, which the archiver asks for with each receive.
    pub(super) configured: Duration,
    /// The queue's own, for receivers that ask for none.
    pub(super) of_queue: Option<Duration>,
    /// What an archiver has measured, or why nobody has.
    pub(super) work: Result<&'a Work, &'a str>,
    /// How long the queue and the bucket took to answer just now.
    pub(super) answers: Duration,
    pub(super) queue_url: &'a str,
    pub(super) fixes: Fixes<'a>,
}

impl Visibility<'_> {
    /// Leases are extended at half of the time-out, so that work which takes longer is no mistake by itself: what counts is
    /// whether an extension that is late, or fails once, leaves time for another.
    pub(super) fn check(&self) -> Check {
        let configured = self.configured;
        let half = configured / 2;
        if half < CALL_TIMEOUT {
            let text = format!(
                "VISIBILITY_TIMEOUT is {configured:?}: leases are extended after {half:?}, and one slow call to SQS ({CALL_TIMEOUT:?} at most) then delivers messages in work once more"
            );
            return Check::warning(VISIBILITY, text, "VISIBILITY_TIMEOUT=30s");
        }
        match self.work {
            Ok(work) => self.against(work),
            Err(_) if self.answers > half => {
                let text = format!("VISIBILITY_TIMEOUT is {configured:?}, and answers take long; {}", self.observed());
                Check::warning(VISIBILITY, text, format!("VISIBILITY_TIMEOUT={}s", self.answers.as_secs() * 4 + 1))
            }
            Err(_) => Check::ok(
                VISIBILITY,
                format!(
                    "VISIBILITY_TIMEOUT is {configured:?}, extended at half of it while work goes on; {}",
                    self.observed()
                ),
            ),
        }
    }

    fn against(&self, work: &Work) -> Check {
        let configured = self.configured;
        let longest = work.most_take_at_most();
        if work.is_longer_than(configured) {
            let text = format!(
                "{}; that is more than VISIBILITY_TIMEOUT={configured:?}. The lease is extended while the work goes on, so nothing is stored twice for it alone; a stalled process has its messages delivered once more",
                self.observed()
            );
            return Check::warning(VISIBILITY, text, format!("VISIBILITY_TIMEOUT={}s", longest.as_secs() * 2 + 1));
        }
        if let Some(of_queue) = self.of_queue.filter(|of_queue| work.is_longer_than(*of_queue)) {
            let text = format!(
                "{}; that is more than the queue's own {of_queue:?}, which counts for receivers that ask for no time, such as a script or a Lambda. The archiver asks for {configured:?}",
                self.observed()
            );
            let seconds = configured.as_secs().to_string();
            return Check::warning(
                VISIBILITY,
                text,
                self.fixes.set_queue_attribute(self.queue_url, "VisibilityTimeout", &seconds),
            );
        }
        let text = format!(
            "VISIBILITY_TIMEOUT is {configured:?}, extended at half of it while work goes on; {}",
            self.observed()
        );
        Check::ok(VISIBILITY, text)
    }

    fn observed(&self) -> String {
        match self.work {
            Ok(work) => work.to_string(),
            Err(why) if self.answers.is_zero() => format!("no work was observed: {why}"),
            Err(why) => {
                format!(
                    "no work was observed: {why}; the queue and the bucket answered in {:.0?} together",
                    self.answers
                )
            }
        }
    }
}
