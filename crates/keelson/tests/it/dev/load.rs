//! Clients that never stop, and call everything a failure that is not an answer of 200.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::RequestBuilder;
use serde_json::json;
use tokio::task::JoinSet;

use crate::system::{Answer, System, email};

/// What they saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) answers: usize,
    /// Ids of messages that were accepted.
    pub(super) accepted: Vec<String>,
    pub(super) refused: Vec<String>,
    pub(super) failed: Vec<String>,
}

impl Seen {
    fn note(&mut self, answer: reqwest::Result<Answer>) {
        match answer {
            Ok(answer) if answer.status == 200 => {
                self.answers += 1;
                let id = serde_json::from_str::<serde_json::Value>(&answer.text).ok();
                self.accepted.extend(id.and_then(|body| Some(body["message_id"].as_str()?.to_owned())));
            }
            Ok(answer) => self.failed.push(format!("{answer:?}")),
            Err(error) if error.is_connect() => self.refused.push(format!("{error:?}")),
            Err(error) => self.failed.push(format!("{error:?}")),
        }
    }

    fn add(&mut self, other: Self) {
        self.answers += other.answers;
        self.accepted.extend(other.accepted);
        self.refused.extend(other.refused);
        self.failed.extend(other.failed);
    }
}

/// Clients at work.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    clients: JoinSet<Seen>,
}

impl Load {
    /// Clients of every kind: some with a connection for each request, some that keep theirs, some that send messages.
    pub(super) fn start(system: &System) -> Self {
        let client = |keeps: usize| {
            let patience = Duration::from_secs(30);
            reqwest::Client::builder().no_proxy().timeout(patience).pool_max_idle_per_host(keeps).build().unwrap()
        };
        let (fresh, kept) = (client(0), client(8));
        let message = json!({ "data": email("under load"), "token": system.token() });
        let url = |service: &str, path: &str| format!("{}{path}", system.url(service));
        let requests = [
            fresh.get(url("gateway", "/health")),
            fresh.get(url("users", "/api/v1/users")),
            fresh.post(url("ingest", "/api/message")).json(&message),
            fresh.post(url("gateway", "/api/message")).json(&message),
            kept.get(url("orders", "/health/live")),
            kept.get(url("gateway", "/api/v1/users")),
            kept.post(url("ingest", "/api/message")).json(&message),
        ];
        let mut load = Self { stop: Arc::default(), clients: JoinSet::new() };
        for request in requests {
            load.clients.spawn(ask(request, Arc::clone(&load.stop)));
        }
        load
    }

    /// Waits for the last answers.
    pub(super) async fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        for seen in self.clients.join_all().await {
            assert!(seen.answers > 0, "a client got no answer at all: {seen:?}");
            all.add(seen);
        }
        all
    }
}

async fn ask(request: RequestBuilder, stop: Arc<AtomicBool>) -> Seen {
    let mut seen = Seen::default();
    while !stop.load(Ordering::Relaxed) {
        seen.note(Answer::try_of(request.try_clone().unwrap()).await);
        // So that the builds and the starts have the processor too.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    seen
}
