//! Our own form: bound to its call and its time, and taken once.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

const ENCRYPTED_DATA: &str = "AAECAwQFBgcICQoLPCC3Of/F82Zxj1IZE6ojP5HL2rapmT7t";

fn named() -> KeyRing {
    ring(&format!(r#"{{"k1": "{RANDOM_KEY}"}}"#))
}

fn vector() -> Received<'static> {
    Received { key_id: "k1", time: NOW, encrypted_data: ENCRYPTED_DATA.as_bytes() }
}

/// By a process that has taken nothing yet.
fn open(ring: &KeyRing, received: &Received<'_>, binding: &Binding<'_>, now: i64) -> Result<Vec<u8>, Undecryptable> {
    ring.decrypt_v2(received, binding, at(now), &ReplayCache::default())
}

#[test]
fn the_vector_of_the_contract_is_made_and_read() {
    let request = binding(Direction::Request);
    let associated = request.associated_data(NOW, "k1").unwrap();
    let expected = b"keelson-v2\nrequest\nPOST\n/api/v1/analytics/events?x=1\nuser-service\nanalytics-service\n\
                    1700000000\nk1";
    assert_eq!(associated, expected);
    let key = AesGcmKey::new(&std::array::from_fn(|index| u8::try_from(index).unwrap())).unwrap();
    let nonce = std::array::from_fn(|index| u8::try_from(index).unwrap());
    let body = seal(&key, nonce, PLAINTEXT, &associated);
    assert_eq!(STANDARD.encode(body), ENCRYPTED_DATA);
    assert_eq!(open(&named(), &vector(), &request, NOW).unwrap(), PLAINTEXT);
}

#[test]
fn a_body_says_its_key_and_its_time() {
    let ring = named();
    for direction in [Direction::Request, Direction::Response] {
        let sealed = ring.encrypt_v2(PLAINTEXT, &binding(direction), at(NOW)).unwrap();
        assert_eq!((sealed.key_id.as_str(), sealed.time), ("k1", NOW));
        assert_eq!(open(&ring, &received(&sealed), &binding(direction), NOW + 1).unwrap(), PLAINTEXT);
    }
}

#[test]
fn a_body_of_another_call_is_refused() {
    let ring = named();
    let call = binding(Direction::Request);
    for (part, other) in [
        ("direction", Binding { direction: Direction::Response, ..call }),
        ("method", Binding { method: "PUT", ..call }),
        ("method's case", Binding { method: "post", ..call }),
        ("path", Binding { path: "/api/v1/analytics/stats?x=1", ..call }),
        ("query", Binding { path: "/api/v1/analytics/events?x=2", ..call }),
        ("absence of a query", Binding { path: "/api/v1/analytics/events", ..call }),
        ("sender", Binding { sender: b"order-service", ..call }),
        ("target", Binding { target: b"user-service", ..call }),
        ("parties", Binding { sender: call.target, target: call.sender, ..call }),
        ("reflection", Binding { direction: Direction::Response, sender: call.target, target: call.sender, ..call }),
    ] {
        assert_eq!(cause(open(&ring, &vector(), &other, NOW)), Cause::Authentication, "another {part}");
    }
    let later = Received { time: NOW + 1, ..vector() };
    assert_eq!(cause(open(&ring, &later, &call, NOW)), Cause::Authentication);
}

#[test]
fn a_body_that_names_another_key_is_refused() {
    let call = binding(Direction::Request);
    let renamed = Received { key_id: "k2", ..vector() };
    assert_eq!(cause(open(&named(), &renamed, &call, NOW)), Cause::UnknownKey);
    let same_key = ring(&format!(r#"{{"k2": "{RANDOM_KEY}"}}"#));
    assert_eq!(cause(open(&same_key, &renamed, &call, NOW)), Cause::Authentication);
    let text = ring(r#"{"k1": "some text of a key"}"#);
    assert_eq!(cause(open(&text, &vector(), &call, NOW)), Cause::UnknownKey);
}

/// What follows a line break would be the next line: another call could have the same associated data.
#[test]
fn a_call_with_a_line_break_is_refused() {
    let ring = named();
    let call = binding(Direction::Request);
    for other in [
        Binding { method: "POST\n", ..call },
        Binding { path: "/\nuser-service", ..call },
        Binding { sender: b"\n", ..call },
        Binding { target: b"a\nb", ..call },
    ] {
        assert_eq!(ring.encrypt_v2(PLAINTEXT, &other, at(NOW)).unwrap_err(), EncryptError::LineBreak);
        assert_eq!(cause(open(&ring, &vector(), &other, NOW)), Cause::LineBreak);
    }
}

#[test]
fn a_body_is_good_for_a_minute_before_and_after_its_time() {
    let (ring, call) = (named(), binding(Direction::Request));
    for now in [NOW - 60, NOW, NOW + 60] {
        assert_eq!(open(&ring, &vector(), &call, now).unwrap(), PLAINTEXT, "{now}");
    }
    assert_eq!(cause(open(&ring, &vector(), &call, NOW + 61)), Cause::Expired);
    assert_eq!(cause(open(&ring, &vector(), &call, NOW - 61)), Cause::Future);
    for (time, expected) in [(i64::MIN, Cause::Expired), (0, Cause::Expired), (i64::MAX, Cause::Future)] {
        assert_eq!(cause(open(&ring, &Received { time, ..vector() }, &call, NOW)), expected, "{time}");
    }
}

#[test]
fn a_body_is_taken_once_and_an_altered_one_not_at_all() {
    let (ring, call, taken) = (named(), binding(Direction::Request), ReplayCache::default());
    let open =
        |text: &str| ring.decrypt_v2(&Received { encrypted_data: text.as_bytes(), ..vector() }, &call, at(NOW), &taken);
    for text in altered(ENCRYPTED_DATA) {
        open(&text).unwrap_err();
    }
    for bytes in flipped(&STANDARD.decode(ENCRYPTED_DATA).unwrap()) {
        assert_eq!(cause(open(&STANDARD.encode(bytes))), Cause::Authentication);
    }
    for text in truncated(ENCRYPTED_DATA) {
        open(text).unwrap_err();
    }
    assert_eq!(taken.len(), 0, "what is not authentic fills no cache");
    assert_eq!(open(ENCRYPTED_DATA).unwrap(), PLAINTEXT);
    assert_eq!(cause(open(ENCRYPTED_DATA)), Cause::Replayed);
}

#[test]
fn empty_and_large_bodies_come_back() {
    let (ring, call) = (named(), binding(Direction::Request));
    for length in [0, 1, 64 * 1024] {
        let plaintext = vec![7; length];
        let sealed = ring.encrypt_v2(&plaintext, &call, at(NOW)).unwrap();
        assert_eq!(open(&ring, &received(&sealed), &call, NOW).unwrap(), plaintext, "{length}");
    }
}

#[test]
fn a_text_that_is_no_random_key_encrypts_nothing() {
    let refused = ring("test-main-key").encrypt_v2(PLAINTEXT, &binding(Direction::Request), at(NOW));
    assert_eq!(refused.unwrap_err(), EncryptError::KeyNotRandom);
}
