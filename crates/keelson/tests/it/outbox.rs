//! Events on their way from users to analytics, whatever dies in between.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use chassis::testing::TestServer;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::launch::Launch;
use crate::postgres::Site;
use crate::production::serve;
use crate::system::{Answer, System, eventually};

const PASSWORD: &str = "correct horse battery";
const STRONG_KEY: &str = "0123456789abcdef0123456789abcdef-of-tokens";
/// How long the last events may take, with the lease of a relay that was killed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Stands in the place of analytics: forgets nothing, and fails now and then before or after it took an event.
#[derive(Clone, Default)]
pub(crate) struct Analytics(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    requests: usize,
    /// By the key of each event: the order, or else the user, and the type.
    events: BTreeMap<String, (String, String)>,
    /// As they came.
    order: Vec<String>,
}

async fn take(State(analytics): State<Analytics>, headers: HeaderMap, Json(event): Json<Value>) -> (u16, &'static str) {
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let number = {
        let mut taken = analytics.0.lock().unwrap();
        taken.requests += 1;
        taken.requests
    };
    sleep(Duration::from_millis(3)).await;
    if number % 7 == 3 {
        return (503, "too much to do");
    }
    let mut taken = analytics.0.lock().unwrap();
    let entity = event["properties"].get("order_id").unwrap_or(&event["user_id"]);
    taken.events.insert(key.clone(), (text(entity), text(&event["event_type"])));
    taken.order.push(key);
    if number % 7 == 5 { (500, "took it and failed") } else { (200, r#"{"success":true}"#) }
}

impl Analytics {
    pub(crate) async fn serve(&self) -> TestServer {
        let answer = async |state, headers, body| {
            let (status, text) = take(state, headers, body).await;
            (axum::http::StatusCode::from_u16(status).unwrap(), text)
        };
        let routes = Router::new().route("/api/v1/analytics/events", post(answer)).route("/health", get(async || "{}"));
        TestServer::start(routes.with_state(self.clone())).await
    }

    /// What each event of this type is about.
    pub(crate) fn entities(&self, event_type: &str) -> Vec<String> {
        let taken = self.0.lock().unwrap();
        taken.events.values().filter(|(_, of)| of == event_type).map(|(entity, _)| entity.clone()).collect()
    }

    /// Of each entity, the event of this type came before all others for the first time.
    pub(crate) fn assert_first(&self, first: &str) {
        let taken = self.0.lock().unwrap();
        let mut begun = BTreeSet::new();
        for key in &taken.order {
            let (entity, event_type) = &taken.events[key];
            match event_type == first {
                true => drop(begun.insert(entity)),
                false => assert!(begun.contains(entity), "{event_type} of {entity} came before {first}"),
            }
        }
    }
}

/// How many events of a service wait, asked at this listener of it.
pub(crate) async fn waiting(system: &System, launch: &Launch, listener: &str) -> u64 {
    let run: Value = serde_json::from_slice(&std::fs::read(launch.data().join("run.json")).unwrap()).unwrap();
    let token = run["operator_token"].as_str().unwrap();
    let shown = Answer::of(system.get(listener, "/ops/v1/outbox").bearer_auth(token)).await.json();
    shown["events"].as_u64().unwrap_or_else(|| panic!("{shown}"))
}

/// Waits until a service of the system has delivered every event.
pub(crate) async fn all_delivered(system: &System, launch: &Launch, service: &str) {
    let begun = Instant::now();
    loop {
        let waiting = waiting(system, launch, &format!("{service}-internal")).await;
        if waiting == 0 {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{waiting} events wait");
        sleep(Duration::from_millis(50)).await;
    }
}

/// What callers were told.
#[derive(Default)]
struct Done {
    registered: BTreeSet<String>,
    logged_in: BTreeSet<String>,
}

/// Registers users and logs them in until the process is killed, a moment after so many answers.
async fn work_until_killed(system: &mut System, round: usize, done: &Arc<Mutex<Done>>) {
    let mut callers = JoinSet::new();
    let answers = |done: &Mutex<Done>| {
        let done = done.lock().unwrap();
        done.registered.len() + done.logged_in.len()
    };
    let before = answers(done);
    for caller in 0..4 {
        let (http, url, done) = (system.http.clone(), system.url("users"), Arc::clone(done));
        callers.spawn(async move {
            for number in 0.. {
                let name = format!("r{round}c{caller}n{number}");
                let body = json!({ "username": name, "email": format!("{name}@example.com"), "password": PASSWORD });
                let request = |path: &str| http.post(format!("{url}/api/v1/users/{path}")).json(&body);
                let Ok(answer) = Answer::try_of(request("register")).await else { break };
                assert_eq!(answer.status, 200, "{answer:?}");
                let id = answer.json()["data"]["user_id"].as_str().unwrap().to_owned();
                done.lock().unwrap().registered.insert(id.clone());
                let Ok(answer) = Answer::try_of(request("login")).await else { break };
                assert_eq!(answer.status, 200, "{answer:?}");
                done.lock().unwrap().logged_in.insert(id);
            }
        });
    }
    eventually("some are answered", || (answers(done) > before + round * 5 % 13).then_some(())).await;
    sleep(Duration::from_millis(u64::try_from(round * 7 % 40).unwrap())).await;
    system.kill();
    callers.join_all().await;
}

/// Kills the process between commits and deliveries, so often; then every event of what was answered has come, and none
/// of what was not done.
async fn kill_between_commit_and_delivery(launch: Launch, rounds: RangeInclusive<usize>) {
    let analytics = Analytics::default();
    let server = analytics.serve().await;
    // It has no key.
    let launch = launch.env("ENCRYPT_CALLS", "false");
    let launch = launch.env("ANALYTICS_SERVICE_URL", &server.url()).env("JWT_SECRET_KEY", STRONG_KEY);
    let done = Arc::new(Mutex::new(Done::default()));
    for round in rounds {
        let mut system = launch.start().await;
        work_until_killed(&mut system, round, &done).await;
    }
    let system = launch.start().await;
    all_delivered(&system, &launch, "users").await;
    let Done { registered, logged_in } = std::mem::take(&mut *done.lock().unwrap());
    let told = analytics.entities("user_registration");
    let users: BTreeSet<_> = told.iter().cloned().collect();
    assert_eq!(users.len(), told.len(), "an event has two ids");
    let missing: Vec<_> = registered.difference(&users).collect();
    assert!(missing.is_empty(), "of {} registrations that were answered, these were not told: {missing:?}", told.len());
    let counts = Answer::of(system.get("users", "/api/v1/users/stats/count")).await.json();
    assert_eq!(counts["data"]["total_users"], json!(told.len()), "users and their events differ");
    let logins: BTreeSet<_> = analytics.entities("user_login").into_iter().collect();
    assert!(logins.is_superset(&logged_in), "a login was not told: {:?}", logged_in.difference(&logins));
    analytics.assert_first("user_registration");
}

fn on_sqlite() -> Launch {
    serve(&["users"]).env("RATE_LIMIT", "0")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_arrive_though_the_process_is_killed_before_they_are_delivered() {
    kill_between_commit_and_delivery(on_sqlite(), 1..=3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a minute: 50 rounds; ./test full runs it"]
async fn events_arrive_though_the_process_is_killed_fifty_times() {
    kill_between_commit_and_delivery(on_sqlite(), 1..=50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_arrive_through_postgresql_though_the_process_is_killed_before_they_are_delivered() {
    let Some(site) = Site::new() else { return };
    kill_between_commit_and_delivery(site.serve("users").unset("QUEUE_URL"), 1..=2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "two minutes: 50 rounds; ./test full runs it"]
async fn events_arrive_through_postgresql_though_the_process_is_killed_fifty_times() {
    let Some(site) = Site::new() else { return };
    kill_between_commit_and_delivery(site.serve("users").unset("QUEUE_URL"), 1..=50).await;
}
