//! Rotations that follow from the text alone.

use jiff::Timestamp;
use secrecy::ExposeSecret;

use super::*;

/// 2026-11-22T17:05:00Z.
const TODAY: i64 = 1_795_367_100;

fn parse(text: &str) -> RingText {
    RingText::parse(&text.into()).unwrap()
}

fn ids(text: &RingText) -> Vec<&str> {
    text.ids().collect()
}

/// `random` makes the new keys differ.
fn rotated(text: &RingText, now: Timestamp, random: u8) -> RingText {
    let rotated = text.rotate(now, &[random; KEY_BYTES]).unwrap();
    // Each step starts from what was written, not from what was in memory.
    RingText::parse(&rotated.to_secret()).unwrap()
}

/// The text as it is, and after each of the three steps.
fn stages(text: &str) -> [KeyRing; 4] {
    let mut rings = vec![ring(text)];
    let mut text = parse(text);
    for step in [RotationStep::Add, RotationStep::Promote, RotationStep::Remove] {
        assert_eq!(text.next_step(), Ok(step));
        text = rotated(&text, at(TODAY), 7);
        rings.push(KeyRing::parse(&text.to_secret()).unwrap());
    }
    rings.try_into().unwrap()
}

/// Sends one body in each form that the sender speaks, and counts which the receiver opens, and which not.
fn exchanged(sender: &KeyRing, receiver: &KeyRing) -> (usize, usize) {
    let opened = [
        receiver.decrypt_fernet(sender.encrypt_fernet(PLAINTEXT, at(NOW)).unwrap().as_bytes(), at(NOW)),
        receiver.decrypt_gcm(sender.encrypt_gcm(PLAINTEXT).unwrap().as_bytes()),
    ];
    let bound = binding(Direction::Request);
    let v2 = match sender.encrypt_v2(PLAINTEXT, &bound, at(NOW)) {
        Ok(sealed) => Some(receiver.decrypt_v2(&received(&sealed), &bound, at(NOW), &ReplayCache::default())),
        Err(EncryptError::KeyNotRandom) => None,
        Err(error) => panic!("{error}"),
    };
    let opened: Vec<_> = opened.into_iter().chain(v2).collect();
    let good = opened.iter().flatten().filter(|plaintext| *plaintext == PLAINTEXT).count();
    (good, opened.len() - good)
}

