//! What the inspector sees: on two emulators, with the rights that it needs and without, and where nothing answers right.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use backends::aws::inspect::{Inspector, Trouble};
use backends::aws::{Aws, AwsSettings};
use chassis::clock::SystemClock;
use secrecy::ExposeSecret;
use testkit::aws::{Fake, Fault};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::emulators::{Guarded, account, fresh_name, guarded_account, json_request, ministack, moto, plain_request};

const ENCRYPTION: &str = "<ServerSideEncryptionConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule>\
    <ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault>\
    </Rule></ServerSideEncryptionConfiguration>";
const THREE_BLOCKS: &str = "<PublicAccessBlockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
    <BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls>\
    <BlockPublicPolicy>false</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets>\
    </PublicAccessBlockConfiguration>";

async fn inspector(aws: &Arc<Aws>) -> Inspector {
    Inspector::open(aws, SystemClock::shared()).await.unwrap()
}

/// A queue with a dead-letter queue; both names begin so.
fn make_queues(url: &str, name: &str) -> String {
    json_request(url, "AmazonSQS.CreateQueue", &format!(r#"{{"QueueName": "{name}-dead"}}"#));
    let policy = |account: &str| {
        format!(r#"{{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:{account}:{name}-dead\",\"maxReceiveCount\":4}}"#)
    };
    let answer = json_request(url, "AmazonSQS.GetQueueUrl", &format!(r#"{{"QueueName": "{name}-dead"}}"#));
    let dead = answer.split('"').find(|part| part.ends_with("-dead")).unwrap();
    let account = dead.rsplit('/').nth(1).unwrap();
    let attributes = format!(r#"{{"VisibilityTimeout": "45", "RedrivePolicy": "{}"}}"#, policy(account));
    let create = format!(r#"{{"QueueName": "{name}", "Attributes": {attributes}}}"#);
    let made = json_request(url, "AmazonSQS.CreateQueue", &create);
    assert!(made.starts_with("HTTP/1.1 200"), "{made}");
    dead.trim_end_matches("-dead").to_owned()
}

#[tokio::test]
async fn both_emulators_tell_how_things_are_set_up() {
    for url in [ministack(), moto()].into_iter().flatten() {
        let (bucket, queue) = (fresh_name("letters"), fresh_name("letters"));
        let queue_url = make_queues(&url, &queue);
        plain_request(&url, "PUT", &format!("/{bucket}"), "");
        plain_request(&url, "PUT", &format!("/{bucket}?encryption"), ENCRYPTION);
        plain_request(&url, "PUT", &format!("/{bucket}?publicAccessBlock"), THREE_BLOCKS);
        let parameter = r#"{"Name": "/plain", "Value": "the-token", "Type": "String", "Overwrite": true}"#;
        json_request(&url, "AmazonSSM.PutParameter", parameter);

        let inspector = inspector(&account(&url)).await;
        inspector.find_credentials().await.unwrap();
        assert!(inspector.identity().await.unwrap().starts_with("arn:aws:"));
        let facts = inspector.queue(&queue_url).await.unwrap();
        assert!(facts.arn.ends_with(&format!(":{queue}")), "{facts:?}");
        assert_eq!((facts.visibility, facts.visible), (Some(Duration::from_secs(45)), 0));
        let redrive = facts.redrive.unwrap();
        assert_eq!(redrive.max_receive_count, Some(4));
        let dead = inspector.queue(&redrive.dead_letter_url).await.unwrap();
        assert_eq!((dead.arn, dead.redrive), (redrive.dead_letter_arn, None));

        let facts = inspector.bucket(&bucket).await;
        assert_eq!(facts.encryption, Ok(Some("aws:kms".into())));
        assert_eq!(facts.public_access.unwrap().off(), ["BlockPublicPolicy"]);
        assert_eq!(inspector.bucket("no-such-bucket").await.encryption, Err(Trouble::Missing));

        let secret = inspector.parameter("/plain").await.unwrap();
        assert_eq!((secret.value.unwrap().expose_secret(), secret.encrypted), ("the-token", false));
        assert_eq!(inspector.parameter("/none").await.unwrap_err(), Trouble::Missing);
        assert_eq!(inspector.secret("none").await.unwrap_err(), Trouble::Missing);
        assert!(inspector.clock_skew_seconds().unwrap().abs() < 30, "on one machine");
    }
}

/// The emulator checks signatures here. Its own names of what buckets are asked are others than those of AWS.
#[tokio::test]
async fn each_question_is_signed_and_names_the_action_that_it_needs() {
    let secret =
        r#"{"Name": "x", "SecretString": "the-token", "ClientRequestToken": "11111111-2222-3333-4444-555555555555"}"#;
    let prepare = |url: &str| {
        make_queues(url, "letters");
        plain_request(url, "PUT", "/letters", "");
        plain_request(url, "PUT", "/letters?encryption", ENCRYPTION);
        json_request(url, "AmazonSSM.PutParameter", r#"{"Name": "/x", "Value": "t", "Type": "SecureString"}"#);
        json_request(url, "secretsmanager.CreateSecret", secret);
    };
    let all = ["sqs:GetQueueAttributes", "s3:ListBucket", "ssm:GetParameter", "secretsmanager:GetSecretValue"];
    let queue = |guarded: &Guarded| format!("{}/123456789012/letters", guarded.url());

    let Some(guarded) = Guarded::start(&all, prepare) else { return };
    let allowed = inspector(&guarded_account(&guarded)).await;
    allowed.queue(&queue(&guarded)).await.unwrap();
    assert_eq!(allowed.bucket("letters").await.encryption, Ok(Some("aws:kms".into())));
    assert!(allowed.parameter("/x").await.unwrap().encrypted);
    assert_eq!(allowed.secret("x").await.unwrap().value.unwrap().expose_secret(), "the-token");

    let Some(guarded) = Guarded::start(&["s3:PutObject"], prepare) else { return };
    let denied = inspector(&guarded_account(&guarded)).await;
    let named = |action: &str| Trouble::Denied { action: action.to_owned() };
    assert_eq!(denied.queue(&queue(&guarded)).await.unwrap_err(), named("sqs:GetQueueAttributes"));
    let bucket = denied.bucket("letters").await;
    assert_eq!(bucket.encryption, Err(named("s3:GetEncryptionConfiguration")));
    assert_eq!(bucket.public_access, Err(named("s3:GetBucketPublicAccessBlock")));
    assert_eq!(denied.parameter("/x").await.unwrap_err(), named("ssm:GetParameter"));
    assert_eq!(denied.secret("x").await.unwrap_err(), named("secretsmanager:GetSecretValue"));

    let settings = guarded_account(&guarded).settings().clone();
    let forged = Credentials::new(&guarded.key_id, "another-key", None, None, "tests");
    let forged = inspector(&Aws::with_credentials(settings, SharedCredentialsProvider::new(forged))).await;
    let found = forged.bucket("letters").await.encryption;
    assert!(matches!(found, Err(Trouble::Credentials { .. })), "{found:?}");
}

#[tokio::test]
async fn credentials_that_no_header_can_have_are_no_panic() {
    let settings = AwsSettings { region: "us-east-1".into(), endpoint_url: Some("http://127.0.0.1:9".into()) };
    let broken = Credentials::new("key", "secret", Some("line\nbreak".into()), None, "tests");
    let inspector = inspector(&Aws::with_credentials(settings, SharedCredentialsProvider::new(broken))).await;
    assert!(matches!(inspector.bucket("letters").await.encryption, Err(Trouble::Credentials { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_and_throttling_are_bounded() {
    let fake = Fake::start().await;
    fake.create_bucket("letters");
    let url = fake.create_queue("letters");
    let inspector = inspector(&account(&fake.url())).await;
    assert_eq!(inspector.clock_skew_seconds(), None);
    fake.inject(Fault::throttle().on("GetQueueAttributes").times(1));
    inspector.queue(&url).await.unwrap();
    assert!(inspector.clock_skew_seconds().is_some(), "the SDK's answers have a date too");
    fake.inject(Fault::stall(Duration::from_secs(600)));
    let begun = Instant::now();
    let (queue, bucket, identity) =
        tokio::join!(inspector.queue(&url), inspector.bucket("letters"), inspector.identity());
    assert_eq!(
        (queue, bucket.encryption, identity),
        (Err(Trouble::TimedOut), Err(Trouble::TimedOut), Err(Trouble::TimedOut))
    );
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

/// The answer of S3 to whoever asks in the wrong region, an answer that is none, and one without an end.
#[tokio::test]
async fn odd_answers_are_understood_or_refused() {
    let elsewhere =
        "<Error><Code>AuthorizationHeaderMalformed</Code><Message>x</Message><Region>eu-west-1</Region></Error>";
    let huge = "x".repeat(1 << 20);
    let region = |region: &str| Trouble::Elsewhere { region: Some(region.to_owned()) };
    for (status, header, body, expected) in [
        ("400 Bad Request", "x: y", elsewhere, region("eu-west-1")),
        ("301 Moved", "x-amz-bucket-region: eu-west-3", "<html>", region("eu-west-3")),
        ("502 Bad Gateway", "x: y", "<html>", Trouble::Answered { status: 502, code: String::new() }),
        ("200 OK", "x: y", "<html></html>", Trouble::Unexpected("the answer of S3 is not understood".into())),
        ("200 OK", "x: y", &huge, Trouble::Unexpected("the answer of S3 broke off".into())),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer = format!(
            "HTTP/1.1 {status}\r\n{header}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _request = stream.read(&mut [0; 8192]).await;
                let _written = stream.write_all(answer.as_bytes()).await;
            }
        });
        let found = inspector(&account(&url)).await.bucket("letters").await.public_access;
        assert_eq!(found, Err(expected), "{status}");
    }
}
