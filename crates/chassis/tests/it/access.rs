//! Who gets through to a route: in development and in production, with which token.

use std::time::Duration;

use axum::body::Body;
use chassis::auth::{Access, Caller};
use chassis::http::Routes;
use chassis::service::{Context, Identity, Service};
use chassis::testing::TestApp;
use http::Method;
use utoipa_axum::routes;

const IDENTITY: Identity = Identity { name: "test-service", short_name: "test", about: "A service under test." };
const PRODUCTION: &[(&str, &str)] = &[("PRODUCTION", "true"), ("INTERNAL_PORT", "0"), ("KEELSON_HOST", "0.0.0.0")];

fn service(context: &Context) -> Service {
    let routes = Routes::new()
        .route(Access::Public, routes!(public))
        .route(Access::Bearer, routes!(bearer))
        .route(Access::Scope("things:read"), routes!(scope))
        .route(Access::Scope("things:write"), routes!(write))
        .route(Access::Own("things:read"), routes!(own))
        .route(Access::Public, routes!(careless));
    Service::new(IDENTITY, context).routes(routes)
}

#[utoipa::path(get, path = "/public", responses((status = 200)))]
async fn public() -> &'static str {
    "public"
}

#[utoipa::path(get, path = "/bearer", responses((status = 200)))]
async fn bearer(caller: Caller) -> String {
    caller.subject().unwrap_or_default().to_owned()
}

#[utoipa::path(get, path = "/scope", responses((status = 200)))]
async fn scope(caller: Caller) -> String {
    caller.subject().unwrap_or("anybody").to_owned()
}

#[utoipa::path(put, path = "/scope", responses((status = 200)))]
async fn write() -> &'static str {
    "written"
}

#[utoipa::path(get, path = "/own", responses((status = 200)))]
async fn own(caller: Caller) -> String {
    caller.reaches("things:read", "ann").to_string()
}

#[utoipa::path(get, path = "/careless", responses((status = 200)))]
async fn careless(_: Caller) {}

async fn ask(app: &TestApp, path: &str, token: Option<&str>) -> (u16, String) {
    let method = if path == "/write" { Method::PUT } else { Method::GET };
    let path = if path == "/write" { "/scope" } else { path };
    let answer = match token {
        Some(token) => app.ask_as(token, method, path, Body::empty()).await,
        None => app.send(app.request(method, path).body(Body::empty()).unwrap()).await,
    };
    let text = if answer.status == 200 { answer.text() } else { answer.json()["detail"].as_str().unwrap().to_owned() };
    (answer.status.as_u16(), text)
}

#[tokio::test]
async fn production_asks_for_a_token_and_its_scope() {
    let app = TestApp::start_with(PRODUCTION, service);
    let (plain, reader) = (app.token("ann", &[]), app.token("bob", &["other", "things:read"]));
    let missing = || (401, "Access token is missing".to_owned());
    let lacking = |scope: &str| (403, format!("The token lacks the scope things:{scope}"));
    let text = |text: &str| (200, text.to_owned());
    for (path, nobody, ann, bob) in [
        ("/public", text("public"), text("public"), text("public")),
        ("/bearer", missing(), text("ann"), text("bob")),
        ("/scope", missing(), lacking("read"), text("bob")),
        ("/write", missing(), lacking("write"), lacking("write")),
        ("/own", missing(), text("true"), text("true")),
    ] {
        assert_eq!(ask(&app, path, None).await, nobody, "{path}");
        assert_eq!(ask(&app, path, Some(&plain)).await, ann, "{path}");
        assert_eq!(ask(&app, path, Some(&reader)).await, bob, "{path}");
    }
    assert_eq!(ask(&app, "/own", Some(&app.token("eve", &["things:write"]))).await, text("false"));
}

#[tokio::test]
async fn development_asks_for_a_token_where_the_route_is_about_its_bearer() {
    let app = TestApp::start(service);
    let plain = app.token("ann", &[]);
    for (path, nobody, ann) in [
        ("/public", (200, "public"), (200, "public")),
        ("/bearer", (401, "Access token is missing"), (200, "ann")),
        ("/scope", (200, "anybody"), (200, "ann")),
        ("/write", (200, "written"), (200, "written")),
        ("/own", (200, "true"), (200, "true")),
    ] {
        assert_eq!(ask(&app, path, None).await, (nobody.0, nobody.1.to_owned()), "{path}");
        assert_eq!(ask(&app, path, Some(&plain)).await, (ann.0, ann.1.to_owned()), "{path}");
    }
}

