//! Encrypted calls as they come over a connection: one behind the other, in pieces, and over HTTP/2.

use h2::client as h2_client;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request as HttpRequest, StatusCode, Version};
use serde_json::{Value, json};
use utoipa_axum::routes;

use super::*;
use crate::auth::Access;
use crate::clock::Clock as _;
use crate::envelope::{Binding, Direction, EncryptionKeys, KeyRing, Received, ReplayCache, ServiceKeys};
use crate::http::{Json, Routes};
use crate::service::{Context, Identity, Service as ChassisService};
use crate::testing::TestApp;

const OWN: Identity = Identity { name: "test-service", short_name: "test", about: "Under test." };
const CALLER: &str = "user-service";
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const PATH: &str = "/things";

/// Says what it was sent, and whether it was told how long that is.
#[utoipa::path(post, path = "/things", responses((status = 200)))]
async fn echo(headers: HeaderMap, Json(sent): Json<Value>) -> Json<Value> {
    Json(json!({ "sent": sent, "told_length": headers.contains_key(CONTENT_LENGTH) }))
}

#[utoipa::path(get, path = "/things", responses((status = 200)))]
async fn list() -> Json<Value> {
    Json(json!([]))
}

#[utoipa::path(delete, path = "/things", responses((status = 204)))]
async fn forget() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// A service with a key that its caller has too.
struct Encrypted {
    app: TestApp,
    ring: KeyRing,
    taken: ReplayCache,
    address: SocketAddr,
    _serving: JoinHandle<()>,
}

