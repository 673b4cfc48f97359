//! The pipeline on AWS that misbehaves in every way at once: what was accepted is stored, each exactly once.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::aws::{Effect, Entries, Fault, Service};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::archive_command::listed;
use crate::cloud::{Cloud, QUEUE};
use crate::launch::{Launch, STRONG_TOKEN};
use crate::system::{Answer, System, email};

/// Clients that send at once.
const CLIENTS: usize = 32;
/// `VISIBILITY_TIMEOUT` of the archivers.
const VISIBILITY: Duration = Duration::from_secs(2);
/// How long the queue may take to empty itself after the last message.
const PATIENCE: Duration = Duration::from_secs(90);
/// What no archiver can store.
const POISON: [&str; 4] = ["not JSON", "[1, 2]", "{\"_metadata\": 1}", "\"text\""];

/// What AWS does now and then, and what it may do.
fn misbehave(cloud: &Cloud) {
    let each = |chance| Entries::Each(chance);
    let faults = [
        Fault::deliver_twice().on("ReceiveMessage").with_chance(0.2),
        Fault::reorder().on("ReceiveMessage").with_chance(0.5),
        Fault::new(Effect::ForgetDelete).on("DeleteMessageBatch").with_chance(0.05),
        Fault::throttle().on_service(Service::Sqs).with_chance(0.05),
        Fault::throttle().on_service(Service::S3).with_chance(0.05),
        Fault::error(503, "ServiceUnavailable").on("PutObject").with_chance(0.05),
        Fault::error(500, "InternalError").on_service(Service::Sqs).with_chance(0.02),
        Fault::fail_entries(each(0.1), "InternalError").on("SendMessageBatch"),
        Fault::fail_entries(each(0.1), "InternalError").on("DeleteMessageBatch"),
        Fault::fail_entries(each(0.1), "InternalError").on("ChangeMessageVisibilityBatch"),
        Fault::stall(3 * VISIBILITY).on("PutObject").after(100).times(2),
        Fault::late_answer(2 * VISIBILITY).on("PutObject").after(200).times(2),
        Fault::no_answer().on("PutObject").with_chance(0.01),
        Fault::no_answer().on("DeleteMessageBatch").with_chance(0.02),
    ];
    for fault in faults {
        cloud.fake.inject(fault);
    }
}

/// Sends so many messages; one that is refused with 503 is sent again. Answers the accepted ids.
async fn send(system: &System, messages: usize) -> BTreeSet<String> {
    let left = Arc::new(AtomicUsize::new(messages));
    let body = json!({ "data": email("chaos"), "token": STRONG_TOKEN });
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (request, left) = (system.post("ingest", "/api/message").json(&body), Arc::clone(&left));
        clients.spawn(async move {
            let mut accepted = Vec::new();
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                let id = loop {
                    let answer = Answer::of(request.try_clone().unwrap()).await;
                    match answer.status {
                        200 => break answer.json()["message_id"].as_str().unwrap().to_owned(),
                        503 => sleep(Duration::from_millis(5)).await,
                        _ => panic!("{answer:?}"),
                    }
                };
                accepted.push(id);
            }
            accepted
        });
    }
    let ids: Vec<_> = clients.join_all().await.concat();
    let accepted: BTreeSet<_> = ids.iter().cloned().collect();
    assert_eq!(accepted.len(), ids.len(), "an id was given twice");
    accepted
}

/// What is held by whoever was handed it.
fn in_flight(cloud: &Cloud) -> BTreeSet<String> {
    let held = cloud.fake.messages(QUEUE).into_iter().filter(|message| message.in_flight);
    held.map(|message| message.id).collect()
}

