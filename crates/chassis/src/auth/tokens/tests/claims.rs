//! What a token that is signed well must say.

use super::*;

/// The good claims with one of them changed; `null` takes it away.
fn judge(name: &str, value: Value) -> Verification {
    let mut claims = good_claims();
    match value {
        Value::Null => claims.as_object_mut().unwrap().remove(name),
        value => claims.as_object_mut().unwrap().insert(name.into(), value),
    };
    World::new(SECRET).judged(&signed_with_secret(&json!({ "alg": "HS256" }), &claims))
}

#[test]
fn a_good_token_is_valid_and_tells_who_asks() {
    let world = World::new(SECRET);
    let claims = world.valid(&world.issue());
    assert_eq!((claims.sub.as_str(), claims.username.as_deref()), (USER, Some("alice")));
    assert_eq!((claims.iat, claims.exp, claims.nbf), (NOW, NOW + 3600, None));
    assert_eq!((claims.iss.as_str(), claims.aud.as_str()), ("https://users.example", "keelson"));
}

#[test]
fn a_scope_is_had_as_a_whole_word() {
    let world = World::new(SECRET);
    let claims = world.valid(&world.issue());
    assert!(claims.has_scope("orders:read") && claims.has_scope("orders:write"));
    for other in ["orders", "orders:rea", "orders:reader", "orders:read orders:write", "ORDERS:READ", "", " "] {
        assert!(!claims.has_scope(other), "{other}");
    }
    assert!(!Claims { scope: String::new(), ..claims.as_ref().clone() }.has_scope(""));
}

#[test]
fn a_token_is_expired_from_the_second_of_exp_on() {
    let world = World::new(SECRET);
    let token = world.issue();
    world.clock.advance(LIFETIME - Duration::from_millis(1));
    world.valid(&token);
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(world.refusal(&token), Refusal::Expired);
}

#[test]
fn a_clock_that_is_behind_by_a_minute_is_forgiven_and_no_more() {
    assert!(matches!(judge("iat", json!(NOW + 60)), Verification::Valid(_)));
    assert_eq!(judge("iat", json!(NOW + 61)), Verification::Invalid(Refusal::NotYetValid));
}

#[test]
fn a_token_is_not_valid_before_its_nbf() {
    assert!(matches!(judge("nbf", json!(NOW)), Verification::Valid(_)));
    assert_eq!(judge("nbf", json!(NOW + 1)), Verification::Invalid(Refusal::NotYetValid));
    assert_eq!(judge("nbf", json!("soon")), Verification::Invalid(Refusal::Claims));
}

#[test]
fn a_token_of_another_issuer_or_audience_is_refused() {
    for other in ["https://users.example/", "HTTPS://USERS.EXAMPLE", "https://evil.example", ""] {
        assert_eq!(judge("iss", json!(other)), Verification::Invalid(Refusal::Issuer), "{other}");
    }
    assert_eq!(judge("aud", json!("another")), Verification::Invalid(Refusal::Audience));
    assert_eq!(judge("aud", json!(["keelson", "another"])), Verification::Invalid(Refusal::Claims));
    assert_eq!(judge("sub", json!("")), Verification::Invalid(Refusal::Subject));
}

#[test]
fn what_decides_is_required_and_of_its_type() {
    for name in ["sub", "iss", "aud", "iat", "exp", "jti"] {
        assert_eq!(judge(name, Value::Null), Verification::Invalid(Refusal::Claims), "{name} is absent");
        assert_eq!(judge(name, json!(1.5)), Verification::Invalid(Refusal::Claims), "{name} is a fraction");
    }
    assert_eq!(judge("exp", json!("9999999999")), Verification::Invalid(Refusal::Claims));
    assert_eq!(judge("exp", json!(i64::MIN)), Verification::Invalid(Refusal::Expired));
    assert_eq!(judge("iat", json!(i64::MAX)), Verification::Invalid(Refusal::NotYetValid));
}

#[test]
fn a_claim_that_is_there_twice_is_refused() {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let payload = good_claims().to_string().replacen('{', r#"{"sub":"somebody else","#, 1);
    let token = signed(r#"{"alg":"HS256"}"#, &payload, Algorithm::HS256, &key);
    assert_eq!(World::new(SECRET).refusal(&token), Refusal::Claims);
}

#[test]
fn a_token_without_scope_or_name_may_do_nothing() {
    let Verification::Valid(claims) = judge("scope", Value::Null) else { panic!("it is refused") };
    assert!(claims.scope.is_empty() && !claims.has_scope("orders:read"));
    let Verification::Valid(claims) = judge("username", Value::Null) else { panic!("it is refused") };
    assert_eq!(claims.username, None);
}

#[test]
fn the_name_of_a_user_is_not_in_debug() {
    let world = World::new(SECRET);
    let shown = format!("{:?}", world.judged(&world.issue()));
    assert!(shown.contains(USER) && !shown.contains("alice"), "{shown}");
}
