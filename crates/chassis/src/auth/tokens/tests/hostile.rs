//! Texts that are no tokens, and tokens that say anything.

use proptest::prelude::*;

use super::*;

#[test]
fn what_is_no_jwt_is_refused() {
    let world = World::new(SECRET);
    let token = world.issue();
    let parts: Vec<&str> = token.split('.').collect();
    let nested = base64url("{\"alg\":".repeat(500));
    for text in [
        String::new(),
        ".".into(),
        "..".into(),
        "a.b".into(),
        "a.b.c".into(),
        "!!!.???.***".into(),
        "Bearer ".to_owned() + &token,
        format!("{}=.{}.{}", parts[0], parts[1], parts[2]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}.{}", base64url("[]"), parts[1], parts[2]),
        format!("{}.{}.{}", base64url("{}"), parts[1], parts[2]),
        format!("{}.{}.{}", base64url(b"\xff\xfe"), parts[1], parts[2]),
        format!("{}.{}.{}", base64url(r#"{"alg":"HS256","alg":"none"}"#), parts[1], parts[2]),
        format!("{nested}.{}.{}", parts[1], parts[2]),
    ] {
        assert_eq!(world.refusal(&text), Refusal::Malformed, "{text}");
    }
    // Five parts are an encrypted token (RFC 7516), four are nothing.
    assert_eq!(world.refusal(&format!("{token}.{}", parts[2])), Refusal::Signature);
}

#[test]
fn a_token_of_more_than_eight_kibibytes_is_refused_however_well_it_is_signed() {
    let world = World::new(SECRET);
    for (padding, is_valid) in [(5_500, true), (5_900, false), (1_000_000, false)] {
        let mut claims = good_claims();
        claims.as_object_mut().unwrap().insert("more".into(), "x".repeat(padding).into());
        let token = signed_with_secret(&json!({ "alg": "HS256" }), &claims);
        assert_eq!(token.len() <= MAX_TOKEN_BYTES, is_valid, "{}", token.len());
        let expected = if is_valid { None } else { Some(Refusal::TooLong) };
        let found = match world.judged(&token) {
            Verification::Valid(_) => None,
            Verification::Invalid(refusal) => Some(refusal),
            Verification::Unknown(failure) => panic!("{failure}"),
        };
        assert_eq!(found, expected);
    }
}

fn all_keys() -> World {
    World::with(ring(P256, Some(SECRET)))
}

/// JSON that looks like a header or claims, now and then.
fn json_text() -> impl Strategy<Value = String> {
    let name =
        prop::sample::select(vec!["sub", "iss", "aud", "exp", "iat", "nbf", "jti", "scope", "alg", "kid", "crit"]);
    let value = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-2..3_i64).prop_map(|off| Value::from(NOW + off)),
        any::<String>().prop_map(Value::from),
        Just(Value::Null),
        Just(json!(["keelson"])),
    ];
    let changes = prop::collection::vec((name, value), 0..3);
    let object = changes.prop_map(|changes| {
        let mut claims = good_claims();
        for (name, value) in changes {
            claims.as_object_mut().unwrap().insert(name.into(), value);
        }
        claims.to_string()
    });
    prop_oneof![4 => object, 1 => any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn no_text_is_valid(text in any::<String>()) {
        prop_assert!(matches!(all_keys().judged(&text), Verification::Invalid(_)));
    }

    #[test]
    fn nothing_of_the_form_of_a_token_is_valid(
        header in json_text(),
        payload in json_text(),
        signature in any::<[u8; 64]>(),
    ) {
        for header in [header.as_str(), r#"{"alg":"ES256"}"#, r#"{"alg":"HS256"}"#] {
            let text = format!("{}.{}.{}", base64url(header), base64url(&payload), base64url(signature));
            prop_assert!(matches!(all_keys().judged(&text), Verification::Invalid(_)));
        }
    }

    #[test]
    fn what_is_signed_is_valid_within_the_rules_alone(payload in json_text()) {
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let token = signed(r#"{"alg":"HS256"}"#, &payload, Algorithm::HS256, &key);
        let said: Option<Value> = serde_json::from_str(&payload).ok();
        let is_within = said.is_some_and(|said| {
            let number = |name: &str| said[name].as_i64();
            let text = |name: &str| said[name].as_str();
            (text("iss"), text("aud")) == (Some("https://users.example"), Some("keelson"))
                && text("sub").is_some_and(|sub| !sub.is_empty())
                && text("jti").is_some()
                && said["scope"].is_string()
                && number("exp").is_some_and(|exp| exp > NOW)
                && number("iat").is_some_and(|iat| iat <= NOW + 60)
                && (said["nbf"].is_null() || number("nbf").is_some_and(|nbf| nbf <= NOW))
        });
        let is_valid = matches!(all_keys().judged(&token), Verification::Valid(_));
        prop_assert_eq!(is_valid, is_within, "{}", payload);
    }
}
