//! The queue on PostgreSQL over a line that fails: what a process holds, and what it does not know that it holds.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use chassis::ports::{NewMessage, Queue, QueueError, Receive};
use testkit::proxy::Proxy;
use tokio::time::{Instant, sleep};

use crate::postgres::{Server, create_database};
use crate::postgres_queue::open;

const MINUTE: Duration = Duration::from_secs(60);

/// A server, the URL of a database in it, and a line to it with the same URL through it.
async fn line() -> Option<(Server, String, Proxy, String)> {
    let server = Server::start()?;
    let url = create_database(&server).await;
    let proxy = Proxy::start((Ipv4Addr::LOCALHOST, server.port).into()).unwrap();
    let through = url.replace(&format!(":{}/", server.port), &format!(":{}/", proxy.address().port()));
    Some((server, url, proxy, through))
}

fn now(visibility: Duration) -> Receive {
    Receive { max: 10, wait: Duration::ZERO, visibility }
}

#[tokio::test]
async fn a_process_that_is_cut_off_for_two_seconds_keeps_its_messages() {
    let Some((_server, url, proxy, through)) = line().await else { return };
    let (holder, other) = (open(&through).await, open(&url).await);
    other.send(NewMessage::new("held", BTreeMap::new())).await.unwrap();
    let held = holder.receive(now(MINUTE)).await.unwrap().remove(0);
    for _ in 0..3 {
        proxy.cut();
        sleep(Duration::from_secs(2)).await;
        proxy.heal();
        let healed = Instant::now();
        while healed.elapsed() < Duration::from_secs(3) {
            assert!(other.receive(now(MINUTE)).await.unwrap().is_empty(), "stolen from a process that lives");
            sleep(Duration::from_millis(100)).await;
        }
    }
    holder.delete(&[held.receipt]).await.unwrap().remove(0).unwrap();
}

#[tokio::test]
async fn a_process_that_is_cut_off_for_long_loses_its_messages_uncounted_and_goes_on() {
    let Some((_server, url, proxy, through)) = line().await else { return };
    let (holder, other) = (open(&through).await, open(&url).await);
    other.send(NewMessage::new("held", BTreeMap::new())).await.unwrap();
    let held = holder.receive(now(MINUTE)).await.unwrap().remove(0);
    proxy.cut();
    let request = Receive { wait: Duration::from_secs(10), ..now(MINUTE) };
    let taken = other.receive(request).await.unwrap().remove(0);
    assert_eq!(taken.receive_count, 1);
    proxy.heal();
    sleep(Duration::from_secs(2)).await;
    let outcome = holder.delete(&[held.receipt]).await.unwrap().remove(0);
    assert!(matches!(outcome, Err(QueueError::StaleReceipt)), "{outcome:?}");

    // It is a worker again, and what it takes from now on is its own.
    other.release(&[taken.receipt], Duration::ZERO).await.unwrap().remove(0).unwrap();
    let again = holder.receive(now(MINUTE)).await.unwrap().remove(0);
    sleep(Duration::from_secs(6)).await;
    holder.delete(&[again.receipt]).await.unwrap().remove(0).unwrap();
}

#[tokio::test]
async fn what_a_receive_took_whose_answer_never_came_is_given_back_uncounted() {
    let Some((_server, url, proxy, through)) = line().await else { return };
    let (slow, other) = (open(&through).await, open(&url).await);
    other.send(NewMessage::new("x".repeat(400_000), BTreeMap::new())).await.unwrap();
    // Connections and requests pass, the answer takes far longer than a call.
    proxy.throttle(20_000);
    let outcome = slow.receive(now(MINUTE)).await;
    assert!(matches!(outcome, Err(QueueError::Timeout)), "{outcome:?}");
    assert!(other.receive(now(MINUTE)).await.unwrap().is_empty(), "nothing was taken");
    proxy.heal();
    let request = Receive { wait: Duration::from_secs(6), ..now(MINUTE) };
    let back = other.receive(request).await.unwrap();
    assert_eq!(back.iter().map(|message| message.receive_count).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn a_peer_that_has_gone_silent_is_noticed() {
    let Some((_server, url, proxy, through)) = line().await else { return };
    let (far, near) = (open(&through).await, open(&url).await);
    proxy.half_open();
    let begun = Instant::now();
    let outcome = far.send(NewMessage::new("refused", BTreeMap::new())).await;
    assert!(matches!(outcome, Err(QueueError::Unavailable(_) | QueueError::Timeout)), "{outcome:?}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    proxy.heal();
    let healed = Instant::now();
    while far.send(NewMessage::new("sent", BTreeMap::new())).await.is_err() {
        assert!(healed.elapsed() < Duration::from_secs(5), "still away");
    }
    // The connection that listens was lost without a sound too.
    near.purge().await.unwrap();
    sleep(Duration::from_secs(7)).await;
    let poll = async {
        let request = Receive { wait: Duration::from_secs(20), ..now(MINUTE) };
        (far.receive(request).await.unwrap(), Instant::now())
    };
    let send = async {
        sleep(Duration::from_millis(400)).await;
        near.send(NewMessage::new("heard", BTreeMap::new())).await.unwrap();
        Instant::now()
    };
    let ((messages, ended), sent) = tokio::join!(poll, send);
    assert_eq!(messages.len(), 1);
    assert!(ended.saturating_duration_since(sent) < Duration::from_millis(500), "found by looking, not by hearing");
}
