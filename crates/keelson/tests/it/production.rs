//! Production mode: JSON lines whatever a client sends, and what belongs to operators on a listener of its own.

use serde_json::{Value, json};

use crate::launch::{Launch, STRONG_TOKEN};
use crate::system::{Answer, email, eventually, send_raw};

/// Services in production, with a listener for operators on any free port.
pub(crate) fn serve(services: &[&str]) -> Launch {
    let launch = Launch::new(&[&["serve"], services].concat());
    let launch = launch.env("PRODUCTION", "true").env("KEELSON_HOST", "127.0.0.1").env("INTERNAL_PORT", "0");
    let launch = launch.env("ENCRYPTION_KEY", "ZW5jcnlwdGlvbi1rZXktb2YtdGVzdHMtMTIzNDU2Nzg=");
    launch.env("API_TOKEN", STRONG_TOKEN).env("DRAIN_DELAY", "0s")
}

#[tokio::test]
async fn operators_have_a_listener_of_their_own() {
    let system = serve(&["ingest", "archiver"]).start().await;
    for service in ["ingest", "archiver"] {
        let internal = format!("{service}-internal");
        for path in ["/metrics", "/status", "/services", "/ops/v1/queue", "/ops/v1/log-level"] {
            assert_eq!(Answer::of(system.get(service, path)).await.status, 404, "{service} {path}");
        }
        for path in ["/metrics", "/status", "/services", "/health", "/health/ready"] {
            assert_eq!(Answer::of(system.get(&internal, path)).await.status, 200, "{internal} {path}");
        }
        let operator = Answer::of(system.get(&internal, "/ops/v1/log-level").bearer_auth(STRONG_TOKEN)).await;
        assert_eq!(operator.status, 401, "the ingest token is no operator's: {operator:?}");
        for path in ["/", "/health", "/health/live", "/health/ready", "/ready", "/openapi.json"] {
            assert_eq!(Answer::of(system.get(service, path)).await.status, 200, "{service} {path}");
        }
    }
    assert_eq!(Answer::of(system.get("ingest-internal", "/api/message")).await.status, 404);
    let shown = Answer::of(system.get("ingest-internal", "/status")).await.json();
    assert_eq!(shown["configuration"]["API_TOKEN"], "***");
    let run: Value = serde_json::from_slice(&std::fs::read(system.data().join("run.json")).unwrap()).unwrap();
    let queue = system.get("archiver-internal", "/ops/v1/queue").bearer_auth(run["operator_token"].as_str().unwrap());
    assert_eq!(Answer::of(queue).await.status, 200, "the operator's token opens it");
    let foreign = system.get("ingest", "/health").header("host", "api.example.com");
    assert_eq!(Answer::of(foreign).await.status, 200, "hosts are the load balancer's affair");
}

