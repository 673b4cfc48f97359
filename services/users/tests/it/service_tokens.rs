//! Tokens for services that prove who they are, by proofs that a fake judges.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chassis::auth::{Parties, ServiceAuthenticator, ServiceIdentity, TokenVerifier, Unverified, Verification};
use chassis::testing::{TestApp, TestResponse, token_keys};
use http::Method;
use serde_json::json;

use crate::kit::{PRODUCTION, in_production, service_knowing, text};

const PATH: &str = "/api/v1/service-tokens";
const ROLE: &str = "arn:aws:iam::123456789012:role/orders";
const TEXT: &str = "Invalid service identity";
/// Stands in no log.
const SECRET: &str = "0123456789abcdef";

/// Takes each proof that begins with `good` once.
#[derive(Debug, Default)]
struct FakeAuthenticator(Mutex<HashSet<Vec<u8>>>);

#[async_trait]
impl ServiceAuthenticator for FakeAuthenticator {
    async fn authenticate(&self, shown: &[u8]) -> Result<ServiceIdentity, Unverified> {
        if shown.starts_with(b"late") {
            return Err(Unverified::Unavailable("STS does not answer".into()));
        }
        let is_new = self.0.lock().unwrap().insert(shown.to_vec());
        if !shown.starts_with(b"good") || !is_new {
            return Err(Unverified::Refused("the reason for the log".into()));
        }
        Ok(ServiceIdentity { subject: ROLE.into(), scopes: vec!["analytics:write".into()] })
    }
}

fn app() -> TestApp {
    TestApp::start_with(PRODUCTION, |context| service_knowing(Arc::<FakeAuthenticator>::default(), context))
}

async fn ask(app: &TestApp, proofs: &[&str]) -> TestResponse {
    let request = app.request(Method::POST, PATH);
    let request = proofs.iter().fold(request, |request, proof| request.header("x-service-identity", *proof));
    app.send(request.body(String::new().into()).unwrap()).await
}

#[tokio::test]
async fn a_service_that_proves_who_it_is_gets_a_token_with_the_scopes_of_its_identity() {
    let app = app();
    let answer = ask(&app, &["good-1"]).await.expect(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    let mut body = answer.json();
    let token = text(&body["access_token"].take());
    assert_eq!(body, json!({ "access_token": null, "token_type": "bearer", "expires_in": 300 }));

    let parties = Parties { issuer: "keelson".into(), audience: "keelson".into() };
    let verifier = TokenVerifier::new(token_keys(), parties, Arc::clone(&app.clock) as _);
    let Verification::Valid(claims) = verifier.verify(&token).await else { panic!("it is good") };
    assert_eq!((claims.sub.as_str(), claims.scope.as_str()), (ROLE, "analytics:write service"));
    assert_eq!(claims.exp - claims.iat, 300);
}

#[tokio::test]
async fn a_token_opens_what_the_list_names_and_nothing_else() {
    let app = app();
    let token = text(&ask(&app, &["good-1"]).await.expect(200).json()["access_token"]);
    app.ask_as(&token, Method::GET, "/api/v1/users", "").await.expect(403);
    app.ask_as("bad", Method::GET, "/api/v1/users", "").await.expect(401);
}

#[tokio::test]
async fn whatever_the_reason_a_refusal_is_the_same_and_the_log_has_it_without_the_proof() {
    let app = app();
    let _warnings = app.log_warnings();
    ask(&app, &["good-1"]).await.expect(200);
    for proofs in [&[][..], &[""], &["bad"], &["good-1"], &["good-2", "good-3"], &["good-2", "good-2"]] {
        let refused = ask(&app, proofs).await;
        refused.expect_problem(401, TEXT);
    }
    ask(&app, &[&format!("bad-{SECRET}")]).await.expect_problem(401, TEXT);
    ask(&app, &["good-2"]).await.expect(200);
    let log = app.access_log();
    assert!(log.contains("the reason for the log") && log.contains("it shows several proofs"), "{log}");
    assert!(log.contains(r#""level":"WARNING","message":"a service gets no token""#), "{log}");
    assert!(!log.contains(SECRET) && !log.contains("good-"), "{log}");
}

#[tokio::test]
async fn without_identities_that_are_allowed_nobody_gets_a_token() {
    let app = in_production();
    let _warnings = app.log_warnings();
    ask(&app, &["good-1"]).await.expect_problem(401, TEXT);
    assert!(app.access_log().contains("no identities are allowed"), "{}", app.access_log());
}

#[tokio::test]
async fn while_nobody_can_tell_the_answer_is_503_and_says_when_to_come_again() {
    let app = app();
    let _warnings = app.log_warnings();
    let answer = ask(&app, &[&format!("late-{SECRET}")]).await;
    assert_eq!(answer.header("retry-after"), "5");
    assert!(!answer.text().contains("STS"), "{}", answer.text());
    answer.expect_problem(503, "Service identity cannot be checked");
    let log = app.access_log();
    assert!(log.contains("STS does not answer") && !log.contains(SECRET), "{log}");
}

#[tokio::test]
async fn a_token_is_issued_to_a_post_alone() {
    let app = app();
    let request = app.request(Method::GET, PATH).header("x-service-identity", "good-1");
    app.send(request.body(String::new().into()).unwrap()).await.expect_problem(405, "Method Not Allowed");
    ask(&app, &["good-1"]).await.expect(200);
}
