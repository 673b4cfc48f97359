//! `keelson send` when things go wrong: kills, interrupts, a service that is busy or goes away.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::launch::Launch;
use crate::send::{mbox, send, stored, sums};
use crate::system::{System, eventually};

/// Messages enough for a sender to be caught in the middle.
const MANY: usize = 3000;
/// What `--concurrency` is unless it is said.
const CONCURRENCY: usize = 16;

fn noted(launch: &Launch) -> usize {
    fs::read_to_string(launch.path("state")).unwrap_or_default().lines().count().saturating_sub(1)
}

/// Starts to send many messages and waits until some are noted.
async fn in_the_middle(launch: &Launch) -> System {
    mbox(&launch.path("box"), MANY);
    let sender = launch.spawn();
    eventually("some messages are noted", || (noted(launch) > 100).then_some(())).await;
    sender
}

#[tokio::test]
async fn a_killed_sender_goes_on_where_it_stopped() {
    let system = System::up().await;
    let launch = send(&system, &["--json", "--resume", "state", "box"]);
    in_the_middle(&launch).await.kill();
    let before = noted(&launch);
    assert!(before < MANY, "it was done before the kill");
    let mut state = fs::OpenOptions::new().append(true).open(launch.path("state")).unwrap();
    state.write_all(b"{\"key\":\"00").unwrap();
    drop(state);

    let (sums, code) = sums(&launch.run());
    assert_eq!((code, &sums["already_sent"]), (Some(0), &json!(before)), "{sums}");
    assert_eq!(sums["sent"], MANY - before);
    let subjects = stored(&system).await;
    assert_eq!(subjects.len(), MANY, "messages are lost");
    let twice = subjects.values().sum::<usize>() - MANY;
    assert!(twice <= CONCURRENCY, "{twice} messages were sent twice");
}

#[tokio::test]
async fn ctrl_c_ends_in_order_and_nothing_is_sent_twice() {
    let system = System::up().await;
    let launch = send(&system, &["--resume", "state", "box"]);
    let mut sender = in_the_middle(&launch).await;
    sender.signal("INT");
    let begun = Instant::now();
    assert_eq!(sender.ended().await.code(), Some(130));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let (text, errors) = (sender.stdout(), sender.stderr());
    assert!(text.starts_with("sent ") && text.lines().count() == 1, "{text}");
    assert!(errors.contains("not sent: all after box, message "), "{errors}");
    assert!(errors.ends_with("error: interrupted; the same command goes on where it stopped\n"), "{errors}");
    drop(sender);
    assert_eq!(launch.run().status.code(), Some(0));
    let subjects = stored(&system).await;
    assert_eq!((subjects.len(), subjects.values().sum::<usize>()), (MANY, MANY));
}

#[tokio::test]
async fn a_service_that_goes_away_ends_the_sending_and_another_run_finishes_it() {
    let mut system = System::up().await;
    let again = system.launch.clone();
    let launch = send(&system, &["--resume", "state", "--patience", "1s", "box"]);
    let mut sender = in_the_middle(&launch).await;
    system.kill();
    assert_eq!(sender.ended().await.code(), Some(69));
    let errors = sender.stderr();
    assert!(errors.contains("error: the service takes nothing any more: nothing listens there; the same"), "{errors}");
    drop(sender);
    let system = again.start().await;
    assert_eq!(launch.run().status.code(), Some(0));
    let subjects = stored(&system).await;
    assert_eq!(subjects.len(), MANY);
    assert!(subjects.values().sum::<usize>() <= MANY + CONCURRENCY);
}

/// An answer: its status line and further headers.
type Scripted = (&'static str, &'static str);

/// A service that gives the answers of a script to posts, then says 200.
struct Double {
    url: String,
    posts: Arc<Mutex<Vec<Instant>>>,
}

impl Double {
    fn start(script: Vec<Scripted>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let posts = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&posts);
        thread::spawn(move || {
            let mut script = script.into_iter();
            for stream in listener.incoming() {
                let _ = answer(stream.unwrap(), &mut script, &seen);
            }
        });
        Self { url, posts }
    }

    fn posts(&self) -> Vec<Instant> {
        self.posts.lock().unwrap().clone()
    }

    /// Sends three messages, one at a time.
    fn send(&self, args: &[&str]) -> (Value, Option<i32>) {
        let launch =
            Launch::new(&[&["send", "box", "--json", "--url", &self.url, "--concurrency", "1"], args].concat());
        mbox(&launch.path("box"), 3);
        sums(&launch.env("API_TOKEN", "t").run())
    }
}

/// One request for each connection.
fn answer(
    stream: TcpStream,
    script: &mut impl Iterator<Item = Scripted>,
    posts: &Mutex<Vec<Instant>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut is_post, mut length, mut line) = (false, 0, String::new());
    while stream.read_line(&mut line)? > 2 {
        is_post |= line.starts_with("POST /api/message ");
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    stream.read_exact(&mut vec![0; length])?;
    let next = is_post.then(|| {
        posts.lock().unwrap().push(Instant::now());
        script.next()
    });
    let (status, headers) = next.flatten().unwrap_or(("200 OK", ""));
    let body = r#"{"message_id":"m","detail":"as scripted"}"#;
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n");
    stream.get_mut().write_all(format!("{head}{body}").as_bytes())
}

#[test]
fn a_busy_service_is_left_alone_as_long_as_it_asks() {
    let busy = ("429 Too Many Requests", "retry-after: 1\r\n");
    let full = ("503 Service Unavailable", "retry-after: 2\r\n");
    let double = Double::start(vec![("200 OK", ""), busy, full]);
    let (sums, code) = double.send(&[]);
    assert_eq!((code, &sums["sent"]), (Some(0), &json!(3)), "{sums}");
    let posts = double.posts();
    assert_eq!(posts.len(), 5);
    let pauses: Vec<_> = posts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses[1] >= Duration::from_secs(1) && pauses[2] >= Duration::from_secs(2), "{pauses:?}");
    assert!(pauses[1] < Duration::from_secs(4) && pauses[3] < Duration::from_secs(1), "{pauses:?}");
}

#[test]
fn faults_are_tried_again_and_refusals_are_not() {
    let fault = ("500 Internal Server Error", "");
    let refused = ("422 Unprocessable Entity", "");
    let double = Double::start(vec![fault, fault, refused]);
    let (sums, code) = double.send(&[]);
    assert_eq!((code, &sums["sent"], &sums["refused"]), (Some(65), &json!(2), &json!(1)), "{sums}");
    assert_eq!(sums["problems"][0]["position"], 1);
    assert_eq!(sums["problems"][0]["reason"], "422 as scripted");
    assert_eq!(double.posts().len(), 5);
}

#[test]
fn a_service_that_always_fails_ends_the_patience() {
    let double = Double::start(vec![("502 Bad Gateway", ""); 100]);
    let (sums, code) = double.send(&["--patience", "1s"]);
    assert_eq!((code, &sums["sent"]), (Some(69), &json!(0)), "{sums}");
    assert!(sums["not_sent"].as_u64().unwrap() >= 1, "{sums}");
    let asked = Double::start(vec![("503 Service Unavailable", "retry-after: 9999\r\n")]);
    assert_eq!(asked.send(&[]).1, Some(69));
    assert_eq!(asked.posts().len(), 1);
}
