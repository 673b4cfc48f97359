//! Replicas that are restarted in turn under load: no caller may notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chassis::client::ServiceClient;
use http::{Method, StatusCode};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::kit::{Place, Running, alone, client, work};

/// Callers at once, each with one call under way.
const CALLERS: usize = 16;
/// How long each request is worked on, so that some are under way whenever a replica is killed.
const WORK: Duration = Duration::from_millis(2);
/// How long nobody listens between the end of a replica and its next beginning.
const DOWN: Duration = Duration::from_millis(200);
/// Well over a stop of the machine; what is slower than that has failed.
const TIMEOUT: Duration = Duration::from_secs(5);

struct Replica {
    running: Option<Running>,
    asked: Arc<AtomicUsize>,
}

impl Replica {
    async fn start() -> Self {
        let mut replica = Self { running: None, asked: Arc::default() };
        replica.start_at(Place::new()).await;
        replica
    }

    async fn start_at(&mut self, place: Place) {
        let asked = Arc::clone(&self.asked);
        let work = work(move || {
            asked.fetch_add(1, Ordering::Relaxed);
            async {
                sleep(WORK).await;
                StatusCode::OK
            }
        });
        self.running = Some(Running::start(place, work).await);
    }

    /// Ends it with or without a drain, and starts it again on the same port.
    async fn restart(&mut self, drains: bool) {
        let running = self.running.take().unwrap();
        let place = if drains { running.drain().await } else { running.kill().await };
        sleep(DOWN).await;
        self.start_at(place).await;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Waits until it is called again, as a rolling update does (`minReadySeconds`): whoever ends the last replica that
    /// callers know as good takes the service away. Callers have two seconds to notice one that is back.
    async fn has_its_share(&self) {
        let (before, begun) = (self.asked(), Instant::now());
        while self.asked() < before + 20 {
            assert!(begun.elapsed() < TIMEOUT, "a replica is there, and nobody calls it");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Calls until it is over, in turn with what is safe and with what has a key; tells what failed.
async fn call_until(
    over: Arc<AtomicBool>,
    client: ServiceClient,
    caller: usize,
    made: Arc<AtomicUsize>,
) -> Vec<String> {
    let mut failed = Vec::new();
    let mut number = 0;
    while !over.load(Ordering::Relaxed) {
        number += 1;
        let begun = Instant::now();
        let call = if number % 2 == 0 {
            client.get(&["work"])
        } else {
            let key = format!("{caller}-{number}");
            client.call(Method::POST, &["work"]).json(&number).idempotency_key(&key)
        };
        let ended = call.send().await;
        made.fetch_add(1, Ordering::Relaxed);
        let fault = match ended {
            Ok(answer) if answer.status() == StatusCode::OK => continue,
            Ok(answer) => answer.status().to_string(),
            Err(error) => error.to_string(),
        };
        failed.push(format!("call {number} of caller {caller}, after {:?}: {fault}", begun.elapsed()));
    }
    failed
}

/// Restarts two replicas in turn, every other time without a drain, while at least so many calls are made.
async fn restarts_under_load(restarts: usize, calls: usize) {
    let _alone = alone().await;
    let mut replicas = [Replica::start().await, Replica::start().await];
    let urls = replicas.each_ref().map(|replica| replica.running.as_ref().unwrap().url());
    let client = client(&urls, TIMEOUT);
    let (over, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        callers.spawn(call_until(Arc::clone(&over), client.clone(), caller, Arc::clone(&made)));
    }
    for replica in &replicas {
        replica.has_its_share().await;
    }
    for number in 0..restarts {
        let replica = &mut replicas[number % 2];
        // Each of the two is drained one time and killed the next.
        replica.restart((number + number / 2).is_multiple_of(2)).await;
        replica.has_its_share().await;
    }
    while made.load(Ordering::Relaxed) < calls {
        sleep(Duration::from_millis(10)).await;
    }
    over.store(true, Ordering::Relaxed);
    let failed = callers.join_all().await.concat();
    let made = made.load(Ordering::Relaxed);
    let attempts: usize = replicas.iter().map(Replica::asked).sum();
    println!("{restarts} restarts: {} of {made} calls failed, {attempts} requests arrived", failed.len());
    assert!(failed.is_empty(), "{} of {made} calls failed, first {:?}", failed.len(), &failed[..failed.len().min(5)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_are_restarted_under_load_and_no_call_fails() {
    restarts_under_load(2, 3_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the long run of `./test full`"]
async fn replicas_are_restarted_twenty_times_under_load_and_none_of_a_hundred_thousand_calls_fails() {
    restarts_under_load(20, 100_000).await;
}