impl Encrypted {
    #[expect(clippy::disallowed_methods, reason = "the task ends with the test")]
    fn serve(settings: &[(&'static str, &str)]) -> Self {
        let ring = || KeyRing::parse(&KEY.into()).unwrap();
        let app = TestApp::start(|context| {
            let keys = ServiceKeys::new(Arc::clone(&context.clock)).with_shared(EncryptionKeys::new(ring()));
            let context = Context { keys: Some(Arc::new(keys)), ..context.clone() };
            ChassisService::new(OWN, &context).routes(Routes::new().route(Access::Public, routes!(echo, list, forget)))
        });
        let listener = bind("127.0.0.1:0".parse().unwrap(), "PORT").unwrap();
        let address = listener.local_addr().unwrap();
        let config = ChassisConfig::read(&mut Reader::new(&Layers::of(settings)), 1, std::net::Ipv4Addr::LOCALHOST);
        let limits = Limits::new(100, &config.http, Metrics::new("test", "1"), Arc::default());
        let serving = tokio::spawn(serve(listener, app.edge(), limits, Lifecycle::new()));
        Self { app, ring: ring(), taken: ReplayCache::default(), address, _serving: serving }
    }

    /// Headers and body of a request that nobody has sent before.
    fn request(&self, sent: &Value) -> (Vec<(&'static str, String)>, String) {
        let (sender, target) = (CALLER.as_bytes(), OWN.name.as_bytes());
        let binding = Binding { direction: Direction::Request, method: "POST", path: PATH, sender, target };
        let sealed = self.ring.encrypt_v2(sent.to_string().as_bytes(), &binding, self.app.clock.now()).unwrap();
        let headers = vec![
            ("x-encrypted-payload", "v2".to_owned()),
            ("x-service-name", CALLER.to_owned()),
            ("x-target-service", OWN.name.to_owned()),
            ("x-encryption-key-id", sealed.key_id),
            ("x-encryption-time", sealed.time.to_string()),
        ];
        (headers, json!({ "encrypted_data": sealed.encrypted_data }).to_string())
    }

    /// An answer must say what was sent, and once how long it is itself.
    fn expect(&self, sent: &Value, answer: &Answer) {
        assert_eq!(answer.status, StatusCode::OK);
        let lengths: Vec<_> = answer.headers.get_all(CONTENT_LENGTH).iter().collect();
        assert_eq!(lengths, [&HeaderValue::from(answer.body.len())]);
        assert!(!answer.headers.contains_key(TRANSFER_ENCODING));
        let header = |name: &str| answer.headers[name].to_str().unwrap();
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        let received = Received {
            key_id: header("x-encryption-key-id"),
            time: header("x-encryption-time").parse().unwrap(),
            encrypted_data: body["encrypted_data"].as_str().unwrap().as_bytes(),
        };
        let (sender, target) = (OWN.name.as_bytes(), CALLER.as_bytes());
        let binding = Binding { direction: Direction::Response, method: "POST", path: PATH, sender, target };
        let plain = self.ring.decrypt_v2(&received, &binding, self.app.clock.now(), &self.taken).unwrap();
        let told: Value = serde_json::from_slice(&plain).unwrap();
        assert_eq!(told, json!({ "sent": sent, "told_length": false }));
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    /// The next one of a connection; where none has a body, there is none.
    async fn read(stream: &mut TcpStream, has_body: bool) -> Self {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(timeout(LONG, stream.read_u8()).await.expect("an answer").unwrap());
        }
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Response::new(&mut fields);
        assert!(parsed.parse(&head).unwrap().is_complete());
        let status = StatusCode::from_u16(parsed.code.unwrap()).unwrap();
        let mut headers = HeaderMap::new();
        for field in parsed.headers {
            let name = HeaderName::from_bytes(field.name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_bytes(field.value).unwrap());
        }
        let length = headers.get(CONTENT_LENGTH).filter(|_| has_body).map(|length| length.to_str().unwrap().parse());
        let mut body = vec![0; length.transpose().unwrap().unwrap_or_default()];
        timeout(LONG, stream.read_exact(&mut body)).await.expect("a body").unwrap();
        Self { status, headers, body }
    }
}

fn head(method: &Method, headers: &[(&str, String)], framing: &str) -> String {
    let fields: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{method} {PATH} HTTP/1.1\r\nhost: localhost\r\n{fields}{framing}\r\n")
}

fn with_length((headers, body): (Vec<(&str, String)>, String)) -> String {
    head(&Method::POST, &headers, &format!("content-length: {}\r\n", body.len())) + &body
}

/// In chunks of so many bytes.
fn in_chunks((headers, body): (Vec<(&str, String)>, String), size: usize) -> String {
    let mut request = head(&Method::POST, &headers, "transfer-encoding: chunked\r\n");
    for chunk in body.as_bytes().chunks(size) {
        request += &format!("{:x}\r\n{}\r\n", chunk.len(), std::str::from_utf8(chunk).unwrap());
    }
    request + "0\r\n\r\n"
}

#[tokio::test]
async fn requests_behind_each_other_are_answered_in_whatever_pieces_their_bodies_come() {
    let service = Encrypted::serve(&[]);
    let sent: Vec<Value> = (0..4).map(|number| json!({ "number": number, "text": "x".repeat(5000) })).collect();
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let requests = [
        with_length(service.request(&sent[0])),
        in_chunks(service.request(&sent[1]), 1000),
        with_length(service.request(&sent[2])),
    ];
    stream.write_all(requests.concat().as_bytes()).await.unwrap();
    for sent in &sent[..3] {
        service.expect(sent, &Answer::read(&mut stream, true).await);
    }
    for request in [with_length(service.request(&sent[3])), in_chunks(service.request(&sent[3]), 7000)] {
        for piece in request.as_bytes().chunks(2500) {
            stream.write_all(piece).await.unwrap();
            sleep(Duration::from_millis(5)).await;
        }
        service.expect(&sent[3], &Answer::read(&mut stream, true).await);
    }
}

#[tokio::test]
async fn what_has_no_body_says_no_length_of_one() {
    let service = Encrypted::serve(&[]);
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let asks = [
        ("x-encrypt-response", "true".to_owned()),
        ("x-service-name", CALLER.to_owned()),
        ("x-encryption-key-id", service.ring.key_id().to_owned()),
    ];
    for (method, status) in [(Method::HEAD, StatusCode::OK), (Method::DELETE, StatusCode::NO_CONTENT)] {
        stream.write_all(head(&method, &asks, "").as_bytes()).await.unwrap();
        let answer = Answer::read(&mut stream, false).await;
        assert_eq!((answer.status, answer.headers.get(CONTENT_LENGTH)), (status, None), "{method}");
        assert!(!answer.headers.contains_key(TRANSFER_ENCODING), "{method}");
    }
    // Nothing is left on the connection.
    let sent = json!({ "number": 1 });
    stream.write_all(with_length(service.request(&sent)).as_bytes()).await.unwrap();
    service.expect(&sent, &Answer::read(&mut stream, true).await);
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the connection of a client, for as long as the test lasts")]
async fn over_http_2_it_is_the_same() {
    let service = Encrypted::serve(&[("HTTP2", "true")]);
    let stream = TcpStream::connect(service.address).await.unwrap();
    let (send, connection) = h2_client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut send = send.ready().await.unwrap();
    let sent = json!({ "text": "x".repeat(5000) });
    for (size, ends_with_data) in [(usize::MAX, true), (usize::MAX, false), (1000, true)] {
        let (headers, body) = service.request(&sent);
        let request = HttpRequest::post(format!("http://localhost{PATH}")).version(Version::HTTP_2);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let (answer, mut stream) = send.send_request(request.body(()).unwrap(), false).unwrap();
        let pieces: Vec<_> = body.as_bytes().chunks(size.min(body.len())).collect();
        for (index, piece) in pieces.iter().enumerate() {
            let is_last = ends_with_data && index + 1 == pieces.len();
            stream.send_data(Bytes::copy_from_slice(piece), is_last).unwrap();
        }
        if !ends_with_data {
            stream.send_data(Bytes::new(), true).unwrap();
        }
        let (parts, mut body) = timeout(LONG, answer).await.expect("an answer").unwrap().into_parts();
        let mut whole = Vec::new();
        while let Some(data) = body.data().await {
            whole.extend_from_slice(&data.unwrap());
        }
        service.expect(&sent, &Answer { status: parts.status, headers: parts.headers, body: whole });
    }
}
