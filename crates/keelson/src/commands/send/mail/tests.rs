//! What a mail becomes.

use proptest::prelude::*;

use super::*;

fn of(raw: &str) -> Value {
    Value::Object(data(raw.as_bytes(), Outside::default()).unwrap())
}

fn with(raw: &str, outside: Outside<'_>) -> Result<Value, &'static str> {
    data(raw.as_bytes(), outside).map(Value::Object)
}

/// The fuzzer's: its parser used to end a debug build there.
#[test]
fn a_part_that_lost_its_multipart_is_no_panic() {
    let raw =
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/mail/part_without_its_multipart.eml"));
    let _ = data(raw, Outside::default());
}

const HEAD: &str = "From: Ann <ann@example.com>\nSubject: Hello\nDate: Mon, 1 Jan 2024 10:00:00 +0100\n";

#[test]
fn a_plain_mail_gives_the_four_fields_and_nothing_else() {
    let expected = json!({
        "email_subject": "Hello", "email_sender": "Ann <ann@example.com>",
        "email_timestream": "2024-01-01T10:00:00+01:00", "email_content": "Hi!\n",
    });
    assert_eq!(of(&format!("{HEAD}\nHi!\n")), expected);
}

#[test]
fn headers_and_text_are_decoded() {
    let mail =
        of("From: =?utf-8?q?Zo=C3=AB?= <z@example.com>\nSubject: =?utf-8?b?R3LDvMOfZQ==?=\n =?iso-8859-1?q?_=E4?=\n\
         Date: Mon, 1 Jan 2024 10:00:00 GMT\nTo: a@example.com, Bob <b@example.com>\nCc: c@example.com\n\
         Message-ID: <1@example.com>\nContent-Type: text/plain; charset=shift_jis\n\
         Content-Transfer-Encoding: base64\n\nk/qWe4zqCg==\n");
    assert_eq!(mail["email_subject"], "Grüße ä");
    assert_eq!(mail["email_sender"], "Zoë <z@example.com>");
    assert_eq!(mail["email_timestream"], "2024-01-01T10:00:00Z");
    assert_eq!(mail["email_content"], "日本語\n");
    assert_eq!(mail["email_recipients"], json!(["a@example.com", "Bob <b@example.com>", "c@example.com"]));
    assert_eq!(mail["email_message_id"], "1@example.com");
}

#[test]
fn html_becomes_text_only_where_there_is_no_text() {
    let html = "Content-Type: text/html\n\n<p>Hi &amp; <b>bye</b></p>\n";
    assert_eq!(of(&format!("{HEAD}{html}"))["email_content"].as_str().unwrap().trim(), "Hi & bye");
    let both = format!(
        "{HEAD}Content-Type: multipart/alternative; boundary=x\n\n--x\nContent-Type: text/plain\n\nplain\n--x\n{html}--x--\n"
    );
    assert_eq!(of(&both)["email_content"].as_str().unwrap().trim(), "plain");
}

#[test]
fn attachments_are_named_and_all_texts_are_kept() {
    let mail = of(&format!(
        "{HEAD}Content-Type: multipart/mixed; boundary=x\n\n--x\n\nfirst\n--x\nContent-Type: application/pdf\n\
         Content-Disposition: attachment; filename=a.pdf\nContent-Transfer-Encoding: base64\n\nAAEC\n--x\n\nsecond\n--x--\n"
    ));
    assert_eq!(
        mail["email_attachments"][0],
        json!({"name": "a.pdf", "content_type": "application/pdf", "size_bytes": 3})
    );
    let content = mail["email_content"].as_str().unwrap();
    assert!(content.contains("first") && content.contains("second"), "{content:?}");
}

#[test]
fn what_is_taken_from_elsewhere_is_named() {
    let mail = of("Sender: list@example.com\nReceived: from a by b; Mon, 1 Jan 2024 10:00:00 GMT\n\n");
    assert_eq!(mail["email_subject"], NO_SUBJECT);
    assert_eq!(mail["email_sender"], "list@example.com");
    assert_eq!(mail["email_timestream"], "2024-01-01T10:00:00Z");
    assert_eq!(mail["email_content"], NO_TEXT);
    let expected = json!({"email_subject": "placeholder", "email_sender": "Sender", "email_timestream": "Received",
        "email_content": "placeholder"});
    assert_eq!(mail["email_substituted"], expected);

    let line = Outside { from_line: Some("From ann@example.com Mon Jan  1 10:00:00 2024"), file_time: None };
    let mail = with("Subject: x\n\nx", line).unwrap();
    assert_eq!(
        (&mail["email_sender"], &mail["email_timestream"]),
        (&json!("ann@example.com"), &json!("Mon Jan  1 10:00:00 2024"))
    );
}

#[test]
fn a_date_is_never_invented() {
    let undated = "From: a@example.com\nSubject: x\n\nx";
    assert!(with(undated, Outside::default()).unwrap_err().contains("no date"));
    let file_time = Some(Timestamp::UNIX_EPOCH);
    let mail = with(undated, Outside { file_time, ..Outside::default() }).unwrap();
    assert_eq!(mail["email_timestream"], "1970-01-01T00:00:00Z");
    assert_eq!(mail["email_substituted"]["email_timestream"], "file time");
    let odd = "From: a@example.com\nDate: the day\n  after\n\nx";
    assert_eq!(with(odd, Outside { file_time, ..Outside::default() }).unwrap()["email_timestream"], "the day after");
    assert_eq!(
        of("From: a@example.com\nDate: 31 Feb 2024 10:00 GMT\n\nx")["email_timestream"],
        "31 Feb 2024 10:00 GMT"
    );
}

#[test]
fn what_is_no_mail_says_why() {
    for (raw, part) in [
        ("", "no headers"),
        ("just text", "no"),
        ("name: keelson\nversion: 1\n", "none of a mail's headers"),
        ("Subject: x\nDate: Mon, 1 Jan 2024 10:00:00 GMT\n\nx", "no sender"),
    ] {
        let reason = with(raw, Outside::default()).unwrap_err();
        assert!(reason.contains(part), "{raw:?}: {reason}");
    }
}

#[test]
fn a_mail_in_a_mail_gives_its_text_when_there_is_no_other() {
    let mail = of(&format!("{HEAD}Content-Type: message/rfc822\n\nSubject: inner\n\nthe inner text\n"));
    assert_eq!(mail["email_content"], "the inner text\n");
    assert_eq!(mail["email_substituted"]["email_content"], "attached message");
    let deep = format!("{HEAD}{}text", "Content-Type: message/rfc822\n\n".repeat(2000));
    assert!(of(&deep)["email_content"].is_string());
}

#[test]
fn a_body_whose_structure_is_lost_is_kept_as_text() {
    for header in ["Content-Type: multipart/mixed; boundary=lost", "Content-Type: text; charset=us-ascii"] {
        let mail = of(&format!("{HEAD}{header}\n\nstill there\n"));
        assert_eq!(mail["email_content"].as_str().unwrap().trim(), "still there", "{header}");
        assert_eq!(mail["email_substituted"]["email_content"], "raw body");
    }
    let image = of(&format!("{HEAD}Content-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAEC\n"));
    assert_eq!(image["email_content"], NO_TEXT);
}

/// What every message must be for the service to take it.
fn check(raw: &[u8], outside: Outside<'_>) {
    if let Ok(data) = data(raw, outside) {
        for name in ["email_subject", "email_sender", "email_timestream", "email_content"] {
            assert!(data[name].as_str().is_some_and(|text| !text.is_empty()), "{name}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_a_reason(raw in proptest::collection::vec(any::<u8>(), 0..400), line in ".{0,40}") {
        check(&raw, Outside { from_line: Some(&line), file_time: None });
    }

    #[test]
    fn so_are_mails_that_are_broken_somewhere(number in 0_usize..5, at in 0_usize..3000, byte in any::<u8>(), cut in 0_usize..3000) {
        let names = ["msg_02.txt", "msg_07.txt", "msg_13.txt", "msg_16.txt", "msg_43.txt"];
        let file = format!("{}/tests/data/email/{}", env!("CARGO_MANIFEST_DIR"), names[number]);
        let mut raw = std::fs::read(file).unwrap();
        let length = raw.len();
        raw[at % length] = byte;
        raw.truncate(length - cut % length);
        check(&raw, Outside::default());
    }
}
