//! Ends of every kind: what was acknowledged is stored once, whatever happens.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::dice::Dice;
use crate::launch::{Launch, STRONG_TOKEN};
use crate::system::{Answer, System, email, eventually};

/// Clients that send at once.
pub(crate) const CLIENTS: usize = 8;

/// What the clients saw: the ids of accepted messages, and what else they were answered or not.
#[derive(Default)]
pub(crate) struct Load {
    pub(crate) accepted: Vec<String>,
    pub(crate) failures: Vec<String>,
}

/// Starts clients that send until `stop`, or until nobody answers any more.
pub(crate) fn load(system: &System, stop: &Arc<AtomicBool>) -> JoinSet<Load> {
    let body = json!({ "data": email("under load"), "token": system.token() });
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (request, stop) = (system.post("ingest", "/api/message").json(&body), Arc::clone(stop));
        clients.spawn(async move {
            let mut load = Load::default();
            while !stop.load(Ordering::Relaxed) {
                match Answer::try_of(request.try_clone().unwrap()).await {
                    Ok(answer) if answer.status == 200 => {
                        load.accepted.push(answer.json()["message_id"].as_str().unwrap().to_owned());
                    }
                    Ok(answer) => load.failures.push(answer.text),
                    Err(error) if error.is_connect() => break,
                    Err(error) => {
                        load.failures.push(format!("{error:?}"));
                        break;
                    }
                }
            }
            load
        });
    }
    clients
}

pub(crate) async fn results(clients: JoinSet<Load>) -> Load {
    let mut all = Load::default();
    for mut load in clients.join_all().await {
        all.accepted.append(&mut load.accepted);
        all.failures.append(&mut load.failures);
    }
    all
}

/// Every object is whole and names its own message; answers the ids.
pub(crate) fn stored_ids(system: &System) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for (key, path) in system.objects() {
        let object: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let id = object["_metadata"]["message_id"].as_str().unwrap().to_owned();
        assert!(key.ends_with(&format!("/{id}.json")), "{key} holds {id}");
        assert!(ids.insert(id), "{key}: a second object for the message");
    }
    ids
}

/// The longest that a system lives under load: it is killed at a random moment before that.
pub(crate) const LONGEST_LIFE: Duration = Duration::from_millis(500);

/// Kills the system under load again and again, at random moments. A message whose answer was lost may be stored too,
/// so at most one for each client and round. Each message may be delivered once: one that was counted for a delivery
/// that a kill ended would be dead.
async fn kill_under_load(rounds: usize) {
    let launch = Launch::up().env("MAX_RECEIVE_COUNT", "1");
    let (mut dice, mut accepted) = (Dice::new(), BTreeSet::new());
    for round in 0..rounds {
        let mut system = launch.start().await;
        let clients = load(&system, &Arc::default());
        let life = LONGEST_LIFE.mul_f64(dice.fraction());
        sleep(life).await;
        system.kill();
        drop(system);
        let load = results(clients).await;
        println!("round {round}: killed after {life:?}, {} messages accepted", load.accepted.len());
        assert!(load.failures.len() <= CLIENTS, "refused without a cause: {:?}", load.failures);
        accepted.extend(load.accepted);
    }
    assert!(accepted.len() > rounds, "there was no load: {} messages", accepted.len());
    let system = launch.start().await;
    let queue = system.drained().await;
    assert_eq!(queue["dead"], 0, "{queue}");
    let stored = stored_ids(&system);
    let lost: Vec<_> = accepted.difference(&stored).collect();
    assert!(lost.is_empty(), "{} of {} acknowledged messages are lost: {lost:?}", lost.len(), accepted.len());
    assert!(stored.len() <= accepted.len() + rounds * CLIENTS, "{} of {}", stored.len(), accepted.len());
}

#[tokio::test]
async fn kill_nine_under_load_loses_no_acknowledged_message() {
    kill_under_load(5).await;
}

#[tokio::test]
#[ignore = "the long run of `./test full`"]
async fn kill_nine_under_load_loses_no_acknowledged_message_in_fifty_rounds() {
    kill_under_load(50).await;
}