#[tokio::test]
async fn a_message_travels_in_production_as_in_development() {
    let system = serve(&["ingest", "archiver"]).start().await;
    let body = json!({ "data": email("production"), "token": STRONG_TOKEN });
    let answer = Answer::of(system.post("ingest", "/api/message").json(&body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    system.object(answer.json()["message_id"].as_str().unwrap()).await;
}

#[tokio::test]
async fn e2e_from_elsewhere_passes_on_an_archive_in_a_folder_that_it_is_told() {
    let system = serve(&["ingest", "archiver"]).start().await;
    let elsewhere = Launch::new(&["e2e"]).env("ALB_DNS", &system.address("ingest")).env("API_TOKEN", STRONG_TOKEN);
    let objects = format!("file:{}", system.data().join("objects").display());
    let told = elsewhere.clone().env("OBJECTS_URL", &objects).run();
    assert_eq!(told.status.code(), Some(0), "{told:?}");
    assert!(String::from_utf8_lossy(&told.stdout).contains("E2E TEST PASSED"), "{told:?}");
    let memory = elsewhere.clone().env("OBJECTS_URL", "memory:");
    for (launch, expected) in [(elsewhere, "or OBJECTS_URL to what the archiver has"), (memory, "in memory")] {
        let refused = launch.run();
        assert_eq!(refused.status.code(), Some(64), "{refused:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains(expected), "{refused:?}");
    }
}

#[tokio::test]
async fn a_single_service_takes_its_port_and_name_from_the_seeds_variables() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let launch = serve(&["ingest"]).env("SERVICE_PORT", &port).env("SERVICE_NAME", "intake").unset("INGEST_PORT");
    let system = launch.start().await;
    assert_eq!(system.url("intake"), format!("http://127.0.0.1:{port}"));
    let welcome = Answer::of(system.get("intake", "/")).await.json();
    assert_eq!((&welcome["service"], &welcome["message"]), (&json!("intake"), &json!("Welcome to intake")));
    drop(system);

    let several = serve(&["ingest", "archiver"]).env("SERVICE_PORT", &port).env("SERVICE_NAME", "intake").run();
    let text = String::from_utf8(several.stderr).unwrap();
    assert_eq!(several.status.code(), Some(64), "{text}");
    assert!(text.contains("SERVICE_PORT") && text.contains("SERVICE_NAME"), "{text}");
}

/// Each tries to break out of its line, its string or its field.
const HOSTILE: &[&[u8]] = &[
    b"GET /%0a%0d{\"level\":\"ERROR\"} HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET /a\"b\\c','} HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET /\x1b[31mred HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET /%1b%5b31m%00%ff?token=0123456789abcdef0123456789abcdef-strong HTTP/1.1\r\nhost: x\r\n\r\n",
    b"G\"ET / HTTP/1.1\r\nhost: x\r\n\r\n",
    b"ERROR / HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: x\r\nx-correlation-id: \"},{\"level\":\"CRITICAL\",\"a\":\"\\\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: x\r\nx-correlation-id: a\tb \x1b[2J\r\nuser-agent: \"\\\x1b]0;title\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: x\r\nx-correlation-id: \xff\xff\r\nx-request-id: \xc3\xa4\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: \"\\\x80\r\nx-forwarded-for: \"}\\\r\ntraceparent: 00-\"}-\"}-01\r\n\r\n",
    b"POST /api/message HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\"\\\r\ncontent-length: 5\r\n\r\n{\"\xff\x1b\n",
    b"POST /submit HTTP/1.1\r\nhost: x\r\ncontent-length: 60\r\n\r\n{\"token\":\"\\u001b\\n\\\"\",\"email_timestream\":\"\xf0\x9f\x98\x80 \x1b[1m\"}",
    b"POST /submit HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
];

const FIXED: [&str; 7] = ["timestamp", "level", "message", "service", "correlation_id", "trace_id", "span_id"];

/// One line: an object that starts with the contract's fields in their order, each at most once.
fn assert_line(line: &str) -> Value {
    let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
    assert!(!line.chars().any(char::is_control), "a control character: {line:?}");
    let names: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    let fixed: Vec<&str> = FIXED.into_iter().filter(|name| names.contains(name)).collect();
    assert_eq!(names[..fixed.len()], fixed, "{line}");
    assert!(names.starts_with(&FIXED[..4]), "{line}");
    assert!(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"].contains(&value["level"].as_str().unwrap()), "{line}");
    assert!(value["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{line}");
    value
}

#[tokio::test]
async fn every_line_is_json_whatever_clients_send() {
    let mut system = serve(&["ingest", "archiver"]).env("LOG_LEVEL", "DEBUG").start().await;
    for request in HOSTILE {
        let answer = send_raw(&system, "ingest", request);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 "), "{}", String::from_utf8_lossy(&answer));
    }
    let mut data = email("line\nbreak \u{1b}[31m \" \\ \u{0} \u{2028}");
    data["\"}\n{"] = json!("\u{7f}");
    let body = json!({ "data": data, "token": STRONG_TOKEN });
    let request = system.post("ingest", "/api/message").header("x-correlation-id", r#"a"b\c{}','"#);
    let answer = Answer::of(request.json(&body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    system.object(answer.json()["message_id"].as_str().unwrap()).await;
    eventually("the last line is written", || system.stdout().contains("archived message").then_some(())).await;
    assert!(system.stop().await.success());

    let log = system.stdout();
    assert!(!log.contains(STRONG_TOKEN), "the token is in the log");
    let lines: Vec<Value> = log.lines().map(assert_line).collect();
    let access: Vec<_> = lines.iter().filter(|line| line["route"].is_string()).collect();
    assert!(access.len() > 8, "{} access lines", access.len());
    for line in &access {
        for field in ["method", "route", "status", "duration_ms", "client"] {
            assert!(!line[field].is_null(), "no {field}: {line}");
        }
        assert_eq!(line["client"], "127.0.0.1");
    }
    assert!(lines.iter().all(|line| line["level"] != "CRITICAL"), "a client wrote a level");
    let sent = access.iter().find(|line| line["correlation_id"] == r#"a"b\c{}','"#).unwrap();
    assert_eq!((&sent["route"], &sent["status"]), (&json!("/api/message"), &json!(200)));
    let archived = lines.iter().find(|line| line["outcome"] == "stored").unwrap();
    assert_eq!((&archived["service"], &archived["trace_id"]), (&json!("archiver"), &sent["trace_id"]));
    assert_eq!(system.stderr(), "", "logs belong to standard output");
}
