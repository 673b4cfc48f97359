//! Answers that are long, or end too early.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use chassis::testing::{TestApp, TestServer};
use futures_util::{StreamExt as _, stream};
use http::Method;
use http_body_util::BodyExt as _;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::kit::{RawServer, USERS, before_users};

/// Of one frame of a large answer.
const CHUNK: usize = 64 << 10;
static FILLING: [u8; CHUNK] = [b'x'; CHUNK];

/// The body of the answer, of which nothing is read yet.
async fn opened(app: &TestApp) -> Body {
    let request = app.request(Method::GET, USERS).body(Body::empty()).unwrap();
    let answer = app.open(request).await;
    assert_eq!(answer.status(), 200);
    answer.into_body()
}

async fn frame(body: &mut Body) -> Bytes {
    body.frame().await.unwrap().unwrap().into_data().unwrap()
}

#[tokio::test]
async fn the_beginning_of_an_answer_arrives_before_its_end_is_there() {
    let goes_on = Arc::new(Notify::new());
    let held = Arc::clone(&goes_on);
    let answer = async move || {
        let end = stream::once(async move {
            held.notified().await;
            Ok::<_, Infallible>(Bytes::from_static(b"end"))
        });
        Body::from_stream(stream::iter([Ok(Bytes::from_static(b"beginning"))]).chain(end))
    };
    let server = TestServer::start(Router::new().fallback(answer)).await;
    let app = before_users(&server.url());
    let mut body = opened(&app).await;
    assert_eq!(frame(&mut body).await, "beginning");
    assert!(timeout(Duration::from_millis(50), body.frame()).await.is_err(), "there is no end yet");
    goes_on.notify_one();
    assert_eq!(body.collect().await.unwrap().to_bytes(), "end");
}

/// Whoever reads slowly makes the service wait, and not the gateway keep what was not read.
#[tokio::test]
async fn a_large_answer_is_not_held_in_memory_and_arrives_whole() {
    const CHUNKS: usize = 1024;
    let made = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&made);
    let answer = async move || {
        let chunks = (0..CHUNKS).map(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(Bytes::from_static(&FILLING))
        });
        Body::from_stream(stream::iter(chunks))
    };
    let server = TestServer::start(Router::new().fallback(answer)).await;
    let app = before_users(&server.url());
    let mut body = opened(&app).await;
    let mut bytes = frame(&mut body).await.len();
    let mut before = 0;
    while before < made.load(Ordering::Relaxed) {
        before = made.load(Ordering::Relaxed);
        sleep(Duration::from_millis(250)).await;
    }
    // The sockets of this machine hold some MiB of the 64.
    assert!(before < CHUNKS / 2, "{before} of {CHUNKS} chunks were made, of which one was read");
    while let Some(frame) = body.frame().await {
        bytes += frame.unwrap().into_data().unwrap().len();
    }
    assert_eq!(bytes, CHUNKS * CHUNK);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_taken_for_a_whole_one() {
    for text in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\nhalf",
    ] {
        let server = RawServer::start(text).await;
        let app = before_users(&server.url);
        let body = opened(&app).await;
        assert!(body.collect().await.is_err(), "{text:?}");
    }
}

#[tokio::test]
async fn an_answer_in_chunks_is_put_together_again() {
    let server = RawServer::start(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4;a=b\r\nwhol\r\n1\r\ne\r\n0\r\nx-t: 1\r\n\r\n",
    )
    .await;
    let answer = before_users(&server.url).get(USERS).await.expect(200);
    assert_eq!(answer.text(), "whole");
    assert_eq!((answer.header("transfer-encoding"), answer.header("content-length")), ("", ""));
}
