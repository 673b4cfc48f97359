//! The relay on an outbox in memory and a sink that does as it is told.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// Takes everything, unless it is down or refuses an event.
#[derive(Debug, Default)]
struct FakeSink {
    delivered: Mutex<Vec<Event>>,
    /// By the event's number: how often it is refused.
    refusals: Mutex<HashMap<u64, usize>>,
    attempts: Mutex<Vec<(u64, Instant)>>,
    is_down: AtomicBool,
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
        self.attempts.lock().unwrap().push((number, Instant::now()));
        sleep(Duration::from_millis(1 + number % 7)).await;
        if self.is_down.load(Ordering::Relaxed) {
            return Err(SinkError::Unavailable("connection refused".into()));
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
            let (reporter, relay) = super::outbox(&service, context, outbox.clone(), Some(sink.clone()));
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
async fn while_the_sink_is_down_events_are_kept_and_it_is_asked_seldom() {
    let kit = Kit::new();
    kit.sink.is_down.store(true, Ordering::Relaxed);
    for number in 0..100 {
        kit.report(u128::from(number), number).await;
    }
    sleep(Duration::from_secs(600)).await;
    assert_eq!(kit.waiting().await, 100);
    // Some at once when it went down, then one round after the other, each of which ends at the first failure.
    let attempts = kit.sink.attempts.lock().unwrap().len();
    assert!((30..=32 * 70).contains(&attempts), "{attempts}");
    let shown = seen(&kit.app).await;
    assert_eq!((&shown["events"], &shown["trouble"]), (&json!(100), &json!("analytics-service: connection refused")));
    let ready = kit.app.get("/health/ready").await.expect(200).json();
    assert_eq!(ready["status"], "degraded");

    kit.sink.is_down.store(false, Ordering::Relaxed);
    let healed = Instant::now();
    kit.until_empty().await;
    assert!(healed.elapsed() <= Duration::from_secs(31), "{:?}", healed.elapsed());
    assert_in_order(&kit.sink, 100);
    assert_eq!(seen(&kit.app).await["trouble"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_refused_event_holds_back_its_own_entity_alone() {
    let kit = Kit::new();
    kit.sink.refusals.lock().unwrap().insert(1, 4);
    for (entity, number) in [(7, 1), (7, 2), (8, 3), (7, 4), (8, 5)] {
        kit.report(entity, number).await;
    }
    kit.until("the others arrive", async |kit| kit.sink.numbers() == [3, 5]).await;
    let shown = seen(&kit.app).await;
    let refused = &shown["refused"][0];
    assert_eq!((&shown["events"], &refused["attempts"]), (&json!(3), &json!(1)));
    assert_eq!(refused["reason"], "422: no such event type");
    assert_eq!(refused["event_type"], "user_login");
    kit.until_empty().await;
    assert_eq!(kit.sink.numbers(), [3, 5, 1, 2, 4]);
    assert_eq!(seen(&kit.app).await["refused"], json!([]));
    let attempts = kit.sink.attempts_of(1);
    let pauses: Vec<_> = attempts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(pauses.len(), 4);
    assert!(pauses[0] >= Duration::from_secs(1) && pauses[3] >= Duration::from_secs(8), "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn whatever_is_refused_in_between_each_entity_keeps_its_order() {
    let kit = Kit::new();
    for number in 0..800 {
        if number % 11 == 3 {
            kit.sink.refusals.lock().unwrap().insert(number, 1 + usize::try_from(number % 3).unwrap());
        }
        kit.report(u128::from(number * 7919 % 90), number).await;
    }
    kit.until_empty().await;
    assert_in_order(&kit.sink, 800);
}

#[tokio::test(start_paused = true)]
async fn of_two_processes_one_delivers_and_the_other_takes_over() {
    let first = Kit::new();
    first.report(1, 1).await;
    first.until_empty().await;
    let second = Kit::on(2, first.outbox.clone(), Arc::default());
    for number in 2..20 {
        second.report(1, number).await;
    }
    first.until_empty().await;
    assert!(second.sink.numbers().is_empty(), "two deliver");
    assert_in_order(&first.sink, 19);
    let leads = async |kit: &Kit| seen(&kit.app).await["leads"].clone();
    assert_eq!((leads(&first).await, leads(&second).await), (json!(true), json!(false)));

    first.app.shut_down().await;
    let begun = Instant::now();
    second.report(1, 20).await;
    second.until_empty().await;
    assert_eq!(second.sink.numbers(), [20]);
    assert!(begun.elapsed() < Duration::from_secs(2), "the lead was not given up");
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
        let (reporter, relay) = super::outbox(&service, context, outbox.clone(), None);
        made = Some(reporter);
        service.outbox(relay)
    });
    let event = made.unwrap().event(Uuid::from_u128(1), "user_login", || json!({}));
    assert_eq!(event, None);
    let shown = seen(&app).await;
    assert_eq!((&shown["sink"], &shown["events"]), (&Value::Null, &json!(0)));
}

/// Cannot be reached.
#[derive(Debug)]
struct Gone;

fn gone<T>() -> Result<T, OutboxError> {
    Err(OutboxError::Unavailable("connection to db.internal refused".into()))
}

#[async_trait]
impl Outbox for Gone {
    async fn record(&self, _: Event) -> Result<(), OutboxError> {
        gone()
    }
    async fn lead(&self, _: Uuid, _: Duration) -> Result<bool, OutboxError> {
        gone()
    }
    async fn read(&self, _: Position, _: usize) -> Result<Vec<(Position, Event)>, OutboxError> {
        gone()
    }
    async fn remove(&self, _: &[Position]) -> Result<(), OutboxError> {
        gone()
    }
    async fn depth(&self) -> Result<OutboxDepth, OutboxError> {
        gone()
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_recorded_is_counted_and_logged() {
    let mut made = None;
    let app = TestApp::start(|context| {
        let service = Service::new(IDENTITY, context);
        let (reporter, relay) = super::outbox(&service, context, Arc::new(Gone), Some(Arc::new(FakeSink::default())));
        made = Some(reporter);
        service.outbox(relay)
    });
    let reporter = made.unwrap();
    reporter.record(reporter.event(Uuid::from_u128(1), "user_login", || json!({}))).await;
    assert!(
        app.get("/metrics").await.expect(200).text().contains("outbox_lost_events_total{service=\"test-service\"} 1")
    );
    let problem = app.operate(Method::GET, "/ops/v1/outbox", "").await.expect_problem(503, "Outbox unavailable");
    assert!(!problem.to_string().contains("db.internal"));
}
