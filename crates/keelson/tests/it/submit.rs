//! `POST /submit`: every row of the contract's table, and every form of a timestamp.

use serde_json::{Value, json};

use crate::message::assert_refused;
use crate::system::{Answer, System};

#[tokio::test]
async fn each_refusal_has_its_status_and_its_text_in_the_order_of_the_contract() {
    let system = System::up().await;
    let token = system.token();
    let missing = "Missing token or email_timestream";
    let cases: Vec<(String, u16, &str)> = vec![
        (String::new(), 400, "Invalid JSON payload"),
        ("{".into(), 400, "Invalid JSON payload"),
        ("[]".into(), 400, "Invalid JSON payload"),
        ("{}".into(), 400, missing),
        (r#"{"token":"wrong"}"#.into(), 400, missing),
        (r#"{"email_timestream":"yesterday"}"#.into(), 400, missing),
        (r#"{"token":"","email_timestream":"2025-06-09"}"#.into(), 400, missing),
        (r#"{"token":"wrong","email_timestream":""}"#.into(), 400, missing),
        (r#"{"token":null,"email_timestream":"2025-06-09"}"#.into(), 400, missing),
        (r#"{"token":"wrong","email_timestream":"yesterday","_metadata":1}"#.into(), 403, "Invalid token"),
        (r#"{"token":7,"email_timestream":"yesterday"}"#.into(), 403, "Invalid token"),
        (format!(r#"{{"token":"{token}","email_timestream":"yesterday"}}"#), 400, "Invalid timestamp format"),
        (
            format!(r#"{{"token":"{token}","email_timestream":"2025-06-09","_metadata":{{}}}}"#),
            422,
            "Validation failed",
        ),
    ];
    for (body, status, text) in cases {
        let answer = Answer::of(system.post("ingest", "/submit").body(body)).await;
        assert_refused(&answer, status, text, "/submit");
    }
    let get = Answer::of(system.get("ingest", "/submit")).await;
    assert_refused(&get, 405, "Method Not Allowed", "/submit");
    assert_eq!(get.header("allow"), "POST");
    assert!(system.objects().is_empty(), "something was stored");
}

#[tokio::test]
async fn a_payload_over_the_queues_limit_is_413() {
    let system = System::up().await;
    let body = json!({ "token": system.token(), "email_timestream": "2025-06-09", "x": "x".repeat(1 << 20) });
    let answer = Answer::of(system.post("ingest", "/submit").json(&body)).await;
    assert_refused(&answer, 413, "Payload too large", "/submit");
}

#[tokio::test]
async fn the_example_of_the_second_seed_is_queued_whatever_its_content_type() {
    let system = System::up().await;
    let token = system.token();
    let body = format!("{{\n    \"token\": \"{token}\",\n    \"email_timestream\": \"2025-06-09T10:30:45.123Z\"\n  }}");
    for content_type in ["application/json", "text/plain", "application/x-www-form-urlencoded"] {
        let request = system.post("ingest", "/submit").header("content-type", content_type);
        let answer = Answer::of(request.body(body.clone())).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let json = answer.json();
        let id = json["message_id"].as_str().unwrap();
        assert_eq!(json, json!({ "message": "Payload accepted and queued.", "message_id": id }));
        let stored = system.object(id).await;
        let object: Value = serde_json::from_str(&stored).unwrap();
        assert_eq!(object["email_timestream"], "2025-06-09T10:30:45.123Z");
        assert_eq!(object["_metadata"]["email_instant"], "2025-06-09T10:30:45.123Z");
        assert_eq!(object["_metadata"]["source"], "/submit");
        assert!(object.get("token").is_none() && !stored.contains(&token), "{stored}");
    }
}

/// As JSON, and what it is in UTC.
const TIMESTAMPS: &[(&str, &str)] = &[
    (r#""2025-06-09""#, "2025-06-09T00:00:00Z"),
    (r#""20250609""#, "2025-06-09T00:00:00Z"),
    (r#""2025-06-09 10:30:45""#, "2025-06-09T10:30:45Z"),
    (r#""2025-06-09T10:30""#, "2025-06-09T10:30:00Z"),
    (r#""2025-06-09T10:30:45.123+02:00""#, "2025-06-09T08:30:45.123Z"),
    (r#""20250609T103045Z""#, "2025-06-09T10:30:45Z"),
    (r#""20250609T103045.5-0330""#, "2025-06-09T14:00:45.5Z"),
    (r#""2025-W24-1""#, "2025-06-09T00:00:00Z"),
    (r#""2025W241T10:30:45Z""#, "2025-06-09T10:30:45Z"),
    ("0", "1970-01-01T00:00:00Z"),
    ("1749465045", "2025-06-09T10:30:45Z"),
    (r#""1749465045""#, "2025-06-09T10:30:45Z"),
    ("1749465045123", "2025-06-09T10:30:45.123Z"),
    ("1749465045123456", "2025-06-09T10:30:45.123456Z"),
    ("1749465045123456789", "2025-06-09T10:30:45.123456789Z"),
    ("638850618451230000", "2025-06-09T10:30:45.123Z"),
    (r#""638850618451230000""#, "2025-06-09T10:30:45.123Z"),
    ("99999999999", "5138-11-16T09:46:39Z"),
    ("100000000000", "1973-03-03T09:46:40Z"),
    (r#""9999-12-31T23:59:59Z""#, "9999-12-31T23:59:59Z"),
];

#[tokio::test]
async fn every_form_of_a_timestamp_is_stored_as_it_came_and_normalised_beside_it() {
    let system = System::up().await;
    let token = system.token();
    for (written, instant) in TIMESTAMPS {
        let body = format!(r#"{{"email_timestream":{written},"token":"{token}"}}"#);
        let answer = Answer::of(system.post("ingest", "/submit").body(body)).await;
        assert_eq!(answer.status, 200, "{written}: {answer:?}");
        let stored = system.object(answer.json()["message_id"].as_str().unwrap()).await;
        assert!(stored.starts_with(&format!(r#"{{"email_timestream":{written},"_metadata":"#)), "{stored}");
        let object: Value = serde_json::from_str(&stored).unwrap();
        assert_eq!(object["_metadata"]["email_instant"], *instant, "{written}");
    }
}

#[tokio::test]
async fn what_names_no_instant_is_refused() {
    let system = System::up().await;
    let token = system.token();
    let refused = [
        r#""tomorrow""#,
        r#""2025-13-01""#,
        r#""2025-02-29""#,
        r#""2025-06""#,
        r#""-1""#,
        "-1",
        "-1749465045",
        r#""10000-01-01""#,
        "true",
        "[1]",
        r#"{"a":1}"#,
        r#""2025-06-09T25:00:00Z""#,
        "99999999999999999999999999999",
    ];
    for written in refused {
        let body = format!(r#"{{"email_timestream":{written},"token":"{token}"}}"#);
        let answer = Answer::of(system.post("ingest", "/submit").body(body)).await;
        assert_refused(&answer, 400, "Invalid timestamp format", "/submit");
    }
}
