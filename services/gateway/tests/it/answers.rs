//! What comes back.

use http::Method;
use serde_json::json;

use crate::kit::{RawServer, Site, USERS, Upstream, before_users};

#[tokio::test]
async fn an_answer_comes_with_its_status_its_headers_and_its_body() {
    let site = Site::new().await;
    let headers = [
        ("content-type", "application/json"),
        ("etag", "\"7\""),
        ("link", "</api/v1/users?skip=2>; rel=\"next\""),
        ("x-total-count", "12"),
        ("cache-control", "no-store"),
        ("content-encoding", "br"),
        ("idempotency-replayed", "true"),
        ("set-cookie", "a=b; Path=/"),
        ("set-cookie", "c=d"),
        ("vary", "accept-encoding"),
    ];
    site.users.tell(201, &[&headers[..], &[("location", "/api/v1/users/1")]].concat(), "[1, 2]");
    let answer = site.send(Method::POST, USERS, &[], "{}").await.expect(201);
    assert_eq!(answer.body, "[1, 2]");
    for (name, _) in headers {
        let values: Vec<_> = headers.iter().filter(|(other, _)| *other == name).map(|(_, value)| *value).collect();
        let found: Vec<_> = answer.headers.get_all(name).iter().collect();
        assert_eq!(found, values, "{name}");
    }
    assert_eq!(answer.header("location"), "/api/v1/users/1");
}

#[tokio::test]
async fn what_the_edge_says_of_every_answer_stands_there_once() {
    let site = Site::new().await;
    let of_service = [
        ("x-process-time", "9.5"),
        ("x-correlation-id", "another"),
        ("x-frame-options", "SAMEORIGIN"),
        ("x-content-type-options", "none"),
        ("referrer-policy", "no-referrer"),
    ];
    site.users.tell(200, &of_service, "{}");
    let answer = site.get(USERS, &[("x-correlation-id", "mine")]).await.expect(200);
    for (name, value) in of_service {
        let found: Vec<_> = answer.headers.get_all(name).iter().collect();
        assert!(found.len() == 1 && found[0] != value, "{name}: {found:?}");
    }
    assert_eq!(answer.header("x-correlation-id"), "mine");
}

#[tokio::test]
async fn a_failure_of_a_service_is_passed_on_as_it_says_it() {
    let site = Site::new().await;
    let problem = r#"{"detail":"User not found","status":404,"correlation_id":"c-1","extra":[1]}"#;
    for status in [400, 401, 403, 404, 409, 412, 422, 429] {
        let headers = [("content-type", "application/problem+json"), ("retry-after", "7")];
        site.users.tell(status, &headers, problem);
        let answer = site.send(Method::POST, USERS, &[("x-correlation-id", "c-1")], "{}").await.expect(status);
        assert_eq!((&answer.body[..], answer.header("retry-after")), (problem.as_bytes(), "7"));
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(site.users.only().all("x-correlation-id"), [answer.header("x-correlation-id")]);
    }
}

#[tokio::test]
async fn a_server_error_is_passed_on_too_and_one_that_is_no_json_becomes_a_problem() {
    let site = Site::new().await;
    site.users.tell(500, &[("content-type", "application/problem+json")], r#"{"detail":"Internal Server Error"}"#);
    let answer = site.send(Method::POST, USERS, &[], "{}").await.expect(500);
    assert_eq!(answer.json(), json!({ "detail": "Internal Server Error" }));
    site.users.tell(502, &[("content-type", "text/html"), ("content-encoding", "gzip")], "<h1>nginx</h1>");
    let answer = site.send(Method::POST, USERS, &[], "{}").await;
    assert_eq!(answer.header("content-encoding"), "");
    answer.expect_problem(502, "Bad Gateway");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_followed_by_nobody() {
    let elsewhere = Upstream::default();
    let server = elsewhere.serve().await;
    let to: &'static str = server.url().leak();
    let site = Site::new().await;
    for status in [301, 302, 303, 307, 308] {
        site.users.tell(status, &[("location", to)], "");
        let answer = site.get(USERS, &[]).await.expect(status);
        assert_eq!(answer.header("location"), to);
    }
    assert_eq!((server.connections(), elsewhere.taken().len()), (0, 0));
}

#[tokio::test]
async fn an_answer_without_a_body_stays_one() {
    let site = Site::new().await;
    for (status, etag) in [(204, ""), (304, "\"7\"")] {
        site.users.tell(status, &[("etag", etag)], "");
        let answer = site.get(USERS, &[]).await.expect(status);
        assert!(answer.body.is_empty());
        assert_eq!(answer.header("etag"), etag);
    }
}

#[tokio::test]
async fn head_is_answered_as_get_would_be_and_without_a_body() {
    let site = Site::new().await;
    site.users.tell(200, &[("content-type", "application/json"), ("etag", "\"7\"")], "[1, 2]");
    let whole = site.get(USERS, &[]).await.expect(200);
    let head = site.send(Method::HEAD, USERS, &[], "").await.expect(200);
    assert!(head.body.is_empty());
    for name in ["content-type", "content-length", "etag"] {
        assert_eq!(head.header(name), whole.header(name), "{name}");
    }
    assert_eq!(head.header("content-length"), "6");
    site.users.tell(404, &[("content-type", "application/problem+json")], r#"{"detail":"User not found"}"#);
    assert!(site.send(Method::HEAD, USERS, &[], "").await.expect(404).body.is_empty());
}

#[tokio::test]
async fn what_belongs_to_the_connection_of_a_service_stays_there() {
    let server = RawServer::start(
        "HTTP/1.1 200 OK\r\nConnection: close, X-Internal\r\nX-Internal: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Authenticate: Basic\r\nUpgrade: h2c\r\nTrailer: x-t\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\n{}",
    )
    .await;
    let answer = before_users(&server.url).get(USERS).await.expect(200);
    assert_eq!(answer.json(), json!({}));
    for name in ["connection", "x-internal", "keep-alive", "proxy-authenticate", "upgrade", "trailer"] {
        assert_eq!(answer.header(name), "", "{name}");
    }
    assert_eq!(answer.header("x-kept"), "1");
}