#[test]
fn services_that_are_a_step_apart_open_every_body_of_each_other() {
    let dated = format!(r#"{{"k-20260722T170500Z": "{RANDOM_KEY}"}}"#);
    let named = format!(r#"{{"main": "{RANDOM_KEY}"}}"#);
    let url_safe = RANDOM_KEY.trim_end_matches('=');
    // Two neighbours at each of three steps, each to itself and to the other. A text speaks two forms, until a random
    // key comes first.
    for (text, bodies) in [(RANDOM_KEY, 36), (url_safe, 36), (&named, 36), (&dated, 36), ("test-main-key", 30)] {
        let mut counted = 0;
        for neighbours in stages(text).windows(2) {
            for sender in neighbours {
                for receiver in neighbours {
                    let (good, bad) = exchanged(sender, receiver);
                    assert_eq!(bad, 0, "{neighbours:?}");
                    counted += good;
                }
            }
        }
        assert_eq!(counted, bodies, "{text}");
    }
}

/// Else the steps between would be for nothing.
#[test]
fn services_that_are_two_steps_apart_refuse_what_the_new_key_encrypted() {
    let [alone, added, promoted, removed] = stages(RANDOM_KEY);
    assert_eq!(exchanged(&promoted, &alone), (0, 3));
    assert_eq!(exchanged(&added, &removed), (0, 3));
}

#[test]
fn three_steps_replace_the_key_and_three_more_that_one() {
    let mut text = parse(RANDOM_KEY);
    let expected: [&[&str]; 6] = [
        &["_tWxBOknfQvrwlG8ilO74g", "k-20261122T170500Z"],
        &["k-20261122T170500Z", "_tWxBOknfQvrwlG8ilO74g"],
        &["k-20261122T170500Z"],
        &["k-20261122T170500Z", "k-20261122T170503Z"],
        &["k-20261122T170503Z", "k-20261122T170500Z"],
        &["k-20261122T170503Z"],
    ];
    for (second, expected) in (0..).zip(expected) {
        text = rotated(&text, at(TODAY + second), u8::try_from(second).unwrap());
        assert_eq!(ids(&text), expected);
        assert_eq!(KeyRing::parse(&text.to_secret()).unwrap().key_id(), expected[0]);
    }
    assert!(!text.to_secret().expose_secret().contains(RANDOM_KEY));
}

#[test]
fn a_new_id_is_later_than_the_one_before_whatever_the_clock_says() {
    let mut text = RingText::generate(&RingText::dated_id(at(TODAY)), &[1; KEY_BYTES]).unwrap();
    // The same second, then a clock that was turned back by a day, then the same clock a day later.
    for (random, now, expected) in [
        (2, TODAY, "k-20261122T170500Z-2"),
        (3, TODAY - 86_400, "k-20261122T170500Z-3"),
        (4, TODAY + 1, "k-20261122T170501Z"),
    ] {
        for step in [RotationStep::Add, RotationStep::Promote, RotationStep::Remove] {
            assert_eq!(text.next_step(), Ok(step));
            text = rotated(&text, at(now), random);
        }
        assert_eq!(ids(&text), [expected]);
    }
}

#[test]
fn suffixes_count_and_do_not_sort_as_letters() {
    for (latest, next) in [
        ("k-20261122T170500Z-9", "k-20261122T170500Z-10"),
        ("k-20261122T170500Z-10", "k-20261122T170500Z-11"),
        ("k-20261122T170500Z-65535", "k-20261122T170501Z"),
        ("k-99991230T000000Z", "k-99991230T000000Z-2"),
    ] {
        let alone = RingText::generate(latest, &[1; KEY_BYTES]).unwrap();
        let added = rotated(&alone, at(TODAY), 2);
        assert_eq!(ids(&added), [latest, next]);
        assert_eq!(added.next_step(), Ok(RotationStep::Promote));
        assert_eq!(ids(&rotated(&added, at(TODAY), 3)), [next, latest]);
    }
}

#[test]
fn a_fraction_of_a_second_is_no_later_second() {
    let now = at(TODAY) + jiff::SignedDuration::from_millis(999);
    let text = RingText::generate(&RingText::dated_id(now), &[1; KEY_BYTES]).unwrap();
    assert_eq!(ids(&rotated(&text, now, 2)), ["k-20261122T170500Z", "k-20261122T170500Z-2"]);
}

/// What somebody wrote by hand is not taken for what a rotation wrote.
#[test]
fn an_id_that_only_looks_dated_is_older_than_one_that_is() {
    for foreign in [
        "k-20991122T170500",
        "k-20991122T170500z",
        "k-20991122T1705Z",
        "k-2099-11-22",
        "k-20991322T170500Z",
        "k-20991122T170500Z-",
        "k-20991122T170500Z-0",
        "k-20991122T170500Z-1",
        "k-20991122T170500Z-02",
        "k-20991122T170500Z-65536",
        "K-20991122T170500Z",
        "20991122T170500Z",
    ] {
        let added = rotated(&RingText::generate(foreign, &[1; KEY_BYTES]).unwrap(), at(TODAY), 2);
        assert_eq!(ids(&added), [foreign, "k-20261122T170500Z"]);
        assert_eq!(added.next_step(), Ok(RotationStep::Promote), "{foreign}");
        let promoted = rotated(&added, at(TODAY), 3);
        assert_eq!(promoted.next_step(), Ok(RotationStep::Remove), "{foreign}");
    }
}

#[test]
fn a_ring_that_does_not_say_which_key_is_newer_is_left_to_its_owner() {
    let refusal = |text: &str| {
        let text = parse(text);
        let refusal = text.rotate(at(TODAY), &[7; KEY_BYTES]).unwrap_err();
        assert_eq!(text.next_step(), Err(refusal.clone()));
        refusal.to_string()
    };
    let foreign = refusal(&format!(r#"{{"2026-07": "{RANDOM_KEY}", "2026-01": "{OTHER_RANDOM_KEY}"}}"#));
    assert!(foreign.contains("if 2026-01 is newer, put it first"), "{foreign}");
    let many = refusal(r#"{"a": "secret-of-a-test", "k-20261122T170500Z": "b", "k-20261122T170501Z": "c"}"#);
    assert!(many.starts_with("the ring has 3 keys, a, k-20261122T170500Z, k-20261122T170501Z, and"), "{many}");
    let text = refusal(&format!(r#"{{"main": "{RANDOM_KEY}", "k-20261122T170500Z": "secret-of-a-test"}}"#));
    assert!(text.starts_with("the key k-20261122T170500Z is not 32 bytes in base64"), "{text}");
    for shown in [foreign, many, text] {
        assert!(!shown.contains("secret-of-a-test") && !shown.contains("AAEC"), "{shown}");
    }
}

#[test]
fn random_bytes_that_come_twice_add_no_key() {
    let text = RingText::generate("main", &[7; KEY_BYTES]).unwrap();
    let refusal = text.rotate(at(TODAY), &[7; KEY_BYTES]).unwrap_err();
    assert!(refusal.to_string().contains("the same text as key 1 and key 2"), "{refusal}");
}
