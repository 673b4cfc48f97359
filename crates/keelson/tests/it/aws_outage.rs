//! AWS that cannot be reached, in each way in which a network fails, between the real binary and the fake.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::aws::{Fault, Service};
use testkit::proxy::Proxy;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::cloud::{Cloud, QUEUE};
use crate::launch::STRONG_TOKEN;
use crate::system::{Answer, System, email};

/// Clients at once.
const CROWD: usize = 50;
/// Longer than an answer takes.
const PATIENCE: Duration = Duration::from_secs(20);
/// Crowds that come until memory has its size: for longer than ingest has a message in hand.
const CROWDS_BEFORE: usize = 25;
/// Longer than ingest has a message in hand, whether anybody waits for it or not.
const IN_HAND: Duration = Duration::from_secs(5);

/// A way to lose a queue, and the load to survive it under.
struct Outage {
    begin: fn(&Proxy),
    /// How long clients wait.
    patience: Duration,
    message_bytes: usize,
    /// Crowds that come from then on.
    crowds: usize,
}

impl Outage {
    /// Whoever asks learns it at once, so all wait.
    fn told(begin: fn(&Proxy)) -> Self {
        // To sign a message costs far more than to refuse it.
        Self { begin, patience: PATIENCE, message_bytes: 16 * 1024, crowds: 20 }
    }

    /// Nobody answers, and clients leave before the service gives up.
    fn silent(begin: fn(&Proxy)) -> Self {
        Self { begin, patience: Duration::from_millis(300), message_bytes: 32 * 1024, crowds: 30 }
    }
}

/// What a crowd was answered, and how long each answer took. Those that left have none.
async fn crowd(system: &System, message_bytes: usize, patience: Duration) -> Vec<(Duration, Answer)> {
    let mut data = email("an outage");
    data["email_content"] = "x".repeat(message_bytes).into();
    let body = json!({ "data": data, "token": STRONG_TOKEN }).to_string();
    let mut clients = JoinSet::new();
    for _ in 0..CROWD {
        let request = system.post("ingest", "/api/message").header("content-type", "application/json");
        let request = request.body(body.clone()).timeout(patience);
        clients.spawn(async move {
            let begun = Instant::now();
            Answer::try_of(request).await.ok().map(|answer| (begun.elapsed(), answer))
        });
    }
    clients.join_all().await.into_iter().flatten().collect()
}

/// All were refused in time. Some may have met the load instead of the outage, on a machine that does other things too.
fn assert_down(answers: &[(Duration, Answer)]) {
    assert_eq!(answers.len(), CROWD);
    for (took, answer) in answers {
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(!answer.header("retry-after").is_empty(), "{answer:?}");
        assert!(*took < Duration::from_secs(5), "{took:?}");
    }
    let failed = answers.iter().filter(|(_, answer)| answer.json()["detail"] == "Failed to send message").count();
    assert!(failed >= CROWD / 5, "only {failed} of {CROWD} met the outage");
}

/// Bytes of a process in memory, where Linux tells.
fn resident(system: &System) -> Option<usize> {
    let status = fs::read_to_string(format!("/proc/{}/status", system.pid())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024)
}

/// The status of one message; none when it was waited for in vain.
async fn post(system: &System) -> Option<u16> {
    let body = json!({ "data": email("again"), "token": STRONG_TOKEN });
    let answer = Answer::try_of(system.post("ingest", "/api/message").json(&body)).await;
    answer.ok().map(|answer| answer.status)
}

/// Until what those have left behind who did not wait is worked off: how long that takes is the machine's affair.
async fn settle(ingest: &System) {
    let begun = Instant::now();
    loop {
        let asked = Instant::now();
        if post(ingest).await == Some(503) && asked.elapsed() < Duration::from_secs(4) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "answers take ever longer");
    }
}

