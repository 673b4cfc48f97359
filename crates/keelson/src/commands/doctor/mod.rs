//! `keelson doctor`: is what the settings name set up right, and if not, what mends it?
//!
//! First everything is looked at, as much at once as can be; then what was found is judged. Nothing is changed anywhere.

mod account;
mod bucket;
mod fix;
mod judge;
mod local;
mod postgres;
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
use secrecy::ExposeSecret;

use self::fix::Fixes;
use self::local::Local;
use self::report::Check;
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
#[derive(Debug)]
struct Answers {
    identity: Check,
    queue: Option<queue::Seen>,
    bucket: Option<BucketFacts>,
}

/// What was found beyond this machine's disk.
#[derive(Debug)]
struct Seen<'a> {
    answers: Option<Answers>,
    database: Option<postgres::Seen>,
    running: &'a running::Seen,
}

impl<'a> Plan<'a> {
    fn of(settings: &'a Settings, args: &DoctorArgs) -> Result<Self, Failure> {
        let checks = |service| args.services.is_empty() || args.services.contains(&service);
        let objects = checks(ServiceName::Archiver).then(|| ObjectPlace::of(&settings.objects_url));
        let queue = QueuePlace::of(&settings.queue.url)?;
        if let QueuePlace::Postgres(rest) = &queue {
            postgres::check_url(rest.expose_secret(), settings)?;
        }
        Ok(Self {
            settings,
            queue,
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
        let running = running::look(&self.settings.data, self.archiver.as_deref(), &self.settings.chassis.tls);
        let (aws, database, running, local) = tokio::join!(aws, self.database(), running, self.local());
        let ((mut checks, answers, token), running) = (aws?, running?);
        checks.extend(self.judge(&Seen { answers, database, running: &running }));
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

    async fn database(&self) -> Option<postgres::Seen> {
        match self.queue {
            QueuePlace::Postgres(_) => Some(postgres::look(self.settings).await),
            _ => None,
        }
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
}
