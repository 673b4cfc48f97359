//! The API token in Parameter Store as time goes by: the real binary with a clock that the test turns, and each call
//! counted by the store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::aws::{Fault, Service};
use tokio::task::JoinSet;

use crate::cloud::{Cloud, PARAMETER};
use crate::launch::STRONG_TOKEN;
use crate::system::{Answer, System, email};
use crate::turned_clock::TurnedClock;

const SECOND: Duration = Duration::from_secs(1);
/// Within which every request is answered, whatever the store does.
const IN_TIME: Duration = Duration::from_secs(2);
/// Within which a store that is back is asked again: far more than the pause of a second between two questions, and less
/// than the ten seconds of those that a wrong token causes.
const ASKED_AGAIN: Duration = Duration::from_secs(7);
/// How long a value that was fetched is right.
const LIFETIME: Duration = Duration::from_mins(5);
const NEXT_TOKEN: &str = "next-0123456789abcdef0123456789abcdef-strong";
const LAST_TOKEN: &str = "last-0123456789abcdef0123456789abcdef-strong";

/// ingest on a fake of AWS, and the clock of the one process.
struct Ingest {
    cloud: Cloud,
    system: Arc<System>,
    clock: TurnedClock,
}

impl Ingest {
    /// Started when Parameter Store does this. `None` where clocks cannot be turned.
    async fn with(trouble: Option<Fault>) -> Option<Self> {
        let cloud = Cloud::start().await;
        let is_down = trouble.is_some();
        trouble.map(|fault| cloud.fake.inject(fault.on_service(Service::Ssm)));
        let (launch, clock) = TurnedClock::of(cloud.serve(&["ingest"]))?;
        let mut system = if is_down { launch.spawn().listening().await } else { launch.start().await };
        // Connections that wait for a next request end when the clock is turned, perhaps under that request.
        system.http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
        cloud.fake.heal_all();
        Some(Self { cloud, system: Arc::new(system), clock })
    }

    /// The same with a token in its cache, whose time begins now: to the few seconds that the first steps take.
    async fn loaded() -> Option<Self> {
        let ingest = Self::with(None).await?;
        assert_eq!(ingest.post(STRONG_TOKEN).await.status, 200);
        Some(ingest)
    }

    async fn post(&self, token: &str) -> Answer {
        post(&self.system, token).await
    }

    /// So many at once, and what they were answered.
    async fn crowd(&self, count: usize, token: &'static str) -> Vec<Answer> {
        let mut crowd = JoinSet::new();
        for _ in 0..count {
            let system = Arc::clone(&self.system);
            crowd.spawn(async move {
                loop {
                    let answer = post(&system, token).await;
                    // A machine that is busy with other tests sheds load, and clients come again.
                    if !answer.text.contains("Too many requests at once") {
                        return answer;
                    }
                }
            });
        }
        crowd.join_all().await
    }

    /// Calls of Parameter Store since this was last asked.
    fn calls(&self) -> u64 {
        let calls = self.cloud.fake.calls("GetParameter");
        self.cloud.fake.reset_calls();
        calls
    }
}

async fn post(system: &System, token: &str) -> Answer {
    let body = json!({ "data": email("token"), "token": token });
    Answer::of(system.post("ingest", "/api/message").json(&body)).await
}

