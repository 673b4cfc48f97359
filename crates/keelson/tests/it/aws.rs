//! The system on AWS, which is an emulator here: objects on S3, the token in Parameter Store, no data folder, and
//! credentials that no log shows.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::emulators::{Guarded, fresh_name, json_request, ministack, moto, plain_request};
use crate::launch::{Launch, STRONG_TOKEN};
use crate::message::assert_refused;
use crate::system::{Answer, System, email, eventually, files};

const SECRET_KEY: &str = "emulated-secret-key-0123456789";
const SESSION_TOKEN: &str = "emulated-session-token-9876543210";

/// Credentials and endpoint as a task gets them.
fn on_aws(launch: Launch, url: &str) -> Launch {
    let launch = launch.env("AWS_ENDPOINT_URL", url).env("AWS_ACCESS_KEY_ID", "AKIDEMULATOR");
    launch.env("AWS_SECRET_ACCESS_KEY", SECRET_KEY).env("AWS_SESSION_TOKEN", SESSION_TOKEN)
}

/// Services in production, the token in Parameter Store.
fn serve(services: &[&str], url: &str) -> Launch {
    let launch = on_aws(Launch::new(&[&["serve"], services].concat()), url);
    let launch = launch.env("PRODUCTION", "true").env("KEELSON_HOST", "127.0.0.1").env("INTERNAL_PORT", "0");
    launch.env("SSM_PARAMETER_NAME", "/keelson/api_token").env("DRAIN_DELAY", "0s")
}

fn set_parameter(url: &str, value: &str) {
    let body = json!({ "Name": "/keelson/api_token", "Value": value, "Type": "SecureString", "Overwrite": true });
    let answer = json_request(url, "AmazonSSM.PutParameter", &body.to_string());
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

fn new_bucket(url: &str) -> String {
    let bucket = fresh_name("letters");
    let answer = plain_request(url, "PUT", &format!("/{bucket}"), "");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    bucket
}

/// The keys in a bucket, as its listing has them.
fn keys(url: &str, bucket: &str) -> Vec<String> {
    let listing = plain_request(url, "GET", &format!("/{bucket}?list-type=2"), "");
    let parts = listing.split("<Key>").skip(1).filter_map(|part| part.split_once("</Key>"));
    parts.map(|(key, _)| key.to_owned()).collect()
}

async fn post(system: &System, token: &str) -> Answer {
    let body = json!({ "data": email("aws"), "token": token });
    Answer::of(system.post("ingest", "/api/message").json(&body)).await
}

#[tokio::test]
async fn the_token_in_parameter_store_is_the_one_that_ingest_takes() {
    let Some(url) = moto() else { return };
    set_parameter(&url, STRONG_TOKEN);
    let system = serve(&["ingest"], &url).start().await;
    assert_eq!(post(&system, STRONG_TOKEN).await.status, 200);
    assert_refused(&post(&system, "wrong").await, 401, "Invalid token", "/api/message");
    let shown = Answer::of(system.get("ingest-internal", "/status")).await.json();
    assert_eq!(shown["configuration"]["SSM_PARAMETER_NAME"], "/keelson/api_token");
    assert_eq!(shown["configuration"]["AWS_ENDPOINT_URL"], url);
}

#[tokio::test]
async fn without_parameter_store_production_starts_and_answers_503_within_two_seconds() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let urls = [&silent, &gone].map(|listener| format!("http://{}", listener.local_addr().unwrap()));
    drop(gone);
    for url in urls {
        let system = serve(&["ingest"], &url).spawn().listening().await;
        // The one at start has just failed; this one asks again, since the source may be back.
        let begun = Instant::now();
        let answer = post(&system, STRONG_TOKEN).await;
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert_refused(&answer, 503, "Token validation unavailable", "/api/message");
        assert!(!answer.text.contains("127.0.0.1") && !answer.text.contains("ssm"), "the cause is told: {answer:?}");
    }
}

