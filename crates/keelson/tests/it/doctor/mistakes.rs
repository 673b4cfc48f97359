//! Each mistake in what is set up: its line, its fix, its exit code.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::aws::{Fault, Service, queue_arn};

use super::{Found, doctor, look, look_with};
use crate::cloud::{BUCKET, Cloud, QUEUE};
use crate::emulators::{json_request, plain_request};
use crate::launch::STRONG_TOKEN;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mistake_of_a_queue_has_its_line_and_its_fix() {
    let cloud = Cloud::start().await;
    let url = |name: &str| cloud.fake.create_queue(name);
    let found = look_with(&cloud, "SQS_QUEUE_URL", &format!("{}-not", url("x")));
    found.expect("queue", "failed", "the queue x-not does not exist", "SQS_QUEUE_URL");
    found.expect("dead_letters", "not_checked", "does not tell", "");
    found.expect_only(&["queue"]);

    let policy = json!({ "deadLetterTargetArn": queue_arn("gone"), "maxReceiveCount": 5 }).to_string();
    let orphan = cloud.fake.create_queue_with("orphan", &[("RedrivePolicy", &policy)]);
    let found = look_with(&cloud, "SQS_QUEUE_URL", &orphan);
    found.expect("dead_letters", "failed", "gone, which does not exist", "aws sqs create-queue --queue-name gone ");
    found.expect_only(&["dead_letters"]);

    let hasty = cloud.fake.create_queue_with_dead_letters("hasty", 30, 1);
    let found = look_with(&cloud, "SQS_QUEUE_URL", &hasty);
    found.expect("dead_letters", "failed", "maxReceiveCount is 1: one crash", "set-queue-attributes");
    found.expect_only(&["dead_letters"]);

    cloud.fake.send(&format!("{QUEUE}-dlq"), "[]", &[]);
    let found = look(&cloud);
    found.expect("dead_letters", "warning", "1 there", "keelson dlq list");
    assert_eq!(found.code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fix_of_a_missing_redrive_policy_gives_the_queue_one() {
    let cloud = Cloud::start().await;
    let bare = cloud.fake.create_queue("bare");
    let found = look_with(&cloud, "SQS_QUEUE_URL", &bare);
    found.expect("dead_letters", "failed", "no redrive policy", "aws sqs create-queue --queue-name bare-dlq ");
    found.expect_only(&["dead_letters"]);

    let fix = found.check("dead_letters")["fix"][1].as_str().unwrap();
    assert!(fix.starts_with(&format!("aws sqs set-queue-attributes --queue-url {bare} ")), "{fix}");
    let attributes = fix.split('\'').nth(1).unwrap();
    let attributes: Value = serde_json::from_str(attributes).unwrap();
    cloud.fake.create_queue("bare-dlq");
    let body = json!({ "QueueUrl": bare, "Attributes": attributes }).to_string();
    let answer = json_request(&cloud.fake.url(), "AmazonSQS.SetQueueAttributes", &body);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mended = look_with(&cloud, "SQS_QUEUE_URL", &bare);
    mended.expect("dead_letters", "ok", "after 3 deliveries", "");
    mended.expect_only(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mistake_of_a_bucket_has_its_line_and_its_fix() {
    let cloud = Cloud::start().await;
    cloud.fake.configure_bucket(BUCKET, None, Some(true));
    let found = look(&cloud);
    found.expect("encryption", "warning", "encrypts nothing by itself", "aws s3api put-bucket-encryption");
    found.expect_only(&["encryption"]);

    cloud.fake.configure_bucket(BUCKET, Some("aws:kms"), None);
    let found = look(&cloud);
    found.expect("encryption", "ok", "aws:kms", "");
    found.expect("public_access", "failed", "RestrictPublicBuckets", "aws s3api put-public-access-block");
    found.expect_only(&["public_access"]);

    let three = "<PublicAccessBlockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><BlockPublicAcls>true\
        </BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>false</BlockPublicPolicy>\
        <RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>";
    plain_request(&cloud.fake.url(), "PUT", &format!("/{BUCKET}?publicAccessBlock"), three);
    look(&cloud).expect("public_access", "failed", "BlockPublicPolicy of the bucket", "BlockPublicPolicy=true");

    let elsewhere = cloud.fake.inject(Fault::error(301, "PermanentRedirect").on_service(Service::S3));
    let found = look(&cloud);
    found.expect("bucket", "failed", "in another region", "AWS_REGION");
    found.expect_only(&["bucket"]);
    cloud.fake.heal(elsewhere);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mistake_of_the_token_has_its_line_and_its_fix() {
    let cloud = Cloud::start().await;
    let put = |name: &str, value: &str, kind: &str| {
        let body = json!({ "Name": name, "Value": value, "Type": kind, "Overwrite": true }).to_string();
        json_request(&cloud.fake.url(), "AmazonSSM.PutParameter", &body);
    };
    put("/plain", STRONG_TOKEN, "String");
    put("/blank", "\n", "SecureString");
    put("/weak", "short", "SecureString");
    for (name, text, fix) in [
        ("/none", "does not exist", "aws ssm put-parameter --name /none --type SecureString"),
        ("/plain", "a plain parameter", "--name /plain-secure --type SecureString"),
        ("/blank", "no secret under", "put the token there"),
        ("/weak", "production takes no such token", "at least 32 bytes"),
    ] {
        let found = look_with(&cloud, "SSM_PARAMETER_NAME", name);
        found.expect("api_token", "failed", text, fix);
        found.expect_only(&["api_token"]);
    }

    cloud.fake.set_secret("keelson", &json!({ "token": STRONG_TOKEN }).to_string());
    look_with(&cloud, "API_TOKEN", "secretsmanager:keelson#token").expect("api_token", "ok", "is readable", "");
    for (token, text, fix) in [
        ("secretsmanager:keelson#other", "no field `other`", "as text"),
        ("secretsmanager:none", "does not exist", "aws secretsmanager create-secret --name none "),
        ("file:/nowhere/token", "no secret under `/nowhere/token`", "put the token there"),
        ("env:NO_SUCH_TOKEN", "no secret under `NO_SUCH_TOKEN`", "put the token there"),
        ("arn:aws:ssm:us-east-1:1:parameter/x", "is an ARN", "`ssm:`"),
        ("short", "production takes no such token", "at least 32 bytes"),
    ] {
        let found = look_with(&cloud, "API_TOKEN", token);
        found.expect("api_token", "failed", text, fix);
        found.expect_only(&["api_token"]);
    }
    look_with(&cloud, "API_TOKEN", STRONG_TOKEN).expect("api_token", "ok", "set as itself", "");
    let unset = doctor(&cloud, &["--json"]).unset("SSM_PARAMETER_NAME");
    Found::of(&unset).expect("api_token", "failed", "API_TOKEN is not set", "API_TOKEN=ssm:");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_off_is_told_before_aws_refuses() {
    let cloud = Cloud::start().await;
    cloud.fake.advance(Duration::from_secs(2 * 60));
    let found = look(&cloud);
    found.expect("clock", "warning", "behind AWS", "time server");
    found.expect_only(&["clock"]);
    cloud.fake.advance(Duration::from_secs(4 * 60 + 10));
    let found = look(&cloud);
    found.expect("clock", "failed", "6m", "time server");
    found.expect_only(&["clock"]);
}
