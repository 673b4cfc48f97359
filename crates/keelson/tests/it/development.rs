//! Development mode: what everybody finds at the ports, and what no web page may do there.

use std::fs::{self, File};
use std::process::Command;

use chassis::testing::require_tool;
use serde_json::{Value, json};

use crate::launch::Launch;
use crate::message::assert_refused;
use crate::system::{Answer, System, email, eventually, files};

#[tokio::test]
async fn the_welcome_and_the_health_of_each_service_say_who_it_is() {
    let system = System::up().await;
    for service in ["ingest", "archiver"] {
        let welcome = Answer::of(system.get(service, "/")).await.json();
        assert_eq!(welcome["message"], format!("Welcome to {service}"));
        assert_eq!((&welcome["service"], &welcome["status"]), (&json!(service), &json!("running")));
        assert_eq!((&welcome["docs"], &welcome["health"]), (&json!("/docs"), &json!("/health")));
        let others = system.ready["services"].as_object().unwrap().len() - 1;
        assert_eq!(welcome["consumer_services"], others, "they know each other");
        assert!(welcome["version"].is_string() && welcome["timestamp"].as_str().unwrap().ends_with('Z'));
        for (path, status) in [("/health", "healthy"), ("/health/live", "alive"), ("/ready", "ready")] {
            let answer = Answer::of(system.get(service, path)).await;
            assert_eq!((answer.status, &answer.json()["status"]), (200, &json!(status)), "{service} {path}");
            assert_eq!(answer.json()["service"], service);
            let head = Answer::of(system.http.head(format!("{}{path}", system.url(service)))).await;
            assert_eq!((head.status, head.text.as_str()), (200, ""));
        }
    }
    let endpoints = &Answer::of(system.get("ingest", "/")).await.json()["endpoints"];
    assert_eq!((&endpoints["message"], &endpoints["submit"]), (&json!("/api/message"), &json!("/submit")));
}

#[tokio::test]
async fn readiness_names_each_dependency() {
    let system = System::up().await;
    for (service, names) in [("ingest", ["api-token", "queue"]), ("archiver", ["objects", "queue"])] {
        let body = Answer::of(system.get(service, "/health/ready")).await.json();
        let dependencies = body["dependencies"].as_object().unwrap();
        assert_eq!(dependencies.keys().collect::<Vec<_>>(), names);
        for (name, dependency) in dependencies {
            assert_eq!(dependency["status"], "up", "{name}");
            assert!(dependency["latency_ms"].is_number(), "{name}");
        }
    }
}

#[tokio::test]
async fn every_answer_carries_the_security_headers_and_the_ids() {
    let system = System::up().await;
    for path in ["/", "/nowhere", "/metrics", "/docs/"] {
        let answer = Answer::of(system.get("ingest", path).header("x-request-id", "my-id")).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "strict-origin-when-cross-origin"),
            ("x-correlation-id", "my-id"),
        ] {
            assert_eq!(answer.header(name), value, "{path}");
        }
        assert!(answer.header("x-process-time").parse::<f64>().is_ok(), "{path}");
    }
}

#[tokio::test]
async fn no_foreign_page_drives_the_machine() {
    let system = System::up().await;
    let body = json!({ "data": email("driven"), "token": system.token() });
    let own = system.address("ingest");
    let post = |name: &str, value: &str| system.post("ingest", "/api/message").header(name, value).json(&body);
    for (name, value) in [("host", "evil.example"), ("origin", "https://evil.example"), ("origin", "null")] {
        let answer = Answer::of(post(name, value)).await;
        assert_eq!(answer.status, 403, "{name}: {value}: {answer:?}");
        assert!(answer.header("access-control-allow-origin").is_empty());
    }
    assert_eq!(Answer::of(post("origin", &format!("http://{own}"))).await.status, 200, "our own page");
    let read = system.get("ingest", "/").header("origin", "https://evil.example");
    assert_eq!(Answer::of(read).await.status, 200, "reading is the browser's to refuse");
    let rebound = system.get("archiver", "/status").header("host", "evil.example:80");
    assert_eq!(Answer::of(rebound).await.status, 403);
}

