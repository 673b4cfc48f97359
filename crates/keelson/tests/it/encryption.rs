//! Calls between the services of a system that runs: what a capture on the wire shows, and keys that change meanwhile.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chassis::clock::SystemClock;
use chassis::envelope::KeyRing;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::launch::Launch;
use crate::production::serve;
use crate::system::{Answer, System, eventually};

const TOKEN_KEY: &str = "0123456789abcdef0123456789abcdef-of-tokens";
const USER_KEY: &str = r#"{"user-1":"dXNlci1rZXktMi11c2VyLWtleS0yLXVzZXIta2V5LTI="}"#;
const ANALYTICS_KEY: &str = r#"{"analytics-1":"YW5hbHl0aWNzLWtleS1hbmFseXRpY3Mta2V5LTEyMzQ="}"#;
const ORDER_KEY: &str = r#"{"order-1":"b3JkZXIta2V5LTEtb3JkZXIta2V5LTEtb3JkZXIta2U="}"#;

/// Between two parties on a network: hears everything, and can be put in front of whoever starts later.
struct Tap {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
    _serving: JoinSet<()>,
}

impl Tap {
    async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, heard) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<u8>>>::default());
        let hears = Arc::clone(&heard);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((caller, _)) = listener.accept().await {
                let Ok(callee) = TcpStream::connect(target).await else { continue };
                let ((from, to), (back_from, back_to)) = (caller.into_split(), callee.into_split());
                connections.spawn(pass_on(from, back_to, Arc::clone(&hears)));
                connections.spawn(pass_on(back_from, to, Arc::clone(&hears)));
            }
        });
        Self { address, heard, _serving: serving }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap()).to_lowercase()
    }
}

