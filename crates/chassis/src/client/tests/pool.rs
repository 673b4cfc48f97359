//! Which connection a request is sent on, and for how long one is kept.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{advance, pause, resume, timeout};

use super::*;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
/// In which a system notices that a connection was closed.
const SOON: Duration = Duration::from_secs(10);

/// A server whose connections the test holds in its hands.
struct ByHand(TcpListener);

impl ByHand {
    async fn start() -> (Self, ServiceClient) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client_of(&format!("http://{}", listener.local_addr().unwrap()));
        (Self(listener), client)
    }

    async fn accept(&self) -> TcpStream {
        timeout(SOON, self.0.accept()).await.expect("nobody connects").unwrap().0
    }
}

/// Reads one request and answers it.
async fn answer(connection: &mut TcpStream) {
    answer_with(connection, ANSWER).await;
}

async fn answer_with(connection: &mut TcpStream, answer: &[u8]) {
    read_request(connection).await;
    connection.write_all(answer).await.unwrap();
}

async fn read_request(connection: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(SOON, connection.read_u8()).await.expect("no request comes").unwrap());
    }
}

async fn is_closed(connection: &mut TcpStream) -> bool {
    matches!(timeout(SOON, connection.read(&mut [0; 1])).await, Ok(Ok(0) | Err(_)))
}

#[tokio::test]
async fn a_connection_is_used_again_and_closed_when_it_has_been_idle() {
    let (server, client) = ByHand::start().await;
    let (sent, mut connection) = tokio::join!(client.get(&["a"]).send(), async {
        let mut connection = server.accept().await;
        answer(&mut connection).await;
        connection
    });
    sent.unwrap();
    let (sent, ()) = tokio::join!(client.get(&["b"]).send(), answer(&mut connection));
    sent.unwrap();
    pause();
    advance(Duration::from_secs(20)).await;
    resume();
    let (sent, ()) = tokio::join!(client.get(&["c"]).send(), answer(&mut connection));
    sent.unwrap();
    pause();
    for _ in 0..5 {
        advance(Duration::from_secs(8)).await;
        tokio::task::yield_now().await;
    }
    resume();
    assert!(is_closed(&mut connection).await, "it lies idle for 40 s");
    let (sent, ()) = tokio::join!(client.get(&["d"]).send(), async { answer(&mut server.accept().await).await });
    sent.unwrap();
}

#[tokio::test]
async fn as_many_connections_are_made_as_there_are_calls_at_once() {
    let (server, client) = ByHand::start().await;
    let (one, two, ()) = tokio::join!(client.get(&["a"]).send(), client.get(&["b"]).send(), async {
        let (mut one, mut two) = (server.accept().await, server.accept().await);
        tokio::join!(answer(&mut one), answer(&mut two));
    });
    assert!(one.is_ok() && two.is_ok());
}

#[tokio::test]
async fn a_connection_that_the_service_closed_is_passed_by() {
    let (server, client) = ByHand::start().await;
    let (sent, ()) = tokio::join!(client.get(&["a"]).send(), async {
        // Dropped, so closed.
        answer(&mut server.accept().await).await;
    });
    sent.unwrap();
    // The system knows; whoever reads the connection has to look.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    let call = client.call(Method::POST, &["b"]).send();
    let (sent, ()) = tokio::join!(call, async { answer(&mut server.accept().await).await });
    assert_eq!(sent.unwrap().attempts(), 1, "nothing was lost with it, whether or not the call may be repeated");
}

#[tokio::test]
async fn a_connection_that_is_good_for_one_answer_is_used_for_one() {
    for once in [
        &b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"[..],
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}and more",
    ] {
        let (server, client) = ByHand::start().await;
        let (sent, mut connection) = tokio::join!(client.get(&["a"]).send(), async {
            let mut connection = server.accept().await;
            answer_with(&mut connection, once).await;
            connection
        });
        assert_eq!(sent.unwrap().body(), "{}");
        let (sent, ()) = tokio::join!(client.get(&["b"]).send(), async { answer(&mut server.accept().await).await });
        sent.unwrap();
        assert!(is_closed(&mut connection).await, "{}", String::from_utf8_lossy(once));
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_takes_its_connection_along() {
    let (server, client) = ByHand::start().await;
    let mut connection = tokio::select! {
        _ = client.get(&["a"]).send() => panic!("nobody has answered"),
        connection = async {
            let mut connection = server.accept().await;
            read_request(&mut connection).await;
            connection
        } => connection,
    };
    assert!(is_closed(&mut connection).await);
    let (sent, ()) = tokio::join!(client.get(&["b"]).send(), async { answer(&mut server.accept().await).await });
    sent.unwrap();
}

#[tokio::test]
async fn an_answer_that_is_not_read_to_its_end_takes_its_connection_along() {
    let (server, client) = ByHand::start().await;
    let (sent, mut connection) = tokio::join!(client.get(&["a"]).at_most(10).send(), async {
        let mut connection = server.accept().await;
        answer_with(&mut connection, b"HTTP/1.1 200 OK\r\ncontent-length: 90000\r\n\r\n{").await;
        connection
    });
    assert!(matches!(sent.unwrap_err().failure(), CallFailure::TooLarge(10)));
    assert!(is_closed(&mut connection).await);
}
