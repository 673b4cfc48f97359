//! Users on disks that are really full, or do not confirm what is written: writes are refused, reads go on, and
//! everything heals by itself.

use std::time::{Duration, Instant};

use chassis::testing::eventually;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::disk_full::failures;
use crate::disks::Disks;
use crate::launch::Launch;
use crate::postgres_server::Server;
use crate::sync_failures::{Fault, OF_SQLITE};
use crate::system::{Answer, System};

const USERS: &str = "/api/v1/users";
const PASSWORD: &str = "correct horse battery";

fn register(system: &System, name: &str) -> RequestBuilder {
    let body = json!({ "username": name, "email": format!("{name}@example.com"), "password": PASSWORD });
    system.post("users", "/api/v1/users/register").header("idempotency-key", name).json(&body)
}

fn create(system: &System, name: &str) -> RequestBuilder {
    let body = json!({ "name": name, "email": format!("{name}@example.com") });
    system.post("users", USERS).header("idempotency-key", name).json(&body)
}

fn of_user(system: &System, method: Method, id: &str) -> RequestBuilder {
    let request = system.http.request(method, format!("{}{USERS}/{id}", system.url("users")));
    request.json(&json!({ "age": 31 }))
}

/// Every kind of write is refused in time, with the text of the store and without its cause.
async fn refuses_writes(system: &System, id: &str) {
    for request in [
        create(system, "meanwhile"),
        register(system, "meantime"),
        of_user(system, Method::PUT, id),
        of_user(system, Method::DELETE, id),
    ] {
        let begun = Instant::now();
        let answer = Answer::of(request).await;
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        is_refused(&answer);
    }
}

fn is_refused(answer: &Answer) {
    assert_eq!((answer.status, &answer.json()["detail"]), (503, &json!("User store unavailable")), "{answer:?}");
    assert!(!answer.header("retry-after").is_empty() && !answer.text.contains("full"), "{answer:?}");
}

/// Whoever is there is read, listed and counted, logs in and looks at the profile.
async fn reads_go_on(system: &System, id: &str, total: &str) {
    let get = |path: &str| Answer::of(system.get("users", path));
    let found = get(&format!("{USERS}/{id}")).await;
    assert_eq!((found.status, &found.json()["age"]), (200, &Value::Null), "{found:?}");
    let listed = get(USERS).await;
    assert_eq!((listed.status, listed.header("x-total-count")), (200, total), "{listed:?}");
    assert_eq!(get("/api/v1/users/stats/count").await.json()["data"]["total_users"].to_string(), total);
    let body = json!({ "username": "before", "password": PASSWORD });
    let login = Answer::of(system.post("users", "/api/v1/users/login").json(&body)).await;
    assert_eq!(login.status, 200, "{login:?}");
    let token = login.json()["access_token"].as_str().unwrap().to_owned();
    let profile = Answer::of(system.get("users", "/api/v1/users/profile").bearer_auth(token)).await;
    assert_eq!(profile.status, 200, "{profile:?}");
    for path in ["/health", "/metrics", "/status"] {
        assert_eq!(get(path).await.status, 200, "{path}");
    }
}

/// What was refused can be done now, and was not done before.
async fn takes_writes_again(system: &System, id: &str) {
    eventually("a write is taken", || async {
        (Answer::of(of_user(system, Method::PUT, id)).await.status == 200).then_some(())
    })
    .await;
    for (request, status) in [(create(system, "meanwhile"), 201), (register(system, "meantime"), 200)] {
        let answer = Answer::of(request).await;
        assert_eq!((answer.status, answer.header("idempotency-replayed")), (status, ""), "{answer:?}");
    }
    let listed = Answer::of(system.get("users", USERS)).await;
    assert_eq!(listed.header("x-total-count"), "3");
    assert_eq!(listed.json()[0]["age"], 31);
    assert_eq!(Answer::of(of_user(system, Method::DELETE, id)).await.status, 204);
    assert_eq!(Answer::of(system.get("users", "/health/ready")).await.status, 200);
}

