//! Readiness: named checks, bounded in time, cached for a moment. Liveness looks at nothing and needs no code here.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use crate::lifecycle::Lifecycle;
use crate::telemetry::metrics::Metrics;

/// How long one check may take; a load balancer's own limit is usually 5 s.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an answer serves every caller, so that probes cannot load a dependency.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// The answer of a probe: when it failed, whether the service needs the dependency at this moment, and for the log
/// why it failed.
pub type ProbeFuture = Pin<Box<dyn Future<Output = Result<(), (Need, String)>> + Send>>;

/// Whether a service can work without a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It cannot: down means not ready.
    Required,
    /// It can, with less: down means degraded.
    Optional,
}

/// A dependency and how to look at it. The probe reads, it never writes.
#[derive(Clone)]
pub struct Check {
    name: &'static str,
    need: Need,
    probe: Arc<dyn Fn() -> ProbeFuture + Send + Sync>,
}

impl Check {
    /// A check that runs `probe`, which has 2 s. `name` is what `/health/ready` and the metrics call the dependency.
    #[must_use]
    pub fn new<P, F>(name: &'static str, need: Need, probe: P) -> Self
    where
        P: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let judge = move |answer: Result<(), String>| answer.map_err(|cause| (need, cause));
        Self { name, need, probe: Arc::new(move || Box::pin(probe().map(judge))) }
    }

    /// A check whose probe says by itself whether the service can work without what it did not find. A probe that
    /// does not answer in time counts as required.
    #[must_use]
    pub fn judged<P, F>(name: &'static str, probe: P) -> Self
    where
        P: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), (Need, String)>> + Send + 'static,
    {
        Self { name, need: Need::Required, probe: Arc::new(move || Box::pin(probe())) }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).field("need", &self.need).finish_non_exhaustive()
    }
}

/// What `/health/ready` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All dependencies are up.
    Ready,
    /// An optional one is down.
    Degraded,
    /// A required one is down, or the service starts or drains.
    NotReady,
}

/// How a dependency answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dependency {
    /// `up` or `down`.
    pub status: &'static str,
    /// How long the probe took.
    pub latency_ms: f64,
    /// How much it is missed; `None` when it is up.
    #[serde(skip)]
    missing: Option<Need>,
}

/// The whole answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Readiness {
    /// What all of them together mean for the service.
    pub status: Status,
    /// Each dependency by its name.
    pub dependencies: BTreeMap<&'static str, Dependency>,
}

/// The checks of one service.
#[derive(Debug)]
pub struct Health {
    checks: Vec<(Check, AtomicU8)>,
    lifecycle: Lifecycle,
    metrics: Metrics,
    cache: Mutex<Option<(Instant, BTreeMap<&'static str, Dependency>)>>,
}

/// What was seen last of a dependency, to log changes only.
const NEVER_SEEN: u8 = 0;
const SEEN_UP: u8 = 1;
const SEEN_DOWN: u8 = 2;

impl Health {
    /// The checks of one service; none has run yet.
    #[must_use]
    pub fn new(checks: Vec<Check>, lifecycle: Lifecycle, metrics: Metrics) -> Self {
        let checks = checks.into_iter().map(|check| (check, AtomicU8::new(NEVER_SEEN))).collect();
        Self { checks, lifecycle, metrics, cache: Mutex::new(None) }
    }

    /// The present readiness. Many callers at once cost one round of probes.
    pub async fn readiness(&self) -> Readiness {
        let dependencies = self.dependencies().await;
        let down = |need| dependencies.values().any(|it| it.missing == Some(need));
        let status = if self.lifecycle.is_draining() || !self.lifecycle.is_started() || down(Need::Required) {
            Status::NotReady
        } else if down(Need::Optional) {
            Status::Degraded
        } else {
            Status::Ready
        };
        self.metrics.set_ready(status != Status::NotReady);
        Readiness { status, dependencies }
    }

