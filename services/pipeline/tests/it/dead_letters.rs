//! `/ops/v1` of the queue.

use chassis::ports::{MessageId, Queue};
use chassis::testing::{TestApp, eventually};
use http::Method;
use serde_json::{Value, json};

use crate::kit::Stores;

fn start() -> (TestApp, Stores) {
    let mut stores = None;
    let app = TestApp::start(|context| stores.insert(Stores::new(context)).archiver(context, &[]));
    (app, stores.unwrap())
}

async fn bury(stores: &Stores) -> MessageId {
    let id = stores.send("[1]", &[]).await;
    eventually("a dead letter", || async { stores.queue.find_dead_letter(&id).await.unwrap() }).await.id
}

async fn operate(app: &TestApp, method: Method, path: &str, body: &str) -> Value {
    app.operate(method, path, body.to_owned()).await.expect(200).json()
}

#[tokio::test]
async fn the_operator_lists_shows_redrives_and_purges() {
    let (app, stores) = start();
    let id = bury(&stores).await;
    let list = operate(&app, Method::GET, "/ops/v1/dead-letters", "").await;
    assert_eq!(list["count"], 1);
    assert_eq!(list["dead_letters"][0]["id"], json!(id));
    assert_eq!(list["dead_letters"][0]["size_bytes"], 3);
    assert!(list["dead_letters"][0]["body"].is_null(), "a list shows no bodies");
    let letter = operate(&app, Method::GET, &format!("/ops/v1/dead-letters/{id}"), "").await;
    assert_eq!(letter["body"], "[1]");
    assert_eq!(operate(&app, Method::GET, "/ops/v1/queue", "").await["dead"], 1);

    let body = json!({"ids": [id, "unknown"]}).to_string();
    assert_eq!(operate(&app, Method::POST, "/ops/v1/dead-letters/redrive", &body).await["count"], 1);
    eventually("the letter again", || async { stores.queue.find_dead_letter(&id).await.unwrap() }).await;
    let other = bury(&stores).await;
    let body = json!({"ids": [other, "unknown"]}).to_string();
    assert_eq!(operate(&app, Method::DELETE, "/ops/v1/dead-letters", &body).await["count"], 1);
    assert!(stores.queue.find_dead_letter(&id).await.unwrap().is_some(), "it was not named");
    assert_eq!(operate(&app, Method::DELETE, "/ops/v1/dead-letters", "").await["count"], 1);
    assert_eq!(operate(&app, Method::GET, "/ops/v1/queue", "").await["dead"], 0);
}

#[tokio::test]
async fn wrong_requests_of_the_operator_are_refused() {
    let (app, stores) = start();
    let id = bury(&stores).await;
    let ask = async |method: Method, path: &str, body: &str| app.operate(method, path, body.to_owned()).await;
    ask(Method::GET, "/ops/v1/dead-letters/unknown", "").await.expect_problem(404, "Dead letter not found");
    ask(Method::GET, "/ops/v1/dead-letters?limit=0", "").await.expect_problem(422, "Validation failed");
    ask(Method::GET, "/ops/v1/dead-letters?limit=x", "").await.expect_problem(422, "Validation failed");
    ask(Method::POST, "/ops/v1/dead-letters/redrive", "{}").await.expect_problem(422, "Validation failed");
    let both = r#"{"all":true,"ids":["a"]}"#;
    ask(Method::POST, "/ops/v1/dead-letters/redrive", both).await.expect_problem(422, "Validation failed");
    for body in ["{}", both, r#"{"ids":[]}"#, r#"{"id":["a"]}"#, "[]", " ", "all"] {
        ask(Method::DELETE, "/ops/v1/dead-letters", body).await.expect_problem(422, "Validation failed");
    }
    assert!(
        stores.queue.find_dead_letter(&id).await.unwrap().is_some(),
        "a request that is not understood deletes none"
    );
    app.get("/ops/v1/queue").await.expect_problem(401, "Access token is missing");
    app.get("/ops/v1/dead-letters").await.expect_problem(401, "Access token is missing");
}
