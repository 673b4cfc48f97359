//! Tokens that are remembered.

use super::verified::{MAX_VERIFIED, VerifiedTokens};
use super::*;

fn remembered(world: &World) -> usize {
    world.keys.active().verifying.verified.len()
}

#[test]
fn a_signature_is_checked_once() {
    for text in [SECRET, P256, RSA] {
        let world = World::new(text);
        let token = world.issue();
        let first = world.valid(&token);
        assert!(Arc::ptr_eq(&first, &world.valid(&token)), "it was opened twice");
        assert_eq!(remembered(&world), 1);
    }
}

#[test]
fn a_remembered_token_expires_to_the_second() {
    let world = World::new(P256);
    let token = world.issue();
    let first = world.valid(&token);
    world.clock.advance(LIFETIME - Duration::from_secs(1));
    assert!(Arc::ptr_eq(&first, &world.valid(&token)));
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.refusal(&token), Refusal::Expired);
}

#[test]
fn a_remembered_token_leaves_with_its_key() {
    let world = World::new(P256);
    let token = world.issue();
    world.valid(&token);
    world.keys.replace(ring(OTHER_P256, None));
    assert_eq!(remembered(&world), 0);
    assert_eq!(world.refusal(&token), Refusal::UnknownKey);
    world.keys.replace(ring(P256, None));
    assert_eq!(remembered(&world), 0);
    world.valid(&token);
}

#[test]
fn the_same_keys_again_forget_nothing() {
    let world = World::new(P256);
    let token = world.issue();
    let first = world.valid(&token);
    world.keys.replace(ring(P256, None));
    assert!(Arc::ptr_eq(&first, &world.valid(&token)));
}

#[test]
fn a_token_that_one_verifier_remembers_is_judged_anew_by_another() {
    let world = World::new(P256);
    let token = world.issue();
    world.valid(&token);
    let elsewhere = Parties { audience: "another".into(), ..parties() };
    let verifier = TokenVerifier::new(Arc::clone(&world.keys), elsewhere, Arc::clone(&world.clock) as _);
    assert_eq!(at_once(verifier.verify(&token)), Verification::Invalid(Refusal::Audience));
}

#[test]
fn what_is_refused_is_not_remembered() {
    let world = World::new(P256);
    let token = world.issue();
    world.refusal(&token[..token.len() - 2]);
    world.clock.advance(LIFETIME);
    assert_eq!(world.refusal(&token), Refusal::Expired);
    assert_eq!(remembered(&world), 0);
}

#[test]
fn memory_is_bounded_however_many_tokens_there_are() {
    let (tokens, claims) = (VerifiedTokens::default(), Arc::new(serde_json::from_value(good_claims()).unwrap()));
    for number in 0..3 * MAX_VERIFIED {
        tokens.remember(&number.to_string(), &claims);
    }
    assert!((MAX_VERIFIED / 2..=MAX_VERIFIED).contains(&tokens.len()), "{}", tokens.len());
}
