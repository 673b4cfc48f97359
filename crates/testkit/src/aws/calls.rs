//! The log of calls: what was asked, when, and how it ended.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

use super::clock::{Clock, millis};
use super::lock;
use super::service::{Service, Target};

/// How many calls are kept; older ones fall out. Counters never lose one.
pub const KEPT_CALLS: usize = 100_000;

/// One call, as the fake saw it.
#[derive(Debug, Clone, Serialize)]
pub struct Call {
    /// When it came, since the fake started. Milliseconds in JSON.
    #[serde(serialize_with = "as_millis")]
    pub at: Duration,
    /// From the whole request to the answer. Milliseconds in JSON.
    #[serde(serialize_with = "as_millis")]
    pub took: Duration,
    /// Which service.
    pub service: Service,
    /// The name in the API reference, or [`super::UNKNOWN_ACTION`].
    pub action: &'static str,
    /// Queue name, `bucket/key`, parameter or secret; empty when there is none.
    pub resource: String,
    /// Entries of a batch, messages handed out by a receive, else 1.
    pub entries: usize,
    /// Entries of a batch that failed.
    pub failed: usize,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Done and answered; single entries of a batch may have failed.
    Done,
    /// Refused with this status and code, by a fault or by the rules of the service.
    Refused(u16, String),
    /// Done, but the connection was closed in the place of an answer.
    Unanswered,
    /// Not done; the connection was closed.
    Dropped,
    /// The client hung up before there was an answer.
    Abandoned,
}

/// Calls since the start or the last reset, counted when they come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CallCounts {
    /// All of them.
    pub total: u64,
    /// By the name of the service.
    pub by_service: BTreeMap<&'static str, u64>,
    /// By the name of the action.
    pub by_action: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Default)]
struct Log {
    counts: CallCounts,
    kept: VecDeque<Call>,
}

#[derive(Debug, Default)]
pub(crate) struct CallLog(Mutex<Log>);

impl CallLog {
    fn lock(&self) -> MutexGuard<'_, Log> {
        lock(&self.0)
    }

    /// Counts a call now; it is written down when the record is dropped.
    pub(crate) fn open<'a>(&'a self, clock: &Clock, target: Target) -> Record<'a> {
        let mut log = self.lock();
        log.counts.total += 1;
        *log.counts.by_service.entry(target.service.name()).or_default() += 1;
        *log.counts.by_action.entry(target.action).or_default() += 1;
        let Target { service, action, resource } = target;
        let (at, took) = (clock.uptime(), Duration::ZERO);
        let call = Call { at, took, service, action, resource, entries: 0, failed: 0, outcome: Outcome::Abandoned };
        Record { log: self, began: Instant::now(), call: Some(call) }
    }

    pub(crate) fn counts(&self) -> CallCounts {
        self.lock().counts.clone()
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.lock().kept.iter().cloned().collect()
    }

    pub(crate) fn reset(&self) {
        *self.lock() = Log::default();
    }
}

/// A call that is being answered. A client that hangs up drops it as it is: abandoned.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    log: &'a CallLog,
    began: Instant,
    call: Option<Call>,
}

impl Record<'_> {
    pub(crate) fn entries(&mut self, entries: usize, failed: usize) {
        if let Some(call) = &mut self.call {
            (call.entries, call.failed) = (entries, failed);
        }
    }

    pub(crate) fn outcome(&mut self, outcome: Outcome) {
        if let Some(call) = &mut self.call {
            call.outcome = outcome;
        }
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        let Some(mut call) = self.call.take() else { return };
        call.took = self.began.elapsed();
        let mut log = self.log.lock();
        if log.kept.len() == KEPT_CALLS {
            log.kept.pop_front();
        }
        log.kept.push_back(call);
    }
}

fn as_millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(millis(*duration))
}
