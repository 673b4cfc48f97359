//! The table of `POST /api/message`, row by row.

use secrecy::ExposeSecret;

use super::*;

const FIELDS: &str = r#""email_subject":"s","email_sender":"a@b.c","email_timestream":"any text","email_content":"c""#;

/// A handler without its token source: every token is right.
fn take(body: &str) -> Result<String, IngestError> {
    MessageRequest::parse(body.as_bytes())?.into_queue_body()
}

fn request(data: &str) -> String {
    format!(r#"{{"data":{data},"token":"s3cret"}}"#)
}

fn wrong_locations(data: &str) -> Vec<(String, &'static str)> {
    let error = take(&request(data)).unwrap_err();
    error.errors().iter().map(|entry| (entry.loc.join("."), entry.kind)).collect()
}

#[test]
fn json_content_types_are_taken_in_any_case_and_with_parameters() {
    for good in [
        "application/json",
        "APPLICATION/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        " application/json ;x=y",
        "application/vnd.api+json",
        "Application/Problem+JSON; a=b",
    ] {
        assert_eq!(check_content_type(Some(good), b"{}"), Ok(()), "{good}");
    }
}

#[test]
fn other_content_types_and_absent_bodies_are_rejected() {
    for bad in [
        "",
        "text/plain",
        "application/xml",
        "application/jsonp",
        "text/json",
        "json",
        "application/",
        "application/+json",
        "text/plain; application/json",
        "application/x-www-form-urlencoded",
        "text/vnd.api+json",
        "application/json, x",
    ] {
        assert_eq!(check_content_type(Some(bad), b"{}"), Err(IngestError::ContentType), "{bad}");
    }
    assert_eq!(check_content_type(None, b"{}"), Err(IngestError::ContentType));
    assert_eq!(check_content_type(Some("application/json"), b""), Err(IngestError::ContentType));
}

#[test]
fn what_is_not_a_json_object_is_rejected() {
    for bad in ["", " ", "null", "[]", "\"token\"", "1", "{", "{\"token\":\"x\"", "{\"token\":\"x\"}}"] {
        assert_eq!(take(bad), Err(IngestError::InvalidJson), "{bad}");
    }
    let deep = request(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)));
    assert_eq!(take(&deep), Err(IngestError::InvalidJson));
}

#[test]
fn a_missing_token_comes_before_missing_data() {
    for body in ["{}".to_owned(), format!(r#"{{"data":{{{FIELDS}}}}}"#), r#"{"Token":"x"}"#.to_owned()] {
        assert_eq!(take(&body), Err(IngestError::MissingToken), "{body}");
    }
}

#[test]
fn a_token_of_another_type_is_there_but_wrong() {
    for token in ["null", "1", "true", "[]", "{}", r#"["s3cret"]"#, r#""\ud800""#] {
        let body = format!(r#"{{"token":{token}}}"#);
        assert!(MessageRequest::parse(body.as_bytes()).unwrap().token().is_none(), "{token}");
    }
    for token in ["", " ", "s3cret", "ü"] {
        let body = format!(r#"{{"token":"{token}"}}"#);
        let request = MessageRequest::parse(body.as_bytes()).unwrap();
        assert_eq!(request.token().unwrap().expose_secret(), token);
    }
    let escaped = MessageRequest::parse(br#"{"token":"wrong","tok\u0065n":"\u0073\/"}"#).unwrap();
    assert_eq!(escaped.token().unwrap().expose_secret(), "s/");
}

#[test]
fn missing_data_is_named() {
    assert_eq!(take(r#"{"token":"x"}"#), Err(IngestError::MissingData));
}

#[test]
fn data_that_is_not_an_object_is_unprocessable() {
    for data in ["null", "1", r#""text""#, "[]", r#"[{"email_subject":"s"}]"#, "true"] {
        assert_eq!(wrong_locations(data), [("body.data".to_owned(), "dict_type")], "{data}");
    }
}

#[test]
fn only_the_missing_fields_are_named_in_the_order_of_the_contract() {
    for (data, missing) in [
        ("{}", "email_subject, email_sender, email_timestream, email_content"),
        (r#"{"email_timestream":"t","email_sender":"a"}"#, "email_subject, email_content"),
        (r#"{"email_content":"c","email_timestream":"t","email_sender":"a"}"#, "email_subject"),
        // A missing field comes before a wrong one.
        (r#"{"email_content":1,"email_timestream":null,"_metadata":1,"email_subject":""}"#, "email_sender"),
    ] {
        let text = take(&request(data)).unwrap_err().text();
        assert_eq!(text, format!("Missing required fields in data: {missing}"), "{data}");
    }
}

#[test]
fn wrong_values_are_unprocessable_and_listed_together() {
    let wrong = r#"{"email_subject":"","email_sender":null,"email_timestream":1718000000,"email_content":["x"]}"#;
    let expected = [
        ("body.data.email_subject".to_owned(), "string_too_short"),
        ("body.data.email_sender".to_owned(), "string_type"),
        ("body.data.email_timestream".to_owned(), "string_type"),
        ("body.data.email_content".to_owned(), "string_type"),
    ];
    assert_eq!(wrong_locations(wrong), expected);
    let half = format!("{{{FIELDS},\"email_content\":\"\\ud83d\"}}");
    assert_eq!(wrong_locations(&half), [("body.data.email_content".to_owned(), "string_type")]);
}

#[test]
fn metadata_from_a_user_is_unprocessable_in_any_spelling() {
    for name in ["_metadata", r"\u005fmetadata", r"_met\u0061data"] {
        let data = format!(r#"{{"{name}":null,{FIELDS}}}"#);
        assert_eq!(wrong_locations(&data), [("body.data._metadata".to_owned(), "extra_forbidden")], "{name}");
    }
    let nested = format!(r#"{{{FIELDS},"extra":{{"_metadata":1}}}}"#);
    assert!(take(&request(&nested)).is_ok());
}

#[test]
fn errors_never_hold_the_value() {
    let data = format!(r#"{{{FIELDS},"email_subject":{{"private":"s3cret"}},"_metadata":"s3cret"}}"#);
    let error = take(&request(&data)).unwrap_err();
    assert!(!format!("{error:?} {error}").contains("s3cret"));
    let body = request(&data);
    assert!(!format!("{:?}", MessageRequest::parse(body.as_bytes()).unwrap()).contains("s3cret"));
}

#[test]
fn the_queue_gets_data_byte_for_byte_and_never_the_token() {
    let data = format!(
        "{{ {FIELDS} ,\n\"n\":[1.0,1e5,12345678901234567890123,-0.0,1E400],\"\\u00e9\":\"\\/\\ud83d\\ude00😀\",\"n\":null }}"
    );
    for body in [
        format!(r#"{{"data": {data} , "token":"s3cret"}}"#),
        format!(r#" {{"token":"s3cret","token":"s3cret","data":1,"data":{data},"other":"s3cret"}} "#),
    ] {
        assert_eq!(take(&body).as_deref(), Ok(data.as_str()), "{body}");
    }
}

#[test]
fn the_last_duplicate_of_a_field_is_the_one_that_counts() {
    let good = format!(r#"{{"email_subject":1,{FIELDS}}}"#);
    assert_eq!(take(&request(&good)).as_deref(), Ok(good.as_str()));
    let bad = format!(r#"{{{FIELDS},"email_subject":1}}"#);
    assert_eq!(wrong_locations(&bad), [("body.data.email_subject".to_owned(), "string_type")]);
}
