//! What a call takes along of the work that it is made for.

use tokio::time::Instant;

use super::*;
use crate::ids::Ids;
use crate::telemetry::correlation::{CorrelationId, Scope, TraceContext, in_scope};
use crate::testing::ManualClock;

const DEADLINE: &str = "x-envoy-expected-rq-timeout-ms";

fn milliseconds(asked: &Value) -> u64 {
    asked["headers"][DEADLINE].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn correlation_id_trace_and_deadline_of_a_request_are_handed_on() {
    let server = echoing().await;
    let client = client_of(&server.url());
    let trace = TraceContext::generate(&Ids::seeded(ManualClock::new(), 1));
    let scope = Scope {
        correlation_id: CorrelationId::parse(b"the-id"),
        trace: Some(trace),
        deadline: Some(Instant::now() + Duration::from_secs(10)),
        ..Scope::service("order-service")
    };
    let asked = in_scope(scope, echoed(client.get(&["users"]))).await;
    assert_eq!(asked["headers"]["x-correlation-id"], "the-id");
    assert_eq!(asked["headers"]["traceparent"], trace.traceparent());
    assert!((1..=10_000).contains(&milliseconds(&asked)), "{asked}");
}

#[tokio::test]
async fn work_that_nobody_asked_for_has_the_deadline_of_the_call_alone() {
    let server = echoing().await;
    let client = client_of(&server.url());
    let asked = in_scope(Scope::service("order-service"), echoed(client.get(&["users"]))).await;
    assert_eq!(asked["headers"]["x-correlation-id"], Value::Null);
    assert_eq!(asked["headers"]["traceparent"], Value::Null);
    assert!((10_001..=20_000).contains(&milliseconds(&asked)), "{asked}");
    let distant = Some(Instant::now() + Duration::from_mins(1));
    let scope = Scope { deadline: distant, ..Scope::service("order-service") };
    assert!(milliseconds(&in_scope(scope, echoed(client.get(&["users"]))).await) <= 20_000);
}

#[tokio::test]
async fn a_call_ends_with_the_request_that_it_is_made_for() {
    let never = || async { std::future::pending::<()>().await };
    let server = TestServer::start(Router::new().fallback(never)).await;
    let patient = CallLimits { timeout: Duration::from_hours(1), ..PATIENT };
    let client = limited(&server.url(), patient);
    let deadline = Some(Instant::now() + Duration::from_millis(100));
    let scope = Scope { deadline, ..Scope::service("order-service") };
    let error = in_scope(scope, client.get(&["users"]).send()).await.unwrap_err();
    assert!(matches!(error.failure(), CallFailure::Timeout(_)), "{error}");
}

#[tokio::test]
async fn for_a_request_whose_time_is_over_nothing_is_sent() {
    let server = echoing().await;
    let client = client_of(&server.url());
    let scope = Scope { deadline: Some(Instant::now()), ..Scope::service("order-service") };
    let error = in_scope(scope, client.get(&["users"]).send()).await.unwrap_err();
    assert_eq!(error.failure(), &CallFailure::Timeout(Duration::ZERO));
    assert_eq!(server.connections(), 0);
}
