//! What was found against what is needed.

use backends::QueuePlace;
use backends::postgres::inspect::Process;

use super::report::Check;
use super::visibility::{Hiding, Visibility};
use super::{Plan, Seen, bucket, postgres, queue};

impl Plan<'_> {
    pub(super) fn judge(&self, seen: &Seen<'_>) -> Vec<Check> {
        let unasked = |name| Check::not_checked(name, "not checked: there are no credentials");
        let mut checks = Vec::new();
        if let Some(url) = self.queue_url() {
            match seen.answers.as_ref().and_then(|answers| answers.queue.as_ref()) {
                Some(queue) => checks.extend(self.queue_judge(url).checks(queue)),
                None => checks.extend([queue::QUEUE, queue::DEAD_LETTERS].map(unasked)),
            }
        }
        checks.extend(seen.database.iter().flat_map(|database| self.database_checks(database)));
        if self.objects.is_some() {
            checks.extend(self.visibility(seen));
        }
        if let Some(bucket) = self.bucket() {
            match seen.answers.as_ref().and_then(|answers| answers.bucket.as_ref()) {
                Some(facts) => checks.extend(bucket::checks(bucket, facts, self.fixes())),
                None => checks.extend([bucket::BUCKET, bucket::ENCRYPTION, bucket::PUBLIC_ACCESS].map(unasked)),
            }
        }
        checks
    }

    fn queue_judge<'b>(&'b self, url: &'b str) -> queue::Judge<'b> {
        let aws = self.settings.aws.settings();
        queue::Judge {
            url,
            region: &aws.region,
            is_emulated: aws.endpoint_url.is_some(),
            with_archiver: self.objects.is_some(),
            fixes: self.fixes(),
        }
    }

    fn database_checks(&self, seen: &postgres::Seen) -> Vec<Check> {
        let asked = [(self.token.is_some(), Process::Ingest), (self.objects.is_some(), Process::Archiver)];
        let processes: Vec<Process> = asked.into_iter().filter(|(is_asked, _)| *is_asked).map(|(_, it)| it).collect();
        postgres::Judge { processes: &processes, in_parts: self.settings.queue.place.is_some() }.checks(seen)
    }

    /// Where the queue is elsewhere; a call to the embedded one takes no time.
    fn visibility(&self, seen: &Seen<'_>) -> Option<Check> {
        let answers = seen.answers.as_ref();
        let facts = answers.and_then(|answers| answers.queue.as_ref()?.queue.as_ref().ok());
        let queue = match &self.queue {
            QueuePlace::Sqs(url) => {
                Hiding::Sqs { url, own: facts.and_then(|facts| facts.visibility), fixes: self.fixes() }
            }
            QueuePlace::Postgres(_) => Hiding::Postgres,
            QueuePlace::Memory | QueuePlace::File(_) => return None,
        };
        let bucket = answers.and_then(|answers| answers.bucket.as_ref());
        let database = seen.database.as_ref().and_then(postgres::Seen::facts);
        let took = [facts.map(|it| it.took), database.map(|it| it.took), bucket.map(|it| it.took)];
        let visibility = Visibility {
            asked: self.settings.archiver.visibility,
            rollup_age: self.settings.archiver.age_that_hides(),
            queue,
            work: seen.running.work.as_ref().map_err(String::as_str),
            answers: took.into_iter().flatten().sum(),
        };
        Some(visibility.check())
    }
}
