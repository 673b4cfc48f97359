//! AWS that does not answer, or not these credentials.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::aws::{Fault, queue_arn};
use tokio::net::TcpListener;

use super::{Found, doctor, look, look_with};
use crate::cloud::{BUCKET, Cloud, PARAMETER, QUEUE};
use crate::emulators::{Guarded, json_request, plain_request};
use crate::launch::{Launch, STRONG_TOKEN};
use crate::system::eventually;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_credentials_that_alone_is_told() {
    let cloud = Cloud::start().await;
    let launch = doctor(&cloud, &["--json"]).unset("AWS_ACCESS_KEY_ID").unset("AWS_SECRET_ACCESS_KEY");
    let found = Found::of(&launch.env("HOME", "/nonexistent"));
    found.expect("credentials", "failed", "there are no AWS credentials", "AWS_PROFILE");
    found.expect_only(&["credentials"]);
    assert_eq!(cloud.fake.call_counts().total, 0);

    cloud.fake.inject(Fault::error(403, "InvalidClientTokenId"));
    let found = look(&cloud);
    for name in ["credentials", "queue", "bucket", "api_token"] {
        found.expect(name, "failed", "does not accept the credentials: InvalidClientTokenId", "credentials");
    }
}

/// What the services need is a failure; what doctor alone would like to know is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_action_is_named_with_the_statement_that_grants_it() {
    let cloud = Cloud::start().await;
    let denied = |action: &str| Fault::error(403, "AccessDenied").on(action);
    for action in ["GetBucketEncryption", "GetPublicAccessBlock"] {
        cloud.fake.inject(denied(action));
    }
    cloud.fake.inject(denied("GetQueueAttributes").on_resource(&format!("{QUEUE}-dlq")));
    let found = look(&cloud);
    found.expect_only(&[]);
    found.expect("bucket", "ok", "is there", "");
    let statement = |action: &str, arn: &str| format!(r#"{{"Effect":"Allow","Action":"{action}","Resource":"{arn}"}}"#);
    for (name, action, arn) in [
        ("encryption", "s3:GetEncryptionConfiguration", format!("arn:aws:s3:::{BUCKET}")),
        ("public_access", "s3:GetBucketPublicAccessBlock", format!("arn:aws:s3:::{BUCKET}")),
        ("dead_letters", "sqs:GetQueueAttributes", queue_arn(&format!("{QUEUE}-dlq"))),
    ] {
        found.expect(name, "not_checked", &format!("needs {action}"), &statement(action, &arn));
    }

    cloud.fake.heal_all();
    cloud.fake.inject(denied("GetQueueAttributes"));
    cloud.fake.inject(Fault::error(400, "AccessDeniedException").on("GetParameter"));
    let found = look(&cloud);
    let queue = statement("sqs:GetQueueAttributes", &queue_arn(QUEUE));
    found.expect("queue", "failed", "sqs:GetQueueAttributes on", &queue);
    let parameter = statement("ssm:GetParameter", &format!("arn:aws:ssm:us-east-1:*:parameter{PARAMETER}"));
    found.expect("api_token", "failed", "ssm:GetParameter on", &parameter);
    found.expect_only(&["queue", "api_token"]);

    let ingest = Found::of(&doctor(&cloud, &["ingest", "--json"]));
    ingest.expect("queue", "not_checked", "needs sqs:GetQueueAttributes", &queue);
    ingest.expect_only(&["api_token"]);
    assert!(ingest.checks().iter().all(|check| check["name"] != "bucket"), "ingest has no bucket: {ingest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_of_all_aws_ends_in_time_and_names_what_is_silent() {
    let cloud = Cloud::start().await;
    let gone = { TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap() };
    let begun = Instant::now();
    let found = look_with(&cloud, "AWS_ENDPOINT_URL", &format!("http://{gone}"));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    for name in ["queue", "bucket", "api_token"] {
        found.expect(name, "failed", "cannot be reached", "AWS_ENDPOINT_URL is");
    }
    found.expect("clock", "not_checked", "no answer", "");

    let stalled = cloud.fake.inject(Fault::stall(Duration::from_secs(600)));
    let begun = Instant::now();
    let found = look(&cloud);
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    for name in ["queue", "bucket", "api_token"] {
        found.expect(name, "failed", "did not answer in time", "AWS_ENDPOINT_URL is");
    }

    let asked = cloud.fake.struck(stalled);
    let mut waiting = doctor(&cloud, &[]).spawn();
    eventually("questions are asked", || (cloud.fake.struck(stalled) > asked).then_some(())).await;
    let begun = Instant::now();
    waiting.signal("INT");
    assert_eq!(waiting.ended().await.code(), Some(130));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

/// What the services need, in the names of IAM, and no more: the emulator checks policies and signatures.
#[tokio::test]
async fn the_rights_of_the_services_are_enough() {
    const RIGHTS: [&str; 3] = ["sqs:GetQueueAttributes", "ssm:GetParameter", "s3:PutObject"];
    for missing in [None, Some(0), Some(1)] {
        let rights: Vec<_> =
            RIGHTS.iter().enumerate().filter(|(at, _)| Some(*at) != missing).map(|(_, it)| *it).collect();
        let mut queue = String::new();
        let guarded = Guarded::start(&rights, |url| {
            plain_request(url, "PUT", "/letters", "");
            let parameter = json!({ "Name": "/token", "Value": STRONG_TOKEN, "Type": "SecureString" });
            json_request(url, "AmazonSSM.PutParameter", &parameter.to_string());
            json_request(url, "AmazonSQS.CreateQueue", r#"{"QueueName": "letters-dead"}"#);
            let policy =
                r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:letters-dead","maxReceiveCount":3}"#;
            let create = json!({ "QueueName": "letters", "Attributes": { "RedrivePolicy": policy } });
            let answer = json_request(url, "AmazonSQS.CreateQueue", &create.to_string());
            queue = serde_json::from_str::<Value>(answer.split_once("\r\n\r\n").unwrap().1).unwrap()["QueueUrl"]
                .as_str()
                .unwrap()
                .to_owned();
        });
        let Some(guarded) = guarded else { return };
        let launch =
            Launch::new(&["doctor", "--json"]).env("AWS_ENDPOINT_URL", &guarded.url()).env("PRODUCTION", "true");
        let launch = launch.env("AWS_ACCESS_KEY_ID", &guarded.key_id).env("AWS_SECRET_ACCESS_KEY", &guarded.secret_key);
        let launch = launch.env("SQS_QUEUE_URL", &queue).env("S3_BUCKET_NAME", "letters");
        let found = Found::of(&launch.env("SSM_PARAMETER_NAME", "/token"));
        found.expect("encryption", "not_checked", "needs s3:GetEncryptionConfiguration", "arn:aws:s3:::letters");
        found.expect("bucket", "ok", "is there", "");
        match missing {
            Some(0) => found.expect("queue", "failed", "sqs:GetQueueAttributes", "sqs:GetQueueAttributes"),
            Some(_) => {
                found.expect("api_token", "failed", "ssm:GetParameter", "arn:aws:ssm:us-east-1:*:parameter/token")
            }
            None => found.expect_only(&[]),
        }
    }
}
