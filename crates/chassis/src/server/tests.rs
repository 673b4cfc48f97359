//! The server over real sockets, with time limits that a test can wait for.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::response::IntoResponse;
use axum::routing::{any, get, post};
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::timeouts::Timeouts;
use super::{Limits, bind, serve};
use crate::config::{ChassisConfig, Layers, Reader};
use crate::http::Refusal;
use crate::lifecycle::Lifecycle;
use crate::telemetry::metrics::Metrics;

const SHORT: Timeouts = Timeouts {
    first_byte: Duration::from_millis(300),
    idle: Duration::from_secs(1),
    stall: Duration::from_millis(300),
    stall_when_leaving: Duration::from_millis(200),
    linger: Duration::from_millis(200),
};
/// Well over every limit above.
pub(super) const LONG: Duration = Duration::from_secs(5);
/// How long a slow handler works.
const SLOW: Duration = Duration::from_millis(1500);
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

pub(super) struct Server {
    address: SocketAddr,
    pub(super) lifecycle: Lifecycle,
    handled: Arc<AtomicUsize>,
    metrics: Metrics,
    pub(super) task: JoinHandle<()>,
}

/// Refusals as text; the edge makes problem bodies of them.
async fn fallback(request: Request) -> impl IntoResponse {
    match request.extensions().get::<Refusal>() {
        Some(refusal) => (refusal.kind.status(), refusal.detail.to_owned()),
        None => (StatusCode::NOT_FOUND, String::new()),
    }
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "the test awaits the task")]
    pub(super) fn start(settings: &[(&'static str, &str)]) -> Self {
        let handled = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&handled);
        let app = Router::new()
            .route("/", get(async || "hello"))
            .route("/echo", post(async |body: Bytes| body))
            .route("/large", get(async || "x".repeat(32 << 20)))
            .route("/slow", any(async || sleep(SLOW).await))
            .route("/ignore", any(async || StatusCode::IM_A_TEAPOT))
            .layer(axum::middleware::map_request(move |request: Request| {
                let fresh = usize::from(request.extensions().get::<Refusal>().is_none());
                count.fetch_add(fresh, Ordering::Relaxed);
                async { request }
            }));
        // Whatever path a refused request has, it is answered as refused.
        let refusing = axum::middleware::from_fn(async |request: Request, next: axum::middleware::Next| {
            if request.extensions().get::<Refusal>().is_some() {
                return fallback(request).await.into_response();
            }
            next.run(request).await
        });
        let app = app.fallback(fallback).layer(refusing);
        let listener = bind("127.0.0.1:0".parse().unwrap(), "PORT").unwrap();
        let address = listener.local_addr().unwrap();
        let layers = Layers::of(settings);
        let mut reader = Reader::new(&layers);
        let config = ChassisConfig::read(&mut reader, 1, std::net::Ipv4Addr::LOCALHOST);
        let (lifecycle, metrics) = (Lifecycle::new(), Metrics::new("test", "1"));
        let mut limits = Limits::new(config.http.connections.max, &config.http, metrics.clone());
        limits.timeouts = &SHORT;
        let task = tokio::spawn(serve(listener, app, limits, lifecycle.clone()));
        Self { address, lifecycle, handled, metrics, task }
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    pub(super) async fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        stream
    }

    /// All that comes back for `bytes` until the server closes.
    pub(super) async fn answer(&self, bytes: &[u8]) -> String {
        read_to_end(&mut self.send(bytes).await).await
    }

    pub(super) fn handled(&self) -> usize {
        self.handled.load(Ordering::Relaxed)
    }
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = timeout(LONG, stream.read_to_end(&mut answer)).await.expect("the server closes");
    if let Err(error) = read {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    }
    String::from_utf8(answer).unwrap()
}

pub(super) fn assert_refused(answer: &str, status: u16, why: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{why}: {answer:?}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{why}: {answer:?}");
}

