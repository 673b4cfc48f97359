//! Batches: their rules, their limits, and entries that fail alone.

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageAttributeValue,
    SendMessageBatchRequestEntry,
};
use testkit::aws::Fake;

use crate::clients::{bodies, code, entries, receive, send, sqs};

#[tokio::test]
async fn a_batch_is_sent_received_hidden_and_deleted() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let url = fake.create_queue("orders");
    let sent = client.send_message_batch().queue_url(&url).set_entries(Some(entries(10))).send().await.unwrap();
    assert_eq!((sent.successful.len(), sent.failed.len()), (10, 0));
    let messages = receive(&client, &url).await;
    assert_eq!(bodies(&messages), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);

    let mut hide = client.change_message_visibility_batch().queue_url(&url);
    let mut delete = client.delete_message_batch().queue_url(&url);
    for (number, message) in messages.iter().enumerate() {
        let (id, handle) = (number.to_string(), message.receipt_handle().unwrap());
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(&id).receipt_handle(handle);
        hide = hide.entries(entry.visibility_timeout(0).build().unwrap());
        delete =
            delete.entries(DeleteMessageBatchRequestEntry::builder().id(&id).receipt_handle(handle).build().unwrap());
    }
    assert_eq!(hide.send().await.unwrap().successful.len(), 10);
    assert_eq!(fake.messages("orders").iter().filter(|message| message.in_flight).count(), 0);
    assert_eq!(delete.send().await.unwrap().successful.len(), 10);
    assert_eq!(fake.depth("orders"), 0);
    let log = fake.call_log();
    let batch = log.iter().find(|call| call.action == "SendMessageBatch").unwrap();
    assert_eq!((batch.entries, batch.failed, batch.resource.as_str()), (10, 0, "orders"));
}

#[tokio::test]
async fn a_batch_that_breaks_the_rules_is_refused_whole() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let url = fake.create_queue("orders");
    let batch = |entries| client.send_message_batch().queue_url(&url).set_entries(Some(entries)).send();
    let entry =
        |id: &str, body: &str| SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap();
    let large = "x".repeat(600_000);
    let cases = [
        (vec![], "EmptyBatchRequest"),
        (entries(11), "TooManyEntriesInBatchRequest"),
        (vec![entry("a", "1"), entry("a", "2")], "BatchEntryIdsNotDistinct"),
        (vec![entry("a b", "1")], "InvalidBatchEntryId"),
        (vec![entry("a", &large), entry("b", &large)], "BatchRequestTooLong"),
    ];
    for (entries, expected) in cases {
        let error = batch(entries).await.unwrap_err();
        assert_eq!(code(&error), format!("AWS.SimpleQueueService.{expected}"));
    }
    assert_eq!(fake.depth("orders"), 0);
}

#[tokio::test]
async fn a_message_that_breaks_the_rules_is_refused() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let url = fake.create_queue("orders");
    let send = |body: &str| client.send_message().queue_url(&url).message_body(body);
    let attribute = MessageAttributeValue::builder().data_type("String").string_value("x").build().unwrap();
    let mut many = send("body");
    for number in 0..11 {
        many = many.message_attributes(number.to_string(), attribute.clone());
    }
    let wrong = MessageAttributeValue::builder().data_type("Wrong").string_value("x").build().unwrap();
    assert_eq!(code(&many.send().await.unwrap_err()), "InvalidParameterValueException");
    assert_eq!(
        code(&send("body").message_attributes("a", wrong).send().await.unwrap_err()),
        "InvalidParameterValueException"
    );
    assert_eq!(code(&send("").send().await.unwrap_err()), "MissingParameter");
    assert_eq!(code(&send("bell \u{7}").send().await.unwrap_err()), "InvalidMessageContents");
    assert_eq!(code(&send(&"x".repeat(1_048_577)).send().await.unwrap_err()), "InvalidParameterValueException");
    send(&"x".repeat(1_048_576)).send().await.unwrap();
}

#[tokio::test]
async fn an_entry_that_breaks_the_rules_fails_alone() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let url = fake.create_queue("orders");
    send(&client, &url, "one").await;
    let messages = receive(&client, &url).await;
    let entry = |id: &str, handle: &str| {
        DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle).build().unwrap()
    };
    let request = client.delete_message_batch().queue_url(&url).entries(entry("bad", "junk"));
    let answer = request.entries(entry("good", messages[0].receipt_handle().unwrap())).send().await.unwrap();
    assert_eq!(answer.successful[0].id, "good");
    let failed = &answer.failed[0];
    assert_eq!(
        (failed.id.as_str(), failed.code.as_str(), failed.sender_fault),
        ("bad", "ReceiptHandleIsInvalid", true)
    );
    assert_eq!(fake.depth("orders"), 0);
}
