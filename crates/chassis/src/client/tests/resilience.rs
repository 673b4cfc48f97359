//! Services in several places, some of which are down, slow or wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::*;

/// A replica that answers so, and counts what it is asked.
struct Replica {
    server: TestServer,
    asked: Arc<AtomicUsize>,
}

async fn replica(status: u16, pause: Duration) -> Replica {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let answer = any(async move || {
        counted.fetch_add(1, Ordering::Relaxed);
        sleep(pause).await;
        StatusCode::from_u16(status).unwrap()
    });
    Replica { server: TestServer::start(Router::new().fallback(answer)).await, asked }
}

impl Replica {
    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn client(replicas: &[&Replica], limits: CallLimits) -> ServiceClient {
    let urls: Vec<_> = replicas.iter().map(|replica| replica.server.url()).collect();
    let metrics = Metrics::new("order-service", "1");
    ServiceClient::new("user-service", urls.join(",").parse::<ServiceUrls>().unwrap(), limits, &metrics).unwrap()
}

/// Makes so many calls, so many at once; answers the statuses, 0 where there was no answer.
async fn statuses(client: &ServiceClient, method: &Method, many: usize, at_once: usize) -> Vec<u16> {
    let mut all = Vec::new();
    while all.len() < many {
        let calls = (0..at_once).map(|_| async {
            let answer = client.call(method.clone(), &["users"]).send().await;
            answer.map_or(0, |answer| answer.status().as_u16())
        });
        all.extend(join_all(calls).await);
    }
    all
}

const NOW: Duration = Duration::ZERO;

#[tokio::test]
async fn a_replica_that_is_gone_costs_no_call() {
    let (one, other) = (replica(200, NOW).await, replica(200, NOW).await);
    let client = client(&[&one, &other], PATIENT);
    assert!(statuses(&client, &Method::POST, 200, 8).await.iter().all(|status| *status == 200));
    assert!(one.asked() > 0 && other.asked() > 0, "{} and {}", one.asked(), other.asked());
    let url = one.server.url();
    drop(one);
    // Those of its connections that were open end before anything is sent, or while a call that can be repeated is.
    assert!(statuses(&client, &Method::GET, 200, 8).await.iter().all(|status| *status == 200), "{url} is gone");
}

#[tokio::test]
async fn a_replica_that_fails_at_once_draws_no_calls() {
    let failing = replica(500, NOW).await;
    let good = [replica(200, NOW).await, replica(200, NOW).await];
    let client = client(&[&failing, &good[0], &good[1]], PATIENT);
    statuses(&client, &Method::POST, 1000, 4).await;
    assert!(failing.asked() < 30, "{} of 1000 calls went there", failing.asked());
}

#[tokio::test]
async fn a_slow_replica_is_avoided_from_its_first_answers_on() {
    let slow = replica(200, Duration::from_secs(2)).await;
    let good = [replica(200, NOW).await, replica(200, NOW).await];
    let limits = CallLimits { timeout: Duration::from_secs(1), ..PATIENT };
    let client = client(&[&slow, &good[0], &good[1]], limits);
    let failed = statuses(&client, &Method::GET, 2000, 4).await.iter().filter(|status| **status != 200).count();
    assert!(failed <= 4 && slow.asked() <= 8, "{failed} of 2000 calls failed, {} went there", slow.asked());
}

#[tokio::test]
async fn a_service_that_fails_gets_a_fifth_more_calls_and_not_three_times_as_many() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    // Not so often that its circuit opens.
    let answer = any(async move || match counted.fetch_add(1, Ordering::Relaxed) % 5 {
        0 | 2 => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    });
    let server = TestServer::start(Router::new().fallback(answer)).await;
    let client = client_of(&server.url());
    let begun = Instant::now();
    let many = statuses(&client, &Method::GET, 2000, 10).await.len();
    let asked = asked.load(Ordering::Relaxed) as f64;
    let most = 1.2 * many as f64 + 10.0 * begun.elapsed().as_secs_f64() + 10.0;
    assert!(asked > 1.1 * many as f64 && asked <= most, "{asked} attempts of {many} calls");
}