async fn names(system: &System) -> Vec<Value> {
    let listed = Answer::of(system.get("users", USERS)).await.json();
    listed.as_array().unwrap().iter().map(|user| user["name"].clone()).collect()
}

async fn somebody(system: &System) -> String {
    let answer = Answer::of(register(system, "before")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["data"]["user_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_full_disk_of_users_refuses_writes_and_heals_by_itself() {
    let launch = Launch::up();
    let url = format!("sqlite:{}", launch.path("accounts/keelson.db").display());
    let Some(disks) = Disks::mount(&launch, &[("accounts", "size=32m")]) else { return };
    let mut system = disks.launch(launch.env("DATABASE_URL", &url)).start().await;
    let id = somebody(&system).await;
    disks.fill("accounts");
    for _ in 0..2 {
        refuses_writes(&system, &id).await;
        reads_go_on(&system, &id, "1").await;
    }
    assert!(failures(&system, "database", "disk_full").await > 0.0);
    disks.free("accounts");
    takes_writes_again(&system, &id).await;

    system.kill();
    let system = system.launch.clone().start().await;
    assert_eq!(names(&system).await, ["meanwhile", "meantime"]);
}

/// The tables have a little room left in their last pages, and so a few more get in. A server that has no room for its
/// write-ahead log ends itself, which is an outage like others.
#[tokio::test]
async fn a_full_disk_of_postgresql_refuses_writes_and_heals_by_itself() {
    let Some(server) = Server::start_on(Some("96m")) else { return };
    let system = Launch::up().env("DATABASE_URL", &server.url("postgres")).start().await;
    let id = somebody(&system).await;
    server.control("fill");
    let name = |number: usize| format!("{}-{number}", "n".repeat(50));
    let mut created = 1;
    let refused = loop {
        let answer = Answer::of(create(&system, &name(created))).await;
        if answer.status != 201 {
            break answer;
        }
        created += 1;
        assert!(created < 10_000, "the disk is not full");
    };
    is_refused(&refused);
    let total = created.to_string();
    reads_go_on(&system, &id, &total).await;

    server.control("free");
    eventually("the one that was refused is taken", || async {
        (Answer::of(create(&system, &name(created))).await.status == 201).then_some(())
    })
    .await;
    let listed = Answer::of(system.get("users", USERS)).await;
    assert_eq!(listed.header("x-total-count"), (created + 1).to_string());
    assert_eq!(Answer::of(of_user(&system, Method::PUT, &id)).await.status, 200);
    assert_eq!(Answer::of(system.get("users", "/health/ready")).await.status, 200);
}

#[tokio::test]
async fn what_the_disk_does_not_confirm_is_refused_until_it_does() {
    let mut system = System::up().await;
    let id = somebody(&system).await;
    let Some(fault) = Fault::begin(&system, OF_SQLITE, None).await else { return };
    for _ in 0..2 {
        refuses_writes(&system, &id).await;
        reads_go_on(&system, &id, "1").await;
    }
    assert!(failures(&system, "database", "sync").await > 0.0);
    fault.end(&system).await;
    takes_writes_again(&system, &id).await;
    system.kill();
    let system = system.launch.clone().start().await;
    assert_eq!(names(&system).await, ["meanwhile", "meantime"]);
}

#[tokio::test]
async fn what_was_acknowledged_outlives_a_kill_while_the_disk_confirms_nothing() {
    let mut system = System::up().await;
    somebody(&system).await;
    let Some(fault) = Fault::begin(&system, OF_SQLITE, None).await else { return };
    is_refused(&Answer::of(create(&system, "meanwhile")).await);
    system.kill();
    drop(fault);
    let system = system.launch.clone().start().await;
    // The kernel may still show the one that was refused: whoever asked for it was not told that it is lost.
    assert_eq!(names(&system).await[0], "before");
    assert_eq!(Answer::of(create(&system, "meanwhile")).await.status, 201);
    assert_eq!(names(&system).await, ["before", "meanwhile"]);
}