#[tokio::test]
async fn a_bad_token_is_refused_in_both_modes_and_means_nothing_on_a_public_route() {
    for settings in [&[][..], PRODUCTION] {
        let app = TestApp::start_with(settings, service);
        let good = app.token("ann", &["things:read", "things:write"]);
        let mut forged = good.clone();
        forged.replace_range(forged.len() - 10..forged.len() - 9, if forged.ends_with('A') { "B" } else { "A" });
        let forged = if forged == good { format!("{good}x") } else { forged };
        for bad in [forged.as_str(), "nonsense", "", "a.b.c"] {
            for path in ["/bearer", "/scope", "/write", "/own"] {
                let refused = (401, "Invalid or expired token".to_owned());
                assert_eq!(ask(&app, path, Some(bad)).await, refused, "{path} {bad}");
            }
            assert_eq!(ask(&app, "/public", Some(bad)).await.0, 200);
        }
        assert_eq!(ask(&app, "/own", Some(&good)).await.0, 200);
        app.clock.advance(Duration::from_secs(24 * 3600));
        assert_eq!(ask(&app, "/own", Some(&good)).await.0, 401, "it has expired");
    }
}

#[tokio::test]
async fn the_originals_header_carries_a_token_too() {
    let app = TestApp::start_with(PRODUCTION, service);
    let token = app.token("ann", &[]);
    let with = |name: &'static str, value: String| {
        app.send(app.request(Method::GET, "/bearer").header(name, value).body(Body::empty()).unwrap())
    };
    assert_eq!(with("x-access-token", token.clone()).await.expect(200).text(), "ann");
    assert_eq!(with("authorization", format!("bearer {token}")).await.expect(200).text(), "ann");
    let other = with("authorization", format!("Basic {token}")).await;
    other.expect_problem(401, "Access token is missing");
    assert_eq!(with("authorization", "Bearer x".into()).await.expect(401).header("www-authenticate"), "Bearer");
}

#[tokio::test]
async fn a_subject_has_its_own_share_of_requests_wherever_it_is() {
    let settings = [PRODUCTION, &[("RATE_LIMIT", "2")]].concat();
    let app = TestApp::start_with(&settings, service).from_peer("203.0.113.1");
    let (ann, bob) = (app.token("ann", &[]), app.token("bob", &[]));
    for expected in [200, 200, 429] {
        assert_eq!(ask(&app, "/bearer", Some(&ann)).await.0, expected);
    }
    assert_eq!(ask(&app, "/bearer", Some(&bob)).await.0, 200);
    // A token that is bad counts by its address, like none at all.
    for expected in [401, 401, 429] {
        assert_eq!(ask(&app, "/bearer", Some("nonsense")).await.0, expected);
    }
    assert_eq!(ask(&app, "/public", None).await.0, 429);
}

#[tokio::test]
async fn a_public_route_that_asks_for_its_caller_is_a_mistake_of_ours() {
    TestApp::start(service).get("/careless").await.expect(500);
}

#[test]
fn the_document_says_who_may_call() {
    let document = serde_json::to_value(chassis::http::openapi(service(&Context::system()))).unwrap();
    let of = |path: &str, method: &str| document["paths"][path][method].clone();
    assert_eq!(of("/public", "get")["security"], serde_json::Value::Null);
    assert_eq!(of("/bearer", "get")["security"], serde_json::json!([{ "user": [] }]));
    assert_eq!(of("/scope", "get")["security"], serde_json::json!([{ "user": ["things:read"] }]));
    assert_eq!(of("/scope", "put")["security"], serde_json::json!([{ "user": ["things:write"] }]));
    for status in ["401", "403"] {
        let content = &of("/own", "get")["responses"][status]["content"]["application/problem+json"];
        assert_eq!(content["schema"]["$ref"], "#/components/schemas/Problem", "{status}");
    }
}

#[tokio::test]
async fn the_document_of_development_asks_for_a_token_where_it_does() {
    let document = TestApp::start(service).get("/openapi.json").await.expect(200).json();
    let of = |path: &str| document["paths"][path]["get"]["security"].clone();
    assert_eq!(of("/public"), serde_json::Value::Null);
    assert_eq!(of("/bearer"), serde_json::json!([{ "user": [] }]));
    assert_eq!(of("/scope"), serde_json::json!([{ "user": ["things:read"] }, {}]));
    assert_eq!(of("/own"), serde_json::json!([{ "user": ["things:read"] }, {}]));
    assert_eq!(of("/ops/v1/log-level"), serde_json::json!([{ "operator": [] }]));
}

#[tokio::test]
async fn services_of_the_system_are_not_limited_as_people_are() {
    let settings = [PRODUCTION, &[("RATE_LIMIT", "2")]].concat();
    let app = TestApp::start_with(&settings, service).from_peer("203.0.113.7");
    let statuses = async |token: &str| {
        let mut statuses = Vec::new();
        for _ in 0..4 {
            statuses.push(app.ask_as(token, Method::GET, "/bearer", Body::empty()).await.status.as_u16());
        }
        statuses
    };
    assert_eq!(statuses(&app.token("ann", &[])).await, [200, 200, 429, 429]);
    assert_eq!(statuses(&app.token("user-service", &["service"])).await, [200; 4]);
}
