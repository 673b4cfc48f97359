//! Events in a database of documents: what its users find there, and what happens while it is away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use analytics::model::{Event, EventFilter, EventId, EventType, NewEvent};
use analytics::store::{EventStore, Recorded, StoreError};
use backends::{OpenError, open_events};
use chassis::http::RequestKey;
use futures_util::TryStreamExt as _;
use futures_util::future::join_all;
use jiff::Timestamp;
use mongodb::Client;
use mongodb::bson::{DateTime, Document, doc};
use uuid::Uuid;

use crate::mongo::{Server, fresh_url};
use crate::users::context;

/// What callers wait at most.
const LONGEST_CALL: Duration = Duration::from_secs(5);

async fn open(url: &str) -> Arc<dyn EventStore> {
    open_events(url, context()).await.unwrap()
}

async fn collection(url: &str) -> mongodb::Collection<Document> {
    let client = Client::with_uri_str(url).await.unwrap();
    client.default_database().unwrap().collection("events")
}

fn event(number: u128) -> NewEvent {
    let event = Event {
        id: EventId(Uuid::from_u128(number)),
        event_type: EventType::PageView,
        event_name: "Start page".into(),
        user_id: Some("ann".into()),
        properties: Some(r#"{"path":"/","$set":{"a.b":1.5}}"#.into()),
        created_at: Timestamp::from_microsecond(1_800_000_000_123_456).unwrap(),
    };
    let key = RequestKey { id: format!("{number:043}"), fingerprint: format!("{number:->43}") };
    NewEvent { event, key: Some(key) }
}

#[tokio::test]
async fn an_event_is_a_document_that_can_be_looked_into() {
    let Some(url) = fresh_url() else { return };
    open(&url).await.record(event(7)).await.unwrap();
    let found = collection(&url).await.find_one(doc! { "properties.path": "/" }).await.unwrap().unwrap();
    let expected = doc! {
        "_id": Uuid::from_u128(7).to_string(),
        "event_type": "page_view",
        "event_name": "Start page",
        "created_at": DateTime::from_millis(1_800_000_000_123),
        "created_micros": 1_800_000_000_123_456_i64,
        "user_id": "ann",
        "properties": { "path": "/", "$set": { "a.b": 1.5 } },
        "request_id": format!("{:043}", 7),
        "fingerprint": format!("{:->43}", 7),
    };
    assert_eq!(found, expected);
}

#[tokio::test]
async fn indexes_are_ensured_at_each_start_by_many_at_once() {
    let Some(url) = fresh_url() else { return };
    join_all((0..5).map(|_| open(&url))).await;
    let indexes = collection(&url).await.list_indexes().await.unwrap();
    let mut keys: Vec<_> =
        indexes.map_ok(|index| index.keys.keys().cloned().collect::<Vec<_>>()).try_collect().await.unwrap();
    keys.sort_unstable();
    let expected = [
        &["_id"][..],
        &["created_micros", "event_type"],
        &["event_type", "created_micros"],
        &["request_id"],
        &["user_id", "created_micros", "event_type"],
    ];
    assert_eq!(keys, expected);
}

#[tokio::test]
async fn a_type_of_a_newer_program_is_counted_by_its_name() {
    let Some(url) = fresh_url() else { return };
    let store = open(&url).await;
    collection(&url).await.insert_one(doc! { "event_type": "party", "created_micros": 1_i64 }).await.unwrap();
    assert_eq!(store.count(&EventFilter::default()).await.unwrap(), [("party".to_owned(), 1)].into());
}

#[tokio::test]
async fn a_server_that_dies_is_unavailable_in_time_and_what_was_confirmed_is_there_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Server::start_on(&folder.path().display().to_string()) else { return };
    let store = open(&server.url("events")).await;
    for number in 0..20 {
        assert_eq!(store.record(event(number)).await.unwrap(), Recorded::Done);
    }
    server.kill();
    for call in 0..3 {
        let begun = Instant::now();
        let error = match call {
            0 => store.record(event(20)).await.map(|_| ()).unwrap_err(),
            1 => store.count(&EventFilter::default()).await.map(|_| ()).unwrap_err(),
            _ => store.ping().await.unwrap_err(),
        };
        assert!(matches!(error, StoreError::Unavailable(_) | StoreError::Timeout), "{error}");
        assert!(begun.elapsed() < LONGEST_CALL, "{:?}", begun.elapsed());
    }
    server.start_again();
    let begun = Instant::now();
    while store.ping().await.is_err() {
        assert!(begun.elapsed() < LONGEST_CALL, "it is back, and is not found again");
    }
    let before = store.record(event(3)).await.unwrap();
    assert!(matches!(before, Recorded::Before { id, .. } if id == event(3).event.id), "{before:?}");
    store.record(event(20)).await.unwrap();
    assert_eq!(store.count(&EventFilter::default()).await.unwrap(), [("page_view".to_owned(), 21)].into());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_who_would_sign_on() {
    let url = "mongodb://ann:hunter2@127.0.0.1:1/events";
    let error = open_events(url, context()).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, OpenError::Database { .. }), "{text}");
    assert!(text.contains("database events at 127.0.0.1:1") && text.contains("can be reached"), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("ann"), "{text}");
}
