//! Fernet, against its specification and the Python library.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;

use super::super::fernet::{FernetKey, Token, key_bytes};
use super::*;

const KEY_TEXT: &str = "test-main-key";
const TOKEN: &str =
    "gAAAAABlU_EAAAECAwQFBgcICQoLDA0OD4bA5y99Gs4ep3jmUgaSTndY7vXoluEvEV38AHBqbmYA92787ESSdKm44cZCBUNLXQ==";
const ENCRYPTED_DATA: &str = "Z0FBQUFBQmxVX0VBQUFFQ0F3UUZCZ2NJQ1FvTERBME9ENGJBNXk5OUdzNGVwM2ptVWdhU1RuZFk3dlhvbHVFdk\
                              VWMzhBSEJxYm1ZQTkyNzg3RVNTZEttNDRjWkNCVU5MWFE9PQ==";

const SPEC_SECRET: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
const SPEC_TOKEN: &str = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4\
                          IwqDA==";

/// `invalid.json` of the specification, without the members that are the same everywhere.
const SPEC_INVALID: &[(&str, &str, &str, Cause)] = &[
    (
        "incorrect mac",
        "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykQUFBQUFBQUFBQQ==",
        "1985-10-26T01:20:01-07:00",
        Cause::Authentication,
    ),
    (
        "too short",
        "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPA==",
        "1985-10-26T01:20:01-07:00",
        Cause::Length,
    ),
    (
        "invalid base64",
        "%%%%%%%%%%%%%AECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykRtfsH-p1YsUD2Q==",
        "1985-10-26T01:20:01-07:00",
        Cause::Encoding,
    ),
    (
        "payload size not multiple of block size",
        "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPOm73QeoCk9uGib28Xe5vz6oxq5nmxbx_v7mrfyudzUm",
        "1985-10-26T01:20:01-07:00",
        Cause::Length,
    ),
    (
        "payload padding error",
        "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0ODz4LEpdELGQAad7aNEHbf-JkLPIpuiYRLQ3RtXatOYREu2FWke6CnJNYIbkuKNqOhw==",
        "1985-10-26T01:20:01-07:00",
        Cause::Padding,
    ),
    (
        "far-future TS (unacceptable clock skew)",
        "gAAAAAAdwStRAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAnja1xKYyhd-Y6mSkTOyTGJmw2Xc2a6kBd-iX9b_qXQcw==",
        "1985-10-26T01:20:01-07:00",
        Cause::Future,
    ),
    (
        "expired TTL",
        "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykRtfsH-p1YsUD2Q==",
        "1985-10-26T01:21:31-07:00",
        Cause::Expired,
    ),
    (
        "incorrect IV (causes padding error)",
        "gAAAAAAdwJ6xBQECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAkLhFLHpGtDBRLRTZeUfWgHSv49TF2AUEZ1TIvcZjK1zQ==",
        "1985-10-26T01:20:01-07:00",
        Cause::Padding,
    ),
    (
        "trailing characters after b64 padding",
        "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==\
         trailingdata",
        "1985-10-26T01:20:01-07:00",
        Cause::Encoding,
    ),
    (
        "invalid characters in b64",
        "*gAAAAAAdwJ6wAAECAwQFBgcI!CQoLDA0ODy021?cpGVWKZ_eEwC@GM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==",
        "1985-10-26T01:20:01-07:00",
        Cause::Encoding,
    ),
    (
        "invalid non-urlsafe characters in b64",
        "gAAAAAAdwJ6wAAEC/AwQFBgcICQoLDA0ODy+021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==",
        "1985-10-26T01:20:01-07:00",
        Cause::Encoding,
    ),
];

fn spec_key() -> FernetKey {
    let bytes = URL_SAFE.decode(SPEC_SECRET).unwrap();
    FernetKey::new(&bytes.try_into().unwrap()).unwrap()
}

fn iv() -> [u8; 16] {
    std::array::from_fn(|index| u8::try_from(index).unwrap())
}

fn open(key: &FernetKey, token: &str, now: Timestamp) -> Result<Vec<u8>, Cause> {
    let token = Token::decode(token.as_bytes())?;
    token.check_time(now)?;
    token.decrypt(std::iter::once(key))
}

/// `generate.json` and `verify.json` of the specification.
#[test]
fn the_token_of_the_specification_is_made_and_read() {
    let made_at: Timestamp = "1985-10-26T01:20:00-07:00".parse().unwrap();
    let time = u64::try_from(made_at.as_second()).unwrap();
    assert_eq!(spec_key().token(b"hello", time, iv()).unwrap(), SPEC_TOKEN);
    let read_at = "1985-10-26T01:20:01-07:00".parse().unwrap();
    assert_eq!(open(&spec_key(), SPEC_TOKEN, read_at).unwrap(), b"hello");
}

#[test]
fn what_the_specification_calls_invalid_is_refused_for_its_reason() {
    let key = spec_key();
    for (description, token, now, expected) in SPEC_INVALID {
        assert_eq!(open(&key, token, now.parse().unwrap()).unwrap_err(), *expected, "{description}");
    }
}

