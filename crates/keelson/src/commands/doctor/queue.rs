//! The queue on SQS and its dead-letter queue.

use backends::aws::inspect::{Inspector, QueueFacts, Redrive, Trouble};

use super::fix::Fixes;
use super::report::Check;
use super::trouble::Question;

pub(super) const QUEUE: &str = "queue";
pub(super) const DEAD_LETTERS: &str = "dead letters";

/// What a redrive policy that is made anew says: two more attempts after a crash.
const ADVISED_RECEIVES: u32 = 3;
/// The longest that SQS keeps a message, 14 days: whoever mends something needs the time.
const RETENTION: &str = "MessageRetentionPeriod=1209600";

/// What was found.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) queue: Result<QueueFacts, Trouble>,
    /// Of the dead-letter queue, when there is one.
    dead: Option<Result<QueueFacts, Trouble>>,
}

/// Asks for the queue, then for the one that its policy names.
pub(super) async fn look(inspector: &Inspector, url: &str) -> Seen {
    let queue = inspector.queue(url).await;
    let dead = match &queue {
        Ok(QueueFacts { redrive: Some(redrive), .. }) => Some(inspector.queue(&redrive.dead_letter_url).await),
        _ => None,
    };
    Seen { queue, dead }
}

/// Judges the queue under a URL.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judge<'a> {
    pub(super) url: &'a str,
    pub(super) region: &'a str,
    /// Whether another place than AWS itself is asked, which no region decides.
    pub(super) is_emulated: bool,
    /// Who needs `sqs:GetQueueAttributes`.
    pub(super) with_archiver: bool,
    pub(super) fixes: Fixes<'a>,
}

impl Judge<'_> {
    pub(super) fn checks(&self, seen: &Seen) -> Vec<Check> {
        vec![self.queue(seen), self.dead_letters(seen)]
    }

    fn queue(&self, seen: &Seen) -> Check {
        if let Some(own) = region_of(self.url).filter(|own| !self.is_emulated && *own != self.region) {
            let text = format!("its URL is of {own}, and AWS_REGION is {}, where nobody knows it", self.region);
            return Check::failed(
                QUEUE,
                text,
                format!("set AWS_REGION to {own}, or take the queue of {}", self.region),
            );
        }
        if self.url.ends_with(".fifo") {
            let text = "it is a FIFO queue, which takes no message without a group; keelson sends none";
            return Check::failed(QUEUE, text, "make a standard queue, and name it in SQS_QUEUE_URL");
        }
        match &seen.queue {
            Ok(facts) => {
                let waiting = if facts.visible == 1 {
                    "1 message waits".into()
                } else {
                    format!("{} messages wait", facts.visible)
                };
                Check::ok(QUEUE, format!("{} answers in {:.0?}, {waiting}", self.url, facts.took))
            }
            Err(trouble) => self.question(QUEUE, self.url, self.with_archiver).check(trouble),
        }
    }

    fn dead_letters(&self, seen: &Seen) -> Check {
        let Ok(queue) = &seen.queue else {
            return Check::not_checked(DEAD_LETTERS, "not checked: the queue does not tell");
        };
        let Some(redrive) = &queue.redrive else { return self.no_policy(queue) };
        match (&seen.dead, redrive.max_receive_count) {
            (Some(Err(Trouble::Missing)), _) => self.no_dead_letter_queue(redrive),
            (_, Some(1)) => self.one_attempt(redrive),
            (Some(Ok(dead)), count) => {
                let count = count.map_or_else(|| "?".to_owned(), |count| count.to_string());
                let text = format!("{} after {count} deliveries, {} there", dead.arn, dead.visible);
                if dead.visible == 0 { Check::ok(DEAD_LETTERS, text) } else { dead_letters_wait(text) }
            }
            (Some(Err(trouble)), _) => self.question(DEAD_LETTERS, &redrive.dead_letter_url, false).check(trouble),
            (None, _) => Check::not_checked(DEAD_LETTERS, "not checked: nobody asked"),
        }
    }

    fn no_policy(&self, queue: &QueueFacts) -> Check {
        let dead_arn = format!("{}-dlq", queue.arn);
        let text = "the queue has no redrive policy: what cannot be stored comes back again and again, until SQS deletes it when its retention ends";
        let fix = self.make_queue(&format!("{}-dlq", place(self.url).1));
        Check::failed(DEAD_LETTERS, text, fix).and(self.fixes.set_redrive_policy(self.url, &dead_arn, ADVISED_RECEIVES))
    }

    fn no_dead_letter_queue(&self, redrive: &Redrive) -> Check {
        let text = format!("the redrive policy names {}, which does not exist", redrive.dead_letter_arn);
        Check::failed(DEAD_LETTERS, text, self.make_queue(place(&redrive.dead_letter_url).1))
    }

    fn one_attempt(&self, redrive: &Redrive) -> Check {
        let text = "maxReceiveCount is 1: one crash or one restart of an archiver puts every message it had in work among the dead, since SQS counts deliveries and not failures";
        Check::failed(
            DEAD_LETTERS,
            text,
            self.fixes.set_redrive_policy(self.url, &redrive.dead_letter_arn, ADVISED_RECEIVES),
        )
    }

    fn make_queue(&self, name: &str) -> String {
        self.fixes.command(&["sqs", "create-queue", "--queue-name", name, "--attributes", RETENTION])
    }

    fn question(&self, name: &'static str, url: &str, services_ask: bool) -> Question<'_> {
        let (account, queue) = place(url);
        Question {
            name,
            about: format!("the queue {queue}"),
            arn: self.fixes.arn("sqs", account, queue),
            if_missing: vec![format!("correct SQS_QUEUE_URL ({url}), or make the queue:"), self.make_queue(queue)],
            services_ask,
            fixes: self.fixes,
        }
    }
}

