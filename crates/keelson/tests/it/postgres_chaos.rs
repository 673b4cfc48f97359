//! The system on PostgreSQL and files while its processes are killed and the database stands still or starts anew.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::dice::Dice;
use crate::launch::{Launch, STRONG_TOKEN};
use crate::postgres::{Site, VISIBILITY, stored};
use crate::restart::CLIENTS;
use crate::system::{Answer, System, email};

/// Whatever the database does, a process answers within it.
const ANSWERED: Duration = Duration::from_secs(5);
/// Until a client has the answer: here many processes share few processors.
const ARRIVED: Duration = Duration::from_secs(10);
/// Within it the system accepts again after the database is back.
const HEALED: Duration = Duration::from_secs(5);
/// How long the database stands still.
const STILL: Duration = Duration::from_secs(10);

/// An ingest, and where it listens now: each start takes another port.
struct Intake {
    system: System,
    url: Arc<Mutex<String>>,
}

impl Intake {
    async fn start(launch: &Launch) -> Self {
        let system = launch.start().await;
        let url = Arc::new(Mutex::new(system.url("ingest")));
        Self { system, url }
    }

    async fn restart(&mut self) {
        self.system.kill();
        self.system = self.system.launch.clone().start().await;
        *self.url.lock().unwrap() = self.system.url("ingest");
    }
}

/// What clients saw.
#[derive(Default)]
struct Seen {
    accepted: BTreeSet<String>,
    /// Without an answer, or with one that promises nothing.
    open: usize,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.accepted.extend(other.accepted);
        self.open += other.open;
    }

    /// Whether the message was accepted. Every answer is 200 or 503 and comes in time; a killed process gives none.
    async fn send(&mut self, http: &reqwest::Client, url: &Mutex<String>) -> bool {
        let url = format!("{}/api/message", url.lock().unwrap());
        let body = json!({ "data": email("chaos"), "token": STRONG_TOKEN });
        let begun = Instant::now();
        let answer = Answer::try_of(http.post(url).json(&body)).await;
        assert!(begun.elapsed() < ARRIVED, "{answer:?} after {:?}", begun.elapsed());
        if let Ok(answer) = &answer {
            assert!(answer.process_time() < ANSWERED, "{answer:?}");
        }
        match answer {
            Ok(answer) if answer.status == 200 => {
                let id = answer.json()["message_id"].as_str().unwrap().to_owned();
                assert!(self.accepted.insert(id), "an id was given twice");
                return true;
            }
            Ok(answer) => assert_eq!(answer.status, 503, "{answer:?}"),
            Err(_) => {}
        }
        self.open += 1;
        false
    }
}

/// Sends until told to stop.
async fn send_on(http: reqwest::Client, url: Arc<Mutex<String>>, stop: Arc<AtomicBool>) -> Seen {
    let mut seen = Seen::default();
    while !stop.load(Ordering::Relaxed) {
        if !seen.send(&http, &url).await {
            sleep(Duration::from_millis(20)).await;
        }
    }
    seen
}

struct Fleet {
    site: Site,
    intakes: Vec<Intake>,
    archivers: Vec<System>,
}

impl Fleet {
    /// `None`, after saying so, where PostgreSQL is not installed. One delivery is all that a message may need: whoever
    /// holds it when he is killed must not have it counted.
    async fn start() -> Option<Self> {
        let site = Site::new()?;
        let mut fleet = Self { site, intakes: Vec::new(), archivers: Vec::new() };
        for _ in 0..2 {
            fleet.intakes.push(Intake::start(&fleet.site.serve_together("ingest")).await);
        }
        for _ in 0..3 {
            fleet.archivers.push(fleet.site.serve_together("archiver").env("MAX_RECEIVE_COUNT", "1").start().await);
        }
        Some(fleet)
    }

    fn load(&self, stop: &Arc<AtomicBool>) -> JoinSet<Seen> {
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let Intake { system, url } = &self.intakes[client % self.intakes.len()];
            clients.spawn(send_on(system.http.clone(), Arc::clone(url), Arc::clone(stop)));
        }
        clients
    }

    /// A process, each in its turn.
    async fn kill(&mut self, round: usize) {
        let process = round % (self.intakes.len() + self.archivers.len());
        match self.archivers.get_mut(process) {
            Some(archiver) => {
                archiver.kill();
                *archiver = archiver.launch.clone().start().await;
            }
            None => self.intakes[process - self.archivers.len()].restart().await,
        }
    }

    /// Answers what was accepted while it was waited for.
    async fn hurt_database(&self, away: &str, pause: Duration, back: &str) -> Seen {
        self.site.server.control(away);
        sleep(pause).await;
        self.site.server.control(back);
        let (mut seen, begun) = (Seen::default(), Instant::now());
        for Intake { system, url } in &self.intakes {
            while !seen.send(&system.http, url).await {
                assert!(begun.elapsed() < HEALED, "not healed after {:?}", begun.elapsed());
            }
        }
        println!("{away}: healed {:?} after {back}", begun.elapsed());
        seen
    }
}

async fn survive(kills: usize) {
    let Some(mut fleet) = Fleet::start().await else { return };
    let stop = Arc::new(AtomicBool::new(false));
    let (clients, mut all, mut dice) = (fleet.load(&stop), Seen::default(), Dice::new());
    for round in 0..kills {
        sleep(Duration::from_millis(800).mul_f64(dice.fraction())).await;
        fleet.kill(round).await;
        match round % 5 {
            2 => all.add(fleet.hurt_database("down", Duration::from_millis(500), "up").await),
            4 => all.add(fleet.hurt_database("freeze", STILL, "thaw").await),
            _ => {}
        }
    }
    stop.store(true, Ordering::Relaxed);
    clients.join_all().await.into_iter().for_each(|seen| all.add(seen));
    assert!(all.accepted.len() > 20 * kills, "there was no load: {}", all.accepted.len());

    let begun = Instant::now();
    let lost = loop {
        let stored = stored(&fleet.site.folder());
        let lost: Vec<_> = all.accepted.difference(&stored).cloned().collect();
        if lost.is_empty() || begun.elapsed() > VISIBILITY + Duration::from_secs(5) {
            assert!(stored.len() <= all.accepted.len() + all.open, "{} of {}", stored.len(), all.accepted.len());
            break lost;
        }
        sleep(Duration::from_millis(200)).await;
    };
    println!(
        "{} accepted, {} without a promise, the rest stored {:?} after",
        all.accepted.len(),
        all.open,
        begun.elapsed()
    );
    assert!(lost.is_empty(), "{} of {} accepted messages are lost: {lost:?}", lost.len(), all.accepted.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_processes_on_one_database_are_killed_and_lose_and_double_nothing() {
    survive(5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the long run of `./test full`"]
async fn five_processes_on_one_database_are_killed_fifty_times_and_lose_and_double_nothing() {
    survive(50).await;
}