#[tokio::test]
async fn a_replica_that_has_no_room_asks_others_to_do_it_and_not_to_wait() {
    let refusing = any(async || (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "5")]));
    let full = TestServer::start(Router::new().fallback(refusing)).await;
    let good = replica(200, NOW).await;
    let urls = format!("{},{}", full.url(), good.server.url());
    let client = client_of(&urls);
    assert!(statuses(&client, &Method::GET, 50, 1).await.iter().all(|status| *status == 200));
}

#[tokio::test]
async fn a_service_that_asks_to_wait_a_second_is_asked_again_after_it() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let answer = any(async move || match counted.fetch_add(1, Ordering::Relaxed) {
        0 => (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "1")]),
        _ => (StatusCode::OK, [("x-nothing", "more")]),
    });
    let server = TestServer::start(Router::new().fallback(answer)).await;
    assert_eq!(statuses(&client_of(&server.url()), &Method::GET, 1, 1).await, [200]);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_service_is_alive_while_one_of_its_replicas_is_though_another_is_silent() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let good = replica(200, NOW).await;
    let urls = format!("http://{},{}", silent.local_addr().unwrap(), good.server.url());
    client_of(&urls).ping().await.unwrap();
}

#[tokio::test]
async fn a_replica_that_is_back_gets_its_share_again() {
    let is_well = Arc::new(AtomicBool::new(true));
    let (asked, state) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&is_well));
    let counted = Arc::clone(&asked);
    let answer = any(async move || match state.load(Ordering::Relaxed) {
        true => {
            counted.fetch_add(1, Ordering::Relaxed);
            StatusCode::OK
        }
        false => StatusCode::INTERNAL_SERVER_ERROR,
    });
    let ailing = TestServer::start(Router::new().fallback(answer)).await;
    let good = replica(200, NOW).await;
    let client = client_of(&format!("{},{}", ailing.url(), good.server.url()));
    is_well.store(false, Ordering::Relaxed);
    statuses(&client, &Method::GET, 100, 2).await;
    is_well.store(true, Ordering::Relaxed);
    let healed = Instant::now();
    while healed.elapsed() < Duration::from_secs(3) {
        statuses(&client, &Method::GET, 10, 2).await;
        sleep(Duration::from_millis(10)).await;
    }
    let share = asked.load(Ordering::Relaxed) as f64 / good.asked() as f64;
    assert!(share > 0.1, "{share} of what the other one got");
}

#[tokio::test]
async fn an_open_circuit_answers_at_once_and_closes_when_the_service_is_well() {
    let is_well = Arc::new(AtomicBool::new(false));
    let state = Arc::clone(&is_well);
    let answer = any(async move || match state.load(Ordering::Relaxed) {
        true => StatusCode::OK,
        false => StatusCode::INTERNAL_SERVER_ERROR,
    });
    let server = TestServer::start(Router::new().fallback(answer)).await;
    let client = client_of(&server.url());
    statuses(&client, &Method::POST, 30, 1).await;
    let begun = Instant::now();
    let refused = client.call(Method::POST, &["users"]).send().await.unwrap_err();
    assert!(refused.to_string().contains("circuit is open"), "{refused}");
    assert!(begun.elapsed() < Duration::from_millis(250), "{:?}", begun.elapsed());
    is_well.store(true, Ordering::Relaxed);
    let healed = Instant::now();
    while statuses(&client, &Method::POST, 1, 1).await != [200] {
        assert!(healed.elapsed() < Duration::from_secs(2), "it is well, and nobody calls it");
        sleep(Duration::from_millis(10)).await;
    }
    assert!(statuses(&client, &Method::POST, 50, 10).await.iter().all(|status| *status == 200));
}

#[tokio::test]
async fn a_service_that_hangs_holds_so_many_calls_and_no_more() {
    let hanging = replica(200, Duration::from_secs(60)).await;
    let client = client(&[&hanging], CallLimits { timeout: Duration::from_secs(1), ..PATIENT });
    let calls = (0..MAX_CALLS + 10).map(|_| client.get(&["users"]).send());
    let refused = join_all(calls)
        .await
        .into_iter()
        .filter(|ended| ended.as_ref().is_err_and(|error| error.to_string().contains("too many calls")));
    assert_eq!(refused.count(), 10);
}