/// Somebody has to look at them.
pub(super) fn dead_letters_wait(text: String) -> Check {
    let fix = "`keelson dlq list` tells why; `keelson dlq redrive --all` when it is mended";
    Check::warning(DEAD_LETTERS, text, fix)
}

/// The account and the name at the end of a URL.
fn place(url: &str) -> (&str, &str) {
    let mut parts = url.rsplit('/');
    let name = parts.next().unwrap_or_default();
    (parts.next().unwrap_or("*"), name)
}

/// The region that a host of AWS names, such as `sqs.eu-west-1.amazonaws.com` or `eu-west-1.queue.amazonaws.com`.
fn region_of(url: &str) -> Option<&str> {
    let host = url.split('/').nth(2)?;
    let is_aws = host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn");
    let is_region = |label: &&str| {
        let parts: Vec<_> = label.split('-').collect();
        parts.len() >= 3 && parts[0].len() == 2 && parts[parts.len() - 1].bytes().all(|byte| byte.is_ascii_digit())
    };
    is_aws.then(|| host.split('.').find(is_region)).flatten()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use backends::aws::AwsSettings;

    use super::super::report::Status;
    use super::*;

    #[test]
    fn a_url_tells_its_region() {
        for (url, region) in [
            ("https://sqs.eu-west-1.amazonaws.com/1/q", Some("eu-west-1")),
            ("https://eu-west-1.queue.amazonaws.com/1/q", Some("eu-west-1")),
            ("https://sqs-fips.us-gov-west-1.amazonaws.com/1/q", Some("us-gov-west-1")),
            ("https://sqs.cn-north-1.amazonaws.com.cn/1/q", Some("cn-north-1")),
            ("https://vpce-0a1b-2c.sqs.eu-central-1.vpce.amazonaws.com/1/q", Some("eu-central-1")),
            ("https://queue.amazonaws.com/1/q", None),
            ("http://127.0.0.1:4566/1/q", None),
            ("https://sqs.eu-west-1.example.com/1/q", None),
        ] {
            assert_eq!(region_of(url), region, "{url}");
        }
    }

    #[test]
    fn a_queue_of_another_region_is_found_without_asking_unless_an_endpoint_is_set() {
        let aws = AwsSettings { region: "us-east-1".into(), endpoint_url: None };
        let url = "https://sqs.eu-west-1.amazonaws.com/123456789012/messages";
        let judge =
            Judge { url, region: &aws.region, is_emulated: false, with_archiver: true, fixes: Fixes::new(&aws) };
        let facts = QueueFacts {
            arn: "arn:aws:sqs:eu-west-1:123456789012:messages".into(),
            visibility: None,
            visible: 0,
            redrive: None,
            took: Duration::from_millis(3),
        };
        let seen = Seen { queue: Ok(facts), dead: None };
        let [queue, _] = &judge.checks(&seen)[..] else { panic!("two checks") };
        assert_eq!(queue.status, Status::Failed);
        assert!(queue.fix[0].contains("AWS_REGION to eu-west-1"), "{queue:?}");
        let fifo = Judge { is_emulated: true, url: "http://127.0.0.1:4566/1/q.fifo", ..judge };
        assert!(fifo.checks(&seen)[0].text.contains("FIFO"), "{:?}", fifo.checks(&seen));
        let [queue, _] = &Judge { is_emulated: true, ..judge }.checks(&seen)[..] else { panic!("two checks") };
        assert_eq!(queue.status, Status::Ok);
    }
}
