//! Replicas and dependencies that are slow: a call that can go elsewhere does, and what does not need them goes on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::kit::{Caller, Counting, Place, Running, alone, answer_by, calls, client, load, work};

const SECOND: Duration = Duration::from_secs(1);

/// One of five replicas takes 2 s from some moment on, and a call no more than one.
async fn one_of_five_becomes_slow(many: usize, callers: usize) {
    let _alone = alone().await;
    let is_slow = Arc::new(AtomicBool::new(false));
    let state = Arc::clone(&is_slow);
    let slow = Counting::start(move |_| {
        let pause = if state.load(Ordering::Relaxed) { 2 * SECOND } else { Duration::ZERO };
        async move {
            sleep(pause).await;
            StatusCode::OK
        }
    });
    let mut replicas = vec![slow.await];
    for _ in 0..4 {
        replicas.push(Counting::start(|_| async { StatusCode::OK }).await);
    }
    let urls: Vec<_> = replicas.iter().map(Counting::url).collect();
    let client = client(&urls, SECOND);
    let failures = |statuses: Vec<u16>| statuses.into_iter().filter(|status| *status != 200).count();

    let failed = failures(load(many / 10, callers, calls(client.clone(), Method::GET)).await);
    assert_eq!(failed, 0, "all are well");
    is_slow.store(true, Ordering::Relaxed);
    let before = replicas[0].asked();
    let failed = failures(load(many, callers, calls(client.clone(), Method::GET)).await);
    let asked = replicas[0].asked() - before;
    println!("{failed} of {many} calls failed, {asked} went to the slow replica");
    let posts = failures(load(many / 10, callers, calls(client, Method::POST)).await);
    println!("without a key, {posts} of {} failed", many / 10);
    assert!(failed * 1000 <= many, "{failed} of {many} calls failed, {asked} went to the slow replica");
}

/// One call in a thousand may fail. Each caller may wait once for the slow replica before anybody can know that it is
/// slow, so there are a thousand calls for each caller, and some more for chance.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_five_replicas_becomes_slow_and_999_of_1000_calls_succeed() {
    one_of_five_becomes_slow(10_000, 8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the long run of `./test full`"]
async fn one_of_five_replicas_becomes_slow_and_999_of_1000_calls_succeed_for_a_hundred_thousand() {
    one_of_five_becomes_slow(100_000, 32).await;
}

/// Callers of the route that needs the dependency.
const CALLERS: u32 = 300;
/// What each of them waits before it asks again, so that it is not the processor that they wait for.
const PAUSE: Duration = SECOND;
/// Attempts at a good measurement: a machine that does something else makes any percentile worse and none better.
const ATTEMPTS: u32 = 3;
/// A percentile below this is the scheduler's, and twice it nothing that anybody notices.
const LEAST: Duration = Duration::from_millis(2);

async fn hammer(address: SocketAddr, after: Duration) {
    sleep(after).await;
    let mut caller = Caller::connect(address).await;
    loop {
        caller.ask("/work", "").await;
        let _good_or_bad = caller.answer().await;
        sleep(PAUSE).await;
    }
}

async fn waits_for_other(address: SocketAddr, lasting: Duration) -> Vec<Duration> {
    let mut caller = Caller::connect(address).await;
    let (begun, mut waits) = (Instant::now(), Vec::new());
    while begun.elapsed() < lasting {
        let asked = Instant::now();
        caller.ask("/other", "").await;
        assert_eq!(caller.answer().await, 200);
        waits.push(asked.elapsed());
        sleep(Duration::from_millis(5)).await;
    }
    waits
}

async fn p99_of_other(address: SocketAddr, lasting: Duration) -> Duration {
    let mut callers = JoinSet::new();
    for _ in 0..4 {
        callers.spawn(waits_for_other(address, lasting));
    }
    let mut waits = callers.join_all().await.concat();
    waits.sort_unstable();
    waits[waits.len() * 99 / 100]
}

/// The 99th percentile of a route that needs nothing, without and with callers of one that needs what hangs.
async fn p99_without_and_with(lasting: Duration) -> (Duration, Duration) {
    let hanging = Counting::start(|_| async {
        sleep(10 * SECOND).await;
        StatusCode::OK
    });
    let hanging = hanging.await;
    let dependency = client(&[hanging.url()], 2 * SECOND);
    let asked = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&asked);
    let work = work(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        let dependency = dependency.clone();
        async move { answer_by(&dependency).await }
    });
    let service = Running::start(Place::new(), work).await;
    let without = p99_of_other(service.address(), lasting).await;
    let mut hammering = JoinSet::new();
    for number in 0..CALLERS {
        hammering.spawn(hammer(service.address(), PAUSE / CALLERS * number));
    }
    sleep(PAUSE).await;
    // Long enough for the first calls to be given up, and for the circuit to open.
    let with = p99_of_other(service.address(), lasting).await;
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked >= CALLERS, "only {asked} requests arrived");
    (without, with)
}

async fn a_hanging_dependency_leaves_other_routes_alone(lasting: Duration) {
    let _alone = alone().await;
    let mut measured = Vec::new();
    for _ in 0..ATTEMPTS {
        let (without, with) = p99_without_and_with(lasting).await;
        println!("p99 of the other route: {without:?} without and {with:?} with {CALLERS} callers of one that hangs");
        if with <= 2 * without.max(LEAST) {
            return;
        }
        measured.push((without, with));
    }
    panic!("the other route waits with the one that hangs: {measured:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dependency_that_hangs_leaves_other_routes_as_fast_as_they_are() {
    a_hanging_dependency_leaves_other_routes_alone(3 * SECOND).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the long run of `./test full`"]
async fn a_dependency_that_hangs_for_long_leaves_other_routes_as_fast_as_they_are() {
    a_hanging_dependency_leaves_other_routes_alone(20 * SECOND).await;
}
