//! Object keys: none leaves its folder, and two message ids never share one.
#![no_main]

use std::path::{Component, Path};

use chassis::ports::objects::{MAX_KEY_BYTES, ObjectKey};
use chassis::ports::queue::MessageId;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;
use pipeline::model::record::object_key;

fuzz_target!(|input: (&str, i64)| {
    let (text, second) = input;
    if let Ok(key) = text.parse::<ObjectKey>() {
        assert_eq!(key.as_str(), text);
        stays_below(&key);
    }
    let Ok(sent_at) = Timestamp::from_second(second) else { return };
    match object_key(&MessageId(text.to_owned()), sent_at) {
        Ok(key) => {
            stays_below(&key);
            assert_eq!(key.as_str().parse::<ObjectKey>().expect("it is a key for every store"), key);
            assert_eq!(id_of(&key), text.as_bytes(), "{key} names another message");
            let day = sent_at.to_zoned(TimeZone::UTC).strftime("messages/%Y/%m/%d/").to_string();
            assert!(second < 0 || key.as_str().starts_with(&day), "{key} is not of {day}");
        }
        // Too long for a file name, at three bytes for one at most.
        Err(_) => assert!(text.is_empty() || text.len() * 3 + ".json".len() > 255, "{text:?} has no key"),
    }
});

fn stays_below(key: &ObjectKey) {
    let path = Path::new(key.as_str());
    assert!(path.components().all(|part| matches!(part, Component::Normal(_))), "{key} leaves its folder");
    assert_eq!(path.components().count(), key.as_str().split('/').count(), "{key} is another path");
    assert!(key.as_str().len() <= MAX_KEY_BYTES && !key.as_str().contains(['\\', '\0']));
}

/// The message id that a key was made of.
fn id_of(key: &ObjectKey) -> Vec<u8> {
    let mut segments = key.as_str().split('/');
    let name = segments.next_back().and_then(|name| name.strip_suffix(".json")).expect("the key ends with .json");
    assert_eq!(segments.count(), 4, "{key} is not in messages/YYYY/MM/DD");
    let mut bytes = name.bytes();
    let mut id = Vec::new();
    while let Some(byte) = bytes.next() {
        let digit =
            |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16)).expect("two digits follow %");
        match byte {
            b'%' => id.push((digit(bytes.next()) * 16 + digit(bytes.next())) as u8),
            _ => id.push(byte),
        }
    }
    id
}
