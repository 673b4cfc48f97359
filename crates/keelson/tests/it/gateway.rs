//! The gateway in the whole product: the seeds' walk-throughs through its one port, services in processes of their own,
//! and what hostile requests reach.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::launch::Launch;
use crate::production::serve;
use crate::system::{Answer, System, email, eventually, send_raw};

const PASSWORD: &str = "correct horse battery";
const STRONG_KEY: &str = "0123456789abcdef0123456789abcdef-of-tokens";
const USERS: &str = "/api/v1/users";
const ORDERS: &str = "/api/v1/orders";
/// How long something may take that travels between services.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn get(system: &System, path: &str) -> RequestBuilder {
    system.get("gateway", path)
}

async fn post(system: &System, path: &str, body: &Value) -> Answer {
    Answer::of(system.post("gateway", path).json(body)).await
}

fn laptop(user_id: &Value) -> Value {
    let item = json!({ "product_id": "prod-1", "product_name": "Laptop", "quantity": 1, "price": 999.99 });
    json!({ "user_id": user_id, "items": [item], "shipping_address": "123 Main St, City, Country" })
}

#[tokio::test]
async fn users_and_orders_are_made_and_found_through_one_port() {
    let system = System::up().await;
    let john = json!({ "name": "John Doe", "email": "john.doe@example.com", "age": 30 });
    let john = post(&system, USERS, &john).await;
    assert_eq!(john.status, 201, "{john:?}");
    let found = Answer::of(get(&system, john.header("location"))).await;
    assert_eq!((found.status, &found.json()), (200, &john.json()));

    let ordered = post(&system, ORDERS, &laptop(&john.json()["id"])).await;
    assert_eq!(ordered.status, 201, "{ordered:?}");
    assert!(ordered.text.contains("\"total_amount\":999.99,"), "{ordered:?}");
    let path = ordered.header("location");
    let found = Answer::of(get(&system, path)).await;
    assert_eq!((found.status, &found.json(), found.header("etag")), (200, &ordered.json(), ordered.header("etag")));
    let unchanged = Answer::of(get(&system, path).header("if-none-match", found.header("etag"))).await;
    assert_eq!((unchanged.status, unchanged.text.as_str()), (304, ""));
    let listed = Answer::of(get(&system, "/api/v1/orders?limit=1&skip=0")).await;
    assert_eq!((&listed.json(), listed.header("x-total-count")), (&json!([ordered.json()]), "1"));
    let nobodys = post(&system, ORDERS, &laptop(&json!("../../../health"))).await;
    assert_eq!((nobodys.status, &nobodys.json()["detail"]), (404, &json!("User not found")));
}