/// Stops the only archiver that there is while it holds messages, and says which.
async fn put_to_sleep(cloud: &Cloud, archiver: &System) -> BTreeSet<String> {
    let begun = Instant::now();
    loop {
        archiver.signal("STOP");
        // What it asked for before is answered meanwhile.
        sleep(Duration::from_millis(100)).await;
        let held = in_flight(cloud);
        if !held.is_empty() {
            return held;
        }
        archiver.signal("CONT");
        assert!(begun.elapsed() < PATIENCE, "it never holds anything");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Archivers die at random moments, and one sleeps through three of its leases; then it wakes.
async fn disturb(cloud: &Cloud, archiver: impl Fn() -> Launch, kills: usize) -> System {
    let (mut mortal, sleeper) = (archiver(), archiver().start().await);
    let held = put_to_sleep(cloud, &sleeper).await;
    let slept = Instant::now();
    for kill in 0..kills {
        let mut system = mortal.start().await;
        sleep(Duration::from_millis(u64::try_from(kill * 97 % 500).unwrap())).await;
        system.kill();
        mortal = system.launch.clone();
    }
    sleep((3 * VISIBILITY).saturating_sub(slept.elapsed())).await;
    // Others may have them by now, so that its receipts are stale: that is what it has to wake up to.
    let kept: Vec<_> = cloud.fake.messages(QUEUE).into_iter().filter(|message| held.contains(&message.id)).collect();
    assert!(kept.iter().all(|message| !message.in_flight || message.receive_count > 1), "held for ever: {kept:?}");
    // Where Linux tells: it slept all the time.
    if let Ok(state) = fs::read_to_string(format!("/proc/{}/stat", sleeper.pid())) {
        assert!(state.contains(") T "), "{state}");
    }
    sleeper.signal("CONT");
    sleeper
}

async fn survive(messages: usize, kills: usize, rollup: Option<&str>) {
    // More deliveries of one message than kills and faults can cause, and no more.
    let cloud = Cloud::with_max_receives(u64::try_from(kills).unwrap() + 20).await;
    misbehave(&cloud);
    let archiver = || {
        let archiver = cloud.serve(&["archiver"]);
        if let Some(rollup) = rollup { archiver.env("ARCHIVE_ROLLUP", rollup) } else { archiver }
    };
    let poison: Vec<_> = POISON.iter().map(|body| cloud.fake.send(QUEUE, body, &[])).collect();
    let ingest = cloud.serve(&["ingest"]).start().await;
    let (accepted, survivor) = tokio::join!(send(&ingest, messages), disturb(&cloud, &archiver, kills));
    let other = archiver().start().await;
    let begun = Instant::now();
    while cloud.fake.depth(QUEUE) > 0 {
        assert!(begun.elapsed() < PATIENCE, "left on the queue: {:?}", cloud.fake.messages(QUEUE));
        sleep(Duration::from_millis(50)).await;
    }
    drop((survivor, other));
    cloud.fake.heal_all();
    let shown = listed(&cloud.serve(&[]), &[]);
    let stored: BTreeSet<_> = shown.iter().cloned().collect();
    assert_eq!(shown.len(), stored.len(), "a message is shown twice");
    assert!(rollup.is_some() || stored == cloud.stored_ids(), "the archive shows something else");
    let lost: Vec<_> = accepted.difference(&stored).collect();
    let strange: Vec<_> = stored.difference(&accepted).collect();
    assert!(lost.is_empty() && strange.is_empty(), "lost {lost:?}, stored and not accepted {strange:?}");
    assert_eq!(stored.len(), messages);
    // One that was sent to the dead letters by an archiver that died before it could delete it came there again.
    let dead: BTreeSet<_> = cloud.dead_letters().into_iter().map(|letter| letter.body).collect();
    assert_eq!(dead, POISON.iter().map(|&body| body.to_owned()).collect(), "of {poison:?}");
    let reasons = cloud.dead_letters().into_iter().all(|it| it.attributes.contains_key("dead_letter_reason"));
    assert!(reasons, "a dead letter has no reason");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_accepted_message_is_stored_once_whatever_aws_does() {
    survive(1_000, 3, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_accepted_message_is_rolled_up_or_stored_whatever_aws_does() {
    survive(1_000, 3, Some("20KB,300ms")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the long run of `./test full`"]
async fn ten_thousand_messages_survive_twenty_kills() {
    survive(10_000, 20, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the long run of `./test full`"]
async fn ten_thousand_messages_survive_twenty_kills_in_roll_ups() {
    survive(10_000, 20, Some("1MB,1s")).await;
}
