//! What may be stored, and what the object then holds.

use chassis::ports::queue::Receipt;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const FIELDS: &str = r#""email_subject":"s","email_sender":"a@b.c","email_timestream":"t","email_content":"c""#;
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn message(body: &str, attributes: &[(&str, &str)]) -> Message {
    Message {
        id: MessageId("0197-a".into()),
        receipt: Receipt("r".into()),
        body: body.into(),
        attributes: attributes.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        sent_at: "2025-06-09T23:59:59.5Z".parse().unwrap(),
        receive_count: 2,
    }
}

fn archived_at() -> Timestamp {
    "2025-06-10T00:00:01Z".parse().unwrap()
}

fn stored(body: &str, attributes: &[(&str, &str)]) -> Result<String, Rejection> {
    record(&message(body, attributes), archived_at())
}

fn metadata_of(body: &str, attributes: &[(&str, &str)]) -> Value {
    let stored: Value = serde_json::from_str(&stored(body, attributes).unwrap()).unwrap();
    stored["_metadata"].clone()
}

#[test]
fn metadata_is_the_last_member_with_everything_that_is_known() {
    let attributes = [
        ("source", "/submit"),
        ("correlation_id", "c-1"),
        ("traceparent", TRACE),
        ("content_type", "application/json"),
        ("email_instant", "2025-06-09T10:30:45.123Z"),
    ];
    let expected = concat!(
        r#"{"email_timestream":"2025-06-09T10:30:45.123Z","_metadata":{"message_id":"0197-a","#,
        r#""sent_at":"2025-06-09T23:59:59.5Z","archived_at":"2025-06-10T00:00:01Z","source":"/submit","#,
        r#""correlation_id":"c-1","trace_id":"0af7651916cd43dd8448eb211c80319c","receive_count":2,"#,
        r#""email_instant":"2025-06-09T10:30:45.123Z"}}"#
    );
    assert_eq!(stored(r#"{"email_timestream":"2025-06-09T10:30:45.123Z"}"#, &attributes).as_deref(), Ok(expected));
}

#[test]
fn what_is_unknown_is_null() {
    let expected = concat!(
        r#"{"_metadata":{"message_id":"0197-a","sent_at":"2025-06-09T23:59:59.5Z","#,
        r#""archived_at":"2025-06-10T00:00:01Z","source":null,"correlation_id":null,"trace_id":null,"receive_count":2}}"#
    );
    assert_eq!(stored("{}", &[]).as_deref(), Ok(expected));
}

#[test]
fn malformed_attributes_of_other_senders_count_as_unknown() {
    let attributes = [
        ("source", "/their/route"),
        ("correlation_id", "two words"),
        ("traceparent", "garbage"),
        ("email_instant", "soon"),
    ];
    let metadata = metadata_of("{}", &attributes);
    assert_eq!(metadata["source"], "/their/route");
    assert_eq!(metadata["correlation_id"], Value::Null);
    assert_eq!(metadata["trace_id"], Value::Null);
    assert_eq!(metadata.get("email_instant"), None);
    for bad in [
        "",
        "00",
        "00-",
        "00--",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        "0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ] {
        assert_eq!(trace_id(bad), None, "{bad}");
    }
}

#[test]
fn attribute_values_cannot_break_out_of_the_metadata() {
    let metadata = metadata_of("{}", &[("source", r#""},"evil":{"a":"\"#)]);
    assert_eq!(metadata["source"], r#""},"evil":{"a":"\"#);
}

#[test]
fn the_users_own_text_stays_byte_for_byte() {
    for (body, kept) in [
        ("{ }\n", "{ "),
        (" {\"a\" : 1.0 }\t", "{\"a\" : 1.0 ,"),
        (
            r#"{"z":1e5,"n":12345678901234567890123,"m":-0.0,"h":1E400,"z":"\u00e9\/😀\ud83d\ude00","e":"}"}"#,
            r#"{"z":1e5,"n":12345678901234567890123,"m":-0.0,"h":1E400,"z":"\u00e9\/😀\ud83d\ude00","e":"}","#,
        ),
    ] {
        let stored = stored(body, &[]).unwrap();
        let rest = stored.strip_prefix(kept).unwrap_or_else(|| panic!("{stored}"));
        assert!(rest.starts_with(r#""_metadata":{"message_id""#), "{stored}");
    }
}

#[test]
fn a_body_that_is_not_an_object_is_rejected() {
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    for body in ["", "text", "[]", "null", "1", r#""{}""#, "{", "{}{}", &deep] {
        for attributes in [&[][..], &[("source", "/api/message")], &[("source", "/submit")]] {
            assert_eq!(stored(body, attributes), Err(Rejection::NotAnObject), "{body}");
        }
    }
}

#[test]
fn a_member_named_metadata_is_rejected() {
    for body in [r#"{"_metadata":null}"#, r#"{"_met\u0061data":{}}"#] {
        assert_eq!(stored(body, &[]), Err(Rejection::ReservedMember), "{body}");
    }
    assert!(stored(r#"{"a":{"_metadata":1}}"#, &[]).is_ok());
}

#[test]
fn a_message_without_what_its_source_promises_is_rejected() {
    let api = [("source", "/api/message")];
    assert!(stored(&format!("{{{FIELDS}}}"), &api).is_ok());
    for (body, fields) in [
        ("{}", &REQUIRED_FIELDS[..]),
        (r#"{"email_subject":"s","email_sender":"","email_timestream":1,"email_content":"c"}"#, &REQUIRED_FIELDS[1..3]),
        (
            r#"{"email_subject":null,"email_sender":"a","email_timestream":"t","email_content":"c"}"#,
            &REQUIRED_FIELDS[..1],
        ),
    ] {
        let expected = Rejection::MissingFields(fields.to_vec());
        assert_eq!(stored(body, &api), Err(expected), "{body}");
    }
    let submit = [("source", "/submit")];
    for body in ["{}", r#"{"email_timestream":null}"#, r#"{"email_timestream":""}"#, r#"{"email_timestream":[]}"#] {
        assert_eq!(stored(body, &submit), Err(Rejection::NoTimestream), "{body}");
    }
    for body in [r#"{"email_timestream":0}"#, r#"{"email_timestream":"2025-06-09"}"#] {
        assert!(stored(body, &submit).is_ok(), "{body}");
    }
    assert!(stored(r#"{"anything":1}"#, &[("source", "/other")]).is_ok());
}

#[test]
fn a_rejection_says_why_and_shows_nothing_of_the_message() {
    let body = r#"{"email_subject":{"s3cret":1},"email_sender":"s3cret","email_content":"c"}"#;
    let text = stored(body, &[("source", "/api/message")]).unwrap_err().to_string();
    assert_eq!(
        text,
        "the source /api/message promises non-empty strings, these are not: email_subject, email_timestream"
    );
    assert_eq!(Rejection::NotAnObject.to_string(), "the body is not a JSON object of at most 127 levels");
}

#[test]
fn the_key_is_the_utc_date_of_sending() {
    for (sent_at, expected) in [
        ("2025-06-09T23:59:59.999999999Z", "messages/2025/06/09/0197-a.json"),
        ("2025-06-10T01:59:59+02:00", "messages/2025/06/09/0197-a.json"),
        ("2025-01-01T00:00:00Z", "messages/2025/01/01/0197-a.json"),
    ] {
        let key = object_key(&MessageId("0197-a".into()), sent_at.parse().unwrap()).unwrap();
        assert_eq!(key.as_str(), expected);
    }
}

#[test]
fn odd_message_ids_give_a_valid_key_or_a_clear_error() {
    for (id, name) in [
        ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
        (".hidden", "%2Ehidden"),
        ("a.b", "a.b"),
        ("a%2Fb", "a%252Fb"),
        ("a\\b\0\n", "a%5Cb%00%0A"),
        ("ü", "%C3%BC"),
    ] {
        let key = object_key(&MessageId(id.into()), archived_at()).unwrap();
        assert_eq!(key.as_str(), format!("messages/2025/06/10/{name}.json"));
    }
    for id in ["", &"a".repeat(251), &"ü".repeat(100)] {
        assert!(matches!(object_key(&MessageId(id.into()), archived_at()), Err(ObjectError::InvalidKey(_))), "{id}");
    }
}

#[test]
fn a_key_that_is_no_messages_names_none() {
    for key in [
        "messages/2025/06/10/a.txt",
        "messages/2025/06/31/a.json",
        "messages/2025/6/10/a.json",
        "messages/2025/06/10/a%2.json",
        "messages/2025/06/10/a%62.json",
        "messages/2025/06/10/a/b.json",
        "rollups/2025/06/10/a.index.json",
        "a.json",
    ] {
        assert_eq!(id_of_key(&key.parse().unwrap()), None, "{key}");
    }
}

proptest! {
    #[test]
    fn a_key_tells_its_message_and_its_day(id in r"[ab./%2Fü\n]{1,9}") {
        let key = object_key(&MessageId(id.clone()), archived_at()).unwrap();
        prop_assert_eq!(id_of_key(&key), Some(MessageId(id)));
        prop_assert_eq!(day_of_key(&key), Some(day_of(archived_at())));
    }

    #[test]
    fn on_one_line_a_record_is_the_same_json(body in r#"[{}":,a1\r\n\\ ]{0,16}"#, text in any::<String>()) {
        let body = if body.len() % 2 == 0 { json!({ "a": [text] }).to_string().replace(',', "\r\n,\n") } else { body };
        if let Ok(whole) = stored(&body, &[]) {
            let line = on_one_line(whole.clone());
            prop_assert!(!line.contains(['\r', '\n']));
            prop_assert_eq!(line.len(), whole.len());
            let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            prop_assert_eq!(parse(&line), parse(&whole));
            let sent_at = super::stored(line.as_bytes()).unwrap().sent_at;
            prop_assert_eq!(sent_at, message("", &[]).sent_at);
        }
    }

    #[test]
    fn two_message_ids_never_share_a_key(first in r"[ab./%2Fü]{1,6}", second in r"[ab./%2Fü]{1,6}") {
        let key = |id: &str| object_key(&MessageId(id.into()), archived_at()).unwrap();
        prop_assert_eq!(key(&first) == key(&second), first == second);
    }

    #[test]
    fn whatever_is_stored_is_json_with_metadata(body in r#"[{}":,a1 ]{0,12}"#, value in any::<String>()) {
        if let Ok(stored) = stored(&body, &[("source", &value)]) {
            let stored: Value = serde_json::from_str(&stored).unwrap();
            prop_assert_eq!(&stored["_metadata"]["source"], &value);
        }
    }
}
