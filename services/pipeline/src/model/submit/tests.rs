//! The table of `POST /submit`, row by row.

use secrecy::ExposeSecret;

use super::*;

/// A handler without its token source: every token is right.
fn take(body: &str) -> Result<Queued, IngestError> {
    Submission::parse(body.as_bytes())?.into_queued()
}

#[test]
fn the_example_of_the_seed_is_taken() {
    let queued = take(
        r#"{
    "token": "<SSM_TOKEN>",
    "email_timestream": "2025-06-09T10:30:45.123Z"
  }"#,
    )
    .unwrap();
    assert_eq!(queued.body, "{\n    \"email_timestream\": \"2025-06-09T10:30:45.123Z\"\n  }");
    assert_eq!(queued.email_instant.to_string(), "2025-06-09T10:30:45.123Z");
}

#[test]
fn what_is_not_a_json_object_is_rejected() {
    for bad in ["", " ", "null", "[]", "\"x\"", "1", "{", "token=x&email_timestream=1", "{}{}"] {
        assert_eq!(take(bad), Err(IngestError::InvalidJson), "{bad}");
    }
    let deep = format!(r#"{{"token":"x","email_timestream":1,"a":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(take(&deep), Err(IngestError::InvalidJson));
}

#[test]
fn a_missing_or_empty_field_is_rejected() {
    let blanks = ["null", r#""""#, "[]", "{}"];
    let mut bodies = vec!["{}".to_owned(), r#"{"token":"x"}"#.to_owned(), r#"{"email_timestream":1}"#.to_owned()];
    bodies.extend(blanks.map(|blank| format!(r#"{{"token":{blank},"email_timestream":1}}"#)));
    bodies.extend(blanks.map(|blank| format!(r#"{{"token":"x","email_timestream":{blank}}}"#)));
    bodies.push(r#"{"token":"x","email_timestream":1,"token":""}"#.to_owned());
    bodies.push(r#"{"token":"","email_timestream":"","_metadata":1}"#.to_owned());
    for body in bodies {
        assert_eq!(take(&body), Err(IngestError::MissingTokenOrTimestream), "{body}");
    }
}

#[test]
fn the_token_is_compared_before_anything_else_is_looked_at() {
    let body = br#"{"token":" x\u0021","email_timestream":"nonsense","_metadata":1}"#;
    let submission = Submission::parse(body).unwrap();
    assert_eq!(submission.token().unwrap().expose_secret(), " x!");
    assert_eq!(submission.into_queued(), Err(IngestError::InvalidTimestamp));
}

#[test]
fn a_token_of_another_type_is_there_but_wrong() {
    for token in ["0", "1", "true", "false", "[0]", r#"{"a":1}"#, r#""\ud800""#] {
        let body = format!(r#"{{"token":{token},"email_timestream":1}}"#);
        assert!(Submission::parse(body.as_bytes()).unwrap().token().is_none(), "{token}");
    }
}

#[test]
fn a_timestamp_that_names_no_instant_is_rejected() {
    for bad in [r#""yesterday""#, "-1", "true", "false", "[1]", r#"{"a":1}"#, r#"" ""#, r#""20251301""#, "1e30"] {
        let body = format!(r#"{{"token":"x","email_timestream":{bad},"_metadata":1}}"#);
        assert_eq!(take(&body), Err(IngestError::InvalidTimestamp), "{bad}");
    }
}

#[test]
fn iso_dates_and_ticks_are_normalised() {
    for (given, expected) in [
        (r#""2025-06-09""#, "2025-06-09T00:00:00Z"),
        (r#""2025-W24-1T12:00+02:00""#, "2025-06-09T10:00:00Z"),
        (r#""1718000000""#, "2024-06-10T06:13:20Z"),
        ("1718000000123", "2024-06-10T06:13:20.123Z"),
        ("638535968001234567", "2024-06-10T06:13:20.1234567Z"),
        ("0", "1970-01-01T00:00:00Z"),
    ] {
        let queued = take(&format!(r#"{{"token":"x","email_timestream":{given}}}"#)).unwrap();
        assert_eq!(queued.email_instant.to_string(), expected);
        assert_eq!(queued.body, format!(r#"{{"email_timestream":{given}}}"#));
    }
}

#[test]
fn metadata_from_a_user_is_unprocessable() {
    let error = take(r#"{"token":"x","email_timestream":1,"_met\u0061data":{"a":"s3cret"}}"#).unwrap_err();
    assert_eq!(error, IngestError::Invalid(vec![FieldError::reserved(vec!["body", "_metadata"])]));
}

#[test]
fn the_queue_gets_the_rest_byte_for_byte_and_never_a_token() {
    let rest = r#"{ "z":1.0,"a" : [1e5, 12345678901234567890123,-0.0,1E400],"email_timestream":"2025-06-09","é":"\u00e9\/😀","a":null }"#;
    let mut bodies = vec![
        rest.replacen("\"z\"", r#""token":"s3cret","z""#, 1),
        rest.replacen(":null }", r#":null, "token" : "s3cret" }"#, 1),
        rest.replacen("\"email_t", "\"token\":\"s3cret\",\n\"email_t", 1).replacen(
            ":null",
            r#":null,"token":"s3cret""#,
            1,
        ),
        rest.replacen("\"z\"", r#""tok\u0065n":"s3cret","\u0074oken":"s3cret","z""#, 1),
    ];
    bodies.push(format!("\n{} \t", bodies[0]));
    for body in bodies {
        let queued = take(&body).unwrap();
        assert!(!queued.body.contains("s3cret"), "{body}");
        let tight = |text: &str| text.replace([' ', '\n'], "");
        assert_eq!(tight(&queued.body), tight(rest), "{body}");
    }
}

#[test]
fn debug_output_shows_neither_token_nor_content() {
    let body = br#"{"token":"s3cret","email_timestream":"s3cret","email_content":"s3cret"}"#;
    assert!(!format!("{:?}", Submission::parse(body).unwrap()).contains("s3cret"));
}
