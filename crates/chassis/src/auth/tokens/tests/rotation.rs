//! Keys that come and go.

use super::*;

#[test]
fn a_token_of_the_previous_key_is_valid_until_the_key_has_left() {
    for (old, new) in
        [(SECRET, "another secret for tests only, as long"), (P256, OTHER_P256), (SECRET, RSA), (RSA, P256)]
    {
        let world = World::new(old);
        let before = world.issue();
        world.valid(&before);

        world.keys.replace(ring(new, Some(old)));
        let after = world.issue();
        world.valid(&before);
        world.valid(&after);

        world.keys.replace(ring(new, None));
        assert_eq!(world.refusal(&before), Refusal::UnknownKey);
        world.valid(&after);
    }
}

#[test]
fn the_current_key_signs_and_the_previous_one_does_not() {
    let world = World::with(ring(OTHER_P256, Some(P256)));
    let token = world.issue();
    assert_eq!(World::new(P256).refusal(&token), Refusal::UnknownKey);
    World::new(OTHER_P256).valid(&token);
}

#[test]
fn a_token_without_kid_is_refused_once_its_key_has_left() {
    let world = World::with(ring(P256, Some(SECRET)));
    let token = signed_with_secret(&json!({ "alg": "HS256" }), &good_claims());
    world.valid(&token);
    world.keys.replace(ring(P256, None));
    assert_eq!(world.refusal(&token), Refusal::Algorithm);
}

#[test]
fn the_published_keys_follow_the_ring() {
    let world = World::new(P256);
    let kids = |world: &World| {
        let jwks = serde_json::to_value(world.keys.jwks()).unwrap();
        let keys = jwks["keys"].as_array().unwrap().clone();
        keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(kids(&world), [key(P256).kid()]);
    world.keys.replace(ring(RSA, Some(P256)));
    assert_eq!(kids(&world), [key(RSA).kid(), key(P256).kid()]);
    world.keys.replace(ring(SECRET, Some(RSA)));
    assert_eq!(kids(&world), [key(RSA).kid()]);
}
