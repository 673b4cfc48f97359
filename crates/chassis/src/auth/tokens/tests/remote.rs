//! Keys that are fetched from the service that issues tokens, which is a real server here.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::future::join_all;
use http::StatusCode;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::*;
use crate::client::{CallFailure, CallLimits, ServiceClient, ServiceUrls};
use crate::lifecycle::Lifecycle;
use crate::telemetry::correlation::Scope;
use crate::telemetry::metrics::Metrics;
use crate::testing::{TestServer, eventually};

const SECOND: Duration = Duration::from_secs(1);
/// For tests on a machine that has much else to do.
const PATIENT: CallLimits = CallLimits { timeout: Duration::from_secs(20), max_answer_bytes: 1 << 20 };

/// What the issuer publishes, and how it answers.
struct Published {
    set: Mutex<Value>,
    is_down: AtomicBool,
    fetches: AtomicUsize,
    /// One for each answer that may be given.
    answers: Semaphore,
}

impl Published {
    async fn answer(&self) -> Response {
        self.fetches.fetch_add(1, Ordering::Relaxed);
        self.answers.acquire().await.unwrap().forget();
        if self.is_down.load(Ordering::Relaxed) {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner).clone();
        axum::Json(set).into_response()
    }

    fn set(&self, set: Value) {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = set;
    }

    fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::Relaxed);
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::Relaxed)
    }
}

/// One who issues and publishes, and one who verifies with what is published.
struct Apart {
    issuer: World,
    published: Arc<Published>,
    keys: Arc<RemoteKeys>,
    verifier: TokenVerifier,
    clock: Arc<ManualClock>,
    _server: TestServer,
}

impl Apart {
    async fn new(current: &str) -> Self {
        let issuer = World::new(current);
        let published = Arc::new(Published {
            set: Mutex::new(set_of(&issuer)),
            is_down: AtomicBool::default(),
            fetches: AtomicUsize::default(),
            answers: Semaphore::new(Semaphore::MAX_PERMITS / 2),
        });
        let answering = Arc::clone(&published);
        let answer = move || async move { answering.answer().await };
        let server = TestServer::start(Router::new().route("/.well-known/jwks.json", get(answer))).await;
        let clock = Arc::clone(&issuer.clock);
        let keys = RemoteKeys::new(client(&server.url()), Arc::clone(&clock) as _);
        let verifier = TokenVerifier::of_issuer(Arc::clone(&keys), parties(), Arc::clone(&clock) as _);
        Self { issuer, published, keys, verifier, clock, _server: server }
    }

    async fn rotate(&self, current: &str) {
        self.issuer.keys.replace(ring(current, None));
        self.published.set(set_of(&self.issuer));
    }

    async fn is_valid(&self, token: &str) -> bool {
        match self.verifier.verify(token).await {
            Verification::Valid(claims) => {
                assert_eq!(claims.sub, USER);
                true
            }
            _ => false,
        }
    }

    async fn refusal(&self, token: &str) -> Refusal {
        match self.verifier.verify(token).await {
            Verification::Invalid(refusal) => refusal,
            other => panic!("{token}: {other:?}"),
        }
    }

    async fn failure(&self, token: &str) -> CallFailure {
        match self.verifier.verify(token).await {
            Verification::Unknown(failure) => failure.failure().clone(),
            other => panic!("{token}: {other:?}"),
        }
    }
}

fn client(url: &str) -> ServiceClient {
    let metrics = Metrics::new("order-service", "1");
    ServiceClient::new("user-service", url.parse::<ServiceUrls>().unwrap(), PATIENT, &metrics).unwrap()
}

fn set_of(issuer: &World) -> Value {
    serde_json::to_value(issuer.keys.jwks()).unwrap()
}

#[tokio::test]
async fn tokens_of_published_keys_are_valid_and_the_keys_are_fetched_once() {
    for text in [P256, RSA] {
        let apart = Apart::new(text).await;
        let token = apart.issuer.issue();
        for _ in 0..10 {
            assert!(apart.is_valid(&token).await);
        }
        assert_eq!(apart.published.fetches(), 1);
        assert_eq!(apart.refusal(&token[..token.len() - 2]).await, Refusal::Signature);
    }
}

#[tokio::test]
async fn tokens_of_unknown_keys_cause_one_fetch_in_ten_seconds_however_many_come() {
    let apart = Apart::new(P256).await;
    assert!(apart.is_valid(&apart.issuer.issue()).await);
    let foreign: Vec<_> = [OTHER_P256, RSA].iter().map(|text| World::new(text).issue()).collect();
    let storm = || join_all((0..100).map(|number| apart.refusal(&foreign[number % 2])));
    for fetches in [1, 2, 3] {
        for _ in 0..3 {
            assert!(storm().await.iter().all(|refusal| *refusal == Refusal::UnknownKey));
            assert_eq!(apart.published.fetches(), fetches);
        }
        apart.clock.advance(10 * SECOND);
    }
    assert!(apart.is_valid(&apart.issuer.issue()).await);
    assert_eq!(apart.published.fetches(), 3, "a known key needs no fetch");
}