/// The queue is gone, thousands of requests come, and the queue is back.
async fn survive(outage: Outage) {
    let Outage { begin, patience, message_bytes, crowds } = outage;
    let cloud = Cloud::start().await;
    let proxy = Proxy::start(cloud.fake.address()).unwrap();
    let ingest = cloud.serve_through(&["ingest"], &proxy).start().await;
    crowd(&ingest, message_bytes, PATIENCE).await;
    begin(&proxy);
    assert_down(&crowd(&ingest, message_bytes, PATIENCE).await);
    let mut memory = Vec::new();
    for crowds in [CROWDS_BEFORE, crowds] {
        for _ in 0..crowds {
            crowd(&ingest, message_bytes, patience).await;
        }
        // What is in hand at one time is bounded by other means, and varies: this is what stays.
        sleep(if patience < IN_HAND { IN_HAND } else { Duration::ZERO }).await;
        settle(&ingest).await;
        memory.extend(resident(&ingest));
    }
    // What the allocator has once had it keeps for a while: a part of what comes may stay behind, and a leak is all of it.
    let may_grow = crowds * CROWD * message_bytes * 3 / 4;
    if let [before, after] = memory[..] {
        assert!(after < before + may_grow, "{before} bytes have become {after}, {may_grow} more are allowed");
    }

    let sent = cloud.fake.depth(QUEUE);
    proxy.heal();
    let healed = Instant::now();
    while post(&ingest).await != Some(200) {
        assert!(healed.elapsed() < Duration::from_secs(2), "still down after {:?}", healed.elapsed());
    }
    assert!(healed.elapsed() < Duration::from_secs(2), "up after {:?}", healed.elapsed());
    assert!(cloud.fake.depth(QUEUE) > sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_refuses_connections_is_survived() {
    survive(Outage::told(Proxy::cut)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_whose_answers_break_off_is_survived() {
    survive(Outage::told(Proxy::cut_answers)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_behind_a_line_that_swallows_everything_is_survived() {
    survive(Outage::silent(Proxy::half_open)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_behind_a_line_that_stands_still_is_survived() {
    survive(Outage::silent(Proxy::freeze)).await;
}

/// `VISIBILITY_TIMEOUT` of the archivers, and how many of them S3 is away for.
const VISIBILITY: Duration = Duration::from_secs(1);
const PERIODS: u32 = 20;
/// More than an archiver works on at once.
const MESSAGES: usize = 128;
/// Deliveries after which the queue gives a message up: far fewer than there are periods.
const MAX_RECEIVES: u64 = 6;

/// How S3 is away.
enum Away {
    /// In its own way.
    Fault(Fault),
    /// With all of AWS, behind a line that is broken so.
    Line(fn(&Proxy)),
}

async fn outlast(away: Away) {
    let cloud = Cloud::with_max_receives(MAX_RECEIVES).await;
    let proxy = Proxy::start(cloud.fake.address()).unwrap();
    let mut sent: Vec<_> = (0..MESSAGES).map(|_| cloud.fake.send(QUEUE, "{}", &[])).collect();
    let s3 = |effect: Fault| effect.on_service(Service::S3);
    // Until the line breaks, each archiver holds what it was handed.
    let fault = cloud.fake.inject(match &away {
        Away::Fault(fault) => s3(fault.clone()),
        Away::Line(_) => s3(Fault::stall(Duration::from_secs(60))),
    });
    let archiver = cloud.serve_through(&["archiver"], &proxy).env("VISIBILITY_TIMEOUT", "1s").spawn();
    let archiver = archiver.listening().await;
    let begun = Instant::now();
    while !cloud.fake.messages(QUEUE).iter().any(|message| message.in_flight) {
        assert!(begun.elapsed() < Duration::from_secs(10), "nothing was received");
        sleep(Duration::from_millis(10)).await;
    }
    if let Away::Line(break_line) = away {
        break_line(&proxy);
    }
    sleep(PERIODS * VISIBILITY).await;
    assert_eq!(cloud.dead_letters(), []);
    assert_eq!(cloud.fake.depth(QUEUE), MESSAGES, "a message is gone");
    cloud.fake.heal(fault);
    proxy.heal();
    let healed = Instant::now();
    while cloud.fake.depth(QUEUE) > 0 {
        assert!(healed.elapsed() < Duration::from_secs(30), "the queue is not emptied");
        sleep(Duration::from_millis(20)).await;
    }
    drop(archiver);
    sent.sort();
    assert_eq!(cloud.stored_ids().into_iter().collect::<Vec<_>>(), sent);
    assert_eq!(cloud.dead_letters(), []);
}

/// Healthy messages outlast it in each of these ways; they are tried at once, since each takes as long as the outage.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_away_for_twenty_visibility_periods_kills_no_message() {
    tokio::join!(
        outlast(Away::Fault(Fault::error(503, "ServiceUnavailable"))),
        outlast(Away::Fault(Fault::drop_connection())),
        outlast(Away::Fault(Fault::stall(Duration::from_secs(60)))),
        outlast(Away::Line(Proxy::half_open)),
        outlast(Away::Line(Proxy::cut)),
    );
}
