//! Reads a JWK set that another service publishes (RFC 7517), and believes little of it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use tracing::{debug, warn};

use super::verifying_key::VerifyingKey;

/// Keys of a set that count. Each may cost a token without `kid` a look at its signature.
pub(super) const MAX_KEYS: usize = 16;
/// Characters of the longest id of a key.
const MAX_KID_BYTES: usize = 256;
/// Bits of an RSA key (RFC 7518, section 3.3; the most that the crypto library verifies with).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// Bytes of a coordinate on P-256 (RFC 7518, section 6.2.1.2).
const COORDINATE_BYTES: usize = 32;
/// The members of a private or symmetric key (RFC 7518, sections 6.2.2, 6.3.2, 6.4.1).
const PRIVATE: [&str; 8] = ["d", "dp", "dq", "k", "oth", "p", "q", "qi"];

/// A set as it was published. Its members are read one by one, so that one of a new kind does not spoil the rest
/// (RFC 7517, section 5).
#[derive(Deserialize)]
pub(super) struct PublishedKeys {
    keys: Vec<Value>,
}

impl PublishedKeys {
    /// The keys that can verify: public ones with an id, for ES256 or RS256. The algorithm follows from the key,
    /// whatever a token says (RFC 8725, section 3.1).
    pub(super) fn usable(self) -> Vec<Jwk> {
        let mut usable = Vec::new();
        for (index, value) in self.keys.into_iter().enumerate() {
            match read(value) {
                Ok(_) if usable.len() == MAX_KEYS => {
                    warn!("more than {MAX_KEYS} published keys: the rest is left out");
                    break;
                }
                Ok(key) => usable.push(key),
                Err(reason) => debug!(reason, "published key {index} is left out: {reason}"),
            }
        }
        usable
    }
}

/// The key, if it is one of [`PublishedKeys::usable`].
pub(super) fn verifying(key: &Jwk) -> Option<VerifyingKey> {
    let algorithm = match key.algorithm {
        AlgorithmParameters::EllipticCurve(_) => Algorithm::ES256,
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        _ => return None,
    };
    Some(VerifyingKey { kid: key.common.key_id.clone()?, algorithm, key: DecodingKey::from_jwk(key).ok()? })
}

fn read(value: Value) -> Result<Jwk, &'static str> {
    if PRIVATE.iter().any(|name| value.get(name).is_some()) {
        return Err("it is a secret, or has one");
    }
    let key: Jwk = serde_json::from_value(value).map_err(|_| "it is no JWK")?;
    let kid = key.common.key_id.as_deref().unwrap_or_default();
    if !(1..=MAX_KID_BYTES).contains(&kid.len()) {
        return Err("it has no `kid`, or a very long one");
    }
    if key.common.public_key_use != Some(PublicKeyUse::Signature) {
        return Err("its `use` is not `sig`");
    }
    let algorithm = match &key.algorithm {
        AlgorithmParameters::EllipticCurve(point) if point.curve == EllipticCurve::P256 => {
            if [&point.x, &point.y].into_iter().any(|it| decode(it).is_none_or(|it| it.len() != COORDINATE_BYTES)) {
                return Err("it is no point on P-256");
            }
            KeyAlgorithm::ES256
        }
        AlgorithmParameters::RSA(numbers) => {
            if decode(&numbers.e).is_none() || !decode(&numbers.n).is_some_and(|n| RSA_BITS.contains(&bits(&n))) {
                return Err("it is no RSA key of 2048 to 8192 bits");
            }
            KeyAlgorithm::RS256
        }
        _ => return Err("it is neither on P-256 nor RSA"),
    };
    match key.common.key_algorithm {
        Some(named) if named != algorithm => Err("its `alg` is neither ES256 nor RS256, or not that of its kind"),
        _ => Ok(key),
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let first = number.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize);
    (number.len() - zeros) * 8 - first
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// RFC 7517, appendix A.1, with its `use` changed, and a number of as many bits.
    fn keys(bytes: usize) -> (Value, Value) {
        let on_curve = json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "kid": "1",
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        });
        let n = URL_SAFE_NO_PAD.encode(vec![0x80; bytes]);
        (on_curve, json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "2", "n": n, "e": "AQAB" }))
    }

    fn with(key: &Value, name: &str, value: impl Into<Value>) -> Value {
        let mut key = key.clone();
        key[name] = value.into();
        key
    }

    #[test]
    fn keys_on_p256_and_rsa_keys_of_enough_bits_are_taken() {
        let (on_curve, rsa) = keys(256);
        for (key, algorithm) in [
            (on_curve.clone(), Algorithm::ES256),
            (with(&on_curve, "alg", "ES256"), Algorithm::ES256),
            (with(&on_curve, "something", "new"), Algorithm::ES256),
            (rsa, Algorithm::RS256),
            (keys(1024).1, Algorithm::RS256),
        ] {
            let key = verifying(&read(key).unwrap()).unwrap();
            assert_eq!(key.algorithm, algorithm);
        }
    }

    #[test]
    fn every_other_key_is_left_out_with_a_reason() {
        let (on_curve, rsa) = keys(256);
        for (key, reason) in [
            (json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "3", "use": "sig", "alg": "HS256" }), "a secret"),
            (with(&on_curve, "k", "c2VjcmV0"), "a secret"),
            (with(&on_curve, "d", "c2VjcmV0"), "a secret"),
            (json!("a text"), "no JWK"),
            (json!({ "kty": "EC", "kid": "1", "use": "sig" }), "neither on P-256 nor RSA"),
            (with(&on_curve, "kid", Value::Null), "no `kid`"),
            (with(&on_curve, "kid", ""), "no `kid`"),
            (with(&on_curve, "kid", "k".repeat(257)), "no `kid`"),
            (with(&on_curve, "use", Value::Null), "`use`"),
            (with(&on_curve, "use", "enc"), "`use`"),
            (with(&on_curve, "crv", "P-384"), "neither on P-256 nor RSA"),
            (with(&on_curve, "x", "AQAB"), "no point"),
            (with(&on_curve, "y", "?"), "no point"),
            (with(&on_curve, "alg", "RS256"), "`alg`"),
            (with(&on_curve, "alg", "none"), "`alg`"),
            (with(&rsa, "alg", "HS256"), "`alg`"),
            (with(&rsa, "alg", "RS512"), "`alg`"),
            (with(&rsa, "e", "?"), "no RSA key"),
            (keys(255).1, "no RSA key"),
            (with(&rsa, "n", URL_SAFE_NO_PAD.encode([&[0; 256][..], &[0x80; 128]].concat())), "no RSA key"),
            (keys(1025).1, "no RSA key"),
        ] {
            let found = read(key.clone()).expect_err(&key.to_string());
            assert!(found.contains(reason), "{key}: {found}");
        }
    }

    #[test]
    fn what_is_left_out_does_not_spoil_the_rest_and_there_is_an_end() {
        let (on_curve, rsa) = keys(256);
        let numbered = |number: usize| with(&on_curve, "kid", number.to_string());
        let keys = [json!({ "kty": "new" }), rsa].into_iter().chain((0..20).map(numbered)).collect();
        let usable = PublishedKeys { keys }.usable();
        assert_eq!(usable.len(), MAX_KEYS);
        assert_eq!(usable[0].common.key_id.as_deref(), Some("2"));
        assert_eq!(usable[MAX_KEYS - 1].common.key_id.as_deref(), Some("14"));
    }
}