    async fn dependencies(&self) -> BTreeMap<&'static str, Dependency> {
        let mut cache = self.cache.lock().await;
        if let Some((at, dependencies)) = cache.as_ref()
            && at.elapsed() < FRESH_FOR
        {
            return dependencies.clone();
        }
        let dependencies: BTreeMap<_, _> =
            join_all(self.checks.iter().map(|it| self.look(it))).await.into_iter().collect();
        *cache = Some((Instant::now(), dependencies.clone()));
        dependencies
    }

    async fn look(&self, (check, seen): &(Check, AtomicU8)) -> (&'static str, Dependency) {
        let begun = Instant::now();
        let answer = timeout(CHECK_TIMEOUT, (check.probe)())
            .await
            .unwrap_or_else(|_| Err((check.need, format!("no answer within {CHECK_TIMEOUT:?}"))));
        let now = if answer.is_ok() { SEEN_UP } else { SEEN_DOWN };
        let before = seen.swap(now, Ordering::Relaxed);
        self.metrics.set_dependency(check.name, answer.is_ok());
        match &answer {
            Err((_, cause)) if before != SEEN_DOWN => {
                warn!(dependency = check.name, cause = %cause, "dependency {} is down", check.name);
            }
            Ok(()) if before == SEEN_DOWN => info!(dependency = check.name, "dependency {} is up again", check.name),
            _ => {}
        }
        let status = if answer.is_ok() { "up" } else { "down" };
        let latency_ms = (begun.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        let missing = answer.err().map(|(need, _)| need);
        (check.name, Dependency { status, latency_ms, missing })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    fn health(need: Need, up: &Arc<AtomicBool>) -> (Health, Lifecycle) {
        let up = Arc::clone(up);
        let check = Check::new("store", need, move || {
            let up = up.load(Ordering::Relaxed);
            async move { if up { Ok(()) } else { Err("switched off".into()) } }
        });
        let lifecycle = Lifecycle::new();
        (Health::new(vec![check], lifecycle.clone(), Metrics::new("test", "1")), lifecycle)
    }

    #[tokio::test(start_paused = true)]
    async fn a_required_dependency_that_is_down_means_not_ready_and_heals() {
        let up = Arc::new(AtomicBool::new(false));
        let (health, _lifecycle) = health(Need::Required, &up);
        assert_eq!(health.readiness().await.status, Status::NotReady);
        up.store(true, Ordering::Relaxed);
        assert_eq!(health.readiness().await.status, Status::NotReady, "the answer is cached for a moment");
        tokio::time::advance(FRESH_FOR).await;
        assert_eq!(health.readiness().await.status, Status::Ready);
    }

    #[tokio::test]
    async fn an_optional_dependency_that_is_down_means_degraded() {
        let (health, _lifecycle) = health(Need::Optional, &Arc::new(AtomicBool::new(false)));
        let readiness = health.readiness().await;
        assert_eq!(readiness.status, Status::Degraded);
        assert_eq!(readiness.dependencies["store"].status, "down");
    }

    #[tokio::test]
    async fn starting_and_draining_mean_not_ready() {
        let (health, lifecycle) = health(Need::Required, &Arc::new(AtomicBool::new(true)));
        let latch = lifecycle.latch();
        assert_eq!(health.readiness().await.status, Status::NotReady);
        drop(latch);
        assert_eq!(health.readiness().await.status, Status::Ready);
        lifecycle.shut_down();
        assert_eq!(health.readiness().await.status, Status::NotReady);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_hangs_is_down_within_its_limit() {
        let hanging = Check::new("store", Need::Required, std::future::pending);
        let health = Health::new(vec![hanging], Lifecycle::new(), Metrics::new("test", "1"));
        let begun = Instant::now();
        assert_eq!(health.readiness().await.status, Status::NotReady);
        assert_eq!(begun.elapsed(), CHECK_TIMEOUT);
    }
}
