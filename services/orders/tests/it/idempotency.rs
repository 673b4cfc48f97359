//! `Idempotency-Key` on what creates orders.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use serde_json::Value;

use crate::kit::{ORDERS, Site, laptop};

async fn post(site: &Site, key: &str, body: Value) -> chassis::testing::TestResponse {
    site.with_header(Method::POST, ORDERS, ("idempotency-key", key), body).await
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer_and_is_done_once() {
    let site = Site::new().await;
    let first = post(&site, "k1", laptop("ann")).await.expect(201);
    assert_eq!(first.header("idempotency-replayed"), "");
    let again = post(&site, "k1", laptop("ann")).await.expect(201);
    assert_eq!((again.text(), again.header("etag")), (first.text(), first.header("etag")));
    assert_eq!((again.header("location"), again.header("idempotency-replayed")), (first.header("location"), "true"));
    let other_body = post(&site, "k1", laptop("bob")).await;
    other_body.expect_problem(422, "Idempotency-Key was used before with another body");
    post(&site, "k2", laptop("ann")).await.expect(201);
    assert_eq!(site.app.get(ORDERS).await.header("x-total-count"), "2");
}

#[tokio::test]
async fn an_answer_comes_again_whatever_became_of_users() {
    let site = Site::new().await;
    let first = post(&site, "k", laptop("ann")).await.expect(201);
    site.users.remove("ann");
    assert_eq!(post(&site, "k", laptop("ann")).await.expect(201).text(), first.text());
    site.users.failure.store(503, Ordering::Relaxed);
    assert_eq!(post(&site, "k", laptop("ann")).await.expect(201).text(), first.text());
    post(&site, "l", laptop("ann")).await.expect(503);
}

#[tokio::test]
async fn a_request_that_failed_can_be_mended_under_its_key() {
    let site = Site::new().await;
    post(&site, "k", Value::Null).await.expect(422);
    post(&site, "k", laptop("nobody")).await.expect(404);
    site.users.failure.store(500, Ordering::Relaxed);
    post(&site, "k", laptop("ann")).await.expect(503);
    site.users.failure.store(0, Ordering::Relaxed);
    post(&site, "k", laptop("ann")).await.expect(201);
}

#[tokio::test]
async fn a_hundred_at_once_make_one_order() {
    let site = Site::new().await;
    let answers = join_all((0..100).map(|_| post(&site, "k", laptop("ann")))).await;
    let done: Vec<Value> = answers.iter().filter(|it| it.status == 201).map(|it| it.json()).collect();
    assert!(!done.is_empty() && done.iter().all(|answer| *answer == done[0]), "{done:?}");
    for refused in answers.into_iter().filter(|it| it.status != 201) {
        refused.expect_problem(409, "A request with this Idempotency-Key is being worked on");
    }
    assert_eq!(site.app.get(ORDERS).await.header("x-total-count"), "1");
}

#[tokio::test]
async fn an_answer_is_forgotten_after_its_time() {
    let site = Site::new().await;
    post(&site, "k", laptop("ann")).await.expect(201);
    post(&site, "k", laptop("bob")).await.expect(422);
    site.app.clock.advance(Duration::from_secs(24 * 3600));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(700)).await;
    tokio::time::resume();
    let answer = chassis::testing::eventually("the answer is forgotten", async || {
        let answer = post(&site, "k", laptop("bob")).await;
        (answer.status == 201).then_some(answer)
    });
    answer.await;
}
