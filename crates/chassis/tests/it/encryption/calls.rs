//! A service that calls another one: what goes over the wire, and what of the answer is believed.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use chassis::client::{Call, CallError, CallFailure, CallLimits, ServiceClient, ServiceUrls};
use chassis::envelope::{EncryptionKeys, ServiceKeys};
use chassis::service::{Context, Identity, Service};
use chassis::testing::{TestApp, TestServer};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::json;

use super::kit::{CALLER, OWN, Peer, Thing, app, keys, ring};

const CALLING: Identity = Identity { name: CALLER, short_name: "users", about: "Calls." };

/// A request or an answer, as whoever listens on the wire sees it.
#[derive(Debug, Clone)]
struct Overheard {
    headers: HeaderMap,
    body: Bytes,
}

/// The callee behind a socket, and everything that went over it.
struct Wire {
    server: TestServer,
    overheard: Arc<Mutex<Vec<Overheard>>>,
}

impl Wire {
    async fn to(app: TestApp) -> Self {
        Self::through(app, |answer| answer).await
    }

    /// With somebody on the way who changes the answers, and takes `/base` off paths.
    async fn through(app: TestApp, change: fn(Response) -> Response) -> Self {
        let (app, overheard) = (Arc::new(app), Arc::<Mutex<Vec<_>>>::default());
        let heard = Arc::clone(&overheard);
        let routes = Router::new().fallback(move |request: Request| {
            let (app, heard) = (Arc::clone(&app), Arc::clone(&heard));
            async move {
                let (mut parts, body) = request.into_parts();
                if let Some(path) = parts.uri.path().strip_prefix("/base") {
                    parts.uri = path.parse().unwrap();
                }
                let body = body.collect().await.unwrap().to_bytes();
                heard.lock().unwrap().push(Overheard { headers: parts.headers.clone(), body: body.clone() });
                let answer = app.open(Request::from_parts(parts, Body::from(body))).await;
                let (parts, body) = answer.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                heard.lock().unwrap().push(Overheard { headers: parts.headers.clone(), body: body.clone() });
                change(Response::from_parts(parts, Body::from(body)))
            }
        });
        Self { server: TestServer::start(routes).await, overheard }
    }

    fn client(&self, keys: impl FnOnce(&Context) -> ServiceKeys) -> ServiceClient {
        self.client_below("", keys)
    }

    fn client_below(&self, base: &str, keys: impl FnOnce(&Context) -> ServiceKeys) -> ServiceClient {
        let context = Context::system();
        // The callee's clock stands still.
        let context = Context { clock: chassis::testing::ManualClock::new(), ..context };
        let context = Context { keys: Some(Arc::new(keys(&context))), ..context };
        let service = Service::new(CALLING, &context);
        let url: ServiceUrls = format!("{}{base}", self.server.url()).parse().unwrap();
        service.callees().client(OWN.name, url, CallLimits::default()).unwrap()
    }

    fn overheard(&self) -> Vec<Overheard> {
        self.overheard.lock().unwrap().clone()
    }
}

fn encrypting(context: &Context) -> ServiceKeys {
    keys(context).encrypting_calls_of([OWN.name])
}

fn make(client: &ServiceClient) -> Call<'_> {
    client.call(Method::POST, &["things"]).json(&json!({"name": "secret thing"}))
}

fn failure(result: Result<chassis::client::Answer, CallError>) -> CallFailure {
    result.unwrap_err().failure().clone()
}

#[tokio::test]
async fn nothing_of_a_call_is_to_be_seen_on_the_wire() {
    let wire = Wire::to(app(&[])).await;
    let client = wire.client(encrypting);
    let answer = make(&client).send().await.unwrap();
    assert_eq!(answer.json::<Thing>().unwrap().name, "secret thing");
    let found = client.get(&["things", "one"]).send().await.unwrap();
    assert_eq!(found.json::<Thing>().unwrap().name, "one");
    let missing = client.get(&["things", "nothing"]).send().await.unwrap();
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    assert!(String::from_utf8_lossy(missing.body()).contains("Thing not found"));

    let overheard = wire.overheard();
    for message in &overheard {
        let body = String::from_utf8_lossy(&message.body);
        assert!(!body.contains("name") && !body.contains("Thing"), "{message:?}");
        assert!(body.is_empty() || body.starts_with(r#"{"encrypted_data":""#), "{message:?}");
    }
    let key_of = |message: &Overheard| message.headers["x-encryption-key-id"].to_str().unwrap().to_owned();
    let owner_of = |message: &Overheard| message.headers["x-encryption-service"].to_str().unwrap().to_owned();
    assert_eq!((owner_of(&overheard[0]), key_of(&overheard[0])), (CALLER.to_owned(), "u2".to_owned()));
    assert_eq!((owner_of(&overheard[1]), key_of(&overheard[1])), (OWN.name.to_owned(), "a1".to_owned()));
}

#[tokio::test]
async fn a_proxy_may_take_the_base_of_an_address_off_the_path() {
    let wire = Wire::to(app(&[])).await;
    let answer = make(&wire.client_below("/base", encrypting)).send().await.unwrap();
    assert_eq!(answer.json::<Thing>().unwrap().name, "secret thing");
}

#[tokio::test]
async fn what_has_no_body_is_an_answer() {
    let wire = Wire::to(app(&[])).await;
    let client = wire.client(encrypting);
    for (method, path, status) in [
        (Method::HEAD, "things/one", 200),
        (Method::HEAD, "things/nothing", 404),
        (Method::DELETE, "things", 204),
        (Method::GET, "nothing", 200),
    ] {
        let segments: Vec<_> = path.split('/').collect();
        let answer = client.call(method.clone(), &segments).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.body().len()), (status, 0), "{method} {path}");
    }
}