#[test]
fn the_vector_of_the_contract_is_made_and_read_in_both_wrappings() {
    assert_eq!(URL_SAFE.encode(*key_bytes(KEY_TEXT)), "dGVzdC1tYWluLWtleTAwMDAwMDAwMDAwMDAwMDAwMDA=");
    let key = FernetKey::new(&key_bytes(KEY_TEXT)).unwrap();
    let token = key.token(PLAINTEXT, 1_700_000_000, iv()).unwrap();
    assert_eq!(token, TOKEN);
    assert_eq!(URL_SAFE.encode(token), ENCRYPTED_DATA);
    for text in [ENCRYPTED_DATA, TOKEN] {
        assert_eq!(ring(KEY_TEXT).decrypt_fernet(text.as_bytes(), at(NOW)).unwrap(), PLAINTEXT);
    }
}

/// Computed with Python's cryptography. The key ends within a character, and is longer than what counts of it.
#[test]
fn a_long_key_counts_by_its_first_32_bytes() {
    let text = "café-".repeat(10);
    assert_eq!(URL_SAFE.encode(*key_bytes(&text)), "Y2Fmw6ktY2Fmw6ktY2Fmw6ktY2Fmw6ktY2Fmw6ktY2E=");
    let token = "gAAAAABlU_EAAAECAwQFBgcICQoLDA0OD588TlW__RlyB0hn4yhEWNS12xM63Bx30oug1JYGITSDxALy3e61WKlH0IWqlu0FHA==";
    assert_eq!(ring(&text).decrypt_fernet(token.as_bytes(), at(NOW)).unwrap(), PLAINTEXT);
}

/// Computed with Python's cryptography.
#[test]
fn an_empty_plaintext_is_read() {
    let token = "gAAAAABlU_EAAAECAwQFBgcICQoLDA0ODxvRxggkxsML4UhNxMgioCT0yKDcge9jNPHzHXOMzngG8iAW9EHtas56s94oOBibaw==";
    assert_eq!(ring(KEY_TEXT).decrypt_fernet(token.as_bytes(), at(NOW)).unwrap(), b"");
}

#[test]
fn bodies_of_any_length_come_back() {
    let ring = ring(KEY_TEXT);
    for length in (0..=48).chain([64 * 1024]) {
        let plaintext = vec![0x10; length];
        let body = ring.encrypt_fernet(&plaintext, at(NOW)).unwrap();
        assert_eq!(ring.decrypt_fernet(body.as_bytes(), at(NOW)).unwrap(), plaintext, "{length}");
    }
}

#[test]
fn a_token_is_good_for_a_minute_before_and_after_its_time() {
    let ring = ring(KEY_TEXT);
    for second in [NOW - 60, NOW, NOW + 60] {
        assert_eq!(ring.decrypt_fernet(ENCRYPTED_DATA.as_bytes(), at(second)).unwrap(), PLAINTEXT, "{second}");
    }
    assert_eq!(cause(ring.decrypt_fernet(ENCRYPTED_DATA.as_bytes(), at(NOW + 61))), Cause::Expired);
    assert_eq!(cause(ring.decrypt_fernet(ENCRYPTED_DATA.as_bytes(), at(NOW - 61))), Cause::Future);
    let key = FernetKey::new(&key_bytes(KEY_TEXT)).unwrap();
    let last = key.token(PLAINTEXT, u64::MAX, iv()).unwrap();
    assert_eq!(cause(ring.decrypt_fernet(last.as_bytes(), at(NOW))), Cause::Future);
    assert_eq!(cause(ring.decrypt_fernet(ENCRYPTED_DATA.as_bytes(), at(-1))), Cause::Future);
}

#[test]
fn an_altered_or_truncated_token_is_refused() {
    let ring = ring(KEY_TEXT);
    for text in altered(ENCRYPTED_DATA).chain(altered(TOKEN)) {
        ring.decrypt_fernet(text.as_bytes(), at(NOW)).unwrap_err();
    }
    for bytes in flipped(&URL_SAFE.decode(TOKEN).unwrap()) {
        ring.decrypt_fernet(URL_SAFE.encode(bytes).as_bytes(), at(NOW)).unwrap_err();
    }
    for text in truncated(ENCRYPTED_DATA).chain(truncated(TOKEN)) {
        ring.decrypt_fernet(text.as_bytes(), at(NOW)).unwrap_err();
    }
}

/// Else whoever sees which tokens fail for their padding could read them, block by block.
#[test]
fn the_padding_of_an_altered_token_is_not_looked_at() {
    let ring = ring(KEY_TEXT);
    let token = URL_SAFE.decode(TOKEN).unwrap();
    for iv in flipped(&token[9..25]) {
        let altered = [&token[..9], iv.as_slice(), &token[25..]].concat();
        assert_eq!(cause(ring.decrypt_fernet(URL_SAFE.encode(altered).as_bytes(), at(NOW))), Cause::Authentication);
    }
}

#[test]
fn a_token_that_is_wrapped_twice_is_refused() {
    let wrapped = URL_SAFE.encode(ENCRYPTED_DATA);
    ring(KEY_TEXT).decrypt_fernet(wrapped.as_bytes(), at(NOW)).unwrap_err();
}
