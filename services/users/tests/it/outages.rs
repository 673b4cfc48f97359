//! A store that is gone, and one that hangs.

use std::sync::Arc;

use async_trait::async_trait;
use chassis::http::Page;
use chassis::ports::Event;
use chassis::testing::{TestApp, TestResponse};
use http::Method;
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::json;
use users::model::{Credentials, NewUser, User, UserCounts, UserId, UsernameKey, Version};
use users::store::{Created, StoreError, UserList, UserStore, Written};

use crate::kit::{PASSWORD, create, delete, log_in, put, register, service_on};

/// Cannot be reached.
#[derive(Debug)]
struct Gone;

fn gone<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("connection to db.internal refused".into()))
}

#[async_trait]
impl UserStore for Gone {
    async fn create(&self, _: NewUser) -> Result<Created, StoreError> {
        gone()
    }
    async fn forget_answers(&self, _: Timestamp) -> Result<u64, StoreError> {
        gone()
    }
    async fn find(&self, _: UserId) -> Result<Option<User>, StoreError> {
        gone()
    }
    async fn find_credentials(&self, _: &UsernameKey) -> Result<Option<Credentials>, StoreError> {
        gone()
    }
    async fn list(&self, _: Page) -> Result<UserList, StoreError> {
        gone()
    }
    async fn replace(&self, _: User, _: Version) -> Result<Written, StoreError> {
        gone()
    }
    async fn replace_password(&self, _: UserId, _: SecretString, _: SecretString) -> Result<Written, StoreError> {
        gone()
    }
    async fn delete(&self, _: UserId, _: Option<Version>, _: Option<Event>) -> Result<Written, StoreError> {
        gone()
    }
    async fn count(&self) -> Result<UserCounts, StoreError> {
        gone()
    }
    async fn ping(&self) -> Result<(), StoreError> {
        gone()
    }
}

fn unavailable(answer: TestResponse) {
    assert!(!answer.header("retry-after").is_empty());
    let problem = answer.expect_problem(503, "User store unavailable");
    assert!(!problem.to_string().contains("db.internal"));
}

#[tokio::test]
async fn every_route_is_503_without_its_cause_while_the_store_is_gone() {
    let app = TestApp::start(|context| service_on(Arc::new(Gone), context));
    let user = "/api/v1/users/01975408-5f35-7000-8000-000000000000";
    unavailable(create(&app, "John", "john@example.com").await);
    unavailable(app.get("/api/v1/users").await);
    unavailable(app.get(user).await);
    unavailable(put(&app, user, json!({ "age": 1 })).await);
    unavailable(delete(&app, user).await);
    unavailable(register(&app, "johnny", PASSWORD).await);
    unavailable(app.get("/api/v1/users/stats/count").await);
    let token = app.token("01975408-5f35-7000-8000-000000000000", &[]);
    unavailable(app.ask_as(&token, Method::GET, "/api/v1/users/profile", "").await);
    // An outage is nobody's wrong password, however long it lasts.
    for _ in 0..30 {
        unavailable(log_in(&app, "johnny", PASSWORD).await);
    }
    let ready = app.get("/health/ready").await.expect(503).json();
    assert_eq!(ready["dependencies"]["store"]["status"], "down");
    app.get("/health").await.expect(200);
}
