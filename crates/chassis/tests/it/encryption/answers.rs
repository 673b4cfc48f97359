//! Answers that are encrypted since their request asked for that, in plain text.

use axum::body::Body;
use chassis::testing::TestApp;
use http::Method;
use serde_json::json;

use super::kit::{Peer, app, asking, service};

#[tokio::test]
async fn whoever_names_a_key_that_is_known_is_answered_in_v2_with_it() {
    let (app, peer) = (app(&[]), Peer::new());
    for (key_id, owner) in [("a1", "analytics-service"), ("u1", "user-service"), ("u2", "user-service")] {
        let request = asking(&app, Method::GET, "/things/one").header("x-encryption-key-id", key_id);
        let answer = app.send(request.body(Body::empty()).unwrap()).await.expect(200);
        assert_eq!((answer.header("x-encryption-key-id"), answer.header("x-encryption-service")), (key_id, owner));
        assert_eq!(peer.read_v2(&app, &answer, "GET", "/things/one"), json!({"name": "one"}));
    }
}

#[tokio::test]
async fn all_others_are_answered_in_the_first_gcm_form_with_the_key_of_the_service() {
    for settings in [&[][..], super::kit::PRODUCTION] {
        let (app, peer) = (app(settings), Peer::new());
        for key_id in [None, Some("unknown")] {
            let request = asking(&app, Method::GET, "/things/one");
            let request = key_id.into_iter().fold(request, |it, key_id| it.header("x-encryption-key-id", key_id));
            let answer = app.send(request.body(Body::empty()).unwrap()).await.expect(200);
            assert_eq!(peer.read_gcm(&answer), json!({"name": "one"}));
        }
    }
}

#[tokio::test]
async fn a_refusal_is_encrypted_as_an_answer_is() {
    let (app, peer) = (app(&[]), Peer::new());
    for (method, path, status, detail) in [
        (Method::GET, "/things/nothing", 404, "Thing not found"),
        (Method::GET, "/nowhere", 404, "Not Found"),
        (Method::PUT, "/things", 405, "Method Not Allowed"),
        (Method::POST, "/things", 422, "Validation failed"),
    ] {
        let request = asking(&app, method.clone(), path).header("x-encryption-key-id", "a1");
        let answer = app.send(request.body(Body::empty()).unwrap()).await.expect(status);
        assert_eq!(peer.read_v2(&app, &answer, method.as_str(), path)["detail"], detail);
    }
    let request = asking(&app, Method::POST, "/things").header("origin", "https://elsewhere.example");
    let answer = app.send(request.body("{}".into()).unwrap()).await.expect(403);
    assert_eq!(peer.read_gcm(&answer)["status"], 403, "what the edge refuses is no exception");
}

#[tokio::test]
async fn an_answer_that_cannot_be_encrypted_is_none() {
    let app = TestApp::start(service);
    let answer = app.send(asking(&app, Method::GET, "/things/one").body(Body::empty()).unwrap()).await;
    answer.expect_problem(400, "No key to encrypt the response with");
}

#[tokio::test]
async fn an_answer_that_is_too_large_to_be_encrypted_is_not_half_encrypted() {
    let (app, peer) = (app(&[("MAX_BODY_BYTES", "40000000")]), Peer::new());
    let name = "x".repeat((16 << 20) + 1);
    let answer = peer.v2(&app, "/things", &json!({ "name": name }).to_string()).send(&app).await;
    for header in answer.headers.keys() {
        assert!(!header.as_str().starts_with("x-encrypt"), "{header}");
    }
    answer.expect_problem(500, "Internal Server Error");
}
