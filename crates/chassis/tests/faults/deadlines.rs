//! A chain of three services whose last one hangs: nobody works for a caller that no longer waits.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chassis::client::ServiceClient;
use http::StatusCode;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep, timeout};

use super::kit::{Caller, Place, Running, alone, answer_by, client, status, work};

const DEADLINE: Duration = Duration::from_millis(300);
/// What the hops allow on their own account, far from any deadline here.
const PATIENT: Duration = Duration::from_secs(10);
/// A hop that still works after so long works on.
const NEVER: Duration = Duration::from_secs(3);

/// What three services, their caller and this test may be late by on two cores that have other work; how late a machine
/// without any makes them, the long run asks.
const LOADED: Duration = Duration::from_millis(250);
/// The promise.
const PROMISED: Duration = Duration::from_millis(100);

/// How a caller stops waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    /// It said beforehand how long it waits.
    Header,
    /// Its client's time is over.
    Timeout,
    /// Its client's call is dropped after 50 ms.
    Drop,
    /// Its connection is reset after 50 ms.
    Reset,
    /// Its connection is closed after 50 ms, as when a program is interrupted.
    Close,
}

/// The work of one hop, which says when it is let go of.
struct InHand {
    hop: &'static str,
    ends: UnboundedSender<(&'static str, Instant)>,
}

impl Drop for InHand {
    fn drop(&mut self) {
        let _is_awaited = self.ends.send((self.hop, Instant::now()));
    }
}

/// Three services, each of which calls the next.
struct Chain {
    services: Vec<Running>,
    /// Of the first one.
    caller: ServiceClient,
    begun: Arc<AtomicUsize>,
    ends: UnboundedReceiver<(&'static str, Instant)>,
}

impl Chain {
    async fn start() -> Self {
        let begun = Arc::new(AtomicUsize::new(0));
        let (tell, ends) = unbounded_channel();
        let mut services: Vec<Running> = Vec::new();
        for hop in ["third", "second", "first"] {
            let next = services.last().map(|next| client(&[next.url()], PATIENT));
            let (begun, tell) = (Arc::clone(&begun), tell.clone());
            let work = work(move || {
                begun.fetch_add(1, Ordering::Relaxed);
                let (in_hand, next) = (InHand { hop, ends: tell.clone() }, next.clone());
                async move {
                    let _in_hand = in_hand;
                    match &next {
                        Some(next) => answer_by(next).await,
                        None => pending::<StatusCode>().await,
                    }
                }
            });
            services.push(Running::start(Place::new(), work).await);
        }
        let caller = client(&[services[2].url()], PATIENT);
        Self { services, caller, begun, ends }
    }

    /// Waits for 50 ms and until each hop has something in hand.
    async fn has_begun(&self) {
        sleep(Duration::from_millis(50)).await;
        let waited = Instant::now();
        while self.begun.load(Ordering::Relaxed) < self.services.len() {
            assert!(waited.elapsed() < NEVER, "the last one was not asked");
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Asks the first one, and is over when nobody waits for its answer any more.
    async fn ask_and_leave(&self, how: Leaving) {
        let first = &self.services[2];
        match how {
            Leaving::Header => {
                let mut caller = Caller::connect(first.address()).await;
                caller.ask("/work", "x-envoy-expected-rq-timeout-ms: 300\r\n").await;
                assert_eq!(caller.answer().await, 503);
            }
            Leaving::Timeout => {
                let impatient = client(&[first.url()], DEADLINE);
                let ended = status(impatient.get(&["work"])).await;
                // The first one knows the deadline as well, and may just be in time to say that it is over.
                assert!(matches!(ended, 0 | 503), "{ended}");
            }
            Leaving::Drop => {
                tokio::select! {
                    ended = status(self.caller.get(&["work"])) => panic!("an answer: {ended}"),
                    () = self.has_begun() => {}
                }
            }
            Leaving::Reset | Leaving::Close => {
                let mut caller = Caller::connect(first.address()).await;
                caller.ask("/work", "x-envoy-expected-rq-timeout-ms: 10000\r\n").await;
                self.has_begun().await;
                if how == Leaving::Reset {
                    caller.reset();
                }
            }
        }
    }

    /// When each hop let go.
    async fn ends(&mut self) -> Vec<(&'static str, Instant)> {
        let mut ends = Vec::new();
        while ends.len() < self.services.len() {
            let Ok(Some(end)) = timeout(NEVER, self.ends.recv()).await else {
                panic!("{NEVER:?} after the caller left only these have stopped: {ends:?}");
            };
            ends.push(end);
        }
        ends
    }
}

async fn work_stops(how: Leaving, rounds: usize, slack: Duration) {
    let _alone = alone().await;
    for _ in 0..rounds {
        // Anew each time, so that no circuit opens for what hangs on purpose.
        let mut chain = Chain::start().await;
        let asked = Instant::now();
        chain.ask_and_leave(how).await;
        let left = Instant::now();
        if matches!(how, Leaving::Header | Leaving::Timeout) {
            let took = left - asked;
            assert!(took >= DEADLINE * 9 / 10, "{how:?}: it did not wait for those behind it: {took:?}");
            assert!(took <= DEADLINE + LOADED, "{how:?}: {took:?}");
        }
        for (hop, end) in chain.ends().await {
            let late = end.saturating_duration_since(left);
            println!("{how:?}: the {hop} hop stopped {late:?} after the caller left");
            assert!(late <= slack, "{how:?}: the {hop} hop worked on for {late:?}");
        }
        assert_eq!(chain.begun.load(Ordering::Relaxed), 3, "{how:?}: each is asked once");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_that_a_caller_names_is_kept_through_three_hops() {
    work_stops(Leaving::Header, 2, LOADED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_of_a_client_is_kept_through_three_hops() {
    work_stops(Leaving::Timeout, 2, LOADED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_stops_three_hops_away_when_a_call_is_dropped() {
    work_stops(Leaving::Drop, 2, LOADED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_stops_three_hops_away_when_a_connection_is_reset() {
    work_stops(Leaving::Reset, 2, LOADED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_reads_stops_three_hops_away_when_a_connection_is_closed() {
    work_stops(Leaving::Close, 2, LOADED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the long run of `./test full`"]
async fn work_stops_within_a_tenth_of_a_second_of_the_caller_in_fifty_rounds() {
    for how in [Leaving::Header, Leaving::Timeout, Leaving::Drop, Leaving::Reset, Leaving::Close] {
        work_stops(how, 50, PROMISED).await;
    }
}