#[tokio::test]
async fn an_answer_in_a_form_that_is_bound_to_nothing_is_not_believed() {
    let (callee, peer) = (app(&[]), Peer::new());
    for form in ["fernet", "gcm"] {
        let path = "/things";
        let draft = if form == "gcm" {
            peer.gcm(path, r#"{"name":"forged"}"#)
        } else {
            peer.fernet(&callee, path, r#"{"name":"forged"}"#)
        };
        let kept = draft.send(&callee).await.expect(200);
        let (headers, body) = (kept.headers.clone(), kept.body.clone());
        let server = TestServer::start(Router::new().fallback(move || {
            let (headers, body) = (headers.clone(), body.clone());
            async move { (headers, body) }
        }));
        let wire = Wire { server: server.await, overheard: Arc::default() };
        let client = wire.client(encrypting);
        for call in [make(&client), client.get(&["things", "one"])] {
            let refused = failure(call.send().await);
            assert!(refused.to_string().contains("in another form"), "{form}: {refused}");
        }
    }
}

#[tokio::test]
async fn a_service_that_wants_encrypted_calls_gets_no_plain_ones_where_there_is_no_key() {
    let wire = Wire::to(app(&[])).await;
    let address = wire.server.address();
    let entry =
        json!({"name": OWN.name, "encryption": "v2", "endpoint": address.ip().to_string(), "port": address.port()});
    let said = json!([entry]).to_string();
    let caller = TestApp::start_with(&[("CONSUMER_SERVICES", &said)], |context| Service::new(CALLING, context));
    caller.post(&format!("/call/{}?path=/things", OWN.name), r#"{"name":"secret thing"}"#).await.expect(502);
    assert!(wire.overheard().is_empty(), "it was sent in plain text");
}

#[tokio::test]
async fn an_answer_is_no_longer_than_its_caller_reads() {
    let wire = Wire::to(app(&[])).await;
    let client = wire.client(encrypting);
    let failed = failure(make(&client).at_most(10).send().await);
    assert_eq!(failed, CallFailure::TooLarge(10));
}

#[tokio::test]
async fn each_attempt_is_encrypted_anew() {
    let wire = Wire::through(app(&[]), |answer| match answer.status() {
        StatusCode::OK => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        _ => answer,
    });
    let wire = wire.await;
    let client = wire.client(encrypting);
    let answer = make(&client).idempotency_key("k").send().await.unwrap();
    assert_eq!((answer.status(), answer.attempts()), (StatusCode::SERVICE_UNAVAILABLE, 3));
    let overheard = wire.overheard();
    let (requests, answers): (Vec<_>, Vec<_>) =
        overheard.chunks(2).map(|pair| (pair[0].body.clone(), &pair[1])).unzip();
    assert!(requests[0] != requests[1] && requests[1] != requests[2], "a body is taken once");
    assert!(answers.iter().all(|answer| answer.headers["x-encrypted-payload"] == "v2"), "each was taken");
}

#[tokio::test]
async fn an_answer_that_is_not_encrypted_is_not_believed() {
    for status in [200, 201, 302, 400, 404, 409, 422] {
        let wire = Wire::to(TestApp::start(super::kit::service)).await;
        let client = wire.client(encrypting);
        assert!(matches!(failure(make(&client).send().await), CallFailure::Unavailable(_)), "no keys there");
        let server = TestServer::start(
            Router::new().fallback(async move || (StatusCode::from_u16(status).unwrap(), r#"{"name":"forged"}"#)),
        );
        let wire = Wire { server: server.await, overheard: Arc::default() };
        let client = wire.client(encrypting);
        for call in [make(&client), client.get(&["things", "one"])] {
            let failure = failure(call.send().await);
            assert!(failure.to_string().contains("not encrypted"), "{status}: {failure}");
        }
    }
}

#[tokio::test]
async fn what_a_service_says_before_it_decrypts_is_heard() {
    for status in [401, 403, 413, 429, 500, 503] {
        let server = TestServer::start(Router::new().fallback(async move || StatusCode::from_u16(status).unwrap()));
        let wire = Wire { server: server.await, overheard: Arc::default() };
        assert_eq!(make(&wire.client(encrypting)).send().await.unwrap().status(), status);
    }
}

#[tokio::test]
async fn an_answer_of_another_call_and_one_that_came_before_are_not_believed() {
    let (app_of_peer, peer) = (app(&[]), Peer::new());
    let kept = peer.v2(&app_of_peer, "/other", "{}").send(&app_of_peer).await.expect(404);
    let (headers, body) = (kept.headers.clone(), kept.body.clone());
    let server = TestServer::start(Router::new().fallback(move || {
        let (headers, body) = (headers.clone(), body.clone());
        async move { (headers, body) }
    }));
    let wire = Wire { server: server.await, overheard: Arc::default() };
    let refused = failure(make(&wire.client(encrypting)).send().await);
    assert!(refused.to_string().contains("cannot be decrypted"), "{refused}");

    let good = peer.v2(&app_of_peer, "/things", r#"{"name":"old"}"#).send(&app_of_peer).await.expect(200);
    let (headers, body) = (good.headers.clone(), good.body.clone());
    let server = TestServer::start(Router::new().fallback(move || {
        let (headers, body) = (headers.clone(), body.clone());
        async move { (headers, body) }
    }));
    let wire = Wire { server: server.await, overheard: Arc::default() };
    let client = wire.client(encrypting);
    assert_eq!(make(&client).send().await.unwrap().json::<Thing>().unwrap().name, "old");
    let again = failure(make(&client).send().await);
    assert!(again.to_string().contains("taken before"), "{again}");
}

#[tokio::test]
async fn a_service_that_wants_another_form_gets_it() {
    for (form, header, value) in [
        ("fernet", "x-service-communication", "encrypted"),
        ("gcm", "x-encrypted-payload", "true"),
        ("v2", "x-encrypted-payload", "v2"),
    ] {
        let wire = Wire::to(app(&[])).await;
        let (address, entry) = (wire.server.address(), json!({"name": OWN.name, "encryption": form}));
        let mut entry = entry;
        entry["endpoint"] = address.ip().to_string().into();
        entry["port"] = address.port().into();
        let said = json!([entry]).to_string();
        let caller = TestApp::start_with(&[("CONSUMER_SERVICES", &said)], |context| {
            Service::new(CALLING, &super::kit::with_keys(context, keys(context)))
        });
        let path = format!("/call/{}?path=/things", OWN.name);
        let called = caller.post(&path, r#"{"name":"secret thing"}"#).await.expect(200).json();
        assert_eq!((&called["status"], &called["result"]["name"]), (&json!(200), &json!("secret thing")), "{form}");
        let path = format!("/call/{}?path=/things/one&method=GET", OWN.name);
        let called = caller.post(&path, "").await.expect(200).json();
        assert_eq!((&called["status"], &called["result"]["name"]), (&json!(200), &json!("one")), "{form}");
        let request = &wire.overheard()[0];
        assert_eq!(request.headers[header], value);
        assert!(!String::from_utf8_lossy(&request.body).contains("secret"), "{form}");
    }
}

#[tokio::test]
async fn calls_of_services_elsewhere_are_left_alone() {
    let wire = Wire::to(app(&[])).await;
    let client = wire.client(keys);
    make(&client).send().await.unwrap();
    assert_eq!(wire.overheard()[0].body, r#"{"name":"secret thing"}"#);
}

#[tokio::test]
async fn keys_that_differ_are_a_failure_of_the_service_and_not_of_the_call() {
    let wire = Wire::to(app(&[])).await;
    let client = wire.client(|context| {
        let own = ring(r#"{"u2":"b3RoZXIta2V5LTItb3RoZXIta2V5LTItb3RoZXIta2U="}"#);
        encrypting(context).with(CALLER, EncryptionKeys::new(own))
    });
    let failure = failure(make(&client).send().await);
    assert!(matches!(&failure, CallFailure::Unavailable(cause) if cause.contains("400")), "{failure}");
}
