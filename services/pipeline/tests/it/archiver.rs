//! The archiver: every message becomes one object, whatever fails on the way.

use std::time::Duration;

use chassis::ports::queue::Attributes;
use chassis::ports::{NewMessage, ObjectStore, Put, Queue};
use chassis::testing::{TestApp, check_exposition, eventually};
use serde_json::json;

use crate::kit::{Stores, message};

fn start(settings: &[(&'static str, &str)]) -> (TestApp, Stores) {
    let mut stores = None;
    let app = TestApp::start(|context| stores.insert(Stores::new(context)).archiver(context, settings));
    (app, stores.unwrap())
}

async fn empty(stores: &Stores) {
    eventually("an empty queue", || async {
        let stats = stores.queue.stats().await.unwrap();
        (stats.visible + stats.in_flight + stats.delayed == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_message_becomes_an_object_and_leaves_the_queue() {
    let (app, stores) = start(&[]);
    let body = message()["data"].to_string();
    let id = stores.send(&body, &[("source", "/api/message"), ("correlation_id", "order-42")]).await;
    let stored = eventually("the object", || stores.stored(&id)).await;
    let metadata = json!({
        "message_id": id, "sent_at": "2025-06-09T10:30:45Z", "archived_at": "2025-06-09T10:30:45Z",
        "source": "/api/message", "correlation_id": "order-42", "trace_id": null, "receive_count": 1,
    });
    assert_eq!(stored["_metadata"], metadata);
    assert_eq!(stored["email_sender"], "John Doe");
    empty(&stores).await;
    let page = app.get("/metrics").await.expect(200).text();
    let line = "messaging_client_consumed_messages_total{outcome=\"stored\",service=\"archiver\"} 1";
    assert!(page.contains(line), "{page}");
    check_exposition(&page);
    app.shut_down().await;
}

#[tokio::test]
async fn many_messages_are_worked_on_at_once_and_each_is_stored() {
    let (app, stores) = start(&[("ARCHIVE_CONCURRENCY", "7")]);
    let mut ids = Vec::new();
    for number in 0..200 {
        ids.push(stores.send(&json!({"number": number}).to_string(), &[]).await);
    }
    empty(&stores).await;
    for (number, id) in ids.iter().enumerate() {
        assert_eq!(stores.stored(id).await.unwrap()["number"], number);
    }
    app.shut_down().await;
}

#[tokio::test]
async fn a_message_that_cannot_be_stored_goes_to_the_dead_letters_and_blocks_no_others() {
    let (app, stores) = start(&[]);
    let poison = stores.send("[1]", &[]).await;
    let broken = stores.send(r#"{"email_subject":"Hi"}"#, &[("source", "/api/message")]).await;
    let healthy = stores.send("{}", &[]).await;
    eventually("the healthy message", || stores.stored(&healthy)).await;
    empty(&stores).await;
    let dead = stores.queue.dead_letters(10).await.unwrap();
    let reason = |id| dead.iter().find(|letter| &letter.id == id).map(|letter| letter.reason.clone()).unwrap();
    assert!(reason(&poison).contains("not a JSON object"), "{}", reason(&poison));
    assert!(reason(&broken).contains("email_sender, email_timestream, email_content"), "{}", reason(&broken));
    app.shut_down().await;
}

#[tokio::test]
async fn a_store_that_is_down_is_no_attempt_and_heals() {
    let (app, stores) = start(&[]);
    stores.objects.set_unavailable(true);
    let id = stores.send("{}", &[]).await;
    eventually("not ready", || async {
        let body = app.get("/ready").await.json();
        (body["dependencies"]["objects"]["status"] == "down").then_some(())
    })
    .await;
    // Long enough for more than the three attempts that a message has.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(stores.queue.dead_letters(10).await.unwrap().is_empty());
    stores.objects.set_unavailable(false);
    let stored = eventually("the object", || async {
        // The pause of a message that found the store down is the queue's time.
        app.clock.advance(Duration::from_millis(10));
        stores.stored(&id).await
    })
    .await;
    assert_eq!(stored["_metadata"]["receive_count"], 1);
    app.shut_down().await;
}

#[tokio::test]
async fn an_object_that_cannot_be_written_is_tried_again_and_then_given_up() {
    let (app, stores) = start(&[]);
    // Delayed, so that the key is known before the archiver sees the message.
    let delay = Duration::from_secs(5);
    let id = stores.queue.send(NewMessage { delay, ..NewMessage::new("{}", Attributes::new()) }).await.unwrap();
    stores.objects.fail_key(stores.key(&id).as_str());
    let dead = eventually("the dead letter", || async {
        // The pauses between attempts are the queue's time.
        app.clock.advance(Duration::from_secs(10));
        stores.queue.find_dead_letter(&id).await.unwrap()
    })
    .await;
    assert_eq!(dead.receive_count, 3);
    assert!(dead.reason.contains("could not be stored in 3 attempts"), "{}", dead.reason);
    app.shut_down().await;
}

#[tokio::test]
async fn a_message_that_is_stored_already_changes_nothing_and_leaves_the_queue() {
    let (app, stores) = start(&[]);
    // As after a worker that died between its write and its delete; delayed, so that the key is known before.
    let delay = Duration::from_secs(5);
    let id = stores.queue.send(NewMessage { delay, ..NewMessage::new("{}", Attributes::new()) }).await.unwrap();
    let put = stores.objects.put_if_absent(&stores.key(&id), r#"{"first":true}"#.into(), "application/json").await;
    assert_eq!(put.unwrap(), Put::Created);
    app.clock.advance(delay);
    empty(&stores).await;
    assert_eq!(stores.stored(&id).await.unwrap(), json!({"first": true}));
    let line = "messaging_client_consumed_messages_total{outcome=\"duplicate\",service=\"archiver\"} 1";
    assert!(app.get("/metrics").await.expect(200).text().contains(line));
    app.shut_down().await;
}

#[tokio::test]
async fn a_queue_that_is_down_is_waited_for() {
    let (app, stores) = start(&[]);
    stores.queue.set_unavailable(true);
    tokio::time::sleep(Duration::from_millis(200)).await;
    app.get("/ready").await.expect(503);
    stores.queue.set_unavailable(false);
    let id = stores.queue.send(NewMessage::new("{}", Attributes::new())).await.unwrap();
    eventually("the object", || stores.stored(&id)).await;
    app.shut_down().await;
}

#[tokio::test]
async fn the_end_leaves_nothing_in_flight() {
    let (app, stores) = start(&[]);
    for _ in 0..50 {
        stores.send("{}", &[]).await;
    }
    app.shut_down().await;
    let stats = stores.queue.stats().await.unwrap();
    assert_eq!((stats.in_flight, stats.dead), (0, Some(0)));
}
