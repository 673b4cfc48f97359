//! From the proof to the token, through the route of users: a role is known by one request to STS, and whoever has none
//! learns nothing.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chassis::auth::{
    Parties, PoolSize, ServiceAuthenticator as _, TokenIssuer, TokenVerifier, Unverified, Verification,
};
use chassis::clock::Clock;
use chassis::ports::MemoryOutbox;
use chassis::service::{Context, Service};
use chassis::testing::{TestApp, TestResponse, token_keys};
use http::Method;
use users::MemoryUsers;

use super::fake::{answer, caller};
use super::*;

fn parties() -> Parties {
    Parties { issuer: "keelson".into(), audience: "keelson".into() }
}

fn service(sts: &FakeSts, context: &Context) -> Service {
    let (clock, ids) = (Arc::clone(&context.clock), Arc::clone(&context.ids));
    let metrics = Metrics::new(HERE, "1");
    let roles = AllowedRoles::of(&ROLES.parse().unwrap()).unwrap();
    let roles = RoleAuthenticator::new(&settings(sts), HERE, roles, Arc::clone(&clock), &metrics).unwrap();
    let parts = users::Parts {
        store: MemoryUsers::new(),
        outbox: Arc::new(MemoryOutbox::default()),
        analytics: None,
        hashing: PoolSize::of(NonZeroUsize::MIN),
        answer_lifetime: SECOND,
        keys: token_keys(),
        issuer: TokenIssuer::new(token_keys(), parties(), SECOND, clock, ids),
        authenticator: Some(Arc::new(roles)),
    };
    users::service(parts, context).unwrap()
}

/// users, and the STS that it asks.
struct Users {
    app: TestApp,
    sts: FakeSts,
}

impl Users {
    async fn with(respond: impl Fn(&Received) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let sts = FakeSts::start(respond).await;
        Self { app: TestApp::start(|context| service(&sts, context)), sts }
    }

    async fn new() -> Self {
        Self::with(|request| request.answer_as(SESSION)).await
    }

    async fn proof_for(&self, audience: &str, sts: &FakeSts) -> String {
        let aws = Aws::with_credentials(settings(sts), SharedCredentialsProvider::new(credentials()));
        let proofs = RoleProofs::new(aws, Arc::clone(&self.app.clock) as _).unwrap();
        proofs.make(audience).await.unwrap().expose_secret().to_owned()
    }

    async fn proof(&self) -> String {
        self.proof_for(HERE, &self.sts).await
    }

    async fn exchange(&self, proof: &str) -> TestResponse {
        let request = self.app.request(Method::POST, "/api/v1/service-tokens").header("x-service-identity", proof);
        self.app.send(request.body(String::new().into()).unwrap()).await
    }

    /// The answer is the same for every reason, and the log has nothing of the proof.
    async fn refuses(&self, proof: &str) {
        let refused = self.exchange(proof).await;
        refused.expect_problem(401, "Invalid service identity");
        assert!(!self.app.access_log().contains(proof), "{}", self.app.access_log());
    }
}

#[tokio::test]
async fn a_role_gets_one_token_for_a_proof_by_one_request_to_sts() {
    let users = Users::new().await;
    let proof = users.proof().await;
    let token = users.exchange(&proof).await.expect(200).json()["access_token"].as_str().unwrap().to_owned();
    let verifier = TokenVerifier::new(token_keys(), parties(), Arc::clone(&users.app.clock) as _);
    let identity = verifier.authenticate(token.as_bytes()).await.unwrap();
    assert_eq!(identity.subject, "arn:aws:iam::123456789012:role/orders");
    assert_eq!(identity.scopes, ["users:read"]);
    users.app.ask_as(&token, Method::GET, "/api/v1/users", "").await.expect(200);
    let Verification::Valid(claims) = verifier.verify(&token).await else { panic!("it is good") };
    assert_eq!(claims.exp - claims.iat, 300);

    users.refuses(&proof).await;
    assert_eq!(users.sts.count(), 1);
    assert_eq!(users.sts.received()[0].line, "POST / HTTP/1.1");
}

