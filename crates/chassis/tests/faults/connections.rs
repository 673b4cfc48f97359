//! Peers that end idle connections without a word: whoever calls again sees nothing of it.

use std::future::pending;
use std::time::Duration;

use socket2::{SockFilter, SockRef};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::kit::{accepting, client, read_head};

/// How long a connection may be idle.
const IDLE: Duration = Duration::from_millis(20);

/// A packet filter that takes no byte of any packet (`BPF_RET | BPF_K`).
const DROP: SockFilter = SockFilter::new(0x06, 0, 0, 0);

/// How an idle connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// It is closed.
    Closed,
    /// It is reset.
    Reset,
    /// What is sent is lost from then on, as behind a firewall that has forgotten it: the system drops it unread.
    Dead,
}

/// Answers as long as it is asked often enough, and never says that it will close.
async fn serve_until_idle(stream: TcpStream, ending: Ending) {
    let mut stream = BufReader::new(stream);
    while let Ok(asked) = timeout(IDLE, read_head(&mut stream)).await {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        if asked.is_none() || stream.write_all(answer).await.is_err() {
            return;
        }
    }
    match ending {
        Ending::Closed => {}
        Ending::Reset => stream.get_ref().set_zero_linger().unwrap(),
        Ending::Dead => {
            SockRef::from(stream.get_ref()).attach_filter(&[DROP]).unwrap();
            pending::<()>().await;
        }
    }
}

/// Makes so many calls, with pauses of 15 to 30 ms between them: some find the connection open, some closed, and some
/// find it closing. Where what is sent is lost the pauses are longer: of a call that arrived before that nobody can know
/// that its answer will not come.
async fn no_call_fails(ending: Ending, many: u32, limit: Duration) {
    let (url, _accepting) = accepting(move |stream| serve_until_idle(stream, ending)).await;
    let client = client(&[url], limit);
    let mut failed = Vec::new();
    for number in 0..many {
        let begun = Instant::now();
        match client.get(&["work"]).send().await {
            Ok(answer) => assert_eq!(&answer.body()[..], b"ok"),
            Err(error) => failed.push(format!("call {number}, after {:?}: {error}", begun.elapsed())),
        }
        let at_least = if ending == Ending::Dead { 4 * IDLE } else { 3 * IDLE / 4 };
        sleep(at_least + Duration::from_micros(u64::from(number * 7_919 % 15_000))).await;
    }
    assert!(failed.is_empty(), "{ending:?}: {} of {many} calls failed: {failed:?}", failed.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_closes_idle_connections_fails_no_call_that_is_safe() {
    no_call_fails(Ending::Closed, 200, Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_resets_idle_connections_fails_no_call_that_is_safe() {
    no_call_fails(Ending::Reset, 200, Duration::from_secs(2)).await;
}

/// Fewer, since each one that finds a dead connection has to wait before it can know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_whose_idle_connections_die_fails_no_call_that_is_safe() {
    no_call_fails(Ending::Dead, 15, Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the long run of `./test full`"]
async fn peers_that_end_idle_connections_fail_none_of_thousands_of_calls() {
    no_call_fails(Ending::Closed, 5_000, Duration::from_secs(2)).await;
    no_call_fails(Ending::Reset, 5_000, Duration::from_secs(2)).await;
    no_call_fails(Ending::Dead, 200, Duration::from_secs(1)).await;
}
