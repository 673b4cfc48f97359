//! Texts of rings that are made, read and written again.

use secrecy::{ExposeSecret, SecretString};

use super::*;

fn parse(text: &str) -> RingText {
    RingText::parse(&text.into()).unwrap()
}

fn written(text: &RingText) -> String {
    text.to_secret().expose_secret().to_owned()
}

#[test]
fn a_new_ring_is_json_with_one_random_key() {
    let text = RingText::generate("2026-07", &std::array::from_fn(|byte| byte as u8)).unwrap();
    assert_eq!(written(&text), format!("{{\n  \"2026-07\": \"{RANDOM_KEY}\"\n}}"));
    let ring = ring(&written(&text));
    ring.check_random().unwrap();
    assert_eq!((ring.key_id(), ring.check_secrets()), ("2026-07", None));
}

#[test]
fn an_id_that_no_ring_could_have_makes_none() {
    for id in ["", "two words", "k\"1", "k\n1", "schlüssel", &"k".repeat(33)] {
        let error = RingText::generate(id, &[7; KEY_BYTES]).unwrap_err().to_string();
        assert!(error.contains("an id of key 1 that is not 1 to 32 letters"), "{id}: {error}");
        assert!(!error.contains("BwcHBwc"), "{error}");
    }
}

#[test]
fn a_key_that_stood_alone_gets_the_id_that_its_peers_know() {
    for alone in [RANDOM_KEY, RANDOM_KEY.trim_end_matches('=')] {
        let text = parse(alone);
        assert_eq!(text.ids().collect::<Vec<_>>(), ["_tWxBOknfQvrwlG8ilO74g"]);
        // Fernet and the first GCM form are made of the text: it stays as it was, letter for letter.
        assert_eq!(written(&text), format!("{{\n  \"_tWxBOknfQvrwlG8ilO74g\": \"{alone}\"\n}}"));
    }
}

#[test]
fn what_is_read_is_written_in_the_same_order_and_with_every_character() {
    let texts = [("z", RANDOM_KEY), ("a", " \"quoted\" \\ \u{0}\n\u{7f}\u{1f511}"), ("text", "test-main-key")];
    let members = texts.map(|(id, text)| format!("{}: {}", serde_json::json!(id), serde_json::json!(text)));
    let text = parse(&format!("{{{}}}", members.join(",")));
    let again = parse(&written(&text));
    for read in [&text, &again] {
        let keys: Vec<_> = read.keys().iter().map(|key| (key.id(), key.is_random())).collect();
        assert_eq!(keys, [("z", true), ("a", false), ("text", false)]);
    }
    assert_eq!(written(&again), written(&text));
    assert!(ring(&written(&text)).is_same(&ring(&format!("{{{}}}", members.join(",")))));
}

#[test]
fn a_text_that_is_no_ring_is_refused_as_services_refuse_it() {
    for text in ["", "{}", "{\"k1\": \"a\", \"k1\": \"b\"}", "{\"k1\": \"secret-of-a-test\""] {
        let error = RingText::parse(&text.into()).unwrap_err();
        assert_eq!(error, KeyRing::parse(&text.into()).unwrap_err());
        assert!(!error.to_string().contains("secret-of-a-test"), "{error}");
    }
}

#[test]
fn a_key_of_a_text_is_never_shown() {
    let secrets: [SecretString; 2] = [format!(r#"{{"k2": "{RANDOM_KEY}"}}"#).into(), "secret-of-a-test".into()];
    for secret in &secrets {
        let shown = format!("{:?}", RingText::parse(secret).unwrap());
        assert!(!shown.contains("secret-of-a-test") && !shown.contains("AAEC") && !shown.contains("[0, 1"), "{shown}");
    }
}