#[tokio::test]
async fn the_docs_need_no_internet() {
    let system = System::up().await;
    let assets = [
        ("", "text/html"),
        ("swagger-ui.css", "text/css"),
        ("index.css", "text/css"),
        ("swagger-ui-bundle.js", "text/javascript"),
        ("swagger-ui-standalone-preset.js", "text/javascript"),
    ];
    for (asset, content_type) in assets {
        let answer = Answer::of(system.get("ingest", &format!("/docs/{asset}"))).await;
        assert_eq!(answer.status, 200, "{asset}");
        assert!(answer.header("content-type").starts_with(content_type), "{asset}: {}", answer.header("content-type"));
    }
    let start = Answer::of(system.get("ingest", "/docs/swagger-initializer.js")).await.text;
    assert!(start.contains("/openapi.json") && !start.contains("https://"), "{start}");
    let document = Answer::of(system.get("ingest", "/openapi.json")).await.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(Answer::of(system.get("ingest", "/docs")).await.status, 200, "after its redirect");
}

#[tokio::test]
async fn a_client_over_its_limit_is_told_when_to_come_back() {
    let system = System::up_with(&[("RATE_LIMIT", "3")]).await;
    for number in 0..3 {
        // A client cannot make itself another one.
        let request = system.get("ingest", "/").header("x-forwarded-for", format!("203.0.113.{number}"));
        assert_eq!(Answer::of(request).await.status, 200);
    }
    let answer = Answer::of(system.post("ingest", "/submit").header("x-forwarded-for", "203.0.113.9").body("{}")).await;
    assert_refused(&answer, 429, "Rate limit exceeded", "/submit");
    let seconds: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(answer.json()["retry_after"], seconds);
    assert!(answer.header("ratelimit-policy").contains("q=3;w=60"), "{answer:?}");
    assert!(answer.header("ratelimit").contains("r=0"), "{answer:?}");
    for path in ["/health", "/health/live", "/health/ready", "/ready", "/metrics"] {
        assert_eq!(Answer::of(system.get("ingest", path)).await.status, 200, "{path} is counted");
    }
    let access = eventually("the access line", || {
        system.stderr().lines().find(|line| line.contains("POST /submit 429")).map(str::to_owned)
    })
    .await;
    assert!(access.contains("client=127.0.0.1"), "{access}");
}

#[tokio::test]
async fn loopback_is_not_limited_while_nobody_set_a_limit() {
    let system = System::up().await;
    for _ in 0..150 {
        assert_eq!(Answer::of(system.get("ingest", "/")).await.status, 200);
    }
}

#[tokio::test]
async fn metrics_are_what_prometheus_reads() {
    let Some(promtool) = require_tool("promtool") else { return };
    let system = System::up().await;
    system.object(&system.send(&email("counted")).await).await;
    assert_eq!(Answer::of(system.post("ingest", "/submit").body("{}")).await.status, 400);
    for service in ["ingest", "archiver"] {
        let page = Answer::of(system.get(service, "/metrics")).await;
        assert!(
            page.header("content-type").starts_with("text/plain; version=0.0.4"),
            "{}",
            page.header("content-type")
        );
        let file = system.launch.path("metrics");
        fs::write(&file, &page.text).unwrap();
        let checked = Command::new(&promtool).args(["check", "metrics"]).stdin(File::open(file).unwrap()).output();
        let checked = checked.unwrap();
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success() && said.is_empty(), "{service}: {said}");
    }
}

#[tokio::test]
async fn log_files_hold_json_lines_for_each_service() {
    let launch = Launch::up();
    let (folder, missing) = (launch.path("logs"), launch.path("missing"));
    let launch = launch.env("LOG_DIR", folder.to_str().unwrap());
    let mut system = launch.env("API_TOKEN", &format!("file:{}", missing.display())).spawn().listening().await;
    let body = json!({ "data": email("logged"), "token": "any" });
    assert_eq!(Answer::of(system.post("ingest", "/api/message").json(&body)).await.status, 503);
    assert_eq!(Answer::of(system.get("archiver", "/")).await.status, 200);
    assert!(system.stop().await.success());
    for file in files(&folder) {
        for line in fs::read_to_string(&file).unwrap().lines() {
            let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{file:?}: {error}: {line}"));
            assert!(!line.contains('\x1b') && !line.contains("\\u001b"), "{line}");
            let is_error = ["ERROR", "CRITICAL"].contains(&value["level"].as_str().unwrap());
            let of_errors = file.to_str().unwrap().ends_with("_errors.log");
            assert!(is_error || !of_errors, "{line}");
        }
    }
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert!(read("ingest.log").contains(r#""route":"/api/message""#));
    assert!(read("archiver.log").contains(r#""service":"archiver""#));
    assert!(read("ingest_errors.log").contains("Token validation unavailable"));
}
