//! A scripted fake of AWS: SQS, S3 (path style), Parameter Store, Secrets Manager and STS on one port.
//!
//! It keeps the semantics and limits of the services, counts every call, and fails as it is told: see [`Fault`].
//! Signatures are not checked, but unsigned requests are refused, and with a policy whatever it does not allow: see
//! [`Fake::allow_only`]. All state is in memory; messages do not expire.
//!
//! ```no_run
//! # async fn example() {
//! use testkit::aws::{Fake, Fault};
//!
//! let fake = Fake::start().await;
//! fake.create_queue("orders");
//! fake.inject(Fault::throttle().on("SendMessageBatch").times(3));
//! // … point a client at fake.url() …
//! assert_eq!(fake.calls("SendMessageBatch"), 4);
//! # }
//! ```
//!
//! # From another process
//!
//! | request | what it does |
//! |---|---|
//! | `POST /_fake/faults` | injects the fault, or the array of faults, in the body; answers `{"ids":[…]}` |
//! | `DELETE /_fake/faults`, `DELETE /_fake/faults/{id}` | takes all of them away, or one |
//! | `GET /_fake/faults/{id}` | `{"struck":n}` |
//! | `GET /_fake/calls` | counters; with `?log=true` the kept calls too |
//! | `POST /_fake/reset` | no faults, counters at zero; with `?state=true` queues, objects and secrets are gone too |
//! | `POST /_fake/advance?millis=n` | turns the fake's clock forward |
//!
//! A fault is one flat object: `{"effect":"error","status":503,"code":"ServiceUnavailable","service":"sqs",
//! "action":"SendMessage","resource":"orders","after":2,"times":3,"chance":0.5}`, all but the effect optional. Effects
//! are `throttle`, `error` (`status`, `code`), `stall` and `late-answer` (`millis`), `no-answer`, `drop`,
//! `fail-entries` (`code`, `sender_fault`, and `first` or `each`), `deliver-twice`, `reorder`, `forget-delete`.

mod calls;
mod clock;
mod control;
mod error;
mod fake;
mod faults;
mod inspect;
mod policy;
mod reply;
mod s3;
mod secrets;
mod server;
mod service;
mod settings;
mod sqs;
mod ssm;
mod sts;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use calls::{Call, CallCounts, KEPT_CALLS, Outcome};
pub use fake::Fake;
pub use faults::{Effect, Entries, Fault, FaultId};
pub use inspect::StoredMessage;
pub use s3::Object;
pub use service::{Service, UNKNOWN_ACTION};
pub use settings::{ACCOUNT, REGION, Settings, StaleHandles, queue_arn};
pub use ssm::Parameter;

use calls::CallLog;
use clock::Clock;
use error::AwsError;
use faults::Rules;
use policy::Policy;
use s3::S3;
use secrets::Secrets;
use service::Target;
use sqs::Sqs;
use ssm::Ssm;

/// Everything that there is. Each service has one lock, and no code holds two.
#[derive(Debug)]
pub(crate) struct World {
    settings: Settings,
    clock: Clock,
    faults: Rules,
    /// Everything is allowed where there is none.
    policy: Mutex<Option<Arc<Policy>>>,
    log: CallLog,
    requests: AtomicU64,
    sqs: Mutex<Sqs>,
    s3: Mutex<S3>,
    ssm: Mutex<Ssm>,
    secrets: Mutex<Secrets>,
}

impl World {
    fn new(settings: Settings) -> Self {
        Self {
            settings,
            clock: Clock::new(),
            faults: Rules::new(settings.seed),
            policy: Mutex::default(),
            log: CallLog::default(),
            requests: AtomicU64::new(0),
            sqs: Mutex::new(Sqs::new(settings.seed)),
            s3: Mutex::default(),
            ssm: Mutex::default(),
            secrets: Mutex::default(),
        }
    }

    /// Ends visibility times and long polls that end until then.
    fn advance(&self, by: Duration) {
        self.clock.advance(by);
        for queue in lock(&self.sqs).queues.values() {
            queue.wake.notify_waiters();
        }
    }

    fn reset(&self, state: bool) {
        self.faults.heal_all();
        *lock(&self.policy) = None;
        self.log.reset();
        if state {
            let queues = std::mem::take(&mut lock(&self.sqs).queues);
            // Long polls on them learn that they are gone.
            queues.values().for_each(|queue| queue.wake.notify_waiters());
            *lock(&self.s3) = S3::default();
            *lock(&self.ssm) = Ssm::default();
            *lock(&self.secrets) = Secrets::default();
        }
    }

    /// What the policy says to a call, if there is one.
    fn authorize(&self, target: &Target) -> Result<(), AwsError> {
        let policy = lock(&self.policy).clone();
        policy.map_or(Ok(()), |policy| policy.check(target))
    }

    fn next_request_id(&self) -> String {
        format!("00000000-0000-4000-8000-{:012x}", self.requests.fetch_add(1, Ordering::Relaxed))
    }
}

/// A test that panicked elsewhere must not make this one fail too.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
