//! What S3 may answer and no emulator does: scripted answers, and what the store makes of them.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use backends::aws::{S3Encryption, S3Objects};
use bytes::Bytes;
use chassis::ports::{ObjectError, ObjectStore, Put};
use testkit::aws::Fake;
use testkit::proxy::Proxy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::emulators::account;

/// One answer of the script; the last one is repeated.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Status(u16, &'static str),
    /// The request is read, and then the connection ends.
    Lost,
    /// It begins well and breaks off.
    CutShort,
    /// Nothing, for good.
    Silence,
}

/// A server that follows a script. It ends with the test.
struct Scripted {
    url: String,
    /// The requests as they came.
    heads: Arc<Mutex<Vec<String>>>,
    _server: JoinSet<()>,
}

impl Scripted {
    async fn new(script: &'static [Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let mut server = JoinSet::new();
        let seen = Arc::clone(&heads);
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, script, Arc::clone(&seen)));
            }
        });
        Self { url, heads, _server: server }
    }

    fn store(&self) -> Arc<S3Objects> {
        S3Objects::open(&account(&self.url), "letters", "", &S3Encryption::default()).unwrap()
    }

    fn count(&self) -> usize {
        self.heads.lock().unwrap().len()
    }
}

async fn serve(mut stream: TcpStream, script: &'static [Answer], heads: Arc<Mutex<Vec<String>>>) {
    while let Some(head) = read_request(&mut stream).await {
        let number = {
            let mut heads = heads.lock().unwrap();
            heads.push(head);
            heads.len() - 1
        };
        match script[number.min(script.len() - 1)] {
            Answer::Lost => return,
            Answer::CutShort => {
                let head = "HTTP/1.1 200 OK\r\netag: \"1\"\r\nlast-modified: Sun, 01 Jun 2025 00:00:00 GMT\r\ncontent-length: 99\r\n\r\n{";
                let _ = stream.write_all(head.as_bytes()).await;
                return;
            }
            Answer::Silence => std::future::pending().await,
            Answer::Status(status, body) => {
                let length = body.len();
                let answer = format!("HTTP/1.1 {status} X\r\netag: \"1\"\r\ncontent-length: {length}\r\n\r\n{body}");
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// The head of the next request; its body is read and left.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(bytes).unwrap();
    let length = head.to_ascii_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some(head)
}

async fn put(server: &Scripted) -> Result<Put, ObjectError> {
    let body = Bytes::from_static(b"{\"canary\": 1}");
    server.store().put_if_absent(&"a.json".parse().unwrap(), body, "application/json").await
}

const CONFLICT: Answer = Answer::Status(409, "<Error><Code>ConditionalRequestConflict</Code></Error>");
const SLOW_DOWN: Answer =
    Answer::Status(503, "<Error><Code>SlowDown</Code><Message>canary-of-the-body</Message></Error>");

#[tokio::test]
async fn a_conflict_of_two_writers_is_tried_again() {
    let server = Scripted::new(&[CONFLICT, CONFLICT, Answer::Status(200, "")]).await;
    assert_eq!(put(&server).await.unwrap(), Put::Created);
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn a_conflict_that_lasts_is_neither_a_success_nor_an_object_that_exists() {
    let server = Scripted::new(&[CONFLICT]).await;
    let error = put(&server).await.unwrap_err();
    assert!(matches!(error, ObjectError::Other(_)), "{error:?}");
    assert!(error.to_string().contains("ConditionalRequestConflict"), "{error}");
    assert_eq!(server.count(), 4);
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_finds_its_own_object() {
    let server = Scripted::new(&[Answer::Lost, Answer::Status(412, "")]).await;
    assert_eq!(put(&server).await.unwrap(), Put::AlreadyExists);
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn throttling_passes_or_is_the_stores_own_trouble() {
    let server = Scripted::new(&[SLOW_DOWN, Answer::Status(500, ""), Answer::Status(200, "")]).await;
    assert_eq!(put(&server).await.unwrap(), Put::Created);
    let server = Scripted::new(&[SLOW_DOWN]).await;
    let error = put(&server).await.unwrap_err();
    assert!(matches!(error, ObjectError::Unavailable(_)), "{error:?}");
    let text = format!("{error} {error:?}");
    assert!(text.contains("SlowDown") && !text.contains("canary"), "{text}");
}

#[tokio::test]
async fn a_missing_permission_is_named_at_once_and_shows_no_credentials() {
    let body = "<Error><Code>AccessDenied</Code><Message>AKIDEMULATOR emulated-secret-key</Message></Error>";
    let script: &'static [Answer] = Box::leak(Box::new([Answer::Status(403, body)]));
    let server = Scripted::new(script).await;
    let error = put(&server).await.unwrap_err();
    assert!(matches!(error, ObjectError::Unavailable(_)), "{error:?}");
    let text = format!("{error} {error:?}");
    assert!(text.contains("s3:PutObject") && text.contains("letters"), "{text}");
    assert!(!text.contains("AKID") && !text.contains("secret-key") && !text.contains("AWS4"), "{text}");
    assert_eq!(server.count(), 1, "a refusal is no trouble that passes");
}

#[tokio::test]
async fn a_write_is_conditional_encrypted_and_checked() {
    let server = Scripted::new(&[Answer::Status(200, "")]).await;
    put(&server).await.unwrap();
    let head = server.heads.lock().unwrap()[0].to_ascii_lowercase();
    assert!(head.starts_with("put /letters/a.json http/1.1"), "{head}");
    for line in ["if-none-match: *", "x-amz-server-side-encryption: aes256", "content-type: application/json"] {
        assert!(head.contains(line), "no {line}: {head}");
    }
    assert!(head.contains("x-amz-checksum-sha256: "), "{head}");
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_is_unavailable_soon() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let begun = Instant::now();
    let store = S3Objects::open(&account(&url), "letters", "", &S3Encryption::default()).unwrap();
    let error = store.get(&"a.json".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, ObjectError::Unavailable(_)), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_object_that_breaks_off_is_no_object() {
    let server = Scripted::new(&[Answer::CutShort]).await;
    let error = server.store().get(&"a.json".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, ObjectError::Unavailable(_)), "{error:?}");
    assert!(error.to_string().contains("broke off"), "{error}");
}

#[tokio::test]
#[ignore = "long: it waits for the time-outs of two attempts"]
async fn a_store_that_says_nothing_times_out_before_the_archiver_gives_up() {
    let server = Scripted::new(&[Answer::Silence]).await;
    let begun = Instant::now();
    assert!(matches!(put(&server).await, Err(ObjectError::Timeout)));
    assert!(begun.elapsed() < Duration::from_secs(19), "{:?}", begun.elapsed());
}

/// As long as it goes on: a roll-up of an archiver is as large, and larger.
#[tokio::test]
#[ignore = "long: it sends and receives for longer than an attempt has"]
async fn a_large_object_may_take_longer_than_a_small_one() {
    let fake = Fake::start().await;
    fake.create_bucket("letters");
    let proxy = Proxy::start(fake.address()).unwrap();
    proxy.throttle(5 << 20);
    let store = S3Objects::open(&account(&proxy.url()), "letters", "", &S3Encryption::default()).unwrap();
    let (key, body) = ("rollup.ndjson".parse().unwrap(), Bytes::from(vec![b'x'; 50 << 20]));
    let begun = Instant::now();
    assert_eq!(store.put_if_absent(&key, body.clone(), "application/x-ndjson").await.unwrap(), Put::Created);
    assert!(begun.elapsed() > Duration::from_secs(9), "too fast to prove anything");
    assert_eq!(store.get(&key).await.unwrap().unwrap(), body);
}
