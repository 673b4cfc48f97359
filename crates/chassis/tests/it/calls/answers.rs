//! What arrives at the service, and what comes back of its answer.

use axum::body::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{StatusCode, Uri};

use super::*;

#[tokio::test]
async fn a_call_arrives_as_it_was_asked_for_and_its_answer_comes_back() {
    let (app, _server) = beside(echoing()).await;
    let body = r#"{ "name":"John Doe","amount":12345678901234567890.10 }"#;
    let path = encoded("/api/v1/users?skip=0&name=a%26b");
    let answer = app.post(&format!("/call/user-service?path={path}&method=put"), body).await.expect(200).json();
    assert_eq!((&answer["service"], &answer["status"]), (&json!("user-service"), &json!(200)));
    assert_eq!((&answer["attempts"], &answer["timestamp"]), (&json!(1), &json!("2025-06-09T10:30:45Z")));
    assert!(answer["duration_ms"].as_f64().unwrap() > 0.0, "{answer}");
    let asked = &answer["result"];
    assert_eq!((&asked["method"], &asked["body"]), (&json!("PUT"), &json!(body)));
    assert_eq!(asked["target"], "/api/v1/users?skip=0&name=a%26b");
    assert_eq!(asked["headers"]["content-type"], "application/json");
}

#[tokio::test]
async fn where_nothing_is_said_a_call_posts_nothing_to_the_root() {
    let (app, _server) = beside(echoing()).await;
    let asked = &app.post("/call/user-service", "").await.expect(200).json()["result"];
    assert_eq!((&asked["method"], &asked["target"], &asked["body"]), (&json!("POST"), &json!("/"), &json!("")));
    assert_eq!(asked["headers"]["content-type"], Value::Null);
}

/// Of `/404`, for example.
fn status_in(uri: &Uri) -> StatusCode {
    StatusCode::from_bytes(uri.path().trim_start_matches('/').as_bytes()).unwrap()
}

#[tokio::test]
async fn any_status_below_500_is_an_answer() {
    let (app, _server) = beside(Router::new().fallback(|uri: Uri| async move { status_in(&uri) })).await;
    for status in [200, 201, 204, 304, 400, 401, 403, 404, 409, 422, 429] {
        let called = call(&app, "user-service", "POST", &format!("/{status}")).await.expect(200).json();
        assert_eq!((&called["status"], &called["result"]), (&json!(status), &Value::Null));
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_leads_nowhere() {
    let elsewhere = TestServer::start(echoing()).await;
    let to = elsewhere.url();
    let redirect = move |uri: Uri| async move { (status_in(&uri), [(LOCATION, to)]) };
    let (app, _server) = beside(Router::new().fallback(redirect)).await;
    for status in [301, 302, 303, 307, 308] {
        for method in ["GET", "POST"] {
            let called = call(&app, "user-service", method, &format!("/{status}")).await.expect(200).json();
            assert_eq!(called["status"], status);
        }
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn json_is_json_and_text_is_text() {
    for (content_type, body, result) in [
        ("application/json", &br#"{"a":1}"#[..], r#"{"a":1}"#),
        ("application/json", b"12345678901234567890.10", "12345678901234567890.10"),
        ("APPLICATION/JSON; charset=utf-8", b" null\n", "null"),
        ("application/problem+json", b"[1, 2]", "[1, 2]"),
        ("text/plain", br#"{"a":1}"#, r#"{"a":1}"#),
        ("text/plain", b"1.10", r#""1.10""#),
        ("text/plain", b"true", r#""true""#),
        ("text/html", "<p>ü</p>".as_bytes(), r#""<p>ü</p>""#),
        ("application/json", b"{not JSON", r#""{not JSON""#),
        ("application/json", b"{\"a\":\"\xff\"}", "\"{\\\"a\\\":\\\"\u{fffd}\\\"}\""),
        ("application/octet-stream", b"\xff\x00", "\"\u{fffd}\\u0000\""),
        ("application/json", b"", "null"),
    ] {
        let answer = move || async move { ([(CONTENT_TYPE, content_type)], Bytes::from_static(body)) };
        let (app, _server) = beside(Router::new().fallback(answer)).await;
        let text = call(&app, "user-service", "GET", "/").await.expect(200).text();
        assert!(text.contains(&format!("\"result\":{result},")), "{content_type} {body:?}: {text}");
    }
}

#[tokio::test]
async fn a_method_is_one_that_is_about_things_in_any_case() {
    let (app, server) = beside(echoing()).await;
    for (method, arrives) in
        [("get", "GET"), ("Put", "PUT"), ("PATCH", "PATCH"), ("delete", "DELETE"), ("OPTIONS", "OPTIONS")]
    {
        let called = call(&app, "user-service", method, "/").await.expect(200).json();
        assert_eq!(called["result"]["method"], arrives);
    }
    let head = call(&app, "user-service", "HEAD", "/").await.expect(200).json();
    assert_eq!((&head["status"], &head["result"]), (&json!(200), &Value::Null));
    let connections = server.connections();
    for method in ["", "TRACE", "CONNECT", "GE T", "GETS", "GET\r\nhost: b", "PROPFIND"] {
        let problem = call(&app, "user-service", method, "/").await.expect_problem(422, "Validation failed");
        assert_eq!(problem["errors"][0]["loc"], json!(["query", "method"]), "{method:?}");
    }
    assert_eq!(server.connections(), connections);
}

#[tokio::test]
async fn a_body_is_absent_or_an_object() {
    let (app, server) = beside(echoing()).await;
    for body in ["null", "[]", "1", "\"{}\"", "{", "{} {}", "{\"a\":}", "\u{feff}{}", " ", "a=b"] {
        let problem = app.post("/call/user-service", body).await.expect_problem(422, "Validation failed");
        assert_eq!(problem["errors"][0]["loc"], json!(["body"]), "{body:?}");
    }
    let not_utf8 = app.post("/call/user-service", &b"{\"a\":\"\xff\"}"[..]).await;
    not_utf8.expect_problem(422, "Validation failed");
    assert_eq!(server.connections(), 0);
    for body in ["{}", " {\"a\": [1e999]}\n"] {
        let called = app.post("/call/user-service", body).await.expect(200).json();
        assert_eq!(called["result"]["body"], body);
    }
}

#[tokio::test]
async fn everything_that_is_wrong_is_named_at_once() {
    let (app, _server) = beside(echoing()).await;
    let problem = app.post("/call/user-service?path=a&method=b", "[]").await.expect_problem(422, "Validation failed");
    let places: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| error["loc"].clone()).collect();
    assert_eq!(places, [json!(["query", "path"]), json!(["query", "method"]), json!(["body"])]);
    app.post("/call/user-service?path=/a&path=/b", "").await.expect_problem(422, "Validation failed");
}

#[tokio::test]
async fn the_document_says_that_the_body_may_be_missing_and_is_never_null() {
    let document = app_with(&[]).get("/openapi.json").await.expect(200).json();
    let operation = &document["paths"]["/call/{service_name}"]["post"];
    let body = &operation["requestBody"];
    assert_eq!(body["required"], Value::Null);
    assert_eq!(body["content"]["application/json"]["schema"]["type"], "object");
    for status in ["200", "401", "403", "404", "422", "502", "503", "504"] {
        assert!(operation["responses"][status].is_object(), "{status}");
    }
    assert_eq!(operation["security"], json!([{ "user": ["calls:invoke"] }, {}]));
}