#[tokio::test]
async fn a_rotation_is_noticed_with_its_first_token_and_ends_the_old_key() {
    let apart = Apart::new(P256).await;
    let before = apart.issuer.issue();
    assert!(apart.is_valid(&before).await);
    apart.rotate(OTHER_P256).await;
    apart.clock.advance(10 * SECOND);
    assert!(apart.is_valid(&apart.issuer.issue()).await);
    assert_eq!(apart.published.fetches(), 2);
    assert_eq!(apart.refusal(&before).await, Refusal::UnknownKey, "it was verified before, with a key that has left");
}

#[tokio::test]
async fn another_key_under_the_old_name_is_another_key() {
    let apart = Apart::new(P256).await;
    let before = apart.issuer.issue();
    assert!(apart.is_valid(&before).await);
    let mut renamed = serde_json::to_value(ring(OTHER_P256, None).jwks()).unwrap();
    renamed["keys"][0]["kid"] = key(P256).kid().into();
    apart.published.set(renamed);
    apart.clock.advance(10 * SECOND);
    assert_eq!(apart.refusal(&World::new(RSA).issue()).await, Refusal::UnknownKey, "it causes a fetch");
    assert_eq!(apart.refusal(&before).await, Refusal::Signature);
}

#[tokio::test]
async fn of_two_keys_with_one_name_each_verifies_what_it_has_signed() {
    let apart = Apart::new(P256).await;
    let other = World::new(OTHER_P256);
    let named = |world: &World| {
        let mut published = set_of(world)["keys"][0].clone();
        published["kid"] = "same".into();
        published
    };
    apart.published.set(json!({ "keys": [named(&apart.issuer), named(&other)] }));
    let token = |pem: &str| {
        let key = EncodingKey::from_ec_pem(pem.as_bytes()).unwrap();
        signed(r#"{"alg":"ES256","kid":"same"}"#, &good_claims().to_string(), Algorithm::ES256, &key)
    };
    assert!(apart.is_valid(&token(P256)).await);
    assert!(apart.is_valid(&token(OTHER_P256)).await);
    let rsa = EncodingKey::from_rsa_pem(RSA.as_bytes()).unwrap();
    let forged = signed(r#"{"alg":"RS256","kid":"same"}"#, &good_claims().to_string(), Algorithm::RS256, &rsa);
    assert_eq!(apart.refusal(&forged).await, Refusal::Algorithm);
}

#[tokio::test]
async fn a_published_secret_and_a_public_key_as_a_secret_verify_nothing() {
    let apart = Apart::new(RSA).await;
    let mut set = set_of(&apart.issuer);
    let rsa_kid = key(RSA).kid().to_owned();
    let secret = json!({ "kty": "oct", "k": base64url(SECRET), "use": "sig", "alg": "HS256", "kid": "secret" });
    set["keys"].as_array_mut().unwrap().push(secret);
    apart.published.set(set);
    let with = |header: Value, secret: &[u8]| {
        let key = EncodingKey::from_secret(secret);
        signed(&header.to_string(), &good_claims().to_string(), Algorithm::HS256, &key)
    };
    let (hs256, public) = ("HS256", RSA_PUBLIC.as_bytes());
    let token = with(json!({ "alg": hs256, "kid": "secret" }), SECRET.as_bytes());
    assert_eq!(apart.refusal(&token).await, Refusal::UnknownKey);
    for header in [json!({ "alg": hs256, "kid": rsa_kid }), json!({ "alg": hs256 }), json!({ "alg": "none" })] {
        assert_eq!(apart.refusal(&with(header, public)).await, Refusal::Algorithm);
    }
    assert!(apart.is_valid(&apart.issuer.issue()).await);
}

#[tokio::test]
async fn while_the_issuer_is_down_the_last_keys_count_and_of_others_nobody_can_tell() {
    let apart = Apart::new(P256).await;
    let known = apart.issuer.issue();
    assert!(apart.is_valid(&known).await);
    apart.published.set_down(true);
    apart.rotate(OTHER_P256).await;
    let new = apart.issuer.issue();
    assert_eq!(apart.refusal(&new).await, Refusal::UnknownKey, "it was asked a moment ago, and knew no such key");
    apart.clock.advance(10 * SECOND);
    for _ in 0..10 {
        assert_eq!(apart.failure(&new).await, CallFailure::Unavailable("it answered 500 Internal Server Error".into()));
        assert!(apart.is_valid(&known).await);
    }
    assert_eq!(apart.published.fetches(), 2);
    apart.published.set_down(false);
    apart.clock.advance(10 * SECOND);
    assert!(apart.is_valid(&new).await);
    assert!(!apart.is_valid(&known).await);
}

#[tokio::test]
async fn before_the_first_set_nobody_can_tell_and_the_issuer_is_asked_each_second() {
    let apart = Apart::new(P256).await;
    apart.published.set_down(true);
    let token = apart.issuer.issue();
    for fetches in 1..4 {
        for _ in 0..10 {
            assert!(matches!(apart.failure(&token).await, CallFailure::Unavailable(_)));
        }
        assert_eq!(apart.published.fetches(), fetches);
        apart.clock.advance(SECOND);
    }
    apart.published.set_down(false);
    assert!(apart.is_valid(&token).await);
}

#[tokio::test]
async fn what_is_no_token_is_refused_without_a_look_at_the_issuer() {
    let apart = Apart::new(P256).await;
    let long = "x".repeat(MAX_TOKEN_BYTES + 1);
    for (text, refusal) in [("", Refusal::Malformed), ("a.b.c", Refusal::Malformed), (&long, Refusal::TooLong)] {
        assert_eq!(apart.refusal(text).await, refusal);
    }
    assert_eq!(apart.published.fetches(), 0);
}

#[tokio::test]
async fn an_answer_that_is_no_set_changes_nothing() {
    let apart = Apart::new(P256).await;
    let (known, foreign) = (apart.issuer.issue(), World::new(RSA).issue());
    assert!(apart.is_valid(&known).await);
    let padded = json!({ "keys": [], "padding": "x".repeat(64 * 1024) });
    for (answer, is_too_large) in [(json!({}), false), (json!("keys"), false), (padded, true)] {
        apart.published.set(answer);
        apart.clock.advance(10 * SECOND);
        let failure = apart.failure(&foreign).await;
        assert_eq!(matches!(failure, CallFailure::TooLarge(_)), is_too_large, "{failure}");
        assert_eq!(matches!(failure, CallFailure::Malformed(_)), !is_too_large, "{failure}");
        assert!(apart.is_valid(&known).await);
    }
}

#[tokio::test]
async fn a_set_without_keys_is_believed() {
    let apart = Apart::new(P256).await;
    let known = apart.issuer.issue();
    assert!(apart.is_valid(&known).await);
    apart.rotate(SECRET).await;
    apart.clock.advance(10 * SECOND);
    assert_eq!(apart.refusal(&apart.issuer.issue()).await, Refusal::UnknownKey);
    assert_eq!(apart.refusal(&known).await, Refusal::UnknownKey);
}

#[tokio::test]
async fn a_token_that_is_remembered_expires_to_the_second() {
    let apart = Apart::new(P256).await;
    let token = apart.issuer.issue();
    assert!(apart.is_valid(&token).await);
    apart.clock.advance(LIFETIME - SECOND);
    assert!(apart.is_valid(&token).await);
    apart.clock.advance(SECOND);
    assert_eq!(apart.refusal(&token).await, Refusal::Expired);
}

#[tokio::test]
async fn who_comes_during_a_fetch_waits_for_it_and_who_leaves_does_not_end_it() {
    let apart = Apart::new(P256).await;
    apart.published.answers.forget_permits(Semaphore::MAX_PERMITS);
    let token = apart.issuer.issue();
    for _ in 0..20 {
        let left = timeout(Duration::from_millis(1), apart.verifier.verify(&token)).await;
        assert!(left.is_err(), "the issuer has not answered yet");
    }
    let waiting = join_all((0..20).map(|_| apart.is_valid(&token)));
    let answer = async {
        apart.clock.advance(20 * SECOND);
        apart.published.answers.add_permits(1);
    };
    let (valid, ()) = tokio::join!(biased; waiting, answer);
    assert_eq!(valid, [true; 20]);
    assert_eq!(apart.published.fetches(), 1);
}

#[tokio::test]
async fn the_worker_fetches_at_the_start_and_every_five_minutes_and_stops_with_the_drain() {
    let apart = Apart::new(P256).await;
    let lifecycle = Lifecycle::new();
    let work = Arc::clone(&apart.keys).keep_fresh(lifecycle.clone());
    lifecycle.spawn("token-keys", Scope::service("test"), work);
    let fetched = |fetches| {
        let keys = &apart.keys;
        eventually("a fetch", move || async move { (keys.done() == fetches).then_some(()) })
    };
    fetched(1).await;
    apart.rotate(OTHER_P256).await;
    wait(Duration::from_mins(5)).await;
    fetched(2).await;
    assert!(apart.is_valid(&apart.issuer.issue()).await, "its key was fetched before it came");
    assert_eq!(apart.published.fetches(), 2);

    apart.published.set_down(true);
    wait(Duration::from_mins(5)).await;
    fetched(3).await;
    wait(10 * SECOND).await;
    fetched(4).await;
    lifecycle.shut_down();
    let none = crate::config::Lifetimes { drain_delay: Duration::ZERO, shutdown_grace: 20 * SECOND };
    assert_eq!(lifecycle.run_to_end(none).await.unwrap(), crate::lifecycle::Ending::Clean);
}

/// Turns the clock of timers. It stands still for this moment alone: calls of a real server need one that goes.
async fn wait(time: Duration) {
    // Whoever has just been seen at the end of its work begins to sleep first.
    tokio::task::yield_now().await;
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}
