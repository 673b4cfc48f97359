//! Users' tokens: no text is one, and a token that is signed well is valid by the rules alone, with what it says.
#![no_main]

use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::auth::{Claims, KeyRing, Parties, SigningKey, TokenKeys, TokenVerifier, Verification};
use chassis::clock::Clock;
use chassis::testing::ManualClock;
use fuzz::read;
use jsonwebtoken::{Algorithm, EncodingKey};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

const SECRET: &str = "a secret that no seed is signed with";
const P256: &str = include_str!("../../crates/chassis/src/auth/tokens/testdata/for_tests_only_p256_other.pem");

static CLOCK: LazyLock<Arc<ManualClock>> = LazyLock::new(ManualClock::new);

static VERIFIER: LazyLock<TokenVerifier> = LazyLock::new(|| {
    let key = |text: &str| SigningKey::parse(&text.into()).expect("it is a key");
    let ring = KeyRing { current: key(P256), previous: Some(key(SECRET)) };
    let parties = Parties { issuer: "https://users.example".into(), audience: "keelson".into() };
    TokenVerifier::new(TokenKeys::new(ring), parties, Arc::clone(&*CLOCK) as _)
});

// A token; or a header and claims behind it on lines of their own, which are signed first.
fuzz_target!(|text: &str| {
    assert!(matches!(verify(text), Verification::Invalid(_)), "{text} is taken");
    if let Some((header, payload)) = text.split_once('\n') {
        let token = signed(header, payload);
        let verification = verify(&token);
        assert_eq!(verify(&token), verification, "it is another thing at the second look");
        if let Verification::Valid(claims) = verification {
            check(&claims, header, payload);
        }
    }
});

/// Keys that are held are not waited for.
fn verify(token: &str) -> Verification {
    match pin!(VERIFIER.verify(token)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(verification) => verification,
        Poll::Pending => panic!("{token} is waited for"),
    }
}

fn signed(header: &str, payload: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature =
        jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).expect("HMAC signs anything");
    format!("{message}.{signature}")
}

fn check(claims: &Claims, header: &str, payload: &str) {
    // Members that nobody asks for may hold what a `Value` cannot.
    if let Some(header) = read(header) {
        assert!(header["alg"] == "HS256" && header.get("crit").is_none(), "{header}");
    }
    let now = CLOCK.now().as_second();
    assert!(now < claims.exp && claims.iat <= now + 60 && claims.nbf.is_none_or(|nbf| nbf <= now), "{claims:?}");
    assert!(claims.iss == "https://users.example" && claims.aud == "keelson" && !claims.sub.is_empty(), "{claims:?}");
    let Some(said) = read(payload) else { return };
    let read = json!({ "sub": claims.sub, "iss": claims.iss, "aud": claims.aud, "exp": claims.exp, "iat": claims.iat });
    for (name, value) in read.as_object().expect("it is an object") {
        assert_eq!(said[name], *value, "{name} was read as something else");
    }
}
