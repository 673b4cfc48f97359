//! The caller's side, against a users that answers by a script.

use std::sync::atomic::{AtomicBool, Ordering};

use chassis::auth::{ServiceToken, TokenSource as _};
use chassis::client::{CallLimits, ServiceClient};
use chassis::testing::eventually;
use futures_util::future::join_all;

use super::super::RoleTokens;
use super::fake::answer;
use super::*;

const TOKEN: &str = "eyJh.eyJz.c2ln";

fn issued(token: &str) -> String {
    format!("{{\"access_token\": \"{token}\", \"token_type\": \"bearer\", \"expires_in\": 300}}")
}

/// A process with a role, and users. Proofs are for the STS of no region, which nobody asks.
struct Caller {
    users: FakeSts,
    clock: Arc<ManualClock>,
    tokens: Arc<RoleTokens>,
}

impl Caller {
    async fn new(respond: impl Fn(&Received) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::with(credentials(), respond).await
    }

    async fn with(credentials: Credentials, respond: impl Fn(&Received) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let (users, clock) = (FakeSts::start(respond).await, ManualClock::new());
        let settings = AwsSettings { region: REGION.into(), endpoint_url: Some("http://sts.invalid".into()) };
        let aws = Aws::with_credentials(settings, SharedCredentialsProvider::new(credentials));
        let metrics = Metrics::new("order-service", "1");
        let urls: chassis::client::ServiceUrls = users.url.parse().unwrap();
        let client = ServiceClient::new(HERE, urls, CallLimits::default(), &metrics).unwrap();
        let tokens = Arc::new(RoleTokens::new(aws, Arc::clone(&clock) as _, &client).unwrap());
        Self { users, clock, tokens }
    }

    /// As the services of the process show it.
    fn held(&self) -> ServiceToken {
        ServiceToken::new(Arc::clone(&self.tokens) as _, Arc::clone(&self.clock) as _)
    }

    /// Why there is no token.
    async fn failure(&self) -> String {
        self.tokens.token().await.unwrap_err().to_string()
    }
}

#[tokio::test]
async fn a_proof_for_users_is_exchanged_for_a_token() {
    let caller = Caller::new(|_| answer(200, "", &issued(TOKEN))).await;
    let fresh = caller.tokens.token().await.unwrap();
    assert_eq!((fresh.token.expose_secret(), fresh.lifetime), (TOKEN, 300 * SECOND));
    let received = caller.users.received();
    let [request] = &received[..] else { panic!("{} requests", received.len()) };
    assert_eq!((request.line.as_str(), &request.body[..]), ("POST /api/v1/service-tokens HTTP/1.1", &[][..]));
    let proof = Proof::read(request.header("x-service-identity").unwrap().as_bytes()).unwrap();
    assert_eq!((proof.x_keelson_audience.as_str(), proof.host.as_str()), (HERE, "sts.invalid"));
    assert_eq!(request.header("authorization"), None);
    assert!(!format!("{fresh:?} {:?}", caller.tokens).contains(TOKEN));
}

#[tokio::test]
async fn a_hundred_calls_at_once_make_one_exchange_and_each_exchange_has_a_proof_of_its_own() {
    let caller = Caller::new(|_| answer(200, "", &issued(TOKEN))).await;
    let token = caller.held();
    let shown = join_all((0..100).map(|_| token.show())).await;
    assert!(shown.iter().all(|shown| shown.as_ref().is_ok_and(|token| token.expose_secret() == TOKEN)));
    assert_eq!(caller.users.count(), 1);
    caller.clock.advance(239 * SECOND);
    token.show().await.unwrap();
    assert_eq!(caller.users.count(), 1);
    caller.clock.advance(SECOND);
    token.show().await.unwrap();
    eventually("it is replaced meanwhile", async || (caller.users.count() == 2).then_some(())).await;
    caller.clock.advance(300 * SECOND);
    token.show().await.unwrap();
    let proofs: Vec<_> =
        caller.users.received().iter().map(|it| it.header("x-service-identity").unwrap().to_owned()).collect();
    assert!(proofs.len() == 3 && proofs[0] != proofs[1] && proofs[1] != proofs[2]);
}

