//! How many connections there are, and how they end.

use super::*;

#[tokio::test]
async fn a_client_with_too_many_connections_gets_no_more_until_one_is_closed() {
    let server = Server::start(&[("MAX_CONNECTIONS_PER_CLIENT", "2")]);
    let first = server.send(GET).await;
    let _second = server.send(GET).await;
    eventually(|| server.metrics.open_connections().get() == 2).await;
    assert_eq!(server.answer(GET).await, "");
    drop(first);
    eventually(|| server.metrics.open_connections().get() == 1).await;
    let mut again = server.send(GET).await;
    assert!(read_to_end(&mut again).await.ends_with("hello"));
}

#[tokio::test]
async fn connections_over_the_limit_of_the_port_wait_for_their_turn() {
    let server = Server::start(&[("MAX_CONNECTIONS", "1")]);
    let first = server.send(GET).await;
    eventually(|| server.handled() == 1).await;
    let mut second = server.send(GET).await;
    sleep(Duration::from_millis(50)).await;
    assert_eq!(server.handled(), 1);
    drop(first);
    assert!(read_to_end(&mut second).await.ends_with("hello"));
}

#[tokio::test]
async fn a_client_that_has_nothing_more_to_send_gets_its_answers() {
    let server = Server::start(&[]);
    let mut stream = server.send(&[b"POST /slow HTTP/1.1\r\nHost: a\r\n\r\n", GET].concat()).await;
    stream.shutdown().await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{answer}");
}

#[tokio::test]
async fn a_client_that_ends_its_side_gets_what_comes_at_once_and_no_longer_work_that_only_reads() {
    let server = Server::start(&[]);
    for (request, answered) in [(GET, true), (b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n", false)] {
        let mut stream = server.send(request).await;
        stream.shutdown().await.unwrap();
        let begun = Instant::now();
        assert_eq!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 200 OK"), answered);
        assert!(begun.elapsed() < SLOW / 2, "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn an_answer_to_an_upgrade_is_not_lost_when_the_body_still_arrives() {
    let server = Server::start(&[]);
    let head =
        "POST /ignore HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 4000000\r\n\r\n";
    let mut stream = server.send(head.as_bytes()).await;
    sleep(SHORT.linger / 4).await;
    stream.write_all(&vec![b'x'; 4_000_000]).await.unwrap();
    assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 418"));
}

#[tokio::test]
async fn where_the_processor_is_the_limit_requests_wait_unread_for_their_turn() {
    let server = Server::start(&[]);
    server.concurrency.set(1);
    let mut idle = server.send(GET).await;
    eventually(|| server.handled() == 1).await;
    let begun = Instant::now();
    let mut slow = server.send(b"POST /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    eventually(|| server.handled() == 2).await;
    assert!(begun.elapsed() < SLOW / 4, "an idle connection holds no turn");
    let mut late = server.send(GET).await;
    let mut leaves = server.send(GET).await;
    leaves.shutdown().await.unwrap();
    eventually(|| server.handled() == 3).await;
    assert!(begun.elapsed() > SLOW / 4 && begun.elapsed() < SLOW, "read after half a second, to be refused");
    assert_eq!(read_to_end(&mut leaves).await, "", "who has left is not answered");
    for (name, stream) in [("idle", &mut idle), ("slow", &mut slow), ("late", &mut late)] {
        let status = if name == "late" { 503 } else { 200 };
        assert!(read_to_end(stream).await.starts_with(&format!("HTTP/1.1 {status} ")), "{name}");
    }
    assert_eq!(server.handled(), 3);
}

#[tokio::test]
async fn the_end_does_not_wait_for_turns() {
    let server = Server::start(&[]);
    server.concurrency.set(1);
    let _slow = server.send(b"POST /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    eventually(|| server.handled() == 1).await;
    let mut waits = server.send(GET).await;
    server.lifecycle.shut_down();
    let lifetimes = crate::config::Lifetimes { drain_delay: Duration::ZERO, shutdown_grace: LONG };
    let ending = server.lifecycle.run_to_end(lifetimes).await.unwrap();
    assert_eq!(ending, crate::lifecycle::Ending::Clean);
    assert!(read_to_end(&mut waits).await.ends_with("hello"));
}

#[tokio::test]
async fn who_has_said_all_is_answered_where_the_processor_is_the_limit_too() {
    let server = Server::start(&[]);
    server.concurrency.set(1);
    let mut stream = server.send(&[GET, GET].concat()).await;
    stream.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut stream).await.matches("HTTP/1.1 200 OK").count(), 2);
}

#[tokio::test]
async fn nobody_holds_a_turn_who_is_not_in_work() {
    let server = Server::start(&[]);
    server.concurrency.set(1);
    let mut closed = server.send(GET).await;
    eventually(|| server.handled() == 1).await;
    let _half = server.send(b"GET / HTTP/1.1\r\nHo").await;
    let _blind = server.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let _bad = server.send(b"GET / HTTP/1.1\r\n\r\n").await;
    eventually(|| server.handled() == 2).await;
    sleep(Duration::from_millis(50)).await;
    let begun = Instant::now();
    let mut stream = server.send(GET).await;
    closed.shutdown().await.unwrap();
    eventually(|| server.handled() == 3).await;
    // Before the stalled ones are given up, which would free their turns.
    assert!(begun.elapsed() < SHORT.stall * 2 / 3, "{:?}", begun.elapsed());
    assert!(read_to_end(&mut stream).await.ends_with("hello"));
}

#[tokio::test]
async fn an_answer_ends_when_its_client_is_gone_however_silent_it_is() {
    let server = Server::start(&[]);
    let mut stream = server.send(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut begun = Vec::new();
    while !begun.windows(5).any(|bytes| bytes == b"begun") {
        assert!(stream.read_buf(&mut begun).await.unwrap() > 0);
    }
    let before = server.left.load(Ordering::Relaxed);
    stream.set_zero_linger().unwrap();
    drop(stream);
    let gone = Instant::now();
    while server.left.load(Ordering::Relaxed) == before {
        assert!(gone.elapsed() < Duration::from_millis(500), "it goes on");
        sleep(Duration::from_millis(1)).await;
    }
}
