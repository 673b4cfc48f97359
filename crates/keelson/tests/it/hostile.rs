//! Clients that break the rules, stall or come in crowds: they are answered or closed, and others are served.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::launch::{BINARY, Launch};
use crate::restart::{load, results};
use crate::system::{Answer, System, email, eventually};

/// The server's own time limit for silence is 10 s.
const SERVERS_PATIENCE: Duration = Duration::from_secs(10);
/// Connections of each kind in a crowd.
const CROWD: usize = 500;

fn connect(system: &System) -> TcpStream {
    let stream = TcpStream::connect(system.address("ingest")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

fn begin(system: &System, bytes: &[u8]) -> TcpStream {
    let mut stream = connect(system);
    stream.write_all(bytes).unwrap();
    stream
}

/// Everything until the server closes. Nothing is closed on our side before, so the server has to.
fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    String::from_utf8(answer).unwrap()
}

async fn metric(system: &System, sample: &str) -> f64 {
    let metrics = Answer::of(system.get("ingest", "/metrics")).await.text;
    let line = metrics.lines().find(|line| line.starts_with(sample)).unwrap_or_else(|| panic!("{sample}: {metrics}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_request_that_is_none_is_a_problem_with_an_id_a_metric_and_a_line() {
    let system = System::up().await;
    let large = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(64 << 10));
    let cases: &[(&str, u64, &str)] = &[
        ("GET /health HTTP/1.1\r\n\r\n", 400, "/health"),
        ("GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n", 400, "/health"),
        ("GET /health HTTP/1.1\nHost: localhost\n\n", 400, "/health"),
        ("GET /health HTTP/1.1\r\nHost : localhost\r\n\r\n", 400, "/health"),
        ("GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n", 400, "/health"),
        (
            "POST /submit HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "/submit",
        ),
        ("\x16\x03\x01\x00\r\n\r\n", 400, "*"),
        (&large, 431, "/"),
    ];
    for (bytes, status, instance) in cases {
        let answer = read_to_end(&mut begin(&system, bytes.as_bytes()));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{bytes:.60?}: {answer:?}"));
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{bytes:.60?}: {head}");
        assert!(head.contains("connection: close") && head.contains("x-content-type-options: nosniff"), "{head}");
        let problem: Value = serde_json::from_str(body).unwrap();
        assert_eq!((problem["status"].as_u64(), &problem["instance"]), (Some(*status), &json!(instance)), "{problem}");
        let id = problem["correlation_id"].as_str().unwrap();
        assert!(head.contains(&format!("x-correlation-id: {id}")), "{head}");
        let short = &id[id.len() - 8..];
        eventually("the log line", || system.stderr().contains(short).then_some(())).await;
    }
    let of_framing = "http_server_rejected_requests_total{reason=\"framing\"";
    assert!((metric(&system, of_framing).await - 7.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_chunk_that_is_none_is_400_and_ends_the_connection() {
    let system = System::up().await;
    let head = "POST /submit HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    for chunk in
        ["zz\r\n{}\r\n0\r\n\r\n", "2\n{}\n0\n\n", "-2\r\n{}\r\n0\r\n\r\n", "11111111111111112\r\n{}\r\n0\r\n\r\n"]
    {
        let answer = read_to_end(&mut begin(&system, format!("{head}{chunk}").as_bytes()));
        assert!(answer.starts_with("HTTP/1.1 400 "), "{chunk:?}: {answer}");
        assert!(answer.contains("The request body could not be read"), "{chunk:?}: {answer}");
    }
}

#[tokio::test]
async fn a_crowd_of_silent_and_dripping_connections_is_closed_and_others_are_served() {
    let system = System::up().await;
    let begun = Instant::now();
    let silent: Vec<_> = (0..CROWD).map(|_| connect(&system)).collect();
    let dripping: Vec<_> = (0..CROWD).map(|_| begin(&system, b"G")).collect();
    let mut open = dripping.iter().map(|stream| stream.try_clone().unwrap()).collect::<Vec<_>>();
    let mut rest = b"ET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaa".iter();
    while !open.is_empty() {
        assert!(begun.elapsed() < 2 * SERVERS_PATIENCE, "{} connections are still open", open.len());
        system.send(&email("in between")).await;
        let byte = [*rest.next().unwrap_or(&b'a')];
        open.retain_mut(|stream| stream.write_all(&byte).is_ok());
        sleep(Duration::from_millis(250)).await;
    }
    for mut stream in silent {
        assert_eq!(read_to_end(&mut stream), "");
    }
    let late = dripping.into_iter().map(|mut stream| read_to_end(&mut stream));
    // A reset may overtake the answer, since these clients never stopped sending.
    assert!(late.into_iter().all(|answer| answer.is_empty() || answer.starts_with("HTTP/1.1 408 ")));
    assert!(begun.elapsed() < 2 * SERVERS_PATIENCE, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn under_load_the_end_waits_for_work_and_not_for_clients_that_do_not_go_on() {
    let launch = Launch::up();
    let mut system = launch.start().await;
    let clients = load(&system, &Arc::default());
    let half = begin(&system, b"GET /health HTT");
    let head = "POST /submit HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n";
    let mut stalled = begin(&system, format!("{head}{{").as_bytes());
    let mut idle = begin(&system, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    // Answers of a megabyte each, none of which is read.
    let large = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(20);
    let blind = begin(&system, &large);
    sleep(Duration::from_millis(500)).await;

    let begun = Instant::now();
    let status = system.stop().await;
    assert_eq!(status.code(), Some(0), "{status}\n{}", system.stderr());
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    let load = results(clients).await;
    // One connection may still arrive between the last accept and the close; the kernel resets it unseen.
    assert!(load.failures.len() <= 1 && !load.accepted.is_empty(), "{:?}", load.failures);
    assert!(read_to_end(&mut stalled).starts_with("HTTP/1.1 408 "));
    assert!(read_to_end(&mut idle).starts_with("HTTP/1.1 200 "));
    drop((half, blind));
}

#[tokio::test]
async fn a_second_signal_stops_at_once() {
    let launch = Launch::up().env("DRAIN_DELAY", "20s");
    let mut system = launch.start().await;
    let _stalled = begin(&system, b"POST /submit HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{");
    let begun = Instant::now();
    system.signal("TERM");
    eventually("the drain", || system.stderr().contains("draining").then_some(())).await;
    system.signal("TERM");
    let status = system.ended().await;
    assert!(!status.success(), "{status}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn without_files_to_open_the_process_goes_on_and_says_so_once() {
    // The few that are left after the start are taken by connections, since both limits are raised by hand to less
    // than the process thinks that it has.
    let launch = Launch::up().program(&["/bin/sh", "-c", "ulimit -n 256; exec \"$0\" \"$@\"", BINARY]);
    let system = launch.start().await;
    let pid = system.pid();
    let mut limit = std::process::Command::new("prlimit");
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let lowered = format!("--nofile={0}:{0}", open + 5);
    assert!(limit.args(["--pid", &pid.to_string(), &lowered]).status().unwrap().success());
    let before = cpu_ticks(pid);
    let crowd: Vec<_> = (0..40).map(|_| connect(&system)).collect();
    eventually("the line", || system.stderr().contains("connections cannot be accepted").then_some(())).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(system.stderr().matches("connections cannot be accepted").count(), 1);
    assert!(cpu_ticks(pid) - before < 30, "the accept loop spins");
    drop(crowd);
    assert_eq!(Answer::of(system.get("ingest", "/health")).await.status, 200);
    system.object(&system.send(&email("after the drought")).await).await;
}

/// Hundredths of a second that the process had a processor.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