#[tokio::test]
async fn accounts_and_statistics_work_through_one_port() {
    let system = System::up().await;
    let johnny = json!({ "username": "johnny", "email": "johnny@example.com", "password": PASSWORD });
    let registered = post(&system, "/api/v1/users/register", &johnny).await;
    assert_eq!((registered.status, &registered.json()["success"]), (200, &json!(true)), "{registered:?}");
    let token = post(&system, "/api/v1/users/login", &johnny).await.json()["access_token"].clone();
    let token = token.as_str().unwrap();
    for (name, value) in [("authorization", format!("Bearer {token}")), ("x-access-token", token.to_owned())] {
        let profile = Answer::of(get(&system, "/api/v1/users/profile").header(name, value)).await;
        assert_eq!((profile.status, &profile.json()["data"]["username"]), (200, &json!("johnny")), "{profile:?}");
    }
    let anonymous = Answer::of(get(&system, "/api/v1/users/profile")).await;
    assert_eq!((anonymous.status, anonymous.header("www-authenticate")), (401, "Bearer"), "{anonymous:?}");

    let event = json!({ "event_type": "page_view", "event_name": "Start page", "properties": { "path": "/" } });
    assert_eq!(post(&system, "/api/v1/analytics/events", &event).await.status, 200);
    let expected = json!({ "page_view": 1, "user_login": 1, "user_registration": 1 });
    let begun = Instant::now();
    loop {
        let stats = Answer::of(get(&system, "/api/v1/analytics/stats").bearer_auth(token)).await.json();
        if stats["data"]["events_by_type"] == expected {
            assert_eq!(stats["data"]["user_stats"]["total_users"], 1);
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "not {expected}: {stats}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_message_is_archived_that_came_through_the_gateway() {
    let system = System::up().await;
    let body = json!({ "data": email("through the gateway"), "token": system.token() });
    let request = system.post("gateway", "/api/message").header("x-correlation-id", "through-1").json(&body);
    let answer = Answer::of(request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let stored = system.object(answer.json()["message_id"].as_str().unwrap()).await;
    assert!(stored.contains("through the gateway") && stored.contains("through-1"), "{stored}");

    let submission = json!({ "token": system.token(), "email_timestream": "2025-06-09T10:30:45Z" });
    let submitted = post(&system, "/submit", &submission).await;
    assert_eq!((submitted.status, &submitted.json()["message"]), (200, &json!("Payload accepted and queued.")));
    let wrong = post(&system, "/submit", &json!({ "token": "wrong", "email_timestream": "2025-06-09" })).await;
    assert_eq!((wrong.status, &wrong.json()["error"]), (403, &json!("Invalid token")), "{wrong:?}");
}

#[tokio::test]
async fn it_is_ready_with_all_services_and_they_see_who_asks() {
    let system = System::up_with(&[("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let ready = Answer::of(get(&system, "/health/ready")).await.json();
    assert_eq!(ready["status"], "ready", "{ready}");
    for name in ["user-service", "order-service", "analytics-service", "ingest"] {
        assert_eq!(ready["dependencies"][name]["status"], "up", "{ready}");
    }
    let listed = get(&system, "/api/v1/users?limit=7").header("x-forwarded-for", "203.0.113.7");
    assert_eq!(Answer::of(listed).await.status, 200);
    let lines = || {
        let log = system.stderr();
        let lines: Vec<_> =
            log.lines().filter(|line| line.contains("GET /api/v1/users 200")).map(str::to_owned).collect();
        (lines.len() == 2).then_some(lines)
    };
    let lines = eventually("the lines of the gateway and of users", lines).await;
    assert!(lines.iter().all(|line| line.contains("client=203.0.113.7")), "{lines:?}");
}

#[tokio::test]
async fn no_target_reaches_what_has_no_route() {
    let system = System::up().await;
    for target in [
        "/api/v1/users/../../../metrics",
        "/api/v1/users/%2e%2e/%2E./.%2e/metrics",
        "/api/v1/users/..%2f..%2f..%2fmetrics",
        "/api/v1/users/..%5c..%5c..%5cmetrics",
        "/api/v1/users/..\\..\\..\\metrics",
        "/api/v1/users//../metrics",
        "/api/v1/users/../orders",
        "//api/v1/users",
        "/api/v1/users\\..\\..\\status",
        "/api/v1/%75sers",
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let answer = String::from_utf8(send_raw(&system, "gateway", request.as_bytes())).unwrap();
        assert!(answer.starts_with("HTTP/1.1 404 ") && !answer.contains("# HELP"), "{target}: {answer}");
    }
}

#[tokio::test]
async fn production_asks_for_tokens_behind_it() {
    let launch = serve(&["gateway", "users"]).env("JWT_SECRET_KEY", STRONG_KEY);
    let system = launch.start().await;
    let missing = Answer::of(get(&system, USERS)).await;
    assert_eq!((missing.status, missing.header("www-authenticate")), (401, "Bearer"), "{missing:?}");
    assert_eq!(missing.json()["detail"], "Access token is missing");
    let issued = launch.args(&["token", "issue", "--scope", "users:read"]).run();
    let token = String::from_utf8(issued.stdout).unwrap();
    let listed = Answer::of(get(&system, USERS).bearer_auth(token.trim())).await;
    assert_eq!((listed.status, listed.text.as_str()), (200, "[]"), "{listed:?}");
    let keys = Answer::of(get(&system, "/.well-known/jwks.json")).await;
    assert_eq!((keys.status, keys.json()["keys"].is_array()), (200, true), "{keys:?}");
    for path in ["/metrics", "/status", "/ops/v1/log-level"] {
        assert_eq!(Answer::of(get(&system, path)).await.status, 404, "{path}");
    }
    let unknown = Answer::of(get(&system, ORDERS)).await;
    assert_eq!((unknown.status, &unknown.json()["detail"]), (503, &json!("order-service unavailable")));
}

/// The entry of a service in `CONSUMER_SERVICES`.
fn entry(system: &System, (name, short): (&str, &str)) -> Value {
    let url: reqwest::Url = system.url(short).parse().unwrap();
    json!({ "name": name, "endpoint": url.host_str(), "port": url.port() })
}

#[tokio::test]
async fn a_process_of_its_own_finds_the_services_by_their_names_and_outlives_them() {
    let mut system = System::up().await;
    let names = [("user-service", "users"), ("order-service", "orders"), ("ingest", "ingest")];
    let consumed = Value::Array(names.map(|name| entry(&system, name)).to_vec()).to_string();
    let launch = serve(&["gateway"]).env("CONSUMER_SERVICES", &consumed);
    let gateway = launch.env("ANALYTICS_SERVICE_URL", &system.url("analytics")).start().await;
    assert!(!gateway.data().exists(), "it keeps nothing");

    let john = post(&gateway, USERS, &json!({ "name": "John Doe", "email": "john@example.com" })).await;
    let ordered = post(&gateway, ORDERS, &laptop(&john.json()["id"])).await;
    assert_eq!(ordered.status, 201, "{ordered:?}");
    assert_eq!(Answer::of(get(&gateway, "/api/v1/analytics/stats")).await.status, 200);
    let message = json!({ "data": email("far"), "token": system.token() });
    assert_eq!(post(&gateway, "/api/message", &message).await.status, 200);
    let ready = Answer::of(get(&gateway, "/health/ready")).await.json();
    assert_eq!((&ready["status"], ready["dependencies"].as_object().unwrap().len()), (&json!("ready"), 4), "{ready}");

    system.kill();
    for (path, name) in [(USERS, "user-service"), (ORDERS, "order-service"), ("/submit", "ingest")] {
        let begun = Instant::now();
        let gone = Answer::of(get(&gateway, path)).await;
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert_eq!((gone.status, &gone.json()["detail"]), (503, &json!(format!("{name} unavailable"))), "{gone:?}");
        assert!(!gone.header("retry-after").is_empty());
    }
}

#[tokio::test]
async fn without_services_it_starts_says_which_and_is_there() {
    let system = serve(&["gateway"]).start().await;
    for name in ["user-service", "order-service", "analytics-service", "ingest"] {
        eventually(name, || {
            system.stdout().lines().any(|line| line.contains("503") && line.contains(name)).then_some(())
        })
        .await;
    }
    let unknown = Answer::of(get(&system, ORDERS)).await;
    assert_eq!((unknown.status, unknown.header("retry-after")), (503, "5"), "{unknown:?}");
    let ready = Answer::of(get(&system, "/health/ready")).await;
    assert_eq!((ready.status, &ready.json()["status"]), (200, &json!("ready")), "{ready:?}");
}

#[tokio::test]
async fn a_gateway_that_keeps_nothing_on_the_disk_is_found_by_the_health_check() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let cases = [
        serve(&["gateway"]).env("INTERNAL_PORT", &port),
        serve(&["gateway"]).env("GATEWAY_PORT", &port),
        serve(&["gateway"]).env("GATEWAY_PORT", &port).env("PRODUCTION", "false").unset("INTERNAL_PORT"),
    ];
    for launch in cases {
        let mut system = launch.spawn();
        let expected = format!("http://127.0.0.1:{port}/health/ready 200 ready\n");
        let healthcheck = || launch.args(&["healthcheck"]).run();
        eventually("it is found", || (healthcheck().stdout == expected.as_bytes()).then_some(())).await;
        assert!(!system.data().join("run.json").exists());
        system.signal("TERM");
        assert!(system.ended().await.success());
        assert_eq!(healthcheck().status.code(), Some(69), "nothing is left to be found");
    }
}

#[tokio::test]
async fn a_gateway_that_is_sent_to_itself_says_so_at_once() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let launch = serve(&["gateway"]).env("GATEWAY_PORT", &port);
    let system = launch.env("USER_SERVICE_URL", &format!("http://127.0.0.1:{port}")).start().await;
    let begun = Instant::now();
    let answer = post(&system, USERS, &json!({})).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!((answer.status, &answer.json()["detail"]), (503, &json!("user-service unavailable")), "{answer:?}");
    eventually("the log says why", || system.stdout().contains("was here before").then_some(())).await;
}

/// Answers each request with the beginning of an answer, and hangs up.
fn that_breaks_off(text: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _request = stream.read(&mut [0; 8192]);
            let _sent = stream.write_all(text.as_bytes());
        }
    });
    url
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_whole() {
    for text in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let system = serve(&["gateway"]).env("USER_SERVICE_URL", &that_breaks_off(text)).start().await;
        let answer = get(&system, USERS).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.bytes().await.is_err(), "{text:?}");
    }
}

#[tokio::test]
async fn a_taken_port_names_the_variable_of_the_gateway() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let output = Launch::up().env("GATEWAY_PORT", &port).run();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(69), "{text}");
    assert!(text.contains(&format!("port {port} is taken")) && text.contains("GATEWAY_PORT"), "{text}");
}
