//! The system on PostgreSQL and files: two ingests and three archivers, each a process of its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::launch::{Launch, STRONG_TOKEN};
use crate::postgres_server::Server;
use crate::production;
use crate::system::{Answer, System, email, eventually, files};

/// The "one visibility time-out".
pub(crate) const VISIBILITY: Duration = Duration::from_secs(30);

pub(crate) struct Site {
    pub(crate) server: Server,
    objects: tempfile::TempDir,
}

impl Site {
    /// `None`, after saying so, where PostgreSQL is not installed.
    pub(crate) fn new() -> Option<Self> {
        Some(Self { server: Server::start()?, objects: tempfile::tempdir().unwrap() })
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.objects.path().join("objects")
    }

    /// A process in production, with a data folder of its own.
    pub(crate) fn serve(&self, service: &str) -> Launch {
        let launch = production::serve(&[service]).env("QUEUE_URL", "postgres:").env("RATE_LIMIT", "0");
        let launch = launch.env("POSTGRES_HOST", "127.0.0.1").env("POSTGRES_PORT", &self.server.port.to_string());
        let launch = launch.env("POSTGRES_USER", "postgres").env("POSTGRES_DB", "postgres");
        let launch = launch.env("POSTGRES_PASSWORD", "hunter2-hunter2");
        launch.env("OBJECTS_URL", &format!("file:{}", self.folder().display()))
    }

    /// The same with one data folder for all, and the objects in it.
    pub(crate) fn serve_together(&self, service: &str) -> Launch {
        self.serve(service).unset("OBJECTS_URL").env("KEELSON_DATA", self.objects.path().to_str().unwrap())
    }
}

/// Sends from a few clients at once; answers the ids.
async fn send_many(ingests: &[&System], messages: usize) -> BTreeSet<String> {
    let mut clients = JoinSet::new();
    for client in 0..8 {
        let body = json!({ "data": email("on PostgreSQL"), "token": STRONG_TOKEN });
        let request = ingests[client % ingests.len()].post("ingest", "/api/message").json(&body);
        clients.spawn(async move {
            let mut ids = Vec::new();
            for _ in (client..messages).step_by(8) {
                let answer = Answer::of(request.try_clone().unwrap()).await;
                assert_eq!(answer.status, 200, "{answer:?}");
                ids.push(answer.json()["message_id"].as_str().unwrap().to_owned());
            }
            ids
        });
    }
    clients.join_all().await.into_iter().flatten().collect()
}

/// The ids of the stored messages; each object is whole, and of a first delivery.
pub(crate) fn stored(folder: &Path) -> BTreeSet<String> {
    let is_object = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
    let mut ids = BTreeSet::new();
    for path in files(folder).into_iter().filter(is_object) {
        let object: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let metadata = &object["_metadata"];
        assert_eq!(metadata["receive_count"], 1, "counted: {object}");
        assert!(ids.insert(metadata["message_id"].as_str().unwrap().to_owned()), "a second object: {}", path.display());
    }
    ids
}

/// Until nothing more is stored; answers how many are missing.
async fn until_quiet(folder: &Path, expected: usize) -> usize {
    let (mut known, mut since) = (0, Instant::now());
    while since.elapsed() < Duration::from_secs(2) {
        let now = stored(folder).len();
        if now != known {
            (known, since) = (now, Instant::now());
        }
        sleep(Duration::from_millis(100)).await;
    }
    expected - known
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_ingests_and_three_archivers_share_one_database_and_survive_a_kill() {
    let Some(site) = Site::new() else { return };
    let ingests = [site.serve("ingest").start().await, site.serve("ingest").start().await];
    let mut archivers = Vec::new();
    for _ in 0..3 {
        archivers.push(site.serve("archiver").start().await);
    }
    for ingest in &ingests {
        let check = ingest.launch.args(&["e2e"]).run();
        let said = String::from_utf8_lossy(&check.stdout);
        assert!(check.status.success() && said.contains("E2E TEST PASSED"), "{check:?}");
    }

    let both: Vec<&System> = ingests.iter().collect();
    // All of them have much to do at once, so that each holds messages.
    archivers.iter().for_each(|archiver| archiver.signal("STOP"));
    let ids = send_many(&both, 1200).await;
    archivers.iter().for_each(|archiver| archiver.signal("CONT"));
    let mut killed = archivers.remove(0);
    eventually("there is load", || (files(&site.folder()).len() > 100).then_some(())).await;
    killed.signal("STOP");
    let left = until_quiet(&site.folder(), ids.len()).await;
    assert!(left > 0, "the archiver that stands still holds nothing");
    killed.kill();
    let begun = Instant::now();
    while stored(&site.folder()).len() < ids.len() {
        assert!(begun.elapsed() < VISIBILITY, "{} of {} are stored", stored(&site.folder()).len(), ids.len());
        sleep(Duration::from_millis(100)).await;
    }
    println!("{left} messages of the killed archiver are stored {:?} after its end", begun.elapsed());
    assert_eq!(stored(&site.folder()), ids);
    for system in ingests.iter().chain(&archivers) {
        assert!(!system.stdout().contains("hunter2"), "the password is logged");
        let status = Answer::of(system.get(service_of(system), "/status")).await;
        assert!(!status.text.contains("hunter2") && status.text.contains("\"QUEUE_URL\":\"postgres:\""), "{status:?}");
    }
    for mut system in archivers {
        assert!(system.stop().await.success());
    }
}

fn service_of(system: &System) -> &'static str {
    if system.ready["services"]["ingest"].is_string() { "ingest-internal" } else { "archiver-internal" }
}

#[tokio::test]
async fn without_the_database_a_service_does_not_start_and_says_why() {
    let launch = production::serve(&["ingest"]).env("QUEUE_URL", "postgres://keelson:hunter2@127.0.0.1:1/keelson");
    let refused = launch.run();
    let text = String::from_utf8_lossy(&refused.stderr).into_owned() + &String::from_utf8_lossy(&refused.stdout);
    assert_eq!(refused.status.code(), Some(69), "{text}");
    assert!(text.contains("database keelson at 127.0.0.1:1") && !text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn ingest_answers_503_while_the_database_is_away_and_goes_on_by_itself() {
    let Some(site) = Site::new() else { return };
    let ingest = site.serve("ingest").env("QUEUE_URL", &site.server.url("postgres")).unset("POSTGRES_PASSWORD");
    let ingest = ingest.start().await;
    let post = async || {
        let body = json!({ "data": email("on PostgreSQL"), "token": STRONG_TOKEN });
        Answer::of(ingest.post("ingest", "/api/message").json(&body)).await
    };
    assert_eq!(post().await.status, 200);
    for (away, back) in [("down", "up"), ("freeze", "thaw")] {
        site.server.control(away);
        let begun = Instant::now();
        let refused = post().await;
        assert_eq!((refused.status, begun.elapsed() < Duration::from_secs(5)), (503, true), "{refused:?}");
        assert!(!refused.text.contains("postgres"), "the cause is told: {refused:?}");
        site.server.control(back);
        let begun = Instant::now();
        while post().await.status != 200 {
            assert!(begun.elapsed() < Duration::from_secs(5), "still away");
        }
    }
}
