//! A service with keys, and a caller that has them too.

use std::sync::Arc;

use axum::body::Body;
use chassis::auth::Access;
use chassis::clock::Clock as _;
use chassis::envelope::{Binding, Direction, EncryptionKeys, KeyRing, Received, ReplayCache, ServiceKeys};
use chassis::http::{Json, Path, Routes};
use chassis::service::{Context, Identity, Service};
use chassis::testing::{TestApp, TestResponse};
use http::request::Builder;
use http::{Method, Request};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa_axum::routes;

pub(crate) const OWN: Identity =
    Identity { name: "analytics-service", short_name: "analytics", about: "A service under test." };
pub(crate) const CALLER: &str = "user-service";
pub(crate) const PRODUCTION: &[(&str, &str)] =
    &[("PRODUCTION", "true"), ("INTERNAL_PORT", "0"), ("KEELSON_HOST", "0.0.0.0")];

/// The text that all share, as old peers have it.
pub(crate) const SHARED: &str = "test-main-key";
const CALLERS: &str =
    r#"{"u2":"dXNlci1rZXktMi11c2VyLWtleS0yLXVzZXIta2V5LTI=","u1":"dXNlci1rZXktMS11c2VyLWtleS0xLXVzZXIta2V5LTE="}"#;
const OWNS: &str = r#"{"a1":"YW5hbHl0aWNzLWtleS1hbmFseXRpY3Mta2V5LTEyMzQ="}"#;

#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct Thing {
    pub(crate) name: String,
}

pub(crate) fn service(context: &Context) -> Service {
    let routes = Routes::new()
        .route(Access::Public, routes!(make))
        .route(Access::Public, routes!(find))
        .route(Access::Public, routes!(forget))
        .route(Access::Public, routes!(nothing))
        .encrypted_route(Access::Scope("things:write"), routes!(report))
        .encrypted_route(Access::Public, routes!(join));
    Service::new(OWN, context).routes(routes)
}

#[utoipa::path(post, path = "/things", responses((status = 200)))]
async fn make(Json(thing): Json<Thing>) -> Json<Thing> {
    Json(thing)
}

#[utoipa::path(get, path = "/things/{name}", params(("name" = String, Path)), responses((status = 200)))]
async fn find(Path(name): Path<String>) -> Result<Json<Thing>, chassis::error::Error> {
    if name == "nothing" {
        return Err(chassis::error::Error::new(chassis::error::Kind::NotFound, "Thing not found"));
    }
    Ok(Json(Thing { name }))
}

#[utoipa::path(delete, path = "/things", responses((status = 204)))]
async fn forget() -> http::StatusCode {
    http::StatusCode::NO_CONTENT
}

#[utoipa::path(get, path = "/nothing", responses((status = 200)))]
async fn nothing() {}

#[utoipa::path(post, path = "/reports", responses((status = 200)))]
async fn report(Json(thing): Json<Thing>) -> Json<Thing> {
    Json(thing)
}

#[utoipa::path(post, path = "/members", responses((status = 200)))]
async fn join(Json(thing): Json<Thing>) -> Json<Thing> {
    Json(thing)
}

pub(crate) fn ring(text: &str) -> KeyRing {
    KeyRing::parse(&text.into()).unwrap()
}

/// The keys of both sides.
pub(crate) fn keys(context: &Context) -> ServiceKeys {
    ServiceKeys::new(Arc::clone(&context.clock))
        .with_shared(EncryptionKeys::new(ring(SHARED)))
        .with(CALLER, EncryptionKeys::new(ring(CALLERS)))
        .with(OWN.name, EncryptionKeys::new(ring(OWNS)))
}

pub(crate) fn with_keys(context: &Context, keys: ServiceKeys) -> Context {
    Context { keys: Some(Arc::new(keys)), ..context.clone() }
}

pub(crate) fn app(settings: &[(&'static str, &str)]) -> TestApp {
    TestApp::start_with(settings, |context| service(&with_keys(context, keys(context))))
}

/// A caller that has all keys.
pub(crate) struct Peer {
    pub(crate) shared: KeyRing,
    pub(crate) own: KeyRing,
    pub(crate) callee: KeyRing,
    taken: ReplayCache,
}

/// An encrypted request before it is sent: what tests change in it.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) encrypted_data: String,
}

impl Draft {
    /// With another value of this header, or without it.
    pub(crate) fn with(mut self, name: &'static str, value: Option<&str>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.extend(value.map(|value| (name, value.to_owned())));
        self
    }

    pub(crate) fn request(&self, app: &TestApp) -> Request<Body> {
        let builder = app.request(self.method.clone(), &self.path).header("content-type", "application/json");
        let builder = self.headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, value));
        builder.body(body(&self.encrypted_data)).unwrap()
    }

    pub(crate) async fn send(&self, app: &TestApp) -> TestResponse {
        app.send(self.request(app)).await
    }
}

