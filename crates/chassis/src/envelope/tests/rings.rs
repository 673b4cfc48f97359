//! Texts that become rings, and those that do not.

use secrecy::SecretString;

use super::*;

fn refusal(text: &str) -> String {
    KeyRing::parse(&text.into()).unwrap_err().to_string()
}

#[test]
fn a_text_that_is_no_ring_is_told_what_it_is_and_not_shown() {
    const SECRET: &str = "secret-of-a-test";
    let many = (0..9).map(|number| format!(r#""{number}": "{SECRET}{number}""#)).collect::<Vec<_>>().join(",");
    for (text, found) in [
        (String::new(), "an empty text"),
        (" \n".into(), "an empty text"),
        ("{}".into(), "a JSON object without a key"),
        (format!(r#"{{"k1": "{SECRET}""#), "a JSON object that is damaged, at line 1, column "),
        (format!(r#"{{"k1": "{SECRET}"}} more"#), "a JSON object that is damaged"),
        (format!(r#"{{"k1": ["{SECRET}"]}}"#), "a key that is no JSON string"),
        (r#"{"k1": 1234567890123}"#.into(), "a key that is no JSON string"),
        (format!(r#"{{"k1": "{SECRET}", "k2": null}}"#), "a key that is no JSON string"),
        (r#"{"k1": " "}"#.into(), "no text of key 1"),
        (format!(r#"{{"": "{SECRET}"}}"#), "an id of key 1 that is not"),
        (format!(r#"{{"k1": "{SECRET}", "k\n2": "b"}}"#), "an id of key 2 that is not"),
        (format!(r#"{{"{RANDOM_KEY}": "k1"}}"#), "an id of key 1 that is not"),
        (format!(r#"{{"{}": "k1"}}"#, RANDOM_KEY.trim_end_matches('=')), "an id of key 1 that is not"),
        (format!(r#"{{"k1": "{SECRET}", "k1": "b"}}"#), "the same id of key 1 and key 2"),
        (format!(r#"{{"a": "x", "k1": "{SECRET}", "k2": "{SECRET}"}}"#), "the same text as key 2 and key 3"),
        (format!("{{{many}}}"), "9 keys"),
    ] {
        let refusal = refusal(&text);
        assert!(refusal.starts_with(&format!("found {found}")), "{text}: {refusal}");
        assert!(refusal.contains("expected one key, which `openssl rand -base64 32` prints"), "{refusal}");
        for secret in [SECRET, "1234567890123", RANDOM_KEY.trim_end_matches('=')] {
            assert!(!refusal.contains(secret), "{refusal}");
        }
    }
}

#[test]
fn any_other_text_is_one_key() {
    for text in ["test-main-key", "a,b:c", "[\"a\"]", "two words", "k1={}"] {
        let body = ring(text).encrypt_fernet(PLAINTEXT, at(NOW)).unwrap();
        let named = ring(&serde_json::json!({ "any": text }).to_string());
        assert_eq!(named.decrypt_fernet(body.as_bytes(), at(NOW)).unwrap(), PLAINTEXT, "{text}");
    }
}

/// The first id was computed with Python's hmac.
#[test]
fn a_random_key_without_an_id_has_the_same_one_everywhere() {
    assert_eq!(ring(RANDOM_KEY).key_id(), "_tWxBOknfQvrwlG8ilO74g");
    let bare = RANDOM_KEY.trim_end_matches('=');
    assert_eq!(ring(bare).key_id(), "_tWxBOknfQvrwlG8ilO74g");
    assert_ne!(ring(OTHER_RANDOM_KEY).key_id(), ring(RANDOM_KEY).key_id());
    assert!(ring(RANDOM_KEY).has_key("_tWxBOknfQvrwlG8ilO74g"));
}

#[test]
fn the_id_of_a_text_tells_nothing_of_it() {
    assert_eq!(ring("test-main-key").key_id(), ring("another text").key_id());
    assert!(!ring("test-main-key").has_key("text"), "v2 does not take it");
}

#[test]
fn both_alphabets_of_base64_are_read() {
    let standard = "+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/8=";
    let url_safe = standard.replace('+', "-").replace('/', "_");
    assert_eq!(ring(standard).key_id(), ring(&url_safe).key_id());
    ring(standard).check_random().unwrap();
}

#[test]
fn a_key_that_v2_does_not_take_is_named() {
    ring(&format!(r#"{{"k2": "{OTHER_RANDOM_KEY}", "k1": "{RANDOM_KEY}"}}"#)).check_random().unwrap();
    let short = ring(&format!(r#"{{"k2": "{OTHER_RANDOM_KEY}", "k1": "AAECAwQFBgcICQoLDA0ODw=="}}"#));
    let error = short.check_random().unwrap_err().to_string();
    assert!(
        error.starts_with("found a text of 24 bytes as key 2, not 32 bytes in base64; expected one key"),
        "{error}"
    );
}

#[test]
fn production_takes_no_short_or_well_known_key() {
    assert_eq!(ring(RANDOM_KEY).check_secrets(), None);
    let weak = ring(&format!(r#"{{"k2": "{RANDOM_KEY}", "k1": "test-main-key"}}"#)).check_secrets().unwrap();
    assert!(weak.starts_with("for key 2: a secret of at least 32 bytes"), "{weak}");
    let known = ring("changeme-changeme-changeme-changeme").check_secrets().unwrap();
    assert!(known.starts_with("for key 1: a secret of your own"), "{known}");
}

#[test]
fn a_key_is_never_shown() {
    let text: SecretString = format!(r#"{{"k2": "{RANDOM_KEY}", "k1": "secret-of-a-test"}}"#).into();
    let keys = EncryptionKeys::new(KeyRing::parse(&text).unwrap());
    keys.ring().derive().unwrap();
    let shown = format!("{keys:?} {:?}", keys.ring());
    assert!(shown.contains("\"k2\"") && shown.contains("\"k1\""), "{shown}");
    for secret in ["secret-of-a-test", RANDOM_KEY, "AAEC", "[0, 1, 2"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
