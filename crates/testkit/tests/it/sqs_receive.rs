//! Receiving: visibility, handles, the long poll, the redrive policy.

use std::time::{Duration, Instant};

use aws_sdk_sqs::types::MessageSystemAttributeName::{
    ApproximateReceiveCount, DeadLetterQueueSourceArn, SentTimestamp,
};
use aws_sdk_sqs::types::{Message, MessageAttributeValue};
use testkit::aws::{Fake, Outcome, Settings, StaleHandles, queue_arn};
use tokio::time::timeout;

use crate::clients::{PATIENCE, bodies, code, receive, send, sqs};

const VISIBILITY: Duration = Duration::from_secs(30);

fn handle(messages: &[Message]) -> &str {
    messages[0].receipt_handle().unwrap()
}

#[tokio::test]
async fn a_message_comes_with_its_attributes_and_an_id_that_stays() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let url = fake.create_queue("orders");
    let attribute = MessageAttributeValue::builder().data_type("String").string_value("web").build().unwrap();
    let request = client.send_message().queue_url(&url).message_body("grün").message_attributes("source", attribute);
    let sent = request.send().await.unwrap();

    let messages = receive(&client, &url).await;
    assert_eq!(messages[0].message_id, sent.message_id);
    assert_eq!(messages[0].md5_of_message_attributes, sent.md5_of_message_attributes);
    assert_eq!(messages[0].message_attributes.as_ref().unwrap()["source"].string_value(), Some("web"));
    let system = messages[0].attributes.as_ref().unwrap();
    assert_eq!(system[&ApproximateReceiveCount], "1");
    assert_eq!(system[&SentTimestamp], fake.messages("orders")[0].sent_at_millis.to_string());
    assert_eq!(fake.messages("orders")[0].attributes["source"], "web");
}

#[tokio::test]
async fn a_received_message_is_hidden_until_its_visibility_ends() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let url = fake.create_queue("orders");
    send(&client, &url, "one").await;
    assert_eq!(receive(&client, &url).await.len(), 1);
    assert!(fake.messages("orders")[0].in_flight);
    assert!(receive(&client, &url).await.is_empty());
    fake.advance(VISIBILITY);
    let again = receive(&client, &url).await;
    assert_eq!(again[0].attributes.as_ref().unwrap()[&ApproximateReceiveCount], "2");
}

#[tokio::test]
async fn visibility_is_extended_and_given_back() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let url = fake.create_queue("orders");
    send(&client, &url, "one").await;
    let messages = receive(&client, &url).await;
    let change = |seconds| {
        let request = client.change_message_visibility().queue_url(&url).receipt_handle(handle(&messages));
        request.visibility_timeout(seconds).send()
    };
    change(300).await.unwrap();
    fake.advance(VISIBILITY);
    assert!(receive(&client, &url).await.is_empty());
    change(0).await.unwrap();
    assert_eq!(code(&change(5).await.unwrap_err()), "AWS.SimpleQueueService.MessageNotInflight");
    assert_eq!(receive(&client, &url).await.len(), 1);
    assert_eq!(code(&change(50_000).await.unwrap_err()), "InvalidParameterValueException");
}

#[tokio::test]
async fn an_old_handle_deletes_nothing_unless_told_otherwise() {
    for (stale_handles, left, refused) in
        [(StaleHandles::Ignored, 1, false), (StaleHandles::Valid, 0, false), (StaleHandles::Refused, 1, true)]
    {
        let fake = Fake::start_with(Settings { stale_handles, ..Settings::default() }).await;
        let client = sqs(&fake).await;
        let url = fake.create_queue("orders");
        send(&client, &url, "one").await;
        let first = receive(&client, &url).await;
        fake.advance(VISIBILITY);
        let second = receive(&client, &url).await;
        let delete =
            |messages: &[Message]| client.delete_message().queue_url(&url).receipt_handle(handle(messages)).send();
        assert_eq!(delete(&first).await.is_err(), refused, "{stale_handles:?}");
        assert_eq!(fake.depth("orders"), left, "{stale_handles:?}");
        delete(&second).await.unwrap();
        delete(&second).await.unwrap();
        assert_eq!(fake.depth("orders"), 0);
    }
}

#[tokio::test]
async fn a_handle_of_nothing_is_refused() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let url = fake.create_queue("orders");
    let other = fake.create_queue("others");
    send(&client, &other, "one").await;
    let foreign = receive(&client, &other).await;
    for wrong in ["junk", handle(&foreign)] {
        let error = client.delete_message().queue_url(&url).receipt_handle(wrong).send().await.unwrap_err();
        assert!(error.into_service_error().is_receipt_handle_is_invalid());
    }
}

