//! Clients that are slow, while the process runs and while it ends.

use super::*;

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
