//! Services that are down, slow or not known.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use chassis::testing::{TestApp, TestResponse, TestServer, eventually};
use futures_util::future::join_all;
use gateway::Parts;
use http::Method;
use serde_json::json;

use crate::kit::{Site, USERS, Upstream, at, before_users};

/// A route of each service.
const ROUTES: [(&str, &str); 6] = [
    ("/.well-known/jwks.json", "user-service"),
    ("/api/v1/users/1", "user-service"),
    ("/api/v1/orders", "order-service"),
    ("/api/v1/analytics/stats", "analytics-service"),
    ("/api/message", "ingest"),
    ("/submit", "ingest"),
];

fn unavailable(answer: TestResponse, service: &str) {
    assert_eq!(answer.header("retry-after"), "5");
    let text = format!("{service} unavailable");
    let problem = answer.expect_problem(503, &text);
    assert_eq!(problem["error"], text, "where clients of ingest look for it");
    assert!(!problem.to_string().contains("127.0.0.1"), "{problem}");
}

#[tokio::test]
async fn while_nobody_is_there_each_route_is_503_with_the_name_of_its_service() {
    let nowhere = || at("http://127.0.0.1:1");
    let parts = Parts { users: nowhere(), orders: nowhere(), analytics: nowhere(), ingest: nowhere() };
    let gone = TestApp::start(|context| gateway::service(parts, context).unwrap());
    let unknown = TestApp::start(|context| gateway::service(Parts::default(), context).unwrap());
    for app in [gone, unknown] {
        for (path, service) in ROUTES {
            unavailable(app.get(path).await, service);
            unavailable(app.post(path, "{}").await, service);
        }
        assert_eq!(app.get("/").await.expect(200).json()["service"], "gateway");
    }
}

#[tokio::test]
async fn a_service_that_does_not_answer_in_time_is_504() {
    let server = TestServer::start(Router::new().fallback(async || std::future::pending::<()>().await)).await;
    let app = TestApp::start(|context| {
        let service = gateway::service(Parts::default(), context).unwrap();
        let users = at(&server.url()).unwrap();
        service.callees().discover("user-service", users, Duration::from_millis(200)).unwrap();
        service
    });
    for method in [Method::GET, Method::POST] {
        let begun = Instant::now();
        let answer = app.send(app.request(method, USERS).body("{}".into()).unwrap()).await;
        answer.expect_problem(504, "Timeout calling user-service");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}

/// How long to wait is for callers to decide, who are told so.
#[tokio::test]
async fn a_service_that_asks_for_time_is_not_waited_for() {
    let site = Site::new().await;
    for (status, wait) in [(503, "5"), (429, "10")] {
        site.users.tell(status, &[("content-type", "application/problem+json"), ("retry-after", wait)], "{}");
        let begun = Instant::now();
        let answer = site.get(USERS, &[]).await.expect(status);
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert_eq!(answer.header("retry-after"), wait);
    }
}

#[tokio::test]
async fn a_replica_that_is_gone_is_passed_by() {
    let users = Upstream::default();
    let server = users.serve().await;
    let app = before_users(&format!("http://127.0.0.1:1,{}", server.url()));
    for number in 0..20 {
        let method = if number % 2 == 0 { Method::GET } else { Method::POST };
        app.send(app.request(method, USERS).body("{}".into()).unwrap()).await.expect(200);
    }
    assert_eq!(users.taken().len(), 20);
}

#[tokio::test]
async fn replicas_share_what_there_is_to_do() {
    let counts = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let replica = async |count: &Arc<AtomicUsize>| {
        let count = Arc::clone(count);
        let answer = async move || {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        TestServer::start(Router::new().fallback(answer)).await
    };
    let (one, other) = (replica(&counts[0]).await, replica(&counts[1]).await);
    let app = before_users(&format!("{},{}", one.url(), other.url()));
    for _ in 0..5 {
        for answer in join_all((0..20).map(|_| app.get(USERS))).await {
            answer.expect(200);
        }
    }
    let [one, other] = counts.map(|count| count.load(Ordering::Relaxed));
    assert!(one + other == 100 && one > 0 && other > 0, "{one} and {other}");
}

#[tokio::test]
async fn readiness_names_the_services_behind_and_goes_on_without_them() {
    let site = Site::new().await;
    let ready = site.app.get("/health/ready").await.expect(200).json();
    assert_eq!(ready["status"], "ready");
    let names: Vec<_> = ready["dependencies"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["analytics-service", "ingest", "order-service", "user-service"]);
    drop(site);

    let users = Upstream::default();
    let server = users.serve().await;
    let app = before_users(&server.url());
    let ready = app.get("/health/ready").await.expect(200).json();
    assert_eq!(ready["dependencies"].as_object().unwrap().len(), 1, "what is not known is no dependency");
    drop(server);
    let ready = eventually("users is seen to be down", async || {
        let ready = app.get("/health/ready").await.expect(200).json();
        (ready["status"] == "degraded").then_some(ready)
    });
    assert_eq!(ready.await["dependencies"]["user-service"]["status"], json!("down"));
}
