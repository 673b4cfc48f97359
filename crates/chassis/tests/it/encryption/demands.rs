//! Whose requests have to be encrypted.

use axum::body::Body;
use chassis::testing::{TestApp, TestResponse};
use http::{Method, header};

use super::kit::{Draft, PRODUCTION, Peer, app};

const THING: &str = r#"{"name":"thing"}"#;
const SERVICE: &[&str] = &["service", "things:write"];

async fn plain(app: &TestApp, path: &str, token: Option<&str>) -> TestResponse {
    let request = app.request(Method::POST, path).header(header::CONTENT_TYPE, "application/json");
    let request =
        token.into_iter().fold(request, |it, token| it.header(header::AUTHORIZATION, format!("Bearer {token}")));
    app.send(request.body(THING.into()).unwrap()).await
}

fn with_token(draft: Draft, token: &str) -> Draft {
    draft.with("authorization", Some(&format!("Bearer {token}")))
}

#[tokio::test]
async fn in_production_services_have_to_encrypt_what_they_send_to_some_routes() {
    let (app, peer) = (app(PRODUCTION), Peer::new());
    let service = app.token("user-service", SERVICE);
    for path in ["/reports", "/members"] {
        plain(&app, path, Some(&service)).await.expect_problem(400, "Encrypted request required");
        let answer = with_token(peer.v2(&app, path, THING), &service).send(&app).await.expect(200);
        assert_eq!(peer.read_v2(&app, &answer, "POST", path)["name"], "thing");
        with_token(peer.fernet(&app, path, THING), &service).send(&app).await.expect(200);
    }
    plain(&app, "/things", Some(&service)).await.expect(200);
}

#[tokio::test]
async fn a_person_over_tls_is_no_service() {
    let app = app(PRODUCTION);
    let ann = app.token("ann", &["things:write"]);
    plain(&app, "/reports", Some(&ann)).await.expect(200);
    for token in [None, Some(ann.as_str())] {
        plain(&app, "/members", token).await.expect(200);
    }
}

#[tokio::test]
async fn whoever_may_not_call_learns_that_and_nothing_else() {
    let app = app(PRODUCTION);
    plain(&app, "/reports", None).await.expect_problem(401, "Access token is missing");
    plain(&app, "/reports", Some(&app.token("user-service", &["service"]))).await.expect(403);
}

#[tokio::test]
async fn a_header_that_was_taken_away_helps_nobody() {
    let (app, peer) = (app(PRODUCTION), Peer::new());
    let service = app.token("user-service", SERVICE);
    let draft = with_token(peer.v2(&app, "/reports", THING), &service);
    let stripped = draft.clone().with("x-encrypted-payload", None);
    stripped.send(&app).await.expect_problem(400, "Encrypted request required");
    let asking = stripped.with("x-encrypt-response", Some("true"));
    let answer = asking.send(&app).await.expect(400);
    assert_eq!(peer.read_v2(&app, &answer, "POST", "/reports")["detail"], "Encrypted request required");
    let empty = app.request(Method::POST, "/reports").header("x-service-communication", "encrypted");
    let empty = empty.header(header::AUTHORIZATION, format!("Bearer {service}")).body(Body::empty()).unwrap();
    let answer = app.send(empty).await.expect(400);
    assert_eq!(peer.read_fernet(&app, &answer)["detail"], "Encrypted request required");
}

#[tokio::test]
async fn everybody_has_to_where_that_is_required() {
    for base in [&[][..], PRODUCTION] {
        let settings = [base, &[("REQUIRE_ENCRYPTION", "true")]].concat();
        let (app, peer) = (app(&settings), Peer::new());
        let ann = app.token("ann", &["things:write"]);
        for (path, token) in [("/reports", Some(ann.as_str())), ("/members", None)] {
            plain(&app, path, token).await.expect_problem(400, "Encrypted request required");
        }
        peer.v2(&app, "/members", THING).send(&app).await.expect(200);
        plain(&app, "/things", None).await.expect(200);
    }
}

#[tokio::test]
async fn nobody_has_to_in_development_nor_where_calls_are_not_encrypted() {
    let settings = [PRODUCTION, &[("ENCRYPT_CALLS", "false")]].concat();
    for settings in [&[][..], &settings] {
        let app = app(settings);
        let service = app.token("user-service", SERVICE);
        for path in ["/reports", "/members"] {
            plain(&app, path, Some(&service)).await.expect(200);
        }
    }
}