#[tokio::test]
async fn what_rfc_9112_forbids_is_refused_and_ends_the_connection() {
    let server = Server::start(&[]);
    let many = "a: b\r\n".repeat(101);
    let large = format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "x".repeat(64 << 10));
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(64 << 10));
    let cases: &[(&str, u16)] = &[
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
        ("POST /echo HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\nhello", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\nhello", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nhello", 400),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n X: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX\0: ab\r\n\r\n", 400),
        ("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("G\u{1}T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /\r\n\r\n", 400),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\r\n\r\n", 400),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (&format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 431),
        (&large, 431),
        (&long, 414),
    ];
    for (bytes, status) in cases {
        assert_refused(&server.answer(bytes.as_bytes()).await, *status, bytes.get(..120).unwrap_or(bytes));
    }
    assert_eq!(server.handled(), 0, "no handler saw any of it");
}

#[tokio::test]
async fn what_rfc_9112_allows_is_answered() {
    let server = Server::start(&[]);
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost:a\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1]:80  \r\nX:\t\u{e9}\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /?q=[1]|{} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ] {
        let answer = server.answer(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.") && answer.contains(" 200 OK\r\n"), "{request:?}: {answer}");
    }
}

#[tokio::test]
async fn a_bad_chunk_is_400_and_ends_the_connection() {
    let server = Server::start(&[]);
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        "g\r\n",
        "-1\r\n",
        "5\nhello\n0\n\n",
        "5;x\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n",
        "1\r\nab\r\n0\r\n\r\n",
    ] {
        let answer = server.answer(format!("{head}{body}GET / HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await;
        assert_refused(&answer, 400, body);
    }
}

/// A proxy may see the end of the body there, and what follows as a request that it let through.
#[tokio::test]
async fn nothing_is_taken_behind_a_bare_line_feed_in_the_trailers() {
    let server = Server::start(&[]);
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in ["0\r\nA: b\n\n", "0\r\nA: b\nC: d\r\n\r\n"] {
        let answer = server.answer(format!("{head}{body}GET / HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{body:?}: {answer}");
        assert!(answer.contains("connection: close"), "{body:?}: {answer}");
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_however_they_are_cut() {
    let server = Server::start(&[]);
    let all = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none\
        POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\ntwo\r\n0\r\nT: r\r\n\r\n\
        GET / HTTP/1.1\r\nHost: a\r\n\r\n\
        POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nfour\
        GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for piece in [1, 7, 64, all.len()] {
        let mut stream = server.connect().await;
        for bytes in all.as_bytes().chunks(piece) {
            stream.write_all(bytes).await.unwrap();
            if piece < 64 {
                tokio::task::yield_now().await;
            }
        }
        let answer = read_to_end(&mut stream).await;
        let places: Vec<_> = ["one", "two", "hello", "418", "hello"]
            .iter()
            .scan(0, |from, text| {
                let at = answer.get(*from..)?.find(text)? + *from;
                *from = at + 1;
                Some(at)
            })
            .collect();
        assert_eq!(places.len(), 5, "pieces of {piece}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 5, "{answer}");
    }
}

#[tokio::test]
async fn a_bad_request_behind_a_good_one_does_not_cost_its_answer() {
    let server = Server::start(&[]);
    let answer = server.answer(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains("hello") && answer.contains("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test]
async fn bytes_behind_a_body_that_nobody_read_are_no_request() {
    let server = Server::start(&[]);
    let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    let head =
        format!("POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{hidden}", hidden.len() + 100_000);
    let answer = server.answer(head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 418") && answer.contains("connection: close"), "{answer}");
    assert_eq!(server.handled(), 1);
}

#[tokio::test]
async fn silent_dripping_and_idle_connections_end_within_their_time() {
    let server = Server::start(&[]);
    let begun = Instant::now();
    let mut silent = server.connect().await;
    let mut half = server.send(b"GET / HTT").await;
    let mut idle = server.send(GET).await;
    let mut stalled = server.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf").await;
    let dripping = async {
        let mut stream = server.connect().await;
        let begun = Instant::now();
        for byte in
            b"GET / HTTP/1.1\r\nHost: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".iter().cycle()
        {
            if stream.write_all(&[*byte]).await.is_err() || begun.elapsed() > LONG {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
        begun.elapsed()
    };
    let (dripped, silence, half, idle, stalled) = tokio::join!(
        dripping,
        async { (read_to_end(&mut silent).await, begun.elapsed()) },
        read_to_end(&mut half),
        read_to_end(&mut idle),
        read_to_end(&mut stalled),
    );

    assert!(dripped < LONG, "a byte now and then kept the connection open");
    assert_eq!(silence.0, "");
    assert!(silence.1 < SHORT.idle, "silent for {:?}, which is the time of an idle connection", silence.1);
    assert_refused(&half, 408, "half a head");
    assert!(idle.starts_with("HTTP/1.1 200 OK") && idle.ends_with("hello"), "{idle}");
    assert!(stalled.starts_with("HTTP/1.1 4"), "{stalled}");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_given_up() {
    let server = Server::start(&[]);
    let _stream = server.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await;
    eventually(|| server.handled() == 1 && server.metrics.open_connections().get() == 1).await;
    eventually(|| server.metrics.open_connections().get() == 0).await;
}

pub(super) async fn eventually(holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LONG, "it never happened");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_end_waits_for_work_and_not_for_those_who_do_nothing() {
    let server = Server::start(&[]);
    let mut half = server.send(b"GET / HTTP/1.1\r\nHo").await;
    let mut stalled = server.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf").await;
    let mut idle = server.send(GET).await;
    let _blind = server.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut silent = server.connect().await;
    eventually(|| server.handled() == 3).await;
    server.lifecycle.shut_down();
    let lifetimes = crate::config::Lifetimes { drain_delay: Duration::ZERO, shutdown_grace: LONG };
    let begun = Instant::now();
    let _ending = server.lifecycle.run_to_end(lifetimes).await.unwrap();
    assert!(timeout(LONG, server.task).await.is_ok());
    assert!(begun.elapsed() < LONG / 2, "{:?}", begun.elapsed());
    assert!(read_to_end(&mut idle).await.ends_with("hello"));
    assert!(read_to_end(&mut half).await.starts_with("HTTP/1.1 408"));
    assert!(read_to_end(&mut stalled).await.starts_with("HTTP/1.1 4"));
    assert_eq!(read_to_end(&mut silent).await, "");
}

#[tokio::test]
async fn an_upload_that_goes_on_is_finished_while_the_process_ends() {
    let server = Server::start(&[]);
    let mut stream = server.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n").await;
    eventually(|| server.handled() == 1).await;
    server.lifecycle.shut_down();
    let lifetimes = crate::config::Lifetimes { drain_delay: Duration::ZERO, shutdown_grace: 2 * LONG };
    let ending = server.lifecycle.run_to_end(lifetimes);
    let upload = async {
        for byte in b"0123456789" {
            sleep(Duration::from_millis(60)).await;
            stream.write_all(&[*byte]).await.unwrap();
        }
        read_to_end(&mut stream).await
    };
    let (_, answer) = tokio::join!(ending, upload);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("0123456789"), "{answer}");
}

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
async fn an_empty_line_behind_a_request_begins_no_other() {
    let server = Server::start(&[]);
    let answer = server.answer(&[GET, b"\r\n"].concat()).await;
    assert!(answer.ends_with("hello"), "{answer}");
}

#[tokio::test]
async fn a_connection_that_ends_says_so() {
    let server = Server::start(&[]);
    let head = "HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n";
    let answer = server.answer(format!("POST /nowhere {head}").as_bytes()).await;
    assert!(answer.contains("404") && answer.contains("connection: close"), "{answer}");
    let huge = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n";
    assert_refused(&server.answer(huge.as_bytes()).await, 400, huge);
}