fn all(answers: &[Answer], expected: u16) -> bool {
    answers.iter().all(|answer| answer.status == expected)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accepted_token_outlives_its_store_for_five_minutes_and_then_nobody_can_tell() {
    for down in [Fault::stall(60 * SECOND), Fault::drop_connection(), Fault::error(503, "ServiceUnavailable")] {
        let Some(mut ingest) = Ingest::loaded().await else { return };
        let down = ingest.cloud.fake.inject(down.on_service(Service::Ssm));
        // The last of these are asked for again while they are still right.
        for _ in 0..5 {
            ingest.clock.advance(58 * SECOND);
            let accepted = ingest.post(STRONG_TOKEN).await;
            assert_eq!(accepted.status, 200, "an accepted token is forgotten");
            let refused = ingest.post("wrong").await;
            assert_eq!(refused.status, 401);
            assert!(accepted.process_time() < IN_TIME && refused.process_time() < IN_TIME, "{accepted:?} {refused:?}");
        }
        assert!(ingest.calls() >= 2, "nobody asks while the value is right");
        ingest.clock.advance(12 * SECOND);
        for token in [STRONG_TOKEN, "wrong"] {
            let answer = ingest.post(token).await;
            assert!(answer.process_time() < IN_TIME, "{answer:?}");
            assert_eq!((answer.status, &answer.json()["detail"]), (503, &json!("Token validation unavailable")));
        }
        let crowd = ingest.crowd(50, STRONG_TOKEN).await;
        assert!(all(&crowd, 503));
        // If each waited for the one before, the last would take a minute.
        let longest = crowd.iter().map(Answer::process_time).max();
        assert!(longest < Some(3 * IN_TIME), "they wait for one another: {longest:?}");

        ingest.cloud.fake.heal(down);
        let healed = Instant::now();
        while ingest.post(STRONG_TOKEN).await.status != 200 {
            assert!(healed.elapsed() < ASKED_AGAIN, "the store is back and nobody asks it");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_requests_at_the_end_of_the_cache_cause_one_call() {
    let Some(mut ingest) = Ingest::loaded().await else { return };
    // So slow that all of them meet it while it is under way.
    ingest.cloud.fake.inject(Fault::late_answer(Duration::from_millis(300)).on("GetParameter"));
    ingest.clock.advance(LIFETIME);
    ingest.calls();
    assert!(all(&ingest.crowd(1_000, STRONG_TOKEN).await, 200));
    assert_eq!(ingest.calls(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_is_honoured_in_ten_seconds_and_the_old_token_dies_within_five_minutes() {
    let Some(mut ingest) = Ingest::loaded().await else { return };
    ingest.cloud.fake.set_parameter(PARAMETER, NEXT_TOKEN);
    ingest.clock.advance(10 * SECOND);
    assert_eq!(ingest.post(NEXT_TOKEN).await.status, 200, "who has the new one is let in");
    assert_eq!(ingest.post(STRONG_TOKEN).await.status, 200, "who has the old one has time to change");
    ingest.clock.advance(LIFETIME - 10 * SECOND);
    assert_eq!(ingest.post(STRONG_TOKEN).await.status, 401, "the old one is right for ever");
    assert_eq!(ingest.post(NEXT_TOKEN).await.status, 200);

    // Nobody shows the new one: it is learnt all the same.
    ingest.cloud.fake.set_parameter(PARAMETER, LAST_TOKEN);
    for _ in 0..5 {
        ingest.clock.advance(LIFETIME / 5);
        ingest.post(NEXT_TOKEN).await;
    }
    assert_eq!(ingest.post(NEXT_TOKEN).await.status, 401, "the old one outlives five minutes");
    assert_eq!(ingest.post(LAST_TOKEN).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_wrong_tokens_asks_at_most_once_in_ten_seconds() {
    let Some(mut ingest) = Ingest::with(Some(Fault::drop_connection())).await else { return };
    ingest.clock.advance(10 * SECOND);
    let flood = async |ingest: &Ingest| assert!(all(&ingest.crowd(100, "wrong").await, 401));
    ingest.calls();
    flood(&ingest).await;
    assert_eq!(ingest.calls(), 1, "nothing was known");
    flood(&ingest).await;
    assert_eq!(ingest.calls(), 0, "the value is fresh");
    for _ in 0..3 {
        ingest.clock.advance(10 * SECOND);
        flood(&ingest).await;
        flood(&ingest).await;
        assert_eq!(ingest.calls(), 1, "ten seconds later");
    }
    ingest.clock.advance(LIFETIME);
    flood(&ingest).await;
    flood(&ingest).await;
    assert_eq!(ingest.calls(), 1, "the value has expired");
}

/// Nobody knows whether a token is wrong then, and a store that refuses since it is asked too often must be left alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_refuses_is_asked_once_a_second_however_many_ask() {
    let Some(ingest) = Ingest::with(Some(Fault::throttle())).await else { return };
    ingest.cloud.fake.inject(Fault::throttle().on_service(Service::Ssm));
    ingest.calls();
    let begun = Instant::now();
    for _ in 0..5 {
        assert!(all(&ingest.crowd(100, "wrong").await, 503));
    }
    let (calls, seconds) = (ingest.calls(), begun.elapsed().as_secs() + 1);
    assert!(calls <= seconds + 1, "{calls} calls in {seconds} s");
}
