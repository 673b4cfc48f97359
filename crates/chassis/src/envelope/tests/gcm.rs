//! The first GCM form, against the Python library.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::gcm::{DerivedKey, derive};
use super::*;

const KEY_TEXT: &str = "test-user-key-0123456789";
const ENCRYPTED_DATA: &str = "AAECAwQFBgcICQoLwYAhwrjljhEhhFyBu8vWuqtaiL7S4FWI";

#[test]
fn the_vector_of_the_contract_is_made_and_read() {
    let key = derive(&KEY_TEXT.into());
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "84898140e0bf53079726378366e1666ca63597c323e75d8b1bed2f256cc19c02");
    let nonce = std::array::from_fn(|index| u8::try_from(index).unwrap());
    let body = seal(&AesGcmKey::new(&key).unwrap(), nonce, PLAINTEXT, &[]);
    assert_eq!(STANDARD.encode(body), ENCRYPTED_DATA);
    assert_eq!(ring(KEY_TEXT).decrypt_gcm(ENCRYPTED_DATA.as_bytes()).unwrap(), PLAINTEXT);
}

#[test]
fn an_altered_or_truncated_body_is_refused() {
    let ring = ring(KEY_TEXT);
    ring.derive().unwrap();
    for text in altered(ENCRYPTED_DATA) {
        ring.decrypt_gcm(text.as_bytes()).unwrap_err();
    }
    for bytes in flipped(&STANDARD.decode(ENCRYPTED_DATA).unwrap()) {
        assert_eq!(cause(ring.decrypt_gcm(STANDARD.encode(bytes).as_bytes())), Cause::Authentication);
    }
    for text in truncated(ENCRYPTED_DATA) {
        ring.decrypt_gcm(text.as_bytes()).unwrap_err();
    }
}

#[test]
fn empty_and_large_bodies_come_back() {
    let ring = ring(KEY_TEXT);
    for length in [0, 1, 64 * 1024, 200_000] {
        let plaintext = vec![7; length];
        let body = ring.encrypt_gcm(&plaintext).unwrap();
        assert_eq!(ring.decrypt_gcm(body.as_bytes()).unwrap(), plaintext, "{length}");
    }
}

#[test]
fn a_body_of_another_key_is_refused() {
    let body = ring("another text").encrypt_gcm(PLAINTEXT).unwrap();
    assert_eq!(cause(ring(KEY_TEXT).decrypt_gcm(body.as_bytes())), Cause::Authentication);
}

#[test]
fn a_key_is_derived_once() {
    let key = DerivedKey::new(KEY_TEXT.into());
    assert!(std::ptr::eq(key.get().unwrap(), key.get().unwrap()));
}

#[test]
fn a_short_body_after_a_long_one_has_nothing_of_it() {
    let ring = ring(KEY_TEXT);
    for length in [100_000, 3, 0] {
        let body = ring.encrypt_gcm(&vec![7; length]).unwrap();
        assert_eq!(STANDARD.decode(body).unwrap().len(), 12 + length + 16);
    }
}

#[test]
fn what_is_no_base64_or_too_short_is_told_apart() {
    let ring = ring(KEY_TEXT);
    for (text, expected) in [
        ("", Cause::Length),
        ("AAECAwQFBgcICQo", Cause::Length),
        ("AAECAwQFBgcICQoL", Cause::Length),
        ("AAECAwQFBgcICQoLwYAhwrjljhEhhFyBu8vW", Cause::Length),
        ("AAECAwQFBgcICQ==wYAhwrjljhEhhFyBu8vWuqtaiL7S4FWI", Cause::Encoding),
        ("AAECAwQFBgcICQo=wYAhwrjljhEhhFyBu8vWuqtaiL7S4FWI", Cause::Encoding),
        ("AAECAwQFBgcICQoéwYAhwrjljhEhhFyBu8vWuqtaiL7S4FWI", Cause::Encoding),
        ("AAECAwQFBgcICQoLwYAhwrjljhEhhFyBu8vWuqtaiL7S4FW", Cause::Encoding),
        ("AAECAwQFBgcICQoLwYAhwrjljhEhhFyBu8vWuqtaiL7S4FWI\n", Cause::Encoding),
        ("AAECAwQFBgcICQoLwYAhwrjljhEhhFyBu8vWuqtaiL7S4F-_", Cause::Encoding),
    ] {
        assert_eq!(cause(ring.decrypt_gcm(text.as_bytes())), expected, "{text}");
    }
}
