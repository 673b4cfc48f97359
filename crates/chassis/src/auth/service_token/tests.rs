//! A token that is shown, with a source that does as it is told and a clock that the test turns.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use futures_util::future::join_all;
use secrecy::ExposeSecret as _;
use tokio::time::{sleep, timeout};

use super::*;
use crate::auth::{Parties, TokenVerifier, Verification};
use crate::clock::Clock;
use crate::ids::Ids;
use crate::testing::{ManualClock, token_keys};

const SECOND: Duration = Duration::from_secs(1);
/// For work that is under way beside the test.
const MOMENT: Duration = Duration::from_millis(10);

/// Gives tokens of a hundred seconds that are numbered.
#[derive(Debug, Default)]
struct FakeSource {
    asked: AtomicU32,
    is_down: AtomicBool,
    hangs: AtomicBool,
}

#[async_trait]
impl TokenSource for FakeSource {
    async fn token(&self) -> Result<FreshToken, NoToken> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        // So long that others come meanwhile.
        sleep(if self.hangs.load(Ordering::Relaxed) { 3600 * SECOND } else { MOMENT / 10 }).await;
        match self.is_down.load(Ordering::Relaxed) {
            true => Err(NoToken::new(format!("failure {number}"))),
            false => Ok(FreshToken { token: format!("token {number}").into(), lifetime: 100 * SECOND }),
        }
    }
}

struct World {
    source: Arc<FakeSource>,
    clock: Arc<ManualClock>,
    token: ServiceToken,
}

impl World {
    fn new() -> Self {
        let (source, clock) = (Arc::<FakeSource>::default(), ManualClock::new());
        let token = ServiceToken::new(Arc::clone(&source) as _, Arc::clone(&clock) as _);
        Self { source, clock, token }
    }

    async fn show(&self) -> String {
        match self.token.show().await {
            Ok(token) => token.expose_secret().to_owned(),
            Err(error) => error.to_string(),
        }
    }

    fn asked(&self) -> u32 {
        self.source.asked.load(Ordering::Relaxed)
    }

    fn set_down(&self, is_down: bool) {
        self.source.is_down.store(is_down, Ordering::Relaxed);
    }
}

fn failure(number: u32) -> String {
    format!("there is no token to show: failure {number}")
}

#[tokio::test(start_paused = true)]
async fn a_hundred_calls_at_once_need_one_token() {
    let world = World::new();
    let shown = join_all((0..100).map(|_| world.show())).await;
    assert!(shown.iter().all(|token| token == "token 1"), "{shown:?}");
    assert_eq!(world.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn at_four_fifths_of_its_life_it_is_replaced_once_and_nobody_waits() {
    let world = World::new();
    world.show().await;
    world.clock.advance(79 * SECOND);
    assert_eq!((world.show().await.as_str(), world.asked()), ("token 1", 1));
    world.clock.advance(SECOND);
    for _ in 0..10 {
        assert_eq!(world.show().await, "token 1");
    }
    sleep(MOMENT).await;
    assert_eq!((world.show().await.as_str(), world.asked()), ("token 2", 2));
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_replaced_is_shown_until_it_ends() {
    let world = World::new();
    world.show().await;
    world.set_down(true);
    world.clock.advance(80 * SECOND);
    world.show().await;
    sleep(MOMENT).await;
    world.clock.advance(14 * SECOND);
    assert_eq!(world.show().await, "token 1");
    sleep(MOMENT).await;
    assert_eq!(world.asked(), 3);
    world.clock.advance(SECOND);
    assert_eq!(world.show().await, failure(3), "what has ended is not shown");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_is_asked_after_pauses_that_grow_to_a_quarter_of_a_minute() {
    let world = World::new();
    world.set_down(true);
    for (number, pause) in [1, 2, 4, 8, 16, 16].into_iter().enumerate() {
        let number = u32::try_from(number).unwrap() + 1;
        let failures = join_all((0..10).map(|_| world.show())).await;
        assert!(failures.iter().all(|told| *told == failure(number)), "{failures:?}");
        world.clock.advance(pause * SECOND - MOMENT);
        assert_eq!(world.show().await, failure(number));
        world.clock.advance(MOMENT);
    }
    world.set_down(false);
    assert_eq!(world.show().await, "token 7");
    world.set_down(true);
    world.clock.advance(100 * SECOND);
    assert_eq!(world.show().await, failure(8));
    world.clock.advance(SECOND);
    assert_eq!(world.show().await, failure(9), "pauses begin anew after a success");
}

#[tokio::test(start_paused = true)]
async fn no_call_waits_long_for_a_source_that_hangs_and_the_source_is_asked_once() {
    let world = World::new();
    world.source.hangs.store(true, Ordering::Relaxed);
    let begun = tokio::time::Instant::now();
    let told = join_all((0..10).map(|_| world.show())).await;
    assert_eq!(begun.elapsed(), 2 * SECOND);
    assert!(told.iter().all(|told| told.ends_with("none came within 2s")), "{told:?}");
    assert_eq!(world.asked(), 1);
    sleep(18 * SECOND + MOMENT).await;
    assert!(world.show().await.ends_with("its source does not answer within 20s"));
    assert_eq!(world.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_does_not_end_the_fetch_of_others() {
    let world = World::new();
    assert!(timeout(Duration::ZERO, world.token.show()).await.is_err());
    assert_eq!((world.show().await.as_str(), world.asked()), ("token 1", 1));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_a_service_refuses_is_given_up_once_a_minute() {
    let world = World::new();
    let first = world.token.show().await.unwrap();
    world.token.refused(&first);
    let second = world.token.show().await.unwrap();
    assert_eq!(second.expose_secret(), "token 2");
    world.token.refused(&first);
    world.token.refused(&second);
    assert_eq!((world.show().await.as_str(), world.asked()), ("token 2", 2));
    world.clock.advance(60 * SECOND);
    world.token.refused(&second);
    assert_eq!((world.show().await.as_str(), world.asked()), ("token 3", 3));
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_issued_here_name_the_service_and_have_its_scopes() {
    let clock: Arc<dyn Clock> = ManualClock::new();
    let parties = Parties { issuer: "keelson".into(), audience: "keelson".into() };
    let ids = Ids::seeded(Arc::clone(&clock), 1);
    let issuer = TokenIssuer::new(token_keys(), parties.clone(), 3600 * SECOND, Arc::clone(&clock), ids);
    let tokens = ServiceTokens::Issued(issuer);
    let token = tokens.of("order-service", &["analytics:write"]).show().await.unwrap();
    let verifier = TokenVerifier::new(token_keys(), parties, clock);
    let Verification::Valid(claims) = verifier.verify(token.expose_secret()).await else { panic!("it is good") };
    assert_eq!((claims.sub.as_str(), claims.scope.as_str()), ("order-service", "analytics:write service"));
    assert_eq!(claims.exp - claims.iat, 300);
}

#[tokio::test(start_paused = true)]
async fn a_token_of_the_process_is_the_same_for_all_and_is_not_printed() {
    let world = World::new();
    let tokens = ServiceTokens::Shared(world.token.clone());
    for (subject, scopes) in [("order-service", &["analytics:write"][..]), ("analytics-service", &[])] {
        let token = tokens.of(subject, scopes);
        assert_eq!(token.show().await.unwrap().expose_secret(), "token 1");
        assert!(!format!("{token:?}").contains("token 1"));
    }
}
