//! HTTP/2 where it is asked for, and clients that abuse it.

use std::time::Duration;

use bytes::Bytes;
use h2::client::{self, SendRequest};
use http::{Method, Request, StatusCode, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{LONG, Server, assert_refused, eventually};
use crate::config::Lifetimes;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;
const DATA: u8 = 0;

fn http2() -> Server {
    Server::start(&[("HTTP2", "true")])
}

#[expect(clippy::disallowed_methods, reason = "the connection of a client, for as long as the test lasts")]
async fn connect(server: &Server) -> SendRequest<Bytes> {
    let (send, connection) = client::handshake(server.connect().await).await.unwrap();
    tokio::spawn(connection);
    send.ready().await.unwrap()
}

fn request(method: Method, path: &str) -> Request<()> {
    let uri = format!("http://localhost{path}");
    Request::builder().method(method).uri(uri).version(Version::HTTP_2).body(()).unwrap()
}

async fn ask(send: &mut SendRequest<Bytes>, request: Request<()>, body: &'static [u8]) -> (StatusCode, Vec<u8>) {
    let (answer, mut stream) = send.send_request(request, body.is_empty()).unwrap();
    if !body.is_empty() {
        stream.send_data(Bytes::from_static(body), true).unwrap();
    }
    let answer = timeout(LONG, answer).await.expect("an answer").unwrap();
    let status = answer.status();
    let (mut body, mut whole) = (answer.into_body(), Vec::new());
    while let Some(data) = body.data().await {
        whole.extend_from_slice(&data.unwrap());
    }
    (status, whole)
}

/// One frame of stream 1 and on (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `GET /large` in HPACK without a table: `:method`, `:scheme`, `:path`, `:authority`.
const HEAD: &[u8] = b"\x82\x86\x04\x06/large\x01\x01a";
const POST_HEAD: &[u8] = b"\x83\x86\x04\x05/echo\x01\x01a";

/// Sends frames until the server has had enough, and then makes sure that it serves others.
async fn flood(server: &Server, begin: Vec<u8>, mut next: impl FnMut(u32) -> Vec<u8>) {
    let mut stream = server.send(&[PREFACE, SETTINGS, &begin].concat()).await;
    let flooding = async {
        for number in 1.. {
            if stream.write_all(&next(number)).await.is_err() {
                return;
            }
        }
    };
    timeout(LONG, flooding).await.expect("the server closes the connection");
    assert_eq!(ask(&mut connect(server).await, request(Method::GET, "/"), b"").await.0, 200);
}

#[tokio::test]
async fn http2_is_spoken_beside_http1_where_it_is_asked_for() {
    let server = http2();
    let mut client = connect(&server).await;
    assert_eq!(ask(&mut client, request(Method::GET, "/"), b"").await, (StatusCode::OK, b"hello".to_vec()));
    assert_eq!(ask(&mut client, request(Method::POST, "/echo"), b"body").await, (StatusCode::OK, b"body".to_vec()));
    assert_eq!(ask(&mut client, request(Method::GET, "/nowhere"), b"").await.0, StatusCode::NOT_FOUND);
    let answer = server.answer(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.ends_with("hello"), "{answer}");
    let mut pieces = server.connect().await;
    for piece in [&PREFACE[..2], &PREFACE[2..20], &PREFACE[20..], SETTINGS] {
        pieces.write_all(piece).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut settings = [0; 9];
    timeout(LONG, pieces.read_exact(&mut settings)).await.expect("settings").unwrap();
    assert_eq!(settings[3], 4, "the first frame of a server is SETTINGS");
}

#[tokio::test]
async fn http2_is_refused_where_nobody_asked_for_it() {
    let server = Server::start(&[]);
    assert_refused(&server.answer(PREFACE).await, 505, "HTTP/2 without HTTP2=true");
}

#[tokio::test]
async fn a_host_beside_another_authority_is_refused() {
    let mut client = connect(&http2()).await;
    let mut asked = request(Method::GET, "/");
    asked.headers_mut().insert("host", "elsewhere".parse().unwrap());
    assert_eq!(ask(&mut client, asked, b"").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn requests_that_are_taken_back_at_once_end_the_connection() {
    let server = http2();
    let reset = |number: u32| {
        let stream = 2 * number - 1;
        [frame(HEADERS, 5, stream, POST_HEAD), frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
    };
    flood(&server, Vec::new(), reset).await;
    assert!(server.handled() < 5_000, "{} requests were worked on", server.handled());
}

#[tokio::test]
async fn a_head_that_does_not_end_ends_the_connection() {
    let header = [&b"\x00\x01x\x7f\x81\x07"[..], &[b'y'; 264]].concat();
    flood(&http2(), frame(HEADERS, 0, 1, HEAD), |_| frame(CONTINUATION, 0, 1, &header)).await;
}

#[tokio::test]
async fn frames_without_data_do_not_keep_others_from_being_served() {
    let server = http2();
    let mut stream = server.send(&[PREFACE, SETTINGS, &frame(HEADERS, 4, 1, POST_HEAD)].concat()).await;
    let empty = frame(DATA, 0, 1, &[]).repeat(1000);
    let flooding = async {
        for _ in 0..1000 {
            if stream.write_all(&empty).await.is_err() {
                break;
            }
        }
    };
    timeout(LONG, flooding).await.expect("the server reads or closes");
    assert_eq!(ask(&mut connect(&server).await, request(Method::GET, "/"), b"").await.0, 200);
}

#[tokio::test]
async fn an_idle_connection_ends_and_a_busy_one_is_finished_at_the_end() {
    let server = http2();
    let mut idle: TcpStream = server.send(&[PREFACE, SETTINGS].concat()).await;
    let mut answer = Vec::new();
    timeout(LONG, idle.read_to_end(&mut answer)).await.expect("the server closes").unwrap();

    let mut client = connect(&server).await;
    let (answer, mut body) = client.send_request(request(Method::POST, "/echo"), false).unwrap();
    eventually(|| server.handled() == 1).await;
    server.lifecycle.shut_down();
    let lifetimes = Lifetimes { drain_delay: Duration::ZERO, shutdown_grace: LONG };
    let late = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        body.send_data(Bytes::from_static(b"late"), true).unwrap();
        answer.await.unwrap().status()
    };
    let (_, status) = tokio::join!(server.lifecycle.run_to_end(lifetimes), late);
    assert_eq!(status, 200);
    timeout(LONG, server.task).await.expect("the server ends").unwrap();
}

#[tokio::test]
async fn an_answer_that_nobody_reads_ends_the_connection() {
    let server = http2();
    // No window for any stream: SETTINGS_INITIAL_WINDOW_SIZE = 0.
    let no_window = frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let mut stream = server.send(&[PREFACE, &no_window].concat()).await;
    // A new request now and then, so that the connection is never idle.
    let asking = async {
        for number in 0.. {
            if stream.write_all(&frame(HEADERS, 5, 2 * number + 1, HEAD)).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(LONG, asking).await.expect("the server closes the connection");
}

#[tokio::test]
async fn work_that_outlasts_its_clients_is_finished_at_the_end() {
    let server = http2();
    let mut client = connect(&server).await;
    let (answer, _) = client.send_request(request(Method::GET, "/slow"), true).unwrap();
    eventually(|| server.handled() == 1).await;
    server.lifecycle.shut_down();
    // Clients have half of the grace, which is less than the handler takes.
    let lifetimes = Lifetimes { drain_delay: Duration::ZERO, shutdown_grace: Duration::from_secs(2) };
    let (_, answer) = tokio::join!(server.lifecycle.run_to_end(lifetimes), answer);
    assert_eq!(answer.unwrap().status(), 200);
}