pub(crate) fn body(encrypted_data: &str) -> Body {
    serde_json::json!({ "encrypted_data": encrypted_data }).to_string().into()
}

pub(crate) fn binding<'a>(direction: Direction, method: &'a str, path: &'a str) -> Binding<'a> {
    let (sender, target) = match direction {
        Direction::Request => (CALLER, OWN.name),
        Direction::Response => (OWN.name, CALLER),
    };
    Binding { direction, method, path, sender: sender.as_bytes(), target: target.as_bytes() }
}

impl Peer {
    pub(crate) fn new() -> Self {
        let taken = ReplayCache::default();
        Self { shared: ring(SHARED), own: ring(CALLERS), callee: ring(OWNS), taken }
    }

    pub(crate) fn fernet(&self, app: &TestApp, path: &str, plain: &str) -> Draft {
        let encrypted_data = self.shared.encrypt_fernet(plain.as_bytes(), app.clock.now()).unwrap();
        let headers = vec![("x-service-communication", "encrypted".to_owned())];
        Draft { method: Method::POST, path: path.to_owned(), headers, encrypted_data }
    }

    pub(crate) fn gcm(&self, path: &str, plain: &str) -> Draft {
        let encrypted_data = self.own.encrypt_gcm(plain.as_bytes()).unwrap();
        let headers = vec![
            ("x-encrypted-payload", "true".to_owned()),
            ("x-encryption-service", CALLER.to_owned()),
            ("x-service-name", CALLER.to_owned()),
            ("x-target-service", OWN.name.to_owned()),
        ];
        Draft { method: Method::POST, path: path.to_owned(), headers, encrypted_data }
    }

    pub(crate) fn v2(&self, app: &TestApp, path: &str, plain: &str) -> Draft {
        self.v2_at(app.clock.now(), path, plain)
    }

    pub(crate) fn v2_at(&self, now: Timestamp, path: &str, plain: &str) -> Draft {
        let sealed = self.own.encrypt_v2(plain.as_bytes(), &binding(Direction::Request, "POST", path), now).unwrap();
        let headers = vec![
            ("x-encrypted-payload", "v2".to_owned()),
            ("x-encryption-service", CALLER.to_owned()),
            ("x-service-name", CALLER.to_owned()),
            ("x-target-service", OWN.name.to_owned()),
            ("x-encryption-key-id", sealed.key_id),
            ("x-encryption-time", sealed.time.to_string()),
        ];
        Draft { method: Method::POST, path: path.to_owned(), headers, encrypted_data: sealed.encrypted_data }
    }

    /// What an answer in v2 says.
    pub(crate) fn read_v2(&self, app: &TestApp, answer: &TestResponse, method: &str, path: &str) -> Value {
        assert_eq!(answer.header("x-encrypted-payload"), "v2", "{}", answer.text());
        assert_eq!((answer.header("x-service-name"), answer.header("x-target-service")), (OWN.name, CALLER));
        let text = encrypted_data(answer);
        let received = Received {
            key_id: answer.header("x-encryption-key-id"),
            time: answer.header("x-encryption-time").parse().unwrap(),
            encrypted_data: text.as_bytes(),
        };
        let ring = match answer.header("x-encryption-service") {
            CALLER => &self.own,
            owner if owner == OWN.name => &self.callee,
            other => panic!("{other} has no keys"),
        };
        let binding = binding(Direction::Response, method, path);
        let plain = ring.decrypt_v2(&received, &binding, app.clock.now(), &self.taken).unwrap();
        serde_json::from_slice(&plain).unwrap()
    }

    /// What an answer in the first GCM form says.
    pub(crate) fn read_gcm(&self, answer: &TestResponse) -> Value {
        assert_eq!(answer.header("x-encrypted-payload"), "true", "{}", answer.text());
        assert_eq!(answer.header("x-encryption-service"), OWN.name);
        serde_json::from_slice(&self.callee.decrypt_gcm(encrypted_data(answer).as_bytes()).unwrap()).unwrap()
    }

    /// What an answer in the form of Fernet says.
    pub(crate) fn read_fernet(&self, app: &TestApp, answer: &TestResponse) -> Value {
        assert_eq!(answer.header("x-service-communication"), "encrypted", "{}", answer.text());
        let plain = self.shared.decrypt_fernet(encrypted_data(answer).as_bytes(), app.clock.now()).unwrap();
        serde_json::from_slice(&plain).unwrap()
    }
}

/// The text of an encrypted answer, which has nothing else.
pub(crate) fn encrypted_data(answer: &TestResponse) -> String {
    assert_eq!(answer.header("content-type"), "application/json");
    let body = answer.json();
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    body["encrypted_data"].as_str().unwrap().to_owned()
}

/// A request whose answer alone shall be encrypted.
pub(crate) fn asking(app: &TestApp, method: Method, path: &str) -> Builder {
    app.request(method, path).header("x-encrypt-response", "true").header("x-service-name", CALLER)
}
