//! The pipeline on AWS, by configuration alone: what it costs, what it says when something is down, what it never tells.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::aws::{Fault, FaultId, Service};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::cloud::{BUCKET, Cloud, QUEUE};
use crate::launch::{Launch, STRONG_TOKEN};
use crate::system::{Answer, System, email, eventually};

async fn post(system: &System, token: &str) -> Answer {
    let body = json!({ "data": email("on AWS"), "token": token });
    Answer::of(system.post("ingest", "/api/message").json(&body)).await
}

/// Clients that send at once.
const CLIENTS: usize = 100;

/// So many messages, all accepted.
pub(crate) async fn send_many(system: &System, messages: usize) {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let body = json!({ "data": email("on AWS"), "token": STRONG_TOKEN });
        let request = system.post("ingest", "/api/message").json(&body);
        clients.spawn(async move {
            for _ in (client..messages).step_by(CLIENTS) {
                assert_eq!(Answer::of(request.try_clone().unwrap()).await.status, 200);
            }
        });
    }
    clients.join_all().await;
}

pub(crate) async fn until_empty(cloud: &Cloud) {
    let begun = Instant::now();
    while cloud.fake.depth(QUEUE) > 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "the queue is not emptied");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_becomes_an_encrypted_object_without_the_token() {
    let cloud = Cloud::start().await;
    let system = cloud.serve(&["ingest", "archiver"]).start().await;
    let answer = post(&system, STRONG_TOKEN).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    until_empty(&cloud).await;
    let id = answer.json()["message_id"].as_str().unwrap().to_owned();
    let objects = cloud.fake.objects(BUCKET);
    let (key, object) = objects.first_key_value().unwrap();
    assert!(key.starts_with("messages/") && key.ends_with(&format!("/{id}.json")), "{key}");
    assert_eq!(object.headers.get("x-amz-server-side-encryption").map(String::as_str), Some("AES256"));
    assert_eq!(object.headers.get("content-type").map(String::as_str), Some("application/json"));
    let stored = String::from_utf8(object.body.to_vec()).unwrap();
    assert!(!stored.contains(STRONG_TOKEN), "the token is in the bucket");
    assert_eq!(post(&system, "wrong").await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_ones_own_is_asked_for_with_every_object() {
    const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555";
    for key in [Some(KEY), None] {
        let cloud = Cloud::start().await;
        let launch = cloud.serve(&["ingest", "archiver"]).env("S3_ENCRYPTION", "aws:kms");
        let launch = key.into_iter().fold(launch, |launch, key| launch.env("S3_KMS_KEY_ID", key));
        let system = launch.start().await;
        assert_eq!(post(&system, STRONG_TOKEN).await.status, 200);
        until_empty(&cloud).await;
        let objects = cloud.fake.objects(BUCKET);
        let (_, object) = objects.first_key_value().unwrap();
        let header = |name: &str| object.headers.get(name).map(String::as_str);
        assert_eq!(header("x-amz-server-side-encryption"), Some("aws:kms"));
        assert_eq!(header("x-amz-server-side-encryption-aws-kms-key-id"), key);
    }
}

/// 1,000 messages under load: 110 calls of SQS to accept them, 1,310 of all kinds with everything that archives them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_few() {
    const MESSAGES: usize = 2_000;
    let cloud = Cloud::start().await;
    let ingest = cloud.serve(&["ingest"]).start().await;
    post(&ingest, STRONG_TOKEN).await;
    cloud.fake.reset_calls();
    send_many(&ingest, MESSAGES).await;
    let sends = cloud.fake.calls_to(Service::Sqs);
    let thousands = MESSAGES as u64 / 1_000;
    assert!(sends <= 110 * thousands, "{sends} calls of SQS for {MESSAGES} messages");
    let archiver = cloud.serve(&["archiver"]).env("VISIBILITY_TIMEOUT", "30s").start().await;
    until_empty(&cloud).await;
    let counts = cloud.fake.call_counts();
    let all: u64 = counts.by_service.values().sum();
    assert!(all <= 1_310 * thousands, "{all} calls for {MESSAGES} messages: {counts:?}");
    drop(archiver);
    assert_eq!(cloud.stored_ids().len(), MESSAGES + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_archiver_polls_for_as_long_as_it_can() {
    let cloud = Cloud::start().await;
    let _archiver = cloud.serve(&["archiver"]).start().await;
    sleep(Duration::from_millis(500)).await;
    let ended = || cloud.fake.call_log().iter().filter(|call| call.action == "ReceiveMessage").count();
    cloud.fake.advance(Duration::from_secs(18));
    sleep(Duration::from_millis(500)).await;
    assert_eq!(ended(), 0, "a poll that is paid for lasts 20 s");
    cloud.fake.advance(Duration::from_secs(3));
    eventually("the next poll", || (ended() == 1).then_some(())).await;
}

/// Nobody knows whether SQS took what it did not answer, and another try would send it twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_whose_answer_is_lost_is_not_repeated() {
    let cloud = Cloud::start().await;
    let ingest = cloud.serve(&["ingest"]).start().await;
    for lost in [Fault::no_answer(), Fault::late_answer(Duration::from_secs(3))] {
        let before = cloud.fake.depth(QUEUE);
        cloud.fake.inject(lost.on("SendMessageBatch").times(1));
        assert_eq!(post(&ingest, STRONG_TOKEN).await.status, 503);
        assert_eq!(cloud.fake.depth(QUEUE), before + 1);
    }
    let before = cloud.fake.depth(QUEUE);
    cloud.fake.inject(Fault::throttle().on("SendMessageBatch").times(2));
    assert_eq!(post(&ingest, STRONG_TOKEN).await.status, 200, "who is throttled tries again");
    assert_eq!(cloud.fake.depth(QUEUE), before + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_that_is_redriven_under_an_archiver_is_dead_again_and_not_lost() {
    let cloud = Cloud::start().await;
    let poison: Vec<_> = (0..25).map(|number| cloud.fake.send(QUEUE, &format!("poison {number}"), &[])).collect();
    let archiver = cloud.serve(&["archiver"]).start().await;
    let dead = || (cloud.dead_letters().len() >= poison.len() && cloud.fake.depth(QUEUE) == 0).then_some(());
    eventually("all are dead", dead).await;
    let redrive = archiver.launch.args(&["dlq", "redrive", "--all"]).run();
    assert!(redrive.status.success(), "{redrive:?}");
    eventually("the queue is empty", || (cloud.fake.depth(QUEUE) == 0).then_some(())).await;
    let bodies: BTreeSet<_> = cloud.dead_letters().into_iter().map(|letter| letter.body).collect();
    assert_eq!(bodies.len(), poison.len(), "lost: {bodies:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqs_down_is_503_in_time_and_heals_at_once() {
    let cloud = Cloud::start().await;
    let ingest = cloud.serve(&["ingest"]).start().await;
    assert_eq!(post(&ingest, STRONG_TOKEN).await.status, 200);
    let stall = Fault::stall(Duration::from_secs(60)).on_service(Service::Sqs);
    for fault in [stall, Fault::drop_connection().on_service(Service::Sqs)] {
        let down: FaultId = cloud.fake.inject(fault);
        let begun = Instant::now();
        let answer = post(&ingest, STRONG_TOKEN).await;
        assert_eq!((answer.status, &answer.json()["detail"]), (503, &json!("Failed to send message")), "{answer:?}");
        assert!(!answer.header("retry-after").is_empty(), "{answer:?}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        cloud.fake.heal(down);
        let begun = Instant::now();
        while post(&ingest, STRONG_TOKEN).await.status != 200 {
            assert!(begun.elapsed() < Duration::from_secs(2), "still down");
        }
    }
    assert!(cloud.fake.messages(QUEUE).iter().all(|message| !message.body.contains(STRONG_TOKEN)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parameter_store_that_is_down_is_no_wrong_token() {
    let cloud = Cloud::start().await;
    cloud.fake.inject(Fault::stall(Duration::from_secs(60)).on_service(Service::Ssm));
    let ingest = cloud.serve(&["ingest"]).spawn().listening().await;
    let begun = Instant::now();
    let answer = post(&ingest, STRONG_TOKEN).await;
    assert_eq!((answer.status, &answer.json()["detail"]), (503, &json!("Token validation unavailable")));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e2e_passes_against_a_load_balancers_address() {
    let cloud = Cloud::start().await;
    let system = cloud.serve(&["ingest", "archiver"]).start().await;
    let told = |launch: Launch| launch.env("ALB_DNS", &system.address("ingest")).env("API_TOKEN", STRONG_TOKEN);
    let outcome = told(cloud.serve(&[]).args(&["e2e"])).unset("SSM_PARAMETER_NAME").unset("SQS_QUEUE_URL").run();
    let text = String::from_utf8(outcome.stdout).unwrap();
    assert_eq!(outcome.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&outcome.stderr));
    assert!(text.contains("E2E TEST PASSED"), "{text}");
    assert!(cloud.fake.objects(BUCKET).is_empty(), "the test file stays");
    let real = told(cloud.serve(&[]).args(&["e2e"])).unset("SSM_PARAMETER_NAME").unset("AWS_ENDPOINT_URL").run();
    let text = String::from_utf8(real.stderr).unwrap();
    assert_eq!(real.status.code(), Some(64), "{text}");
    assert!(text.contains("--yes"), "real AWS is not asked for: {text}");
}