#[tokio::test]
async fn sigterm_under_load_fails_no_request_and_hands_messages_back() {
    let launch = Launch::up();
    let mut system = launch.start().await;
    let clients = load(&system, &Arc::default());
    sleep(Duration::from_millis(300)).await;
    let status = system.stop().await;
    assert_eq!(status.code(), Some(0), "{status}");
    let load = results(clients).await;
    // One connection may still arrive between the last accept and the close; the kernel resets it unseen.
    assert!(load.failures.len() <= 1, "{:?}", load.failures);
    assert!(!system.data().join("run.json").exists(), "run.json is left behind");
    drop(system);

    let system = launch.start().await;
    system.drained().await;
    let accepted: BTreeSet<String> = load.accepted.into_iter().collect();
    assert_eq!(stored_ids(&system), accepted);
    for (_, path) in system.objects() {
        let object: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(object["_metadata"]["receive_count"], 1, "handed back, and yet counted: {object}");
    }
}

#[tokio::test]
async fn a_system_under_load_becomes_unready_before_it_closes() {
    let system = System::up_with(&[("DRAIN_DELAY", "1s")]).await;
    system.signal("TERM");
    let begun = std::time::Instant::now();
    let answer = loop {
        let answer = Answer::of(system.get("ingest", "/health/ready")).await;
        if answer.status == 503 || begun.elapsed() > Duration::from_secs(1) {
            break answer;
        }
    };
    assert_eq!((answer.status, &answer.json()["status"]), (503, &json!("not_ready")));
    let status = Answer::of(system.get("ingest", "/status")).await;
    assert_eq!(status.json()["status"], "draining");
    system.send(&email("accepted while draining")).await;
}

#[tokio::test]
async fn a_second_system_on_the_folder_is_refused_and_the_first_goes_on() {
    let system = System::up().await;
    let refused = system.launch.run();
    let text = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(69), "{text}");
    let line = text.lines().find(|line| line.starts_with("error:")).unwrap();
    assert!(line.contains(system.data().to_str().unwrap()), "{line}");
    assert!(line.contains(&format!("process {}", system.pid())), "{line}");
    assert!(refused.stdout.is_empty());
    system.object(&system.send(&email("still here")).await).await;
}

#[tokio::test]
async fn what_a_killed_system_left_behind_confuses_nobody() {
    let launch = Launch::up();
    let mut system = launch.start().await;
    system.kill();
    assert!(launch.data().join("run.json").exists(), "the test needs a stale file");
    let e2e = launch.args(&["e2e"]).run();
    assert_eq!(e2e.status.code(), Some(69), "{e2e:?}");
    drop(system);
    let system = launch.start().await;
    let e2e = launch.args(&["e2e"]).run();
    assert_eq!(e2e.status.code(), Some(0), "{e2e:?}");
    assert_eq!(system.queue().await["dead"], 0);
}

/// What a queue that is worked off may keep.
const SHRUNK: u64 = 20 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_nine_while_the_queue_gives_room_back_loses_nothing() {
    let launch = Launch::up();
    let ingest = launch.args(&["serve", "ingest", "--host", "127.0.0.1"]).env("API_TOKEN", STRONG_TOKEN);
    let mut ingest = ingest.spawn().listening().await;
    let text = "x".repeat(900_000);
    let mut ids = Vec::new();
    for number in 0..60 {
        let body = json!({ "token": STRONG_TOKEN, "email_timestream": number.to_string(), "text": text });
        let answer = Answer::of(ingest.post("ingest", "/submit").json(&body)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        ids.push(answer.json()["message_id"].as_str().unwrap().to_owned());
    }
    ingest.kill();

    let file = launch.data().join("queue.db");
    let length = || fs::metadata(&file).unwrap().len();
    // The work is seen in the file's length when its log is moved into it; before that it is killed at any moment.
    for round in 0..6 {
        let mut system = launch.start().await;
        sleep(Duration::from_millis(round * 150)).await;
        let is_long = length() > SHRUNK;
        system.kill();
        println!("round {round}: killed while the file is {}", if is_long { "long" } else { "short" });
    }
    let system = launch.start().await;
    system.drained().await;
    let mut stored: Vec<_> = system.objects().into_iter().map(|(key, _)| key).collect();
    stored.sort();
    assert_eq!(stored.len(), ids.len());
    assert!(ids.iter().all(|id| stored.iter().any(|key| key.contains(id.as_str()))));
    eventually("a short file", || (length() < SHRUNK).then_some(())).await;
}
