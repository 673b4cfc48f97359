//! The relay on an outbox in memory and a sink that does as it is told.

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
async fn while_the_sink_is_down_events_are_kept_and_it_is_asked_seldom() {
    let kit = Kit::new();
    kit.sink.is_down.store(true, Ordering::Relaxed);
    for number in 0..100 {
        kit.report(u128::from(number), number).await;
    }
    sleep(Duration::from_secs(600)).await;
    assert_eq!(kit.waiting().await, 100);
    // Some at once, and then no more until the pause is over, each of which is longer.
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
async fn a_sink_that_takes_most_events_is_not_asked_ever_more_seldom() {
    let kit = Kit::new();
    kit.sink.is_busy_each.store(7, Ordering::Relaxed);
    let begun = Instant::now();
    for number in 1..=1000 {
        kit.report(u128::from(number), number).await;
    }
    kit.until_empty().await;
    assert_eq!(kit.sink.numbers().into_iter().collect::<HashSet<_>>().len(), 1000);
    // Each page ends at the first that is busy, with those that are on their way beside it, and half a second at most.
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
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
    assert!(begun.elapsed() < Duration::from_secs(5), "the lead was not given up: {:?}", begun.elapsed());
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

#[tokio::test(start_paused = true)]
async fn events_that_keep_coming_do_not_keep_back_those_that_are_tried_again() {
    let kit = Kit::new();
    kit.sink.refusals.lock().unwrap().insert(1, 2);
    kit.report(1, 1).await;
    let coming = async {
        for number in 2.. {
            kit.report(u128::from(number), number).await;
            sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = coming => {}
        () = kit.until("the refused event arrives", async |kit| kit.sink.numbers().contains(&1)) => {}
    }
    assert_eq!(kit.sink.attempts_of(1).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_event_to_which_the_sink_does_not_answer_keeps_back_its_own_entity_alone() {
    let kit = Kit::new();
    *kit.sink.hangs_at.lock().unwrap() = Some(3);
    let begun = Instant::now();
    for number in 1..300 {
        kit.report(u128::from(number % 100), number).await;
    }
    kit.until("the others arrive", async |kit| kit.sink.numbers().len() == 296).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    *kit.sink.hangs_at.lock().unwrap() = None;
    kit.until_empty().await;
    assert_in_order(&kit.sink, 299);
}

#[tokio::test(start_paused = true)]
async fn while_the_sink_is_down_one_of_two_processes_asks_it() {
    let first = Kit::new();
    let second = Kit::on(2, first.outbox.clone(), first.sink.clone());
    first.sink.is_down.store(true, Ordering::Relaxed);
    for number in 0..100 {
        first.report(u128::from(number), number).await;
    }
    sleep(Duration::from_secs(600)).await;
    let leads: Vec<_> =
        [seen(&first.app).await, seen(&second.app).await].iter().map(|it| it["leads"].clone()).collect();
    assert!(leads == [json!(true), json!(false)] || leads == [json!(false), json!(true)], "{leads:?}");
    let attempts = first.sink.attempts.lock().unwrap().len();
    assert!(attempts <= 32 * 70, "{attempts}");
    let troubles = [seen(&first.app).await, seen(&second.app).await].map(|it| it["trouble"].is_string());
    assert_eq!(troubles.iter().filter(|trouble| **trouble).count(), 1, "whoever does not deliver knows of none");
}

#[tokio::test(start_paused = true)]
async fn an_operator_discards_an_event_and_those_behind_it_go_on() {
    let kit = Kit::new();
    kit.sink.refusals.lock().unwrap().insert(1, usize::MAX);
    kit.report(7, 1).await;
    kit.report(7, 2).await;
    kit.until("it is refused for a while", async |kit| kit.sink.attempts_of(1).len() == 8).await;
    let id = seen(&kit.app).await["refused"][0]["id"].as_str().unwrap().to_owned();
    let discarded = Instant::now();
    let path = format!("/ops/v1/outbox/{id}");
    kit.app.operate(Method::DELETE, &path, "").await.expect(204);
    kit.until_empty().await;
    assert_eq!(kit.sink.numbers(), [2]);
    assert!(discarded.elapsed() < Duration::from_secs(3), "{:?}", discarded.elapsed());
    for gone in [path.as_str(), "/ops/v1/outbox/nonsense"] {
        kit.app.operate(Method::DELETE, gone, "").await.expect_problem(404, "Event not found");
    }
}

/// Does not show the event at one position, as PostgreSQL does until it is committed.
#[derive(Debug)]
struct Late {
    inner: Arc<MemoryOutbox>,
    hidden: AtomicI64,
}

#[async_trait]
impl Outbox for Late {
    async fn record(&self, event: Event) -> Result<(), OutboxError> {
        self.inner.record(event).await
    }
    async fn lead(&self, relay: Uuid, lease: Duration) -> Result<bool, OutboxError> {
        self.inner.lead(relay, lease).await
    }
    async fn last(&self) -> Result<Position, OutboxError> {
        self.inner.last().await
    }
    async fn read(&self, after: Position, last: Position, limit: usize) -> Result<Vec<(Position, Event)>, OutboxError> {
        let mut page = self.inner.read(after, last, limit).await?;
        page.retain(|(position, _)| position.0 != self.hidden.load(Ordering::Relaxed));
        Ok(page)
    }
    async fn remove(&self, delivered: &[Position]) -> Result<(), OutboxError> {
        self.inner.remove(delivered).await
    }
    async fn discard(&self, id: Uuid) -> Result<bool, OutboxError> {
        self.inner.discard(id).await
    }
    async fn depth(&self) -> Result<OutboxDepth, OutboxError> {
        self.inner.depth().await
    }
}

/// The first event of entity 7 commits while the page before it is on its way; the second one begins after that.
#[tokio::test(start_paused = true)]
async fn an_event_that_commits_late_is_not_overtaken_by_the_next_of_its_entity() {
    let inner = Arc::new(MemoryOutbox::default());
    let late = Arc::new(Late { inner: inner.clone(), hidden: AtomicI64::new(1) });
    let sink = Arc::new(FakeSink::default());
    let mut made = None;
    let _app = TestApp::start(|context| {
        let service = Service::new(IDENTITY, context);
        let (reporter, relay) = connect(&service, context, late.clone(), Some(sink.clone()));
        made = Some(reporter);
        service.outbox(relay)
    });
    let reporter = made.unwrap();
    let report = async |entity: u128, number: u64| {
        let event = reporter.event(Uuid::from_u128(entity), "user_login", || json!({ "number": number }));
        inner.record(event.unwrap()).await.unwrap();
    };
    report(7, 1).await;
    for number in 2..700 {
        report(1000 + u128::from(number), number).await;
    }
    reporter.written();
    while sink.numbers().is_empty() {
        sleep(Duration::from_millis(1)).await;
    }
    late.hidden.store(0, Ordering::Relaxed);
    report(7, 700).await;
    while inner.depth().await.unwrap().events > 0 {
        sleep(Duration::from_millis(10)).await;
    }
    assert_in_order(&sink, 700);
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
    async fn last(&self) -> Result<Position, OutboxError> {
        gone()
    }
    async fn read(&self, _: Position, _: Position, _: usize) -> Result<Vec<(Position, Event)>, OutboxError> {
        gone()
    }
    async fn discard(&self, _: Uuid) -> Result<bool, OutboxError> {
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
        let (reporter, relay) = connect(&service, context, Arc::new(Gone), Some(Arc::new(FakeSink::default())));
        made = Some(reporter);
        service.outbox(relay)
    });
    let reporter = made.unwrap();
    reporter.record(reporter.event(Uuid::from_u128(1), "user_login", || json!({}))).await;
    assert!(
        app.get("/metrics")
            .await
            .expect(200)
            .text()
            .contains("outbox_unrecorded_events_total{service=\"test-service\"} 1")
    );
    let problem = app.operate(Method::GET, "/ops/v1/outbox", "").await.expect_problem(503, "Outbox unavailable");
    assert!(!problem.to_string().contains("db.internal"));
}
