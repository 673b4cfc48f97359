//! Requests that are passed on, and what the network does to them.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig};
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::*;

/// Takes one connection, waits, reads until the body of so many bytes is there, and answers this.
async fn once(pause: Duration, body: usize, answer: &'static str) -> (String, JoinSet<usize>) {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let (mut connection, _peer) = listener.accept().await.unwrap();
        sleep(pause).await;
        let (mut read, mut chunk) = (0, vec![0; 1 << 16]);
        while read < body {
            read += connection.read(&mut chunk).await.unwrap();
        }
        connection.write_all(answer.as_bytes()).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        read
    });
    (url, serving)
}

fn request(method: Method, body: &'static [u8]) -> Request<Bytes> {
    Request::builder().method(method).uri("/users?skip=1").body(Bytes::from_static(body)).unwrap()
}

async fn body_of(response: Response) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

#[tokio::test]
async fn a_large_request_outlasts_a_service_that_reads_late() {
    let (url, mut serving) = once(Duration::from_millis(2500), 4 << 20, "HTTP/1.1 204 No Content\r\n\r\n").await;
    let large = vec![b'x'; 4 << 20];
    let answer = client_of(&url).call(Method::POST, &["users"]).written_json(large.into()).send().await;
    assert_eq!(answer.unwrap().status(), 204);
    assert!(serving.join_next().await.unwrap().unwrap() > 4 << 20);
}

#[tokio::test]
async fn an_answer_in_chunks_has_no_other_length() {
    for status in ["200 OK", "503 Service Unavailable"] {
        let answer = format!(
            "HTTP/1.1 {status}\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n5\r\nwhole\r\n0\r\n\r\n"
        );
        let (url, _serving) = once(Duration::ZERO, 1, answer.leak()).await;
        let response = client_of(&url).forward(request(Method::POST, b"x")).await.unwrap();
        assert!(
            !response.headers().contains_key("content-length") && !response.headers().contains_key("transfer-encoding")
        );
        assert_eq!(body_of(response).await, "whole", "{status}");
    }
}

#[tokio::test]
async fn a_request_without_a_body_says_so_where_one_is_expected() {
    let server = echoing().await;
    let client = client_of(&server.url());
    for (method, length) in [(Method::POST, Some("0")), (Method::PUT, Some("0")), (Method::GET, None)] {
        let response = client.forward(request(method.clone(), b"")).await.unwrap();
        let asked: Value = serde_json::from_slice(&body_of(response).await).unwrap();
        assert_eq!(asked["headers"]["content-length"].as_str(), length, "{method}");
        assert_eq!(asked["target"], "/users?skip=1");
    }
}

#[tokio::test]
async fn a_service_that_switches_protocols_has_failed() {
    let (url, _serving) = once(Duration::ZERO, 1, "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n").await;
    let error = client_of(&url).forward(request(Method::POST, b"x")).await.unwrap_err();
    assert!(matches!(error.failure(), CallFailure::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn a_call_waits_for_a_name_no_longer_than_for_anything_else() {
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut connection = ConnectionConfig::udp();
    connection.port = silent.local_addr().unwrap().port();
    let server = NameServerConfig::new(Ipv4Addr::LOCALHOST.into(), true, vec![connection]);
    let servers = ResolverConfig::from_name_servers(vec![server]);
    let places = Places::from("http://users.test:1".parse::<ServiceUrls>().unwrap());
    let limits = CallLimits { timeout: Duration::from_millis(300), ..PATIENT };
    let metrics = Metrics::new("order-service", "1");
    let surroundings = Surroundings { servers: Some(servers), tls: None };
    let client = ServiceClient::within(surroundings, "user-service".into(), places, limits, &metrics).unwrap();
    let begun = Instant::now();
    let error = client.get(&["users"]).send().await.unwrap_err();
    assert!(matches!(error.failure(), CallFailure::Timeout(_)), "{error}");
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
}