async fn pass_on(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    heard: Arc<Mutex<Vec<u8>>>,
) {
    let mut bytes = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        heard.lock().unwrap().extend_from_slice(&bytes[..count]);
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

fn with_keys(launch: Launch) -> Launch {
    let launch = launch.env("JWT_SECRET_KEY", TOKEN_KEY).env("USER_ENCRYPTION_KEY", USER_KEY);
    launch.env("ANALYTICS_ENCRYPTION_KEY", ANALYTICS_KEY).env("ORDER_ENCRYPTION_KEY", ORDER_KEY)
}

fn address(system: &System, service: &str) -> SocketAddr {
    system.address(service).parse().unwrap()
}

async fn register(system: &System, name: &str) -> String {
    let body = json!({"username": name, "email": format!("{name}@example.com"), "password": "a good password of hers"});
    let answer = Answer::of(system.post("users", "/api/v1/users/register").json(&body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["data"]["user_id"].as_str().unwrap().to_owned()
}

fn issue(launch: &Launch, scopes: &[&str]) -> String {
    let scopes = scopes.iter().flat_map(|scope| ["--scope", scope]);
    let args: Vec<_> = ["token", "issue"].into_iter().chain(scopes).collect();
    String::from_utf8(launch.args(&args).run().stdout).unwrap().trim().to_owned()
}

async fn counted(analytics: &System, token: &str, event_type: &str, at_least: u64) {
    let begun = std::time::Instant::now();
    loop {
        let stats = Answer::of(analytics.get("analytics", "/api/v1/analytics/stats").bearer_auth(token)).await.json();
        if stats["data"]["events_by_type"][event_type].as_u64() >= Some(at_least) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{stats}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_services_tell_each_other_in_production_is_not_to_be_read_on_the_wire() {
    let analytics = with_keys(serve(&["analytics"])).start().await;
    let to_analytics = Tap::before(address(&analytics, "analytics")).await;
    let users = with_keys(serve(&["users"])).env("ANALYTICS_SERVICE_URL", &to_analytics.url()).start().await;
    let to_users = Tap::before(address(&users, "users")).await;
    let orders = with_keys(serve(&["orders"])).env("USER_SERVICE_URL", &to_users.url());
    let orders = orders.env("ANALYTICS_SERVICE_URL", &to_analytics.url()).start().await;

    let user_id = register(&users, "annabel").await;
    let token = issue(&users.launch, &["orders:read", "orders:write", "users:read", "analytics:read"]);
    let item = json!({"product_id": "prod-1", "product_name": "Laptop", "quantity": 1, "price": 999.99});
    let order = json!({"user_id": user_id, "items": [item], "shipping_address": "1 Main St"});
    let answer = Answer::of(orders.post("orders", "/api/v1/orders").bearer_auth(&token).json(&order)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    for event_type in ["user_registration", "order_created"] {
        counted(&analytics, &token, event_type, 1).await;
    }

    let heard = to_analytics.heard();
    for readable in ["event_type", "user_registration", "order_created", user_id.as_str(), "success"] {
        assert!(!heard.contains(readable), "{readable} in {heard}");
    }
    for said in [
        "x-encrypted-payload: v2",
        "x-encryption-key-id: user-1",
        "x-encryption-key-id: order-1",
        "x-encryption-key-id: analytics-1",
        r#"{"encrypted_data":""#,
    ] {
        assert!(heard.contains(said), "{said} not in {heard}");
    }
    let heard = to_users.heard();
    for readable in ["annabel", "created_at", "@example.com"] {
        assert!(!heard.contains(readable), "{readable} in {heard}");
    }
    assert!(heard.contains("x-encrypt-response: true") && heard.contains("x-encryption-key-id: user-1"), "{heard}");
}

#[tokio::test]
async fn a_service_of_production_does_not_start_without_a_key_that_all_have() {
    let strong = serve(&["users"]).env("JWT_SECRET_KEY", TOKEN_KEY).unset("ENCRYPTION_KEY");
    let weak = "a text that is no random key, but long";
    for (launch, parts) in [
        (strong.clone(), ["ENCRYPTION_KEY is not set: expected a key or a reference", "ENCRYPT_CALLS=false"]),
        (strong.clone().env("USER_ENCRYPTION_KEY", USER_KEY), ["ENCRYPTION_KEY is not set", "ORDER_ENCRYPTION_KEY"]),
        (
            strong.clone().env("ENCRYPTION_KEY", weak),
            ["ENCRYPTION_KEY=*** (environment): found a text of", "openssl rand -base64 32"],
        ),
        (strong.clone().env("ENCRYPTION_KEY", "{}"), ["ENCRYPTION_KEY=***", "a JSON object without a key"]),
        (
            strong.clone().env("ENCRYPTION_KEY", "arn:aws:ssm:x"),
            ["ENCRYPTION_KEY=***", "`ssm:` or `secretsmanager:` before the ARN"],
        ),
        (strong.clone().env("ENCRYPTION_KEY", "file:/does/not/exist"), ["ENCRYPTION_KEY=file:/does/not/exist", "not"]),
    ] {
        let ended = launch.run();
        let text = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(64), "{text}");
        assert!(parts.iter().all(|part| text.contains(part)) && !text.contains(weak), "{parts:?} in {text}");
    }
    let elsewhere = strong.env("ENCRYPT_CALLS", "false").start().await;
    register(&elsewhere, "ann").await;
}

fn now() -> Timestamp {
    SystemClock::shared().now()
}

#[tokio::test]
async fn up_has_a_key_of_its_own_with_which_requests_can_be_encrypted() {
    let system = System::up().await;
    let file = system.data().join("secrets/encryption_key");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let key = std::fs::read_to_string(&file).unwrap();
    let ring = KeyRing::parse(&key.trim().into()).unwrap();
    ring.check_random().unwrap();
    let event = json!({"event_type": "custom", "event_name": "Encrypted"}).to_string();
    let encrypted_data = ring.encrypt_fernet(event.as_bytes(), now()).unwrap();
    for service in ["analytics", "gateway"] {
        let request = system.post(service, "/api/v1/analytics/events").header("x-service-communication", "encrypted");
        let answer = Answer::of(request.json(&json!({"encrypted_data": encrypted_data}))).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let encrypted = answer.json()["encrypted_data"].as_str().unwrap().to_owned();
        let plain = ring.decrypt_fernet(encrypted.as_bytes(), now()).unwrap();
        let told: Value = serde_json::from_slice(&plain).unwrap();
        assert_eq!(told["message"], "Event created successfully");
    }
    let wrong = system.post("analytics", "/api/v1/analytics/events").header("x-service-communication", "encrypted");
    let answer = Answer::of(wrong.json(&json!({"encrypted_data": "AAAA"}))).await;
    assert_eq!((answer.status, &answer.json()["detail"]), (400, &json!("Failed to decrypt request data")));
    let log = eventually("the cause is logged", || {
        Some(system.stderr()).filter(|log| log.contains("a request cannot be decrypted"))
    });
    assert!(!log.await.contains(key.trim()));
    let status = Answer::of(system.get("analytics", "/status")).await.json();
    assert_eq!(status["configuration"]["ENCRYPTION_KEY"], Value::Null);
}

/// Puts a ring where it is read, at once and whole.
fn write(file: &Path, ring: &Value) {
    let new = file.with_extension("new");
    std::fs::write(&new, ring.to_string()).unwrap();
    std::fs::rename(new, file).unwrap();
}

/// Reads the file within this time, for sure.
const READ_AGAIN: Duration = Duration::from_secs(6);

#[tokio::test]
async fn keys_are_rotated_under_load_without_a_request_that_fails() {
    let first = "dXNlci1rZXktMi11c2VyLWtleS0yLXVzZXIta2V5LTI=";
    let second = "YW5hbHl0aWNzLWtleS1hbmFseXRpY3Mta2V5LTEyMzQ=";
    let users = serve(&["users"]);
    let file = users.path("ring");
    write(&file, &json!({"k1": first}));
    let reference = format!("file:{}", file.display());
    let with_ring = |launch: Launch| {
        launch.env("JWT_SECRET_KEY", TOKEN_KEY).env("ENCRYPTION_KEY", &reference).env("RATE_LIMIT", "0")
    };
    let users = with_ring(users).start().await;
    let orders = with_ring(serve(&["orders"])).env("USER_SERVICE_URL", &users.url("users")).start().await;
    let token = issue(&users.launch, &["orders:write", "orders:read", "users:read", "users:write"]);
    let user_id = register(&users, "ann").await;
    let order = json!({"user_id": user_id, "items": [{"product_id": "p", "product_name": "n", "quantity": 1, "price": 1}],
        "shipping_address": "1 Main St"});

    let mut callers = JoinSet::new();
    for _ in 0..2 {
        let request = orders.post("orders", "/api/v1/orders").bearer_auth(&token).json(&order);
        callers.spawn(async move {
            loop {
                let answer = Answer::of(request.try_clone().unwrap()).await;
                assert_eq!(answer.status, 201, "{answer:?}");
                sleep(Duration::from_millis(2)).await;
            }
        });
    }
    for ring in [json!({"k1": first, "k2": second}), json!({"k2": second, "k1": first}), json!({"k2": second})] {
        write(&file, &ring);
        sleep(READ_AGAIN).await;
        assert!(callers.try_join_next().is_none(), "a caller was refused");
    }
    callers.abort_all();
    let log = users.stdout() + &orders.stdout();
    assert_eq!(log.matches("the keys of encrypted calls were replaced").count(), 6, "{log}");
    assert!(log.contains(r#""kid":"k2""#) && !log.contains(second), "{log}");
    assert!(!log.contains("cannot be decrypted"), "{log}");
}
