//! What a policy allows and refuses, by action and by resource.

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use serde_json::{Value, json};
use testkit::aws::{Fake, Outcome, queue_arn};

use crate::clients::{code, config, send, sqs};

fn policy(statements: &Value) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements })
}

#[tokio::test]
async fn sending_to_one_queue_is_no_right_to_send_to_another() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let [mine, theirs] = ["mine", "theirs"].map(|name| fake.create_queue(name));
    fake.allow_only(&policy(&json!({ "Effect": "Allow", "Action": "sqs:SendMessage", "Resource": queue_arn("mine") })));
    send(&client, &mine, "single").await;
    // Policies have no name for batches.
    let entry = SendMessageBatchRequestEntry::builder().id("0").message_body("batch").build().unwrap();
    client.send_message_batch().queue_url(&mine).entries(entry).send().await.unwrap();
    let refused = client.send_message().queue_url(&theirs).message_body("x").send().await.unwrap_err();
    assert_eq!(code(&refused), "AccessDenied");
    let text = refused.message().unwrap();
    assert!(text.contains("sqs:sendmessage") && text.contains(&queue_arn("theirs")), "{text}");
    assert_eq!(code(&client.receive_message().queue_url(&mine).send().await.unwrap_err()), "AccessDenied");
    assert_eq!((fake.depth("mine"), fake.depth("theirs")), (2, 0));
    assert_eq!(fake.call_log().pop().unwrap().outcome, Outcome::Refused(403, "AccessDenied".to_owned()));

    fake.allow_all();
    send(&client, &theirs, "now").await;
}

#[tokio::test]
async fn parameters_secrets_and_objects_are_allowed_by_their_arns() {
    let fake = Fake::start().await;
    let config = config(&fake.url()).await;
    let (ssm, secrets) = (aws_sdk_ssm::Client::new(&config), aws_sdk_secretsmanager::Client::new(&config));
    fake.set_parameter("/app/token", "one");
    fake.set_parameter("/other/token", "two");
    let arn = fake.set_secret("key", "three");
    fake.allow_only(&policy(&json!([
        { "Sid": "Token", "Effect": "Allow", "Action": ["ssm:get*"],
          "Resource": "arn:aws:ssm:us-east-1:000000000000:parameter/app/*" },
        { "Effect": "Allow", "Action": "secretsmanager:GetSecretValue",
          "Resource": ["arn:aws:secretsmanager:us-east-1:000000000000:secret:key-??????"] },
    ])));
    ssm.get_parameter().name("/app/token").send().await.unwrap();
    let refused = ssm.get_parameter().name("/other/token").send().await.unwrap_err();
    assert_eq!(code(&refused), "AccessDeniedException");
    assert!(refused.message().unwrap().contains("ssm:GetParameter on resource: arn:aws:ssm:"), "{refused:?}");
    for id in ["key", &arn] {
        secrets.get_secret_value().secret_id(id).send().await.unwrap();
    }
    assert_eq!(code(&secrets.describe_secret().secret_id("key").send().await.unwrap_err()), "AccessDeniedException");
    assert_eq!(
        code(&ssm.put_parameter().name("/app/token").value("x").send().await.unwrap_err()),
        "AccessDeniedException"
    );
}
