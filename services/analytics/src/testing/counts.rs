//! What is counted.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::{EventHarness, count, event, moment, record, total};
use crate::model::{Event, EventFilter, EventType, NewEvent};
use crate::store::EventCounts;

/// Of one type alone.
fn counts(event_type: EventType, many: u64) -> EventCounts {
    [(event_type.to_string(), many)].into()
}

pub async fn events_are_counted_by_their_types(harness: &impl EventHarness) {
    for (number, event_type) in (0..).zip(EventType::ALL) {
        for again in 0..=number {
            record(harness, event(number * 100 + again, event_type)).await;
        }
    }
    let counts = count(harness, EventFilter::default()).await;
    let expected = (1..).zip(EventType::ALL).map(|(many, event_type)| (event_type.to_string(), many));
    assert_eq!(counts, expected.collect());
}

pub async fn a_store_without_events_counts_none(harness: &impl EventHarness) {
    assert!(count(harness, EventFilter::default()).await.is_empty());
}

pub async fn filters_apply_together(harness: &impl EventHarness) {
    for number in 0..12 {
        let event_type = if number % 2 == 0 { EventType::PageView } else { EventType::UserLogin };
        let user_id = (number % 3 == 0).then(|| "ann".to_owned()).or((number % 3 == 1).then(|| "Ann".to_owned()));
        record(harness, Event { user_id, ..event(number, event_type) }).await;
    }
    let all = EventFilter::default();
    let total = async |filter| count(harness, filter).await.values().sum::<u64>();
    assert_eq!(total(EventFilter { from: Some(moment(3)), ..all.clone() }).await, 9);
    assert_eq!(total(EventFilter { to: Some(moment(3)), ..all.clone() }).await, 3);
    assert_eq!(total(EventFilter { from: Some(moment(3)), to: Some(moment(3)), ..all.clone() }).await, 0);
    assert_eq!(total(EventFilter { from: Some(moment(9)), to: Some(moment(3)), ..all.clone() }).await, 0);
    assert_eq!(total(EventFilter { event_type: Some(EventType::UserLogin), ..all.clone() }).await, 6);
    assert_eq!(total(EventFilter { event_type: Some(EventType::Custom), ..all.clone() }).await, 0);
    assert_eq!(total(EventFilter { user_id: Some("ann".into()), ..all.clone() }).await, 4);
    assert_eq!(total(EventFilter { user_id: Some("nobody".into()), ..all }).await, 0);
    let narrow = EventFilter {
        from: Some(moment(1)),
        to: Some(moment(10)),
        event_type: Some(EventType::UserLogin),
        user_id: Some("ann".into()),
    };
    assert_eq!(count(harness, narrow).await, counts(EventType::UserLogin, 2));
}

pub async fn whatever_texts_hold_is_kept(harness: &impl EventHarness) {
    let texts = ["'; DROP TABLE events; --", "\u{1f980}\u{202e}ü", "$where", "a.b", "\\\"%_"];
    for (number, text) in (0..).zip(texts) {
        let properties =
            serde_json::json!({ text: { "$gt": text, "list": [1, 2.5, null, 18_446_744_073_709_551_615_u64] } });
        let whole = Event {
            event_name: text.to_owned(),
            user_id: Some(text.to_owned()),
            properties: Some(properties.to_string()),
            ..event(number, EventType::Custom)
        };
        record(harness, whole).await;
    }
    for text in texts {
        let filter = EventFilter { user_id: Some(text.to_owned()), ..EventFilter::default() };
        assert_eq!(count(harness, filter).await, counts(EventType::Custom, 1), "{text}");
    }
    let large = serde_json::json!({ "text": "x".repeat(1 << 20), "a\u{0}b": "c\u{0}d" }).to_string();
    record(harness, Event { properties: Some(large), ..event(99, EventType::PageView) }).await;
    assert_eq!(total(harness).await, 6);
}

pub async fn many_events_at_once_are_all_counted(harness: &impl EventHarness) {
    let store = harness.store();
    let events = (0..500).map(|number| store.record(NewEvent { event: event(number, EventType::ApiCall), key: None }));
    for recorded in join_all(events).await {
        recorded.unwrap();
    }
    assert_eq!(total(harness).await, 500);
}

pub async fn processes_see_each_others_events(harness: &impl EventHarness) {
    record(harness, event(1, EventType::Custom)).await;
    let other = harness.other_process().await;
    assert_eq!(other.count(&EventFilter::default()).await.unwrap(), counts(EventType::Custom, 1));
    other.record(NewEvent { event: event(2, EventType::Custom), key: None }).await.unwrap();
    assert_eq!(total(harness).await, 2);
}

pub async fn a_caller_that_leaves_harms_nobody(harness: &impl EventHarness) {
    let store = harness.store();
    for number in 0..20 {
        let recording = store.record(NewEvent { event: event(number, EventType::Custom), key: None });
        let _left = timeout(Duration::from_micros(u64::from(number) * 50), recording).await;
    }
    record(harness, event(100, EventType::PageView)).await;
    let counts = count(harness, EventFilter::default()).await;
    assert_eq!(counts["page_view"], 1);
    assert!(counts.get("custom").is_none_or(|left| *left <= 20));
}

pub async fn the_store_answers_a_ping(harness: &impl EventHarness) {
    harness.store().ping().await.unwrap();
}