#[tokio::test]
async fn a_long_poll_wakes_when_a_message_is_sent() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let url = fake.create_queue("orders");
    let began = Instant::now();
    let poll = client.receive_message().queue_url(&url).wait_time_seconds(20).send();
    let sender = async {
        // The poll is under way when it has been counted.
        while fake.calls("ReceiveMessage") == 0 {
            tokio::task::yield_now().await;
        }
        send(&client, &url, "one").await;
    };
    let (answer, ()) = timeout(PATIENCE, async { tokio::join!(poll, sender) }).await.unwrap();
    assert_eq!(bodies(&answer.unwrap().messages.unwrap()), ["one"]);
    assert!(began.elapsed() < Duration::from_secs(15), "took {:?}", began.elapsed());
}

#[tokio::test]
async fn a_long_poll_wakes_when_visibility_ends_and_at_its_own_end() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let url = fake.create_queue_with("orders", &[("VisibilityTimeout", "1")]);
    send(&client, &url, "one").await;
    receive(&client, &url).await;
    // In real time: nobody turns the clock.
    let poll = || client.receive_message().queue_url(&url).wait_time_seconds(20).visibility_timeout(900).send();
    let answer = timeout(PATIENCE, poll()).await.unwrap().unwrap();
    assert_eq!(bodies(&answer.messages.unwrap()), ["one"]);

    let turn = async {
        while fake.calls("ReceiveMessage") < 3 {
            tokio::task::yield_now().await;
        }
        fake.advance(Duration::from_secs(20));
    };
    let (answer, ()) = timeout(PATIENCE, async { tokio::join!(poll(), turn) }).await.unwrap();
    assert!(answer.unwrap().messages.is_none());
}

#[tokio::test]
async fn a_poll_whose_client_has_gone_takes_no_message() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let url = fake.create_queue("orders");
    {
        let mut poll = std::pin::pin!(client.receive_message().queue_url(&url).wait_time_seconds(20).send());
        while fake.calls("ReceiveMessage") == 0 {
            assert!(timeout(Duration::from_millis(1), &mut poll).await.is_err());
        }
    }
    let began = Instant::now();
    while fake.call_log().is_empty() {
        assert!(began.elapsed() < PATIENCE, "the fake polls on for nobody");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(fake.call_log()[0].outcome, Outcome::Abandoned);
    send(&client, &url, "one").await;
    assert!(!fake.messages("orders")[0].in_flight);
}

#[tokio::test]
async fn a_message_received_too_often_moves_with_its_id_and_date() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let url = fake.create_queue_with_dead_letters("orders", 30, 2);
    let id = send(&client, &url, "poison").await;
    let sent_at = fake.messages("orders")[0].sent_at_millis;
    for _ in 0..2 {
        assert_eq!(receive(&client, &url).await.len(), 1);
        fake.advance(VISIBILITY);
    }
    assert!(fake.dead_letters("orders").is_empty(), "moved before the receive that is one too many");
    assert!(receive(&client, &url).await.is_empty());
    assert_eq!(fake.depth("orders"), 0);
    let dead = fake.dead_letters("orders");
    assert_eq!((dead[0].id.as_str(), dead[0].sent_at_millis), (id.as_str(), sent_at));
    let messages = receive(&client, &fake.create_queue("orders-dlq")).await;
    assert_eq!(messages[0].attributes.as_ref().unwrap()[&DeadLetterQueueSourceArn], queue_arn("orders"));
}

#[tokio::test]
async fn a_delayed_message_is_not_there_yet() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let url = fake.create_queue("orders");
    client.send_message().queue_url(&url).message_body("later").delay_seconds(60).send().await.unwrap();
    assert!(receive(&client, &url).await.is_empty());
    fake.advance(Duration::from_secs(60));
    assert_eq!(bodies(&receive(&client, &url).await), ["later"]);
}

#[tokio::test]
async fn too_many_messages_in_flight_are_over_the_limit() {
    let fake = Fake::start_with(Settings { max_in_flight: 2, ..Settings::default() }).await;
    let client = sqs(&fake).await;
    let url = fake.create_queue("orders");
    for body in ["one", "two", "three"] {
        send(&client, &url, body).await;
    }
    assert_eq!(receive(&client, &url).await.len(), 2);
    let error = client.receive_message().queue_url(&url).send().await.unwrap_err();
    assert!(error.into_service_error().is_over_limit());
}
