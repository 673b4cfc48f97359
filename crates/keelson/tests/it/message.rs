//! `POST /api/message`: every row of the contract's table, in its order.

use serde_json::{Value, json};

use crate::launch::Launch;
use crate::system::{Answer, System, email, send_raw};

/// Each case breaks everything that comes after its own check, so that the order shows.
#[tokio::test]
async fn each_refusal_has_its_status_and_its_text_in_the_order_of_the_contract() {
    let system = System::up().await;
    let token = system.token();
    let with_token = |rest: &str| format!(r#"{{"token":"{token}"{rest}}}"#);
    let cases: Vec<(&str, String, u16, &str)> = vec![
        ("text/plain", "{".into(), 400, "Content-Type must be application/json"),
        ("application/jsonp", "{".into(), 400, "Content-Type must be application/json"),
        ("application/json", String::new(), 400, "Content-Type must be application/json"),
        ("application/json", "{".into(), 400, "Invalid JSON payload"),
        ("application/json", "[1]".into(), 400, "Invalid JSON payload"),
        ("application/json", "null".into(), 400, "Invalid JSON payload"),
        ("application/json", r#"{"data":7}"#.into(), 400, "Missing 'token' field"),
        ("application/json", r#"{"token":"wrong"}"#.into(), 401, "Invalid token"),
        ("application/json", r#"{"token":null}"#.into(), 401, "Invalid token"),
        ("application/json", r#"{"token":7,"data":7}"#.into(), 401, "Invalid token"),
        ("application/json", r#"{"token":["x"]}"#.into(), 401, "Invalid token"),
        ("application/json", with_token(""), 400, "Missing 'data' field"),
        ("application/json", with_token(r#","data":"text""#), 422, "Validation failed"),
        ("application/json", with_token(r#","data":null"#), 422, "Validation failed"),
        (
            "application/json",
            with_token(r#","data":{"email_timestream":7,"email_sender":"x","_metadata":1}"#),
            400,
            "Missing required fields in data: email_subject, email_content",
        ),
        (
            "application/vnd.mail+json; charset=utf-8",
            with_token(r#","data":{}"#),
            400,
            "Missing required fields in data: email_subject, email_sender, email_timestream, email_content",
        ),
    ];
    for (content_type, body, status, text) in cases {
        let request = system.post("ingest", "/api/message").header("content-type", content_type);
        let answer = Answer::of(request.body(body.clone())).await;
        assert_refused(&answer, status, text, "/api/message");
    }
    let untyped = Answer::of(system.post("ingest", "/api/message").body(with_token(""))).await;
    assert_refused(&untyped, 400, "Content-Type must be application/json", "/api/message");
    assert_eq!(system.drained().await["dead"], 0);
    assert!(system.objects().is_empty(), "something was stored");
}

/// RFC 9457, with the text where FastAPI's and Flask's clients look for it.
pub(crate) fn assert_refused(answer: &Answer, status: u16, text: &str, path: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let body = answer.json();
    assert_eq!(body["detail"], text, "{answer:?}");
    assert_eq!(body["error"], text, "{answer:?}");
    assert_eq!(body["status"], status);
    assert_eq!(body["instance"], path);
    assert_eq!(body["correlation_id"], answer.header("x-correlation-id"));
    assert!(body["type"].is_string() && body["title"].is_string(), "{answer:?}");
}

#[tokio::test]
async fn every_wrong_value_of_data_is_named_with_its_place() {
    let system = System::up().await;
    let data = json!({
        "email_subject": "", "email_sender": 7, "email_timestream": null, "email_content": ["secret content"],
        "_metadata": {},
    });
    let body = json!({ "token": system.token(), "data": data });
    let answer = Answer::of(system.post("ingest", "/api/message").json(&body)).await;
    assert_refused(&answer, 422, "Validation failed", "/api/message");
    let errors = answer.json()["errors"].as_array().unwrap().clone();
    let places: Vec<&Value> = errors.iter().map(|error| &error["loc"]).collect();
    let names = ["email_subject", "email_sender", "email_timestream", "email_content", "_metadata"];
    assert_eq!(places, names.map(|name| json!(["body", "data", name])).iter().collect::<Vec<_>>());
    assert!(errors.iter().all(|error| error["msg"].is_string() && error["type"].is_string()), "{errors:?}");
    assert!(!answer.text.contains("secret content"), "the input is echoed: {answer:?}");
}

#[tokio::test]
async fn the_example_of_the_first_seed_is_sent_and_further_members_pass() {
    let system = System::up().await;
    let mut data = email("Happy new year!");
    data["priority"] = json!({ "high": true });
    let body = json!({ "data": data, "token": system.token() });
    let answer = Answer::of(system.post("ingest", "/api/message").json(&body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json");
    let json = answer.json();
    let id = json["message_id"].as_str().unwrap();
    assert_eq!(json, json!({ "message": "Message sent to queue", "message_id": id, "status": "success" }));
    let stored: Value = serde_json::from_str(&system.object(id).await).unwrap();
    assert_eq!(stored["priority"], json!({ "high": true }));
    assert_eq!(stored["email_subject"], "Happy new year!");
}

#[tokio::test]
async fn other_methods_are_refused_with_all_that_are_allowed() {
    let system = System::up().await;
    let url = format!("{}/api/message", system.url("ingest"));
    for method in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let request = system.http.request(method.parse().unwrap(), &url).body("{}");
        let answer = Answer::of(request).await;
        assert_refused(&answer, 405, "Method Not Allowed", "/api/message");
        assert_eq!(answer.header("allow"), "POST", "{method}");
    }
    let head = Answer::of(system.http.head(&url)).await;
    assert_eq!((head.status, head.header("allow"), head.text.as_str()), (405, "POST", ""));
    let answer = Answer::of(system.post("ingest", "/api/messages").body("{}")).await;
    assert_refused(&answer, 404, "Not Found", "/api/messages");
}

#[tokio::test]
async fn a_message_over_the_queues_limit_is_413_and_one_below_passes() {
    let system = System::up().await;
    let body = |content_bytes: usize| {
        let mut data = email("large");
        data["email_content"] = Value::from("x".repeat(content_bytes));
        json!({ "data": data, "token": system.token() })
    };
    let answer = Answer::of(system.post("ingest", "/api/message").json(&body(1 << 20))).await;
    assert_refused(&answer, 413, "Payload too large", "/api/message");
    let answer = Answer::of(system.post("ingest", "/api/message").json(&body((1 << 20) - 1024))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let stored = system.object(answer.json()["message_id"].as_str().unwrap()).await;
    assert!(stored.len() > (1 << 20) - 1024);
}

#[tokio::test]
async fn a_message_is_acknowledged_only_when_a_kill_cannot_take_it_back() {
    let launch = Launch::up();
    let mut system = launch.start().await;
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(system.send(&email(&format!("number {number}"))).await);
    }
    system.kill();
    let system = launch.start().await;
    for id in &ids {
        system.object(id).await;
    }
    assert_eq!(system.objects().len(), ids.len());
}
#[tokio::test]
async fn a_body_over_two_mebibytes_is_413_before_anything_else_is_said() {
    let system = System::up().await;
    for path in ["/api/message", "/submit"] {
        let answer = Answer::of(system.post("ingest", path).body(vec![b'{'; (2 << 20) + 1])).await;
        assert_refused(&answer, 413, "Payload too large", path);
    }
}

#[tokio::test]
async fn an_announced_or_an_endless_body_is_413_without_waiting_for_it() {
    let system = System::up().await;
    let head = "POST /submit HTTP/1.1\r\nhost: localhost\r\n";
    let announced = format!("{head}content-length: 3000000\r\nexpect: 100-continue\r\n\r\n");
    let answer = send_raw(&system, "ingest", announced.as_bytes());
    assert!(answer.starts_with(b"HTTP/1.1 413 "), "{}", String::from_utf8_lossy(&answer));
    let mut endless = format!("{head}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..33 {
        endless.extend_from_slice(b"10000\r\n");
        endless.extend_from_slice(&[b' '; 0x10000]);
        endless.extend_from_slice(b"\r\n");
    }
    let answer = send_raw(&system, "ingest", &endless);
    assert!(answer.starts_with(b"HTTP/1.1 413 "), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_body_nested_without_end_is_refused_and_nothing_breaks() {
    let system = System::up().await;
    let token = system.token();
    let nested = "[".repeat(500_000);
    for body in [nested.clone(), format!(r#"{{"token":"{token}","data":{nested}"#), r#"{"a":"#.repeat(100_000)] {
        let request = system.post("ingest", "/api/message").header("content-type", "application/json");
        assert_refused(&Answer::of(request.body(body)).await, 400, "Invalid JSON payload", "/api/message");
    }
    let closed = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let body = format!(r#"{{"token":"{token}","email_timestream":"2025-06-09","deep":{closed}}}"#);
    let answer = Answer::of(system.post("ingest", "/submit").body(body)).await;
    assert_refused(&answer, 400, "Invalid JSON payload", "/submit");
    system.object(&system.send(&email("still alive")).await).await;
}
