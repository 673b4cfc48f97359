//! What orders asks users, and what it makes of the answer.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use chassis::testing::{TestApp, eventually};
use http::Method;
use orders::MemoryOrders;
use serde_json::json;

use crate::kit::{ORDERS, PRODUCTION, Site, laptop, path, service_on};

#[tokio::test]
async fn an_order_for_unknown_user_is_rejected_with_404() {
    let site = Site::new().await;
    for id in ["nobody", "01975408-5f35-7000-8000-000000000000", "", ".", "..", "a\0b", &"x".repeat(9000)] {
        site.post(&laptop(id)).await.expect_problem(404, "User not found");
    }
    assert_eq!(site.app.get(ORDERS).await.expect(200).json(), json!([]));
}

#[tokio::test]
async fn an_id_stays_one_segment_and_reaches_no_other_route() {
    let site = Site::new().await;
    for (id, asked) in [
        ("../../../health", "..%2F..%2F..%2Fhealth"),
        ("ann/../../../health", "ann%2F..%2F..%2F..%2Fhealth"),
        ("%2e%2e/health", "%252e%252e%2Fhealth"),
        ("ann?x=1#y", "ann%3Fx%3D1%23y"),
        ("ann\r\nx: y", "ann%0D%0Ax%3A%20y"),
        ("stats/count", "stats%2Fcount"),
    ] {
        site.post(&laptop(id)).await.expect_problem(404, "User not found");
        assert_eq!(site.users.paths().last().unwrap(), &format!("/api/v1/users/{asked}"));
    }
}

fn assert_unavailable(answer: chassis::testing::TestResponse) {
    assert!(!answer.header("retry-after").is_empty());
    let problem = answer.expect_problem(503, "user-service unavailable");
    assert!(!problem.to_string().contains("127.0.0.1"), "{problem}");
}

#[tokio::test]
async fn anything_else_than_yes_or_no_is_503() {
    let site = Site::new().await;
    let somebody = "01975408-5f35-7000-8000-000000000000";
    // 200 and 404 are worth nothing without the words of users: anything may answer so at a wrong address.
    for status in [200, 201, 204, 301, 400, 401, 403, 404, 409, 429, 500, 502, 503] {
        site.users.failure.store(status, Ordering::Relaxed);
        assert_unavailable(site.post(&laptop(somebody)).await);
    }
    site.users.failure.store(0, Ordering::Relaxed);
    site.post(&laptop(somebody)).await.expect_problem(404, "User not found");
    site.ordered("ann").await;
}

#[tokio::test]
async fn the_name_of_another_route_of_users_is_no_user() {
    let site = Site::new().await;
    for name in ["profile", "login", "register"] {
        site.post(&laptop(name)).await.expect_problem(404, "User not found");
    }
}

#[tokio::test]
async fn while_users_is_down_nobody_orders_and_all_else_works() {
    let site = Site::new().await;
    let order = site.ordered("ann").await;
    site.users.delay_ms.store(60_000, Ordering::Relaxed);
    let begun = Instant::now();
    assert_unavailable(site.post(&laptop("ann")).await);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());

    let Site { app, server, users } = site;
    drop(server);
    users.delay_ms.store(0, Ordering::Relaxed);
    let begun = Instant::now();
    let refused = eventually("its connections are gone", async || {
        let answer = app.post(ORDERS, laptop("ann").to_string()).await;
        (answer.status == 503).then_some(answer)
    });
    assert_unavailable(refused.await);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    app.get(&path(&order)).await.expect(200);
    app.get(ORDERS).await.expect(200);
    let request = app.request(Method::PUT, &path(&order)).body(json!({ "status": "confirmed" }).to_string().into());
    app.send(request.unwrap()).await.expect(200);
    let ready = eventually("users is seen to be down", async || {
        let ready = app.get("/health/ready").await.expect(200).json();
        (ready["status"] == "degraded").then_some(ready)
    });
    assert_eq!(ready.await["dependencies"]["user-service"]["status"], "down");
}

#[tokio::test]
async fn readiness_names_users() {
    let site = Site::new().await;
    let ready = site.app.get("/health/ready").await.expect(200).json();
    let dependencies = &ready["dependencies"];
    assert_eq!((&ready["status"], &dependencies["user-service"]["status"]), (&json!("ready"), &json!("up")));
    assert_eq!(dependencies["store"]["status"], "up");
}

#[tokio::test]
async fn users_learns_who_asks_and_for_which_request() {
    let site = Site::with(PRODUCTION).await;
    let token = site.app.token("ann", &[]);
    for (header, shown) in [("authorization", format!("Bearer {token}")), ("x-access-token", token.clone())] {
        let request = site.app.request(Method::POST, ORDERS).header(header, &shown).header("x-correlation-id", "c-1");
        site.app.send(request.body(laptop("ann").to_string().into()).unwrap()).await.expect(201);
        let asked = site.users.asked.lock().unwrap();
        let (_, headers) = asked.iter().rev().find(|(path, _)| path != "/health").unwrap();
        assert_eq!(headers["authorization"], format!("Bearer {token}"));
        assert_eq!(headers["x-correlation-id"], "c-1");
        assert!(headers.contains_key("traceparent"));
    }
}

#[tokio::test]
async fn without_a_token_users_is_asked_without_one() {
    let url = "http://127.0.0.1:1";
    let app = TestApp::start(|context| service_on(MemoryOrders::new(), url, context));
    assert_unavailable(app.post(ORDERS, laptop("ann").to_string()).await);
    let site = Site::new().await;
    site.ordered("bob").await;
    let asked = site.users.asked.lock().unwrap();
    assert!(asked.iter().all(|(_, headers)| !headers.contains_key("authorization")), "{asked:?}");
}
