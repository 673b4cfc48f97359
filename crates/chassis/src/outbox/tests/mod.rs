//! The relay on an outbox in memory and a sink that does as it is told.

mod failures;
mod processes;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::*;
use crate::ports::MemoryOutbox;
use crate::ports::outbox::{OutboxDepth, OutboxError, Position};
use crate::service::Identity;
use crate::telemetry::correlation::{CorrelationId, Scope, in_scope};
use crate::testing::TestApp;

const IDENTITY: Identity = Identity { name: "test-service", short_name: "test", about: "Is tested." };

/// Takes everything, unless it is down, refuses an event, or does not answer to one.
#[derive(Debug, Default)]
struct FakeSink {
    delivered: Mutex<Vec<Event>>,
    /// By the event's number: how often it is refused.
    refusals: Mutex<HashMap<u64, usize>>,
    attempts: Mutex<Vec<(u64, Instant)>>,
    is_down: AtomicBool,
    /// To this one it does not answer.
    hangs_at: Mutex<Option<u64>>,
    /// It is too busy for each attempt of so many; 0 for none.
    is_busy_each: AtomicUsize,
}

impl FakeSink {
    fn numbers(&self) -> Vec<u64> {
        self.delivered.lock().unwrap().iter().map(number).collect()
    }

    fn attempts_of(&self, wanted: u64) -> Vec<Instant> {
        self.attempts.lock().unwrap().iter().filter(|(it, _)| *it == wanted).map(|(_, at)| *at).collect()
    }
}

fn number(event: &Event) -> u64 {
    serde_json::from_str::<Value>(&event.body).unwrap()["number"].as_u64().unwrap()
}

#[async_trait]
impl Sink for FakeSink {
    fn name(&self) -> &'static str {
        "analytics-service"
    }

    async fn deliver(&self, event: &Event) -> Result<(), SinkError> {
        let number = number(event);
        let attempts = {
            let mut attempts = self.attempts.lock().unwrap();
            attempts.push((number, Instant::now()));
            attempts.len()
        };
        sleep(Duration::from_millis(1 + number % 7)).await;
        if self.is_down.load(Ordering::Relaxed) {
            return Err(SinkError::Unavailable("connection refused".into()));
        }
        let hangs = *self.hangs_at.lock().unwrap() == Some(number);
        if hangs {
            sleep(Duration::from_secs(2)).await;
            return Err(SinkError::Unavailable("no answer within 2s".into()));
        }
        if attempts.checked_rem(self.is_busy_each.load(Ordering::Relaxed)) == Some(0) {
            return Err(SinkError::Unavailable("503: too much to do".into()));
        }
        if let Some(left @ 1..) = self.refusals.lock().unwrap().get_mut(&number) {
            *left -= 1;
            return Err(SinkError::Refused("422: no such event type".into()));
        }
        self.delivered.lock().unwrap().push(event.clone());
        Ok(())
    }

    async fn ping(&self) -> Result<(), SinkError> {
        match self.is_down.load(Ordering::Relaxed) {
            true => Err(SinkError::Unavailable("connection refused".into())),
            false => Ok(()),
        }
    }
}

struct Kit {
    app: TestApp,
    outbox: Arc<MemoryOutbox>,
    sink: Arc<FakeSink>,
    reporter: Reporter,
}

impl Kit {
    fn new() -> Self {
        Self::on(1, Arc::default(), Arc::default())
    }

    /// One process of those that share an outbox, the number of which gives it another id.
    fn on(process: usize, outbox: Arc<MemoryOutbox>, sink: Arc<FakeSink>) -> Self {
        let mut made = None;
        let app = TestApp::start(|context| {
            let _drawn: Vec<_> = (0..process).map(|_| context.ids.uuid()).collect();
            let service = Service::new(IDENTITY, context);
            let (reporter, relay) = connect(&service, context, outbox.clone(), Some(sink.clone()));
            made = Some(reporter);
            service.outbox(relay)
        });
        Self { app, outbox, sink, reporter: made.unwrap() }
    }

    async fn report(&self, entity: u128, number: u64) {
        let event = self.reporter.event(Uuid::from_u128(entity), "user_login", || json!({ "number": number }));
        self.reporter.record(event).await;
    }

    async fn waiting(&self) -> u64 {
        self.outbox.depth().await.unwrap().events
    }

    /// Waits in a time that stands still while there is work.
    async fn until(&self, what: &str, reached: impl AsyncFn(&Self) -> bool) {
        let begun = Instant::now();
        while !reached(self).await {
            assert!(begun.elapsed() < Duration::from_secs(3600), "never: {what}; delivered {:?}", self.sink.numbers());
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn until_empty(&self) {
        self.until("the outbox is empty", async |kit| kit.waiting().await == 0).await;
    }
}

/// What operators see.
async fn seen(app: &TestApp) -> Value {
    app.operate(Method::GET, "/ops/v1/outbox", "").await.expect(200).json()
}

#[tokio::test(start_paused = true)]
async fn an_event_arrives_soon_and_leaves_the_outbox() {
    let kit = Kit::new();
    let begun = Instant::now();
    kit.report(1, 1).await;
    kit.until_empty().await;
    assert_eq!(kit.sink.numbers(), [1]);
    assert!(begun.elapsed() < Duration::from_millis(200), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn events_of_an_entity_keep_their_order_and_others_go_beside_them() {
    let kit = Kit::new();
    // More than a page, and entities of which one has as many as all others.
    for number in 0..600 {
        kit.report(if number % 2 == 0 { 0 } else { u128::from(number) }, number).await;
    }
    kit.until_empty().await;
    assert_in_order(&kit.sink, 600);
}

/// Each event once, and those of an entity in the order of their numbers.
fn assert_in_order(sink: &FakeSink, count: usize) {
    let delivered = sink.delivered.lock().unwrap();
    assert_eq!(delivered.iter().map(|event| event.id).collect::<HashSet<_>>().len(), count);
    let mut last: BTreeMap<Uuid, u64> = BTreeMap::new();
    for event in &*delivered {
        let before = last.insert(event.entity, number(event));
        assert!(before.is_none_or(|before| before < number(event)), "{before:?} came before {}", number(event));
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_carries_the_ids_of_its_request() {
    let kit = Kit::new();
    let correlation_id = CorrelationId::parse(b"order-42");
    let scope = Scope { correlation_id: correlation_id.clone(), ..Scope::service("test-service") };
    in_scope(scope, kit.report(1, 1)).await;
    kit.until_empty().await;
    assert_eq!(kit.sink.delivered.lock().unwrap()[0].correlation_id, correlation_id);
}

#[tokio::test(start_paused = true)]
async fn without_a_sink_nothing_is_recorded_and_operators_see_that() {
    let outbox = Arc::new(MemoryOutbox::default());
    let mut made = None;
    let app = TestApp::start(|context| {
        let service = Service::new(IDENTITY, context);
        let (reporter, relay) = connect(&service, context, outbox.clone(), None);
        made = Some(reporter);
        service.outbox(relay)
    });
    let event = made.unwrap().event(Uuid::from_u128(1), "user_login", || json!({}));
    assert_eq!(event, None);
    let shown = seen(&app).await;
    assert_eq!((&shown["sink"], &shown["events"]), (&Value::Null, &json!(0)));
}
