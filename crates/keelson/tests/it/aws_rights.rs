//! Least privilege by resource: what each service needs, on what, is enough and none of it too much. The emulators know
//! actions alone (moto asks every policy about the resource `*`), so this is the fake, which follows policies.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::aws::{Fault, Outcome, queue_arn};

use crate::cloud::{BUCKET, Cloud, PARAMETER, QUEUE};
use crate::launch::STRONG_TOKEN;
use crate::system::{Answer, System, email, eventually};

/// What nobody can store.
const POISON: &str = "not JSON";

/// A right: an action, and the one resource that it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Right {
    action: &'static str,
    resource: String,
}

fn right(action: &'static str, resource: &str) -> Right {
    Right { action, resource: resource.to_owned() }
}

fn ingest_rights() -> Vec<Right> {
    vec![
        right("sqs:SendMessage", &queue_arn(QUEUE)),
        right("ssm:GetParameter", &format!("arn:aws:ssm:us-east-1:000000000000:parameter{PARAMETER}")),
    ]
}

fn archiver_rights() -> Vec<Right> {
    let on_queue = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
        .map(|action| right(action, &queue_arn(QUEUE)));
    let elsewhere = [
        right("sqs:SendMessage", &queue_arn(&format!("{QUEUE}-dlq"))),
        right("s3:PutObject", &format!("arn:aws:s3:::{BUCKET}/*")),
    ];
    [on_queue.to_vec(), elsewhere.to_vec()].concat()
}

fn policy(rights: &[Right]) -> Value {
    let allow = |right: &Right| json!({ "Effect": "Allow", "Action": right.action, "Resource": right.resource });
    json!({ "Version": "2012-10-17", "Statement": rights.iter().map(allow).collect::<Vec<_>>() })
}

/// Each right, and all the others.
fn each_missing(rights: &[Right]) -> Vec<(Right, Vec<Right>)> {
    let rest = |missing: &Right| rights.iter().filter(|right| *right != missing).cloned().collect();
    rights.iter().map(|missing| (missing.clone(), rest(missing))).collect()
}

/// What was refused for want of a right. How full a queue is may be asked in vain: it is not told then, and that is all.
fn refused(cloud: &Cloud, but_for: &str) -> Vec<(&'static str, String)> {
    let denied = |outcome: &Outcome| matches!(outcome, Outcome::Refused(_, code) if code.starts_with("AccessDenied"));
    let calls = cloud.fake.call_log().into_iter().filter(|call| denied(&call.outcome));
    let calls = calls.filter(|call| (call.action, call.resource.as_str()) != ("GetQueueAttributes", but_for));
    calls.map(|call| (call.action, call.resource)).collect()
}

/// A service on a cloud that allows these rights alone. The queue holds a message, and one that nobody can store.
async fn guarded(service: &str, rights: &[Right]) -> (Cloud, System) {
    let cloud = Cloud::start().await;
    for body in ["{}", POISON] {
        cloud.fake.send(QUEUE, body, &[]);
    }
    // The first write takes longer than a lease, which has to be extended then.
    cloud.fake.inject(Fault::stall(Duration::from_secs(3)).on("PutObject").times(1));
    cloud.fake.allow_only(&policy(rights));
    let system = cloud.serve(&[service]).spawn().listening().await;
    (cloud, system)
}

/// What is on the queue.
fn bodies(cloud: &Cloud) -> impl Iterator<Item = String> {
    cloud.fake.messages(QUEUE).into_iter().map(|message| message.body)
}

async fn post(system: &System) -> Answer {
    let body = json!({ "data": email("rights"), "token": STRONG_TOKEN });
    Answer::of(system.post("ingest", "/api/message").json(&body)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_rights_on_one_queue_and_one_parameter_are_enough_for_ingest_and_both_are_needed() {
    let (cloud, system) = guarded("ingest", &ingest_rights()).await;
    let begun = Instant::now();
    while post(&system).await.status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(10), "two rights are not enough");
    }
    assert_eq!(Answer::of(system.get("ingest", "/health/ready")).await.status, 200);
    assert_eq!(refused(&cloud, QUEUE), []);

    join_all(each_missing(&ingest_rights()).into_iter().map(|(missing, rest)| async move {
        let (_cloud, system) = guarded("ingest", &rest).await;
        let answer = post(&system).await;
        assert_eq!(answer.status, 503, "without {missing:?}");
        assert!(!answer.text.contains(missing.action), "the answer tells the cause: {answer:?}");
        eventually(missing.action, || system.stdout().contains(missing.action).then_some(())).await;
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_rights_are_enough_for_the_archiver_which_may_send_to_the_dead_letters_alone() {
    let (cloud, system) = guarded("archiver", &archiver_rights()).await;
    let begun = Instant::now();
    while cloud.fake.depth(QUEUE) > 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "left: {:?}", cloud.fake.messages(QUEUE));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((cloud.stored_ids().len(), cloud.dead_letters().len()), (1, 1));
    assert_eq!(Answer::of(system.get("archiver", "/health/ready")).await.status, 200);
    assert_eq!(refused(&cloud, &format!("{QUEUE}-dlq")), []);
    for right in archiver_rights() {
        let name = right.action.split_once(':').unwrap().1;
        let calls = cloud.fake.calls(name) + cloud.fake.calls(&format!("{name}Batch"));
        assert!(calls > 0, "{right:?} was not used, so nothing shows that it is enough");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_archiver_names_the_right_that_is_missing() {
    join_all(each_missing(&archiver_rights()).into_iter().map(|(missing, rest)| async move {
        let (cloud, system) = guarded("archiver", &rest).await;
        eventually(missing.action, || system.stdout().contains(missing.action).then_some(())).await;
        let message = cloud.stored_ids().len() + bodies(&cloud).filter(|body| body == "{}").count();
        let poison = cloud.dead_letters().len() + bodies(&cloud).filter(|body| body == POISON).count();
        assert!(message > 0 && poison > 0, "without {missing:?} something is lost");
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_to_send_to_the_queue_itself_is_none_to_send_to_the_dead_letters() {
    let mut rights = archiver_rights();
    for right in rights.iter_mut().filter(|right| right.action == "sqs:SendMessage") {
        right.resource = queue_arn(QUEUE);
    }
    let (cloud, system) = guarded("archiver", &rights).await;
    let named = |line: &str| line.contains("sqs:SendMessage") && line.contains("dead-letter queue");
    eventually("the queue is named", || system.stdout().lines().any(named).then_some(())).await;
    assert!(bodies(&cloud).any(|body| body == POISON), "the poison is lost");
    assert!(cloud.dead_letters().is_empty());
}
