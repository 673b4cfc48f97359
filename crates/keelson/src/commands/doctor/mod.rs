//! `keelson doctor`: is what the settings name set up right, and if not, what mends it?
//!
//! First everything is looked at, as much at once as can be; then what was found is judged. Nothing is changed anywhere.

mod account;
mod bucket;
mod fix;
mod local;
mod queue;
mod report;
mod running;
mod token;
mod trouble;
mod visibility;
mod work;

use std::time::Duration;

use backends::aws::inspect::{BucketFacts, Inspector};
use backends::{ObjectPlace, QueuePlace};
use chassis::clock::SystemClock;

use self::fix::Fixes;
use self::local::Local;
use self::report::Check;
use self::visibility::Visibility;
use crate::cli::{Common, DoctorArgs, ListenArgs, ServiceName};
use crate::commands::http_client::address;
use crate::failure::Failure;
use crate::settings::{self, Mode, Settings};

/// How long the disk may take.
const DISK_TIMEOUT: Duration = Duration::from_secs(5);

/// Looks, shows, and fails when a check has failed.
pub(crate) async fn run(common: &Common, args: &DoctorArgs) -> Result<(), Failure> {
    let layers = settings::load(common, &ListenArgs::default(), None)?;
    let settings = Settings::read(&layers, Mode::Up, &[])?;
    let plan = Plan::of(&settings, args)?;
    let checks = plan.checks().await?;
    report::show(&checks, args.json);
    match report::failures(&checks) {
        0 => Ok(()),
        failed => Err(Failure::failed(format!("{failed} of {} checks failed", checks.len()))),
    }
}

/// What is looked at: what these services would use.
#[derive(Debug)]
struct Plan<'a> {
    settings: &'a Settings,
    queue: QueuePlace,
    /// Of the archiver.
    objects: Option<ObjectPlace>,
    /// Of ingest.
    token: Option<token::Place>,
    /// Whose metrics are read, when one is named.
    archiver: Option<String>,
}

/// What AWS said.
struct Answers {
    identity: Check,
    queue: Option<queue::Seen>,
    bucket: Option<BucketFacts>,
}

impl<'a> Plan<'a> {
    fn of(settings: &'a Settings, args: &DoctorArgs) -> Result<Self, Failure> {
        let checks = |service| args.services.is_empty() || args.services.contains(&service);
        let objects = checks(ServiceName::Archiver).then(|| ObjectPlace::of(&settings.objects_url));
        Ok(Self {
            settings,
            queue: QueuePlace::of(&settings.queue_url)?,
            objects: objects.transpose()?,
            token: checks(ServiceName::Ingest).then(|| token::Place::of(settings)),
            archiver: args.archiver.as_deref().map(|text| address("--archiver", text)).transpose()?,
        })
    }

    fn queue_url(&self) -> Option<&str> {
        if let QueuePlace::Sqs(url) = &self.queue { Some(url) } else { None }
    }

    fn bucket(&self) -> Option<&str> {
        if let Some(ObjectPlace::Bucket { name, .. }) = &self.objects { Some(name) } else { None }
    }

    fn uses_aws(&self) -> bool {
        self.queue_url().is_some()
            || self.bucket().is_some()
            || self.token.as_ref().is_some_and(token::Place::is_in_aws)
    }

    fn fixes(&self) -> Fixes<'_> {
        Fixes::new(self.settings.aws.settings())
    }

    async fn checks(&self) -> Result<Vec<Check>, Failure> {
        let aws = async {
            if !self.uses_aws() {
                return Ok((Vec::new(), None, self.token(None).await));
            }
            let inspector = Inspector::open(&self.settings.aws, SystemClock::shared()).await?;
            Ok::<_, Failure>(match inspector.find_credentials().await {
                Ok(()) => {
                    let (answers, token) = tokio::join!(self.ask(&inspector), self.token(Some(&inspector)));
                    let account = vec![answers.identity.clone(), account::clock(inspector.clock_skew_seconds())];
                    (account, Some(answers), token)
                }
                Err(why) => (vec![account::no_credentials(&why)], None, self.token(None).await),
            })
        };
        let running = running::look(&self.settings.data, self.archiver.as_deref());
        let (aws, running, local) = tokio::join!(aws, running, self.local());
        let ((mut checks, answers, token), running) = (aws?, running?);
        checks.extend(self.judge(answers.as_ref(), &running));
        checks.extend(token);
        checks.extend(local);
        checks.push(running.check);
        Ok(checks)
    }

    async fn ask(&self, inspector: &Inspector) -> Answers {
        let queue = async {
            match self.queue_url() {
                Some(url) => Some(queue::look(inspector, url).await),
                None => None,
            }
        };
        let bucket = async {
            match self.bucket() {
                Some(name) => Some(inspector.bucket(name).await),
                None => None,
            }
        };
        let (identity, queue, bucket) = tokio::join!(account::identity(inspector), queue, bucket);
        Answers { identity, queue, bucket }
    }

    async fn token(&self, inspector: Option<&Inspector>) -> Option<Check> {
        match &self.token {
            Some(place) => Some(token::check(place, self.settings, inspector).await),
            None => None,
        }
    }

    /// A disk that hangs holds up a thread, not the command.
    async fn local(&self) -> Vec<Check> {
        let local = Local {
            data: self.settings.data.clone(),
            uses_data: matches!(self.queue, QueuePlace::File(_))
                || matches!(self.objects, Some(ObjectPlace::Folder(_)))
                || matches!(self.token, Some(token::Place::Generated)),
            queue: self.queue.clone(),
            objects: self.objects.clone(),
        };
        let look = tokio::task::spawn_blocking(move || local.checks());
        match tokio::time::timeout(DISK_TIMEOUT, look).await {
            Ok(Ok(checks)) => checks,
            _ => vec![Check::failed("disk", "it does not answer", "look into `dmesg`; a network disk may be gone")],
        }
    }

    fn judge(&self, answers: Option<&Answers>, running: &running::Seen) -> Vec<Check> {
        let unasked = |name| Check::not_checked(name, "not checked: there are no credentials");
        let mut checks = Vec::new();
        if let Some(url) = self.queue_url() {
            match answers.and_then(|answers| answers.queue.as_ref()) {
                Some(seen) => checks.extend(self.queue_judge(url).checks(seen)),
                None => checks.extend([queue::QUEUE, queue::DEAD_LETTERS].map(unasked)),
            }
            if self.objects.is_some() {
                checks.push(self.visibility(url, answers, running));
            }
        }
        if let Some(bucket) = self.bucket() {
            match answers.and_then(|answers| answers.bucket.as_ref()) {
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

    fn visibility(&self, queue_url: &str, answers: Option<&Answers>, running: &running::Seen) -> Check {
        let queue = answers.and_then(|answers| answers.queue.as_ref()?.queue.as_ref().ok());
        let bucket = answers.and_then(|answers| answers.bucket.as_ref());
        let took = [queue.map(|facts| facts.took), bucket.map(|facts| facts.took)];
        let visibility = Visibility {
            configured: self.settings.archiver.visibility,
            of_queue: queue.and_then(|facts| facts.visibility),
            work: running.work.as_ref().map_err(String::as_str),
            answers: took.into_iter().flatten().sum(),
            queue_url,
            fixes: self.fixes(),
        };
        visibility.check()
    }
}
