//! Texts that are no bodies, and no rings.

use proptest::prelude::*;

use super::*;

/// Anything, base64 of anything, and what begins as a Fernet token does.
fn bodies() -> impl Strategy<Value = String> {
    prop_oneof![".{0,120}", "[A-Za-z0-9+/_-]{0,200}={0,2}", "gAAAAA[A-Za-z0-9_-]{94,158}"]
}

/// Anything, and what is nearly a JSON object of ids and keys.
fn settings() -> impl Strategy<Value = String> {
    prop_oneof![".{0,120}", r#"\{("[a-z0-9]{0,3}": ?("[a-z]{0,4}"|[0-9]{6}),?){0,3}\}"#]
}

proptest! {
    #[test]
    fn no_text_is_taken_for_a_body(text in bodies()) {
        let ring = ring(RANDOM_KEY);
        prop_assert!(ring.decrypt_fernet(text.as_bytes(), at(NOW)).is_err());
        let received = Received { key_id: ring.key_id(), time: NOW, encrypted_data: text.as_bytes() };
        let taken = ReplayCache::default();
        prop_assert!(ring.decrypt_v2(&received, &binding(Direction::Request), at(NOW), &taken).is_err());
        prop_assert_eq!(taken.len(), 0);
    }

    #[test]
    fn any_text_of_a_setting_is_a_ring_or_told_what_it_is(text in settings()) {
        if let Err(error) = KeyRing::parse(&text.as_str().into()) {
            prop_assert!(error.to_string().starts_with("found "));
        }
    }
}

#[test]
fn a_body_has_one_spelling() {
    let ring = ring(RANDOM_KEY);
    // Its 28 bytes leave four bits of the last character over.
    let body = ring.encrypt_gcm(b"").unwrap();
    let (text, last) = body.strip_suffix("==").unwrap().split_at(37);
    let others =
        ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).filter(|other| *last != other.to_string());
    for other in others {
        assert!(ring.decrypt_gcm(format!("{text}{other}==").as_bytes()).is_err(), "{last} and {other}");
    }
    assert!(ring.decrypt_gcm(body.trim_end_matches('=').as_bytes()).is_err(), "without padding");
}
