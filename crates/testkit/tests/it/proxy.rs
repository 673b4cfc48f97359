//! The TCP proxy, with plain sockets at both ends.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use testkit::aws::Fake;
use testkit::proxy::{Line, Mode, Proxy};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::clients::{PATIENCE, send, sqs};

/// A server that sends back what it gets, until dropped.
struct Echo {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Echo {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ended = tokio::io::copy(&mut from, &mut to).await;
                    let _ended = to.shutdown().await;
                });
            }
        });
        Self { address, _tasks: tasks }
    }
}

async fn echoed(stream: &mut TcpStream, text: &str) -> std::io::Result<String> {
    stream.write_all(text.as_bytes()).await?;
    let mut back = vec![0; text.len()];
    timeout(PATIENCE, stream.read_exact(&mut back)).await.expect("nothing came back")?;
    Ok(String::from_utf8(back).unwrap())
}

/// Whether nothing comes for a moment.
async fn is_silent(stream: &mut TcpStream) -> bool {
    timeout(Duration::from_millis(100), stream.read_u8()).await.is_err()
}

async fn error_of(stream: &mut TcpStream) -> ErrorKind {
    timeout(PATIENCE, stream.read_u8()).await.expect("the connection stays").unwrap_err().kind()
}

#[tokio::test]
async fn an_open_line_carries_bytes_and_ends_both_ways() {
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.address).unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let large = "0123456789".repeat(100_000);
    let (mut from, mut to) = stream.split();
    let mut back = String::new();
    let sending = async {
        to.write_all(large.as_bytes()).await.unwrap();
        to.shutdown().await.unwrap();
    };
    timeout(PATIENCE, async { tokio::join!(sending, from.read_to_string(&mut back)) }).await.unwrap().1.unwrap();
    assert_eq!(back, large);
    assert_eq!(proxy.accepted(), 1);
    let began = Instant::now();
    while proxy.open() > 0 {
        assert!(began.elapsed() < PATIENCE, "an ended connection is still counted");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_delay_adds_to_each_way_and_not_to_each_chunk() {
    let echo = Echo::start().await;
    let proxy = Proxy::start_with_seed(echo.address, 7).unwrap();
    proxy.delay(Duration::from_millis(50), Duration::from_millis(20));
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let began = Instant::now();
    echoed(&mut stream, "hello").await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(100), "took {:?}", began.elapsed());
    let began = Instant::now();
    let large = "0123456789".repeat(50_000);
    // About thirty chunks each way: one after the other they would take three seconds.
    let (mut from, mut to) = stream.split();
    let mut back = vec![0; large.len()];
    let (sent, read) = tokio::join!(to.write_all(large.as_bytes()), from.read_exact(&mut back));
    sent.and(read.map(|_| ())).unwrap();
    assert_eq!(back, large.as_bytes());
    assert!(began.elapsed() < Duration::from_secs(2), "took {:?}", began.elapsed());
}

#[tokio::test]
async fn a_cut_resets_what_is_open_and_refuses_what_is_new_until_healed() {
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.address).unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    echoed(&mut stream, "hello").await.unwrap();
    proxy.cut();
    assert_eq!(error_of(&mut stream).await, ErrorKind::ConnectionReset);
    assert_eq!(TcpStream::connect(proxy.address()).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    proxy.heal();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(echoed(&mut stream, "again").await.unwrap(), "again");
}

#[tokio::test]
async fn a_half_open_line_swallows_and_stays_open_and_resets_those_when_healed() {
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.address).unwrap();
    let mut spared = TcpStream::connect(proxy.address()).await.unwrap();
    let mut struck = TcpStream::connect(proxy.address()).await.unwrap();
    echoed(&mut spared, "hello").await.unwrap();
    echoed(&mut struck, "hello").await.unwrap();
    proxy.half_open();
    struck.write_all(b"lost").await.unwrap();
    struck.shutdown().await.unwrap();
    let mut late = TcpStream::connect(proxy.address()).await.unwrap();
    late.write_all(b"lost").await.unwrap();
    assert!(is_silent(&mut struck).await && is_silent(&mut late).await);
    assert_eq!(proxy.open(), 3);
    proxy.heal();
    assert_eq!(error_of(&mut struck).await, ErrorKind::ConnectionReset);
    assert_eq!(error_of(&mut late).await, ErrorKind::ConnectionReset);
    assert_eq!(echoed(&mut spared, "still here").await.unwrap(), "still here");
}

#[tokio::test]
async fn a_frozen_line_loses_nothing() {
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.address).unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    proxy.freeze();
    stream.write_all(b"held").await.unwrap();
    assert!(is_silent(&mut stream).await);
    proxy.heal();
    let mut back = [0; 4];
    timeout(PATIENCE, stream.read_exact(&mut back)).await.unwrap().unwrap();
    assert_eq!(&back, b"held");
}

#[tokio::test]
async fn a_line_that_cuts_answers_carries_the_request_and_half_of_what_comes_back() {
    let fake = Fake::start().await;
    let url = fake.create_queue("orders");
    let proxy = Proxy::start(fake.address()).unwrap();
    proxy.cut_answers();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    stream.write_all(b"GET /nothing-here HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut half = Vec::new();
    let ended = timeout(PATIENCE, stream.read_to_end(&mut half)).await.expect("the connection stays");
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(half.starts_with(b"HTTP/1.1") && !half.ends_with(b">"), "{}", String::from_utf8_lossy(&half));

    let client = aws_sdk_sqs::Client::new(&crate::clients::config(&proxy.url()).await);
    let cut = client.send_message().queue_url(&url).message_body("arrives").send().await.unwrap_err();
    assert!(cut.raw_response().is_none(), "{cut:?}");
    assert_eq!(fake.depth("orders"), 1);
    proxy.heal();
    send(&client, &url, "after").await;
}

#[tokio::test]
async fn a_slow_line_takes_its_time() {
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.address).unwrap();
    proxy.throttle(100_000);
    assert_eq!(proxy.line(), Line { bytes_per_second: Some(100_000), mode: Mode::Open, ..Line::default() });
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let began = Instant::now();
    echoed(&mut stream, &"x".repeat(20_000)).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(180), "took {:?}", began.elapsed());
}

#[tokio::test]
async fn a_client_of_the_fake_survives_a_cut() {
    let fake = Fake::start().await;
    let url = fake.create_queue("orders");
    let proxy = Proxy::start(fake.address()).unwrap();
    let client = aws_sdk_sqs::Client::new(&crate::clients::config(&proxy.url()).await);
    send(&client, &url, "before").await;
    proxy.cut();
    let lost = client.send_message().queue_url(&url).message_body("lost").send().await.unwrap_err();
    assert!(lost.raw_response().is_none());
    proxy.heal();
    send(&client, &url, "after").await;
    assert_eq!(fake.depth("orders"), 2);
    send(&sqs(&fake).await, &url, "past the proxy").await;
}