#[tokio::test]
async fn messages_become_objects_in_the_bucket_and_the_end_to_end_check_passes() {
    for url in [ministack(), moto()].into_iter().flatten() {
        let bucket = new_bucket(&url);
        let system = on_aws(Launch::up(), &url).env("S3_BUCKET_NAME", &bucket).start().await;
        let id = system.send(&email("to a bucket")).await;
        let name = format!("/{id}.json");
        let find = || keys(&url, &bucket).into_iter().find(|key| key.ends_with(&name));
        let key = eventually("the object is in the bucket", find).await;
        assert!(key.starts_with("messages/20"), "{key}");
        let stored = plain_request(&url, "GET", &format!("/{bucket}/{key}"), "");
        let stored: Value = serde_json::from_str(stored.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!((&stored["email_subject"], &stored["_metadata"]["message_id"]), (&json!("to a bucket"), &json!(id)));
        assert!(!system.data().join("objects").exists(), "objects on the disk");

        let check = system.launch.args(&["e2e"]).run();
        let said = String::from_utf8_lossy(&check.stdout);
        assert!(check.status.success() && said.contains("E2E TEST PASSED"), "{check:?}");
        assert_eq!(keys(&url, &bucket), [key], "the check cleans up");
    }
}

#[tokio::test]
async fn objects_are_encrypted_with_the_key_that_the_settings_name() {
    const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555";
    for url in [ministack(), moto()].into_iter().flatten() {
        let bucket = new_bucket(&url);
        let launch = on_aws(Launch::up(), &url).env("S3_BUCKET_NAME", &bucket);
        let system = launch.env("S3_ENCRYPTION", "aws:kms").env("S3_KMS_KEY_ID", KEY).start().await;
        system.send(&email("under a key of one's own")).await;
        let key = eventually("the object is in the bucket", || keys(&url, &bucket).pop()).await;
        let head = plain_request(&url, "HEAD", &format!("/{bucket}/{key}"), "").to_ascii_lowercase();
        assert!(head.contains("x-amz-server-side-encryption: aws:kms") && head.contains(KEY), "{head}");
    }
}

#[tokio::test]
async fn a_process_that_keeps_nothing_here_needs_no_data_folder() {
    let Some(url) = moto() else { return };
    set_parameter(&url, STRONG_TOKEN);
    let elsewhere = serve(&["ingest", "archiver"], &url).env("QUEUE_URL", "memory:");
    let elsewhere = elsewhere.env("S3_BUCKET_NAME", &new_bucket(&url)).env("KEELSON_DATA", "/proc/keelson");
    let system = elsewhere.start().await;
    assert_eq!(post(&system, STRONG_TOKEN).await.status, 200);
    let warned = || system.stdout().lines().find(|line| line.contains("other commands cannot find")).map(str::to_owned);
    assert!(eventually("the warning is logged", warned).await.contains("/proc/keelson"));

    let here = elsewhere.clone().unset("S3_BUCKET_NAME").run();
    assert_eq!(here.status.code(), Some(69), "{here:?}");
    let queue_here = elsewhere.unset("QUEUE_URL").run();
    assert_eq!(queue_here.status.code(), Some(69), "{queue_here:?}");
}

#[tokio::test]
async fn ingest_alone_opens_no_object_store() {
    let system = Launch::new(&["serve", "ingest"]).env("PRODUCTION", "true").env("KEELSON_HOST", "127.0.0.1");
    let system = system.env("INTERNAL_PORT", "0").env("API_TOKEN", STRONG_TOKEN).start().await;
    assert_eq!(post(&system, STRONG_TOKEN).await.status, 200);
    assert!(!system.data().join("objects").exists());
}

#[tokio::test]
async fn no_log_shows_credentials_however_much_is_logged() {
    let Some(url) = moto() else { return };
    set_parameter(&url, STRONG_TOKEN);
    let bucket = new_bucket(&url);
    let launch = serve(&["ingest", "archiver"], &url).env("S3_BUCKET_NAME", &bucket);
    let launch = launch.env("LOG_LEVEL", "DEBUG").env("LOG_FILTER", "trace");
    // With these the SDK does not redact what it traces.
    let launch = launch.env("LOG_SENSITIVE_BODIES", "true").env("LOG_SIGNABLE_BODY", "true");
    let logs = launch.path("logs");
    let mut system = launch.env("LOG_DIR", logs.to_str().unwrap()).spawn().listening().await;
    assert_eq!(post(&system, STRONG_TOKEN).await.status, 200);
    assert_eq!(post(&system, "wrong").await.status, 401);
    eventually("the object is in the bucket", || (!keys(&url, &bucket).is_empty()).then_some(())).await;
    assert!(system.stop().await.success());

    let mut written = vec![system.stdout(), system.stderr()];
    written.extend(files(&logs).iter().map(|path| fs::read_to_string(path).unwrap()));
    assert!(written.iter().any(|text| text.contains("hyper")), "third-party crates do not log");
    for text in written {
        for secret in [SECRET_KEY, SESSION_TOKEN, STRONG_TOKEN, "AWS4-HMAC-SHA256", "Signature="] {
            let line = text.lines().find(|line| line.to_ascii_lowercase().contains(&secret.to_ascii_lowercase()));
            assert!(line.is_none(), "{secret} is in {line:?}");
        }
    }
}

/// A queue with a dead-letter queue behind it; its URL.
fn new_queue(url: &str) -> String {
    let name = fresh_name("messages");
    let create = |body: Value| {
        let answer = json_request(url, "AmazonSQS.CreateQueue", &body.to_string());
        let found: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        found["QueueUrl"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    };
    let dead = create(json!({ "QueueName": format!("{name}-dead") }));
    let account = dead.rsplit('/').nth(1).unwrap().to_owned();
    let policy = json!({
        "deadLetterTargetArn": format!("arn:aws:sqs:us-east-1:{account}:{name}-dead"), "maxReceiveCount": 100,
    });
    create(json!({ "QueueName": name, "Attributes": { "RedrivePolicy": policy.to_string() } }))
}

/// Everything on an emulator.
fn whole(services: &[&str], url: &str, (queue, bucket): (&str, &str)) -> Launch {
    serve(services, url).env("SQS_QUEUE_URL", queue).env("S3_BUCKET_NAME", bucket)
}

#[tokio::test]
async fn the_whole_pipeline_passes_the_end_to_end_check_on_both_emulators() {
    for url in [ministack(), moto()].into_iter().flatten() {
        set_parameter(&url, STRONG_TOKEN);
        let (queue, bucket) = (new_queue(&url), new_bucket(&url));
        let system = whole(&["ingest", "archiver"], &url, (&queue, &bucket)).start().await;
        let check = system.launch.args(&["e2e"]).env("ALB_DNS", &system.address("ingest")).run();
        let said = String::from_utf8_lossy(&check.stdout);
        assert!(check.status.success() && said.contains("E2E TEST PASSED"), "{check:?}");
        assert!(keys(&url, &bucket).is_empty(), "the check cleans up");
    }
}

#[tokio::test]
async fn the_original_end_to_end_test_passes_with_the_client_that_it_used() {
    let Some(url) = ministack() else { return };
    set_parameter(&url, STRONG_TOKEN);
    let (queue, bucket) = (new_queue(&url), new_bucket(&url));
    let system = whole(&["ingest", "archiver"], &url, (&queue, &bucket)).start().await;
    let test = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = test.join("../../.tools/aws-venv/bin/python");
    let script = test.join("tests/it/seed_001.py");
    let run = on_aws(system.launch.args(&[script.to_str().unwrap()]).program(&[python.to_str().unwrap()]), &url);
    let run = run.env("ALB_DNS", &system.address("ingest")).env("API_TOKEN", STRONG_TOKEN);
    let outcome = run.env("S3_BUCKET_NAME", &bucket).env("AWS_DEFAULT_REGION", "us-east-1").run();
    assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
}

#[tokio::test]
async fn dead_letters_on_sqs_are_seen_and_redriven_when_nothing_runs() {
    let Some(url) = ministack() else { return };
    let (queue, bucket) = (new_queue(&url), new_bucket(&url));
    let poison = json!({ "QueueUrl": queue, "MessageBody": "not JSON" });
    json_request(&url, "AmazonSQS.SendMessage", &poison.to_string());
    let mut archiver = whole(&["archiver"], &url, (&queue, &bucket)).start().await;
    let gone = || archiver.stdout().contains("goes to the dead-letter queue").then_some(());
    eventually("the poison is dead", gone).await;
    assert!(archiver.stop().await.success());
    let dlq = |args: &[&str]| {
        let outcome = archiver.launch.args(&[&["dlq"], args].concat()).run();
        assert!(outcome.status.success(), "{outcome:?}");
        String::from_utf8(outcome.stdout).unwrap()
    };
    let list: Value = serde_json::from_str(&dlq(&["list", "--json"])).unwrap();
    assert_eq!((&list["count"], &list["dead_letters"][0]["receive_count"]), (&json!(1), &json!(1)), "{list}");
    assert!(list["dead_letters"][0]["reason"].as_str().unwrap().contains("JSON object"), "{list}");
    assert!(dlq(&["redrive", "--all"]).starts_with("1 dead letter"), "one goes back");
    assert!(dlq(&["list"]).contains("no dead letters"));
}

/// What ingest and the archiver may do, in the names of IAM. This emulator asks for the names of batches too.
const INGEST: &[&str] = &["sqs:SendMessage*", "ssm:GetParameter"];
const ARCHIVER: &[&str] = &[
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage*",
    "sqs:ChangeMessageVisibility*",
    "sqs:GetQueueAttributes",
    "sqs:SendMessage*",
    "s3:PutObject",
];

/// A system with these rights alone, on a queue that holds a message to store and one that is none.
async fn guarded(services: &[&str], actions: &[&str], bucket: Option<&str>) -> Option<(System, Guarded)> {
    let mut place = None;
    let guarded = Guarded::start(actions, |url| {
        set_parameter(url, STRONG_TOKEN);
        let queue = new_queue(url);
        for body in ["{}", "not JSON"] {
            json_request(url, "AmazonSQS.SendMessage", &json!({ "QueueUrl": queue, "MessageBody": body }).to_string());
        }
        place = Some((queue, new_bucket(url)));
    })?;
    let (queue, own) = place.unwrap();
    let launch = whole(services, &guarded.url(), (&queue, bucket.unwrap_or(&own))).unset("AWS_SESSION_TOKEN");
    let launch = launch.env("AWS_ACCESS_KEY_ID", &guarded.key_id).env("AWS_SECRET_ACCESS_KEY", &guarded.secret_key);
    Some((launch.env("VISIBILITY_TIMEOUT", "1s").spawn().listening().await, guarded))
}

#[tokio::test]
async fn ingest_needs_two_rights_and_names_the_one_that_is_missing() {
    let Some((system, _cloud)) = guarded(&["ingest"], INGEST, None).await else { return };
    // The emulator may think for longer about its first calls than ingest waits.
    let begun = Instant::now();
    while post(&system, STRONG_TOKEN).await.status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(20), "two rights are not enough");
    }
    assert_eq!(Answer::of(system.get("ingest", "/health/ready")).await.status, 200);
    for (missing, named) in [(0, "sqs:SendMessage"), (1, "ssm:GetParameter")] {
        let rest: Vec<_> =
            INGEST.iter().enumerate().filter(|(place, _)| *place != missing).map(|(_, it)| *it).collect();
        let Some((system, _cloud)) = guarded(&["ingest"], &rest, None).await else { return };
        assert_eq!(post(&system, STRONG_TOKEN).await.status, 503, "without {named}");
        eventually(named, || system.stdout().contains(named).then_some(())).await;
    }
}

#[tokio::test]
async fn the_archiver_needs_six_rights_and_names_the_one_that_is_missing() {
    let Some((system, _cloud)) = guarded(&["archiver"], ARCHIVER, None).await else { return };
    let done = || ["archived message", "goes to the dead-letter queue"].iter().all(|it| system.stdout().contains(it));
    eventually("both messages are worked on", || done().then_some(())).await;
    assert!(!system.stdout().contains("lack"), "a right is missing: {}", system.stdout());
    for (missing, right) in ARCHIVER.iter().enumerate() {
        let named = right.trim_end_matches('*');
        let rest: Vec<_> =
            ARCHIVER.iter().enumerate().filter(|(place, _)| *place != missing).map(|(_, it)| *it).collect();
        // A store that is down makes leases be extended.
        let bucket = (named == "sqs:ChangeMessageVisibility").then_some("no-such-bucket");
        let Some((system, _cloud)) = guarded(&["archiver"], &rest, bucket).await else { return };
        eventually(named, || system.stdout().contains(named).then_some(())).await;
    }
}
