//! A sink that is down, busy or refuses, and an outbox that is gone.

use super::*;

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
