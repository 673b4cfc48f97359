//! A store that is gone.

use std::sync::Arc;

use async_trait::async_trait;
use chassis::http::{Page, RequestKey, StoredAnswer};
use chassis::ports::Event;
use chassis::testing::{TestApp, TestResponse};
use http::Method;
use jiff::Timestamp;
use orders::model::{NewOrder, Order, OrderId, Version};
use orders::store::{Created, OrderFilter, OrderList, OrderStore, StoreError, Written};
use serde_json::json;

use crate::kit::{ORDERS, Users, laptop, service_on};

/// Cannot be reached.
#[derive(Debug)]
struct Gone;

fn gone<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("connection to db.internal refused".into()))
}

#[async_trait]
impl OrderStore for Gone {
    async fn create(&self, _: NewOrder) -> Result<Created, StoreError> {
        gone()
    }
    async fn find_answer(&self, _: &RequestKey) -> Result<Option<StoredAnswer>, StoreError> {
        gone()
    }
    async fn forget_answers(&self, _: Timestamp) -> Result<u64, StoreError> {
        gone()
    }
    async fn find(&self, _: OrderId) -> Result<Option<Order>, StoreError> {
        gone()
    }
    async fn list(&self, _: &OrderFilter, _: Page) -> Result<OrderList, StoreError> {
        gone()
    }
    async fn change(&self, _: &Order, _: Version, _: Option<Event>) -> Result<Written, StoreError> {
        gone()
    }
    async fn delete(&self, _: OrderId, _: Version, _: Option<Event>) -> Result<Written, StoreError> {
        gone()
    }
    async fn ping(&self) -> Result<(), StoreError> {
        gone()
    }
}

fn unavailable(answer: TestResponse) {
    assert!(!answer.header("retry-after").is_empty());
    let problem = answer.expect_problem(503, "Order store unavailable");
    assert!(!problem.to_string().contains("db.internal"));
}

#[tokio::test]
async fn every_route_is_503_without_its_cause_while_the_store_is_gone() {
    let server = Users::of(&["ann"]).serve().await;
    let app = TestApp::start(|context| service_on(Arc::new(Gone), &server.url(), context));
    let order = "/api/v1/orders/01975408-5f35-7000-8000-000000000000";
    unavailable(app.post(ORDERS, laptop("ann").to_string()).await);
    unavailable(app.get(ORDERS).await);
    unavailable(app.get("/api/v1/orders/user/ann").await);
    unavailable(app.get(order).await);
    for (method, body) in [(Method::PUT, json!({ "status": "confirmed" })), (Method::DELETE, json!(null))] {
        unavailable(app.send(app.request(method, order).body(body.to_string().into()).unwrap()).await);
    }
    let ready = app.get("/health/ready").await.expect(503).json();
    assert_eq!(ready["dependencies"]["store"]["status"], "down");
    app.get("/health").await.expect(200);
}
