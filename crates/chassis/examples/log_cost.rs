//! What a log line costs the thread that logs: `cargo run --release -p chassis --example log_cost >/dev/null`.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chassis::clock::SystemClock;
use chassis::ids::Ids;
use chassis::telemetry::correlation::{CorrelationId, Scope, TraceContext, in_scope};
use chassis::telemetry::logs::{AccessRecord, LogError, LogSettings, Logs};
use futures_util::FutureExt as _;
use http::Method;

/// Examples are not among our crates, which alone log at INFO.
const OWN: &str = "chassis::example";
const ROUNDS: u32 = 20;
/// Lines of a round; fewer than fit into the buffer, so that none is dropped.
const LINES: u32 = 5_000;

fn main() -> Result<(), LogError> {
    let clock = SystemClock::shared();
    let ids = Ids::seeded(Arc::clone(&clock), 1);
    let scope = Scope {
        service: "ingest".into(),
        correlation_id: Some(CorrelationId::generate(&ids)),
        trace: Some(TraceContext::generate(&ids)),
        client: None,
        deadline: None,
    };
    let logs = Logs::install(LogSettings::new("ingest"), clock)?;
    let record = AccessRecord {
        method: &Method::GET,
        route: "/orders/{id}",
        path: "/orders/0197547b-4f13-7a6e-a7c8-1d2e3f405162",
        status: 200,
        duration: Duration::from_micros(1_234),
        client: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        is_probe: false,
    };
    measure(&logs, "access line", |_| logs.access(&record, &scope));
    // Nothing in there waits, so one poll is all it takes.
    in_scope(scope.clone(), async { measure_events(&logs) }).now_or_never();
    logs.close();
    Ok(())
}

fn measure_events(logs: &Logs) {
    measure(logs, "event with three fields", |n| {
        tracing::info!(target: OWN, { order.id = n, user = "ada", ok = true }, "created order {n}");
    });
    measure(logs, "event below the level", |n| tracing::debug!(target: OWN, { order.id = n }, "not said"));
}

#[expect(clippy::print_stderr, reason = "the standard output takes the lines that are measured")]
fn measure(logs: &Logs, what: &str, log: impl Fn(u32)) {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        (0..LINES).for_each(&log);
        best = best.min(started.elapsed());
        logs.flush();
    }
    let nanos = best.as_nanos() / u128::from(LINES);
    eprintln!("{what}: {nanos} ns, {} dropped", logs.dropped());
}
