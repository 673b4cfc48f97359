//! Many processes on one outbox, and commits that come late.

use super::*;

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
