//! A socket that one process leaves to the next.

use tokio::net::TcpListener;

use super::*;
use crate::config::Lifetimes;

const LIFETIMES: Lifetimes = Lifetimes { drain_delay: Duration::ZERO, shutdown_grace: LONG };
const LAST_GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// A socket that somebody else keeps open.
fn shared(socket: &std::net::TcpListener) -> Listener {
    let socket = socket.try_clone().unwrap();
    socket.set_nonblocking(true).unwrap();
    Listener { socket: TcpListener::from_std(socket).unwrap(), is_shared: true }
}

#[tokio::test]
async fn who_connects_to_a_shared_socket_between_two_processes_is_answered_by_the_next() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let first = Server::start_on(shared(&socket), None, &[]);
    assert!(first.answer(LAST_GET).await.ends_with("hello"));
    first.lifecycle.shut_down();
    assert!(first.lifecycle.run_to_end(LIFETIMES).await.is_ok());
    let mut waits = first.send(LAST_GET).await;
    first.task.await.unwrap();

    let second = Server::start_on(shared(&socket), None, &[]);
    assert!(read_to_end(&mut waits).await.ends_with("hello"));
    assert_eq!((first.handled.load(Ordering::Relaxed), second.handled()), (1, 1));
}

#[tokio::test]
async fn who_waits_in_a_socket_of_its_own_is_answered_before_it_closes() {
    let server = Server::start(&[]);
    server.lifecycle.shut_down();
    assert!(server.lifecycle.run_to_end(LIFETIMES).await.is_ok());
    let mut waits = server.send(LAST_GET).await;
    assert!(read_to_end(&mut waits).await.ends_with("hello"));
    server.task.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "it is closed");
}
