//! Replicas that fail at once: they draw few calls, cost no time, and are back soon after they are well.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chassis::client::ServiceClient;
use http::{Method, StatusCode};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::kit::{Counting, accepting, alone, calls, client, paced, status};

const SECOND: Duration = Duration::from_secs(1);

/// Calls this replica and four good ones for some seconds; `failed` says how many attempts it met so far.
async fn draws_a_tenth_of_its_share(
    url: String,
    failed: impl Fn() -> usize + Send + Sync,
    each_second: u32,
    seconds: u32,
) {
    let mut good = Vec::new();
    for _ in 0..4 {
        good.push(Counting::start(|_| ready(StatusCode::OK)).await);
    }
    let urls: Vec<_> = [url].into_iter().chain(good.iter().map(Counting::url)).collect();
    let met = || (failed(), good.iter().map(Counting::asked).sum::<usize>());
    let after_a_second = async {
        sleep(SECOND).await;
        met()
    };
    let calls = calls(client(&urls, 2 * SECOND), Method::GET);
    let (statuses, before) = tokio::join!(paced(each_second, SECOND * seconds, calls), after_a_second);
    let after = met();
    let (failed, good) = (after.0 - before.0, after.1 - before.1);
    let unanswered = statuses.iter().filter(|status| **status == 0).count();
    println!(
        "{failed} of {} attempts met the one that fails after the first second, {} in it",
        failed + good,
        before.0
    );
    println!("{unanswered} of {} calls had no answer", statuses.len());
    assert!(good > 100, "there was no load: {good}");
    assert!(failed * 5 * 10 <= failed + good, "{failed} of {} met the one that fails", failed + good);
}

async fn one_that_answers_500(each_second: u32, seconds: u32) {
    let _alone = alone().await;
    let failing = Counting::start(|_| ready(StatusCode::INTERNAL_SERVER_ERROR)).await;
    draws_a_tenth_of_its_share(failing.url(), || failing.asked(), each_second, seconds).await;
}

async fn one_that_hangs_up(each_second: u32, seconds: u32) {
    let _alone = alone().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let (url, _accepting) = accepting(move |stream| {
        counter.fetch_add(1, Ordering::Relaxed);
        drop(stream);
        ready(())
    })
    .await;
    draws_a_tenth_of_its_share(url, || asked.load(Ordering::Relaxed), each_second, seconds).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_answers_500_at_once_draws_a_tenth_of_its_share_after_a_second() {
    one_that_answers_500(500, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_hangs_up_at_once_draws_a_tenth_of_its_share_after_a_second() {
    one_that_hangs_up(500, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the long run of `./test full`"]
async fn a_replica_that_fails_at_once_for_long_draws_a_tenth_of_its_share() {
    one_that_answers_500(1000, 30).await;
    one_that_hangs_up(1000, 30).await;
}

/// How far back a circuit looks.
const WINDOW: Duration = Duration::from_secs(10);
/// How soon whoever is well again must be called.
const BACK: Duration = Duration::from_secs(2);
/// The longest that a refusal may take, in the middle of many.
const AT_ONCE: Duration = Duration::from_millis(5);
/// Between two calls of the trickle.
const EACH: Duration = Duration::from_millis(5);

/// Replicas that are well or fail, all of them, and one caller that never stops.
struct Ailing {
    is_well: Arc<AtomicBool>,
    _replicas: Vec<Counting>,
    client: ServiceClient,
    method: Method,
}

impl Ailing {
    async fn start(many: usize, method: Method) -> Self {
        let is_well = Arc::new(AtomicBool::new(true));
        let mut replicas = Vec::new();
        for _ in 0..many {
            let state = Arc::clone(&is_well);
            let answer = move |_| match state.load(Ordering::Relaxed) {
                true => ready(StatusCode::OK),
                false => ready(StatusCode::INTERNAL_SERVER_ERROR),
            };
            replicas.push(Counting::start(answer).await);
        }
        let urls: Vec<_> = replicas.iter().map(Counting::url).collect();
        Self { is_well, _replicas: replicas, client: client(&urls, SECOND), method }
    }

    /// The next call of the trickle: its status, 0 when it was refused, and how long it took.
    async fn call(&self) -> (u16, Duration) {
        sleep(EACH).await;
        let begun = Instant::now();
        let status = status(self.client.call(self.method.clone(), &["work"])).await;
        (status, begun.elapsed())
    }

    async fn is_refused_within(&self, limit: Duration) -> Duration {
        let failed = Instant::now();
        while self.call().await.0 != 0 {
            assert!(failed.elapsed() < limit, "each call fails, and its circuit is closed after {limit:?}");
        }
        failed.elapsed()
    }

    async fn is_back_within(&self, limit: Duration) -> Duration {
        let healed = Instant::now();
        while self.call().await.0 != 200 {
            assert!(healed.elapsed() < limit, "it is well, and nobody calls it after {limit:?}");
        }
        healed.elapsed()
    }
}

/// All replicas are well for a while, then fail, then are well again.
async fn opens_and_closes(many: usize, method: Method, well_for: Duration) {
    let ailing = Ailing::start(many, method.clone()).await;
    let begun = Instant::now();
    while begun.elapsed() < well_for {
        assert_eq!(ailing.call().await.0, 200);
    }
    ailing.is_well.store(false, Ordering::Relaxed);
    let opened = ailing.is_refused_within(WINDOW).await;
    let mut refusals = Vec::new();
    for _ in 0..200 {
        let (status, took) = ailing.call().await;
        refusals.extend((status == 0).then_some(took));
    }
    refusals.sort_unstable();
    // The others are probes, one a second for each replica.
    assert!(refusals.len() > 150, "{many} {method}: only {} of 200 calls were refused", refusals.len());
    let median = refusals[refusals.len() / 2];
    assert!(median < AT_ONCE, "{many} {method}: a refusal takes {median:?}");
    ailing.is_well.store(true, Ordering::Relaxed);
    let back = ailing.is_back_within(BACK).await;
    println!("{many} {method}: refused after {opened:?}, in {median:?}, and back after {back:?}");
    for _ in 0..50 {
        assert_eq!(ailing.call().await.0, 200, "{many} {method}: it was back already");
    }
}

/// At the same time, since a trickle is no load.
async fn all_open_and_close(cases: Vec<(usize, Method)>, well_for: Duration) {
    let _alone = alone().await;
    let mut running = JoinSet::new();
    for (many, method) in cases {
        running.spawn(opens_and_closes(many, method, well_for));
    }
    running.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circuit_opens_answers_at_once_and_closes_two_seconds_after_all_are_well_again() {
    all_open_and_close(vec![(1, Method::GET), (2, Method::POST), (5, Method::GET)], SECOND).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the long run of `./test full`"]
async fn a_circuit_with_a_window_of_good_calls_opens_within_the_next() {
    let both = |many| [(many, Method::GET), (many, Method::POST)];
    all_open_and_close([1, 2, 5].into_iter().flat_map(both).collect(), WINDOW).await;
}
