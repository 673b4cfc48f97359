//! Connections that break under a `POST`. Once its bytes went out it may have been done, and without a key it is not
//! sent again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::routing::any;
use chassis::testing::TestServer;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::kit::{accepting, announced, client, read_head, status};

/// How a server breaks a connection on which a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Breaking {
    /// It has read all of it.
    Read,
    /// It has read the head and half of the body, and the rest is on its way.
    HalfRead,
    /// It has read nothing of what is there, so the system resets the connection.
    Unread,
    /// The same as the first, but on a connection on which one request was answered.
    OnceUsed,
}

const WAYS: [Breaking; 4] = [Breaking::Read, Breaking::HalfRead, Breaking::Unread, Breaking::OnceUsed];

/// More than the buffers of both sides hold, so that half of it is read while the rest is being sent.
const LARGE: usize = 4 << 20;

/// The requests that a server met.
type Ids = Arc<Mutex<Vec<String>>>;

fn add(ids: &Ids, id: &str) {
    ids.lock().unwrap().push(id.to_owned());
}

fn times(ids: &Ids, id: &str) -> usize {
    ids.lock().unwrap().iter().filter(|other| *other == id).count()
}

/// The last segment of a path.
fn id_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// The path in the first line of a head.
fn path_of(head: &str) -> &str {
    head.split(' ').nth(1).unwrap_or_default()
}

/// Breaks the connection when enough of a request is there, and notes which one it was.
async fn break_it(stream: TcpStream, how: Breaking, broken: Ids) {
    if how == Breaking::Unread {
        let mut begun = [0; 256];
        let count = stream.peek(&mut begun).await.unwrap_or(0);
        if count > 0 {
            add(&broken, id_of(path_of(&String::from_utf8_lossy(&begun[..count]))));
        }
        return;
    }
    let mut stream = BufReader::new(stream);
    if how == Breaking::OnceUsed {
        let Some(head) = read_head(&mut stream).await else { return };
        stream.read_exact(&mut vec![0; announced(&head)]).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    }
    let Some(head) = read_head(&mut stream).await else { return };
    let bytes = announced(&head) / if how == Breaking::HalfRead { 2 } else { 1 };
    stream.read_exact(&mut vec![0; bytes]).await.unwrap();
    add(&broken, id_of(path_of(&head)));
}

/// Does everything that it is asked.
async fn good(seen: &Ids) -> TestServer {
    let seen = Arc::clone(seen);
    let answer = any(move |request: Request| {
        let seen = Arc::clone(&seen);
        async move {
            let id = id_of(request.uri().path()).to_owned();
            let _read = request.into_body().collect().await;
            add(&seen, &id);
            // Slower than the other one, which is preferred for that until it is known to fail.
            sleep(Duration::from_millis(20)).await;
            StatusCode::OK
        }
    });
    TestServer::start(Router::new().fallback(answer)).await
}

/// Posts until a connection breaks, and so so many times, each with a client that knows nothing yet.
async fn posts_meet(how: Breaking, has_key: bool, rounds: usize) {
    let (broken, seen) = (Ids::default(), Ids::default());
    let of_server = Arc::clone(&broken);
    let (url, _accepting) = accepting(move |stream| break_it(stream, how, Arc::clone(&of_server))).await;
    let good = good(&seen).await;
    let body = "x".repeat(if how == Breaking::HalfRead { LARGE } else { 10 });
    for round in 0..rounds {
        let client = client(&[url.clone(), good.url()], Duration::from_secs(10));
        for number in 0..8 {
            let id = format!("{round}-{number}");
            let call = client.call(Method::POST, &["orders", &id]).json(&body);
            let call = if has_key { call.idempotency_key(&id) } else { call };
            let ended = status(call).await;
            let is_broken = times(&broken, &id) > 0;
            assert_eq!(ended, if is_broken && !has_key { 0 } else { 200 }, "{how:?}: {id}");
            if is_broken {
                break;
            }
        }
    }
    // What comes late counts as well.
    sleep(Duration::from_millis(100)).await;
    let met = broken.lock().unwrap().clone();
    assert!(met.len() * 2 > rounds, "{how:?}: only {} of {rounds} rounds met it", met.len());
    for id in &met {
        let (there, elsewhere) = (times(&broken, id), times(&seen, id));
        assert_eq!((there, elsewhere), (1, usize::from(has_key)), "{how:?}: {id}");
    }
}

async fn all_ways(has_key: bool, rounds: usize) {
    for how in WAYS {
        posts_meet(how, has_key, rounds).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_without_a_key_is_not_sent_again_once_its_bytes_went_out() {
    all_ways(false, 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_with_a_key_is_sent_again_elsewhere_and_done() {
    all_ways(true, 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the long run of `./test full`"]
async fn posts_are_sent_again_with_a_key_alone_in_two_hundred_rounds() {
    all_ways(false, 200).await;
    all_ways(true, 200).await;
}