#[tokio::test]
async fn what_users_answers_else_is_no_token_and_is_asked_for_once() {
    let elsewhere = FakeSts::start(|_| answer(200, "", &issued(TOKEN))).await;
    let location = format!("location: {}/\r\n", elsewhere.url);
    for (status, headers, told) in [
        (401, "", "is its role among SERVICE_IDENTITIES there?"),
        (403, "", "it answered 403"),
        (404, "", "it answered 404"),
        (429, "retry-after: 1\r\n", "it answered 429"),
        (500, "", "it answered 500"),
        (503, "retry-after: 1\r\n", "it answered 503"),
        (201, "", "it answered 201"),
        (302, location.as_str(), "it answered 302"),
        (307, location.as_str(), "it answered 307"),
    ] {
        let headers = headers.to_owned();
        let caller = Caller::new(move |_| answer(status, &headers, &issued(TOKEN))).await;
        let failure = caller.failure().await;
        assert!(failure.contains(told), "{status}: {failure}");
        assert_eq!(caller.users.count(), 1, "{status}");
        let proof = caller.users.received()[0].header("x-service-identity").unwrap().to_owned();
        assert!(!failure.contains(&proof) && !failure.contains(TOKEN), "{failure}");
    }
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test]
async fn an_answer_that_is_not_exactly_a_token_is_none() {
    let long = issued(&"x".repeat(8 * 1024 + 1));
    let large = format!("{}{}", issued(TOKEN), " ".repeat(16 * 1024));
    let sound = issued(TOKEN);
    for body in [
        "",
        "null",
        "{}",
        "<html></html>",
        &sound[..sound.len() - 1],
        &format!("{sound}{sound}"),
        &sound.replace("access_token", "token"),
        &sound.replace("\"access_token\"", "\"access_token\": \"a.b.c\", \"access_token\""),
        &sound.replace("bearer", "mac"),
        &sound.replace("\"bearer\"", "null"),
        &sound.replace("300", "0"),
        &sound.replace("300", "3601"),
        &sound.replace("300", "-1"),
        &sound.replace("300", "\"300\""),
        &sound.replace("300", "1e99"),
        &sound.replace(", \"expires_in\": 300", ""),
        &issued(""),
        &issued("a b"),
        &issued("a\\r\\nx-evil: 1"),
        &issued("\u{fc}"),
        &long,
        &large,
    ] {
        let bytes = answer(200, "", body);
        let caller = Caller::new(move |_| bytes.clone()).await;
        let failure = caller.failure().await;
        assert!(!failure.contains(TOKEN), "{failure}");
        assert_eq!(caller.users.count(), 1, "{body}: {failure}");
    }
}

#[tokio::test]
async fn users_that_fails_is_left_alone_for_a_while_and_then_asked_again() {
    let is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&is_down);
    let caller = Caller::new(move |_| match down.load(Ordering::Relaxed) {
        true => answer(503, "", ""),
        false => answer(200, "", &issued(TOKEN)),
    });
    let caller = caller.await;
    let token = caller.held();
    let failures = join_all((0..100).map(|_| token.show())).await;
    assert!(failures.iter().all(Result::is_err));
    assert!(token.show().await.is_err());
    assert_eq!(caller.users.count(), 1);
    is_down.store(false, Ordering::Relaxed);
    caller.clock.advance(SECOND);
    token.show().await.unwrap();
    assert_eq!(caller.users.count(), 2);
}

#[tokio::test]
async fn a_process_without_a_role_asks_nobody_and_says_why() {
    let user = Credentials::new("AKIAANN", "the-secret-of-ann", None, None, "tests");
    let caller = Caller::with(user, |_| answer(200, "", &issued(TOKEN))).await;
    let failure = caller.failure().await;
    assert!(failure.contains("not those of a role") && !failure.contains("the-secret-of-ann"), "{failure}");
    assert_eq!(caller.users.count(), 0);
}