#[tokio::test]
async fn a_proof_that_is_for_somebody_else_or_somewhere_else_reaches_no_sts() {
    let (users, evil) =
        (Users::new().await, FakeSts::start(|_| answer(200, "", &caller(SESSION, "123456789012"))).await);
    // Made for another service, which forwards it.
    users.refuses(&users.proof_for("order-service", &users.sts).await).await;
    // Soundly signed, for a host on which somebody answers what the caller likes.
    users.refuses(&users.proof_for(HERE, &evil).await).await;
    let old = users.proof().await;
    users.app.clock.advance(901 * SECOND);
    users.refuses(&old).await;
    assert_eq!((users.sts.count(), evil.count()), (0, 0));
}

#[tokio::test]
async fn a_proof_for_users_that_users_forwards_is_refused_elsewhere() {
    let users = Users::new().await;
    let proof = users.proof().await;
    let (roles, metrics) = (AllowedRoles::of(&ROLES.parse().unwrap()).unwrap(), Metrics::new("order-service", "1"));
    let clock: Arc<dyn Clock> = Arc::clone(&users.app.clock) as _;
    let orders = RoleAuthenticator::new(&settings(&users.sts), "order-service", roles, clock, &metrics).unwrap();
    let unverified = orders.authenticate(proof.as_bytes()).await.unwrap_err();
    assert_eq!(unverified, Unverified::Refused("the proof is for another service".into()));
    assert_eq!(users.sts.count(), 0);
    users.exchange(&proof).await.expect(200);
}

#[tokio::test]
async fn whatever_sts_answers_else_gives_no_token_and_is_asked_for_once() {
    let elsewhere = FakeSts::start(|_| answer(200, "", &caller(SESSION, "123456789012"))).await;
    let location = format!("location: {}/\r\n", elsewhere.url);
    let sound = caller(SESSION, "123456789012");
    for bytes in [
        answer(200, "", &caller("arn:aws:sts::123456789012:assumed-role/admin/s", "123456789012")),
        answer(200, "", &caller("arn:aws:sts::999999999999:assumed-role/orders/s", "999999999999")),
        answer(200, "", &sound.replace("GetCallerIdentity", "GetSessionToken")),
        answer(200, "", &sound.replace("</Arn>", &format!("</Arn><Arn>{SESSION}</Arn>"))),
        answer(307, &location, &sound),
        answer(403, "", &sound),
        gzipped("content-encoding: gzip\r\n"),
        gzipped(""),
    ] {
        let users = Users::with(move |_| bytes.clone()).await;
        users.refuses(&users.proof().await).await;
        assert_eq!(users.sts.count(), 1);
    }
    assert_eq!(elsewhere.count(), 0);
}

/// A sound answer, compressed.
fn gzipped(headers: &str) -> Vec<u8> {
    const BODY: &str = "\
        H4sIAAAAAAACA3WQ0WoCQQxFf0V8X7OzVVuHcWCxpfggwpZ+QJwJKMzO2EmWtn69u6BUpL4l9+Yekph3khWGQHntKcpBfhviY4\
        pMo582RF6O9yJH1gAsPMEWTyniN09casEnB1WpVFHOCzWDsTX/wbog1tQ5WsxR91Hdg7RW1dN0Nn9+WZSq0sjcteSLnAJByp4y\
        w6EocecMDEnzyQPS1s223javb82HvtoXx9TOpS6KveX24Ytq4OFm13M3JOhRcFC+OmLpqcrAXzPU96Pw8Hv2DG0fO6ZZAQAA";
    let body = STANDARD.decode(BODY).unwrap();
    let head = String::from_utf8(answer(200, headers, "")).unwrap();
    let head = head.replace("content-length: 0", &format!("content-length: {}", body.len()));
    [head.into_bytes(), body].concat()
}

#[tokio::test]
async fn while_sts_is_down_the_answer_is_503_and_the_proof_stays_good() {
    let is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&is_down);
    let users = Users::with(move |request| match down.load(Ordering::Relaxed) {
        true => answer(503, "", ""),
        false => request.answer_as(SESSION),
    });
    let users = users.await;
    let proof = users.proof().await;
    let answered = users.exchange(&proof).await;
    assert!(!answered.header("retry-after").is_empty());
    answered.expect_problem(503, "Service identity cannot be checked");
    is_down.store(false, Ordering::Relaxed);
    users.exchange(&proof).await.expect(200);
}
