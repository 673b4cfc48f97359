//! Users' tokens, good and forged. The keys and tokens of other programs are in `testdata`.

mod cache;
mod claims;
mod forgery;
mod hostile;
mod issuing;
mod remote;
mod rotation;
mod signing_keys;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt;
use jsonwebtoken::{Algorithm, EncodingKey};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::*;
use crate::clock::Clock;
use crate::ids::Ids;
use crate::testing::ManualClock;

macro_rules! testdata {
    ($name:literal) => {
        include_str!(concat!("../testdata/for_tests_only_", $name))
    };
}
use testdata;

const SECRET: &str = "a secret for tests only, of 32 bytes or more";
const P256: &str = testdata!("p256.pem");
const OTHER_P256: &str = testdata!("p256_other.pem");
const RSA: &str = testdata!("rsa2048.pem");
const RSA_PUBLIC: &str = testdata!("rsa2048_public.pem");
const P256_PUBLIC: &str = testdata!("p256_public.pem");

const LIFETIME: Duration = Duration::from_hours(1);
/// The second at which `ManualClock` stands.
const NOW: i64 = 1_749_465_045;
const USER: &str = "0197547b-4f13-7a6e-a7c8-1d2e3f405162";

fn key(text: &str) -> SigningKey {
    SigningKey::parse(&text.into()).unwrap()
}

fn ring(current: &str, previous: Option<&str>) -> KeyRing {
    KeyRing { current: key(current), previous: previous.map(key) }
}

fn parties() -> Parties {
    Parties { issuer: "https://users.example".into(), audience: "keelson".into() }
}

/// One who issues and one who verifies, with the same keys.
struct World {
    clock: Arc<ManualClock>,
    keys: Arc<TokenKeys>,
    issuer: TokenIssuer,
    verifier: TokenVerifier,
}

impl World {
    fn new(current: &str) -> Self {
        Self::with(ring(current, None))
    }

    fn with(ring: KeyRing) -> Self {
        let (clock, keys) = (ManualClock::new(), TokenKeys::new(ring));
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let ids = Ids::seeded(Arc::clone(&shared), 1);
        let issuer = TokenIssuer::new(Arc::clone(&keys), parties(), LIFETIME, Arc::clone(&shared), ids);
        let verifier = TokenVerifier::new(Arc::clone(&keys), parties(), shared);
        Self { clock, keys, issuer, verifier }
    }

    fn issue(&self) -> String {
        let token = self.issuer.issue(USER, "alice", &["orders:read", "orders:write"]).unwrap();
        token.expose_secret().to_owned()
    }

    /// The claims of a token that must be good.
    fn valid(&self, token: &str) -> Arc<Claims> {
        match self.judged(token) {
            Verification::Valid(claims) => claims,
            other => panic!("{token}: {other:?}"),
        }
    }

    /// Why a token is refused that must be.
    fn refusal(&self, token: &str) -> Refusal {
        match self.judged(token) {
            Verification::Invalid(refusal) => refusal,
            other => panic!("{token} is taken: {other:?}"),
        }
    }

    fn judged(&self, token: &str) -> Verification {
        at_once(self.verifier.verify(token))
    }
}

/// Keys that are held are not waited for.
fn at_once<T>(work: impl Future<Output = T>) -> T {
    work.now_or_never().expect("it waits")
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn good_claims() -> Value {
    json!({
        "sub": USER, "username": "alice", "scope": "orders:read", "iss": "https://users.example", "aud": "keelson",
        "iat": NOW, "exp": NOW + 3600, "jti": "0197547b-4f13-7a6e-a7c8-000000000001",
    })
}

/// A token with any header and payload, signed well.
fn signed(header: &str, payload: &str, algorithm: Algorithm, key: &EncodingKey) -> String {
    let message = format!("{}.{}", base64url(header), base64url(payload));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

/// The same with the secret and HS256.
fn signed_with_secret(header: &Value, payload: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    signed(&header.to_string(), &payload.to_string(), Algorithm::HS256, &key)
}
