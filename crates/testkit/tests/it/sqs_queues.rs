//! Making, describing and removing queues.

use aws_sdk_sqs::types::QueueAttributeName::{All, DelaySeconds, QueueArn, RedrivePolicy, VisibilityTimeout};
use testkit::aws::{Fake, queue_arn};

use crate::clients::{bodies, code, receive, send, sqs};

#[tokio::test]
async fn a_queue_is_made_found_described_changed_and_removed() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let made = client.create_queue().queue_name("orders").attributes(VisibilityTimeout, "7").send().await.unwrap();
    let url = made.queue_url.unwrap();
    assert_eq!(url, format!("{}/000000000000/orders", fake.url()));
    assert_eq!(client.get_queue_url().queue_name("orders").send().await.unwrap().queue_url.unwrap(), url);

    client.set_queue_attributes().queue_url(&url).attributes(DelaySeconds, "3").send().await.unwrap();
    send(&client, &url, "delayed").await;
    let described = client.get_queue_attributes().queue_url(&url).attribute_names(All).send().await.unwrap();
    let attributes = described.attributes.unwrap();
    assert_eq!(attributes[&VisibilityTimeout], "7");
    assert_eq!(attributes[&QueueArn], queue_arn("orders"));
    let delayed = aws_sdk_sqs::types::QueueAttributeName::ApproximateNumberOfMessagesDelayed;
    assert_eq!(attributes[&delayed], "1");

    client.delete_queue().queue_url(&url).send().await.unwrap();
    let gone = client.get_queue_url().queue_name("orders").send().await.unwrap_err();
    assert_eq!(code(&gone), "AWS.SimpleQueueService.NonExistentQueue");
    assert!(gone.into_service_error().is_queue_does_not_exist());
}

#[tokio::test]
async fn a_queue_is_made_again_only_with_the_same_attributes() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let make = |seconds: &str| client.create_queue().queue_name("orders").attributes(VisibilityTimeout, seconds).send();
    make("7").await.unwrap();
    make("7").await.unwrap();
    assert_eq!(code(&make("8").await.unwrap_err()), "QueueAlreadyExists");
    assert_eq!(code(&make("43201").await.unwrap_err()), "InvalidAttributeValue");
}

#[tokio::test]
async fn a_purged_queue_is_empty() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let url = fake.create_queue("orders");
    send(&client, &url, "one").await;
    client.purge_queue().queue_url(&url).send().await.unwrap();
    assert_eq!(fake.depth("orders"), 0);
    assert!(receive(&client, &url).await.is_empty());
}

#[tokio::test]
async fn a_request_that_nobody_signed_is_refused() {
    let fake = Fake::start().await;
    fake.create_bucket("data");
    let http = reqwest::Client::new();
    let answer = http.post(fake.url()).header("x-amz-target", "AmazonSQS.ListQueues").body("{}").send().await.unwrap();
    assert_eq!(answer.status(), 403);
    assert!(answer.text().await.unwrap().contains("MissingAuthenticationToken"));
    let answer = http.get(format!("{}/data/key", fake.url())).send().await.unwrap();
    assert_eq!(answer.status(), 403);
    assert!(answer.text().await.unwrap().contains("<Code>AccessDenied</Code>"));
}

#[tokio::test]
async fn dead_letters_are_found_by_their_policy_and_moved_back() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let url = fake.create_queue_with_dead_letters("orders", 30, 1);
    let dead_url = fake.create_queue("orders-dlq");
    let described = client.get_queue_attributes().queue_url(&url).attribute_names(RedrivePolicy).send().await.unwrap();
    assert!(described.attributes.unwrap()[&RedrivePolicy].contains("orders-dlq"));
    let sources = client.list_dead_letter_source_queues().queue_url(&dead_url).send().await.unwrap();
    assert_eq!(sources.queue_urls, [url.as_str()]);

    send(&client, &url, "poison").await;
    receive(&client, &url).await;
    fake.advance(std::time::Duration::from_secs(31));
    assert!(receive(&client, &url).await.is_empty());
    assert_eq!(fake.dead_letters("orders").len(), 1);

    client.start_message_move_task().source_arn(queue_arn("orders-dlq")).send().await.unwrap();
    assert_eq!(bodies(&receive(&client, &url).await), ["poison"]);
    assert!(fake.dead_letters("orders").is_empty());
}
