//! The forms of a timestamp, one table each.

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;

fn text(text: &str) -> Option<String> {
    parse_text(text).ok().map(|instant| instant.to_string())
}

fn json(json: &str) -> Option<String> {
    let value: &RawValue = serde_json::from_str(json).unwrap();
    parse_email_timestream(value).ok().map(|instant| instant.to_string())
}

fn assert_all(read: fn(&str) -> Option<String>, table: &[(&str, &str)]) {
    for (input, expected) in table {
        assert_eq!(read(input).as_deref(), Some(*expected), "{input}");
    }
}

fn assert_none(read: fn(&str) -> Option<String>, table: &[&str]) {
    for input in table {
        assert_eq!(read(input), None, "{input}");
    }
}

#[test]
fn iso_dates_are_midnight_utc() {
    let table = [
        ("2025-06-09", "2025-06-09T00:00:00Z"),
        ("20250609", "2025-06-09T00:00:00Z"),
        ("2024-02-29", "2024-02-29T00:00:00Z"),
        ("2025-W24-1", "2025-06-09T00:00:00Z"),
        ("2025W241", "2025-06-09T00:00:00Z"),
        ("2025-w24-7", "2025-06-15T00:00:00Z"),
        ("2025-W24", "2025-06-09T00:00:00Z"),
        ("2025W24", "2025-06-09T00:00:00Z"),
        ("2020-W53-5", "2021-01-01T00:00:00Z"),
        ("2025-160", "2025-06-09T00:00:00Z"),
        ("2024-366", "2024-12-31T00:00:00Z"),
        ("+002025-06-09", "2025-06-09T00:00:00Z"),
        ("0000-01-01", "0000-01-01T00:00:00Z"),
        ("0001-01-01", "0001-01-01T00:00:00Z"),
        ("9999-12-31", "9999-12-31T00:00:00Z"),
    ];
    assert_all(text, &table);
}

#[test]
fn iso_date_times_are_normalised_to_utc() {
    let table = [
        ("2025-06-09T10:30:45.123Z", "2025-06-09T10:30:45.123Z"),
        ("2025-06-09 10:30:45Z", "2025-06-09T10:30:45Z"),
        ("2025-06-09t10:30:45z", "2025-06-09T10:30:45Z"),
        ("20250609T103045Z", "2025-06-09T10:30:45Z"),
        ("20250609 103045", "2025-06-09T10:30:45Z"),
        ("20250609T103045.5+0530", "2025-06-09T05:00:45.5Z"),
        ("2025-06-09T10:30", "2025-06-09T10:30:00Z"),
        ("2025-06-09T1030", "2025-06-09T10:30:00Z"),
        ("2025-06-09T10", "2025-06-09T10:00:00Z"),
        ("2025-06-09T10:30:45", "2025-06-09T10:30:45Z"),
        ("2025-06-09T10:30:45,25Z", "2025-06-09T10:30:45.25Z"),
        ("2025-06-09T10:30:45.123456789Z", "2025-06-09T10:30:45.123456789Z"),
        ("2025-06-09T10:30:45.1234567899999Z", "2025-06-09T10:30:45.123456789Z"),
        ("2025-06-09T10:30:45+05:30", "2025-06-09T05:00:45Z"),
        ("2025-06-09T10:30:45+0530", "2025-06-09T05:00:45Z"),
        ("2025-06-09T10:30:45+05", "2025-06-09T05:30:45Z"),
        ("2025-06-09T22:30:45-08:00", "2025-06-10T06:30:45Z"),
        ("2025-06-09T10:30:45-00:00", "2025-06-09T10:30:45Z"),
        ("2025-W24-1T10:30:45Z", "2025-06-09T10:30:45Z"),
        ("2025W241T103045+02", "2025-06-09T08:30:45Z"),
        ("2025-160T10:30Z", "2025-06-09T10:30:00Z"),
        ("2025160T1030Z", "2025-06-09T10:30:00Z"),
        ("2025-06-09T24:00", "2025-06-10T00:00:00Z"),
        ("20250609T240000Z", "2025-06-10T00:00:00Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
        ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"),
        ("9999-12-31T23:59:59+01:00", "9999-12-31T22:59:59Z"),
    ];
    assert_all(text, &table);
}

#[test]
fn dates_that_are_not_iso_8601_are_refused() {
    let table = [
        "",
        " ",
        "now",
        "tomorrow",
        "2025-06",
        "2025-6-9",
        "2025-13-01",
        "2025-02-29",
        "2025-06-31",
        "2025-W54-1",
        "2025-W24-8",
        "2025-W24-0",
        "2025-W00-1",
        "2025-W241",
        "2025W24-1",
        "W24-1",
        "2025-366",
        "2025-000",
        "2025/06/09",
        "09.06.2025",
        "June 9, 2025",
        "Mon, 09 Jun 2025 10:30:45 GMT",
        "2025-0609",
        "202506-09",
        " 2025-06-09",
        "10:30:45",
        "P1D",
        "２０２５-06-09",
        "é",
        "2025-06-09\n",
        "\u{0}",
        "12.5",
        "1e9",
        "+1",
        "-1",
    ];
    assert_none(text, &table);
}

#[test]
fn times_that_are_not_iso_8601_are_refused() {
    let table = [
        "2025-06-09T",
        "2025-06-09 ",
        "2025-06-09T10:30:45Z ",
        "2025-06-09  10:30",
        "2025-06-09Z",
        "2025-06-09T25:00",
        "2025-06-09T10:60",
        "2025-06-09T10:30:61",
        "2025-06-09T24:00:01",
        "2025-06-09T24:30",
        "2025-06-09T10:30:45.Z",
        "2025-06-09T10.5",
        "2025-06-09T10:30.5",
        "2025-06-09T1:30",
        "2025-06-09_10:30",
        "2025-06-09T10:30:45+24:00",
        "2025-06-09T10:30:45+05:60",
        "2025-06-09T10:30:45+5",
        "2025-06-09T10:30:45 Z",
        "2025-06-09T10:30:45ZZ",
        "2025-06-09T10:30:45[UTC]",
        "2025-06-09T10:30:45Z[Europe/Berlin]",
        "T10:30:45Z",
        "2025-06-09T10:30:45é",
    ];
    assert_none(text, &table);
    assert_none(text, &[&format!("2025-06-09T10:30:45.{}Z", "1".repeat(64))]);
}

#[test]
fn years_outside_0_to_9999_are_refused() {
    let table = [
        "-000001-01-01",
        "-002025-06-09",
        "+010000-01-01",
        "10000-01-01",
        "9999-12-31T24:00Z",
        "9999-12-31T23:59:59-00:01",
        "0000-01-01T00:00:00+00:01",
        "9999-W52-6",
    ];
    assert_none(text, &table);
}

#[test]
fn eight_digits_in_a_string_are_a_date_and_in_a_number_are_ticks() {
    assert_eq!(json(r#""20250609""#).as_deref(), Some("2025-06-09T00:00:00Z"));
    assert_eq!(json("20250609").as_deref(), Some("1970-08-23T09:10:09Z"));
    assert_eq!(json(r#""020250609""#).as_deref(), Some("1970-08-23T09:10:09Z"));
    for invalid in [r#""20251301""#, r#""20250230""#, r#""99999999""#, r#""00000000""#] {
        assert_eq!(json(invalid), None, "{invalid}");
    }
}

#[test]
fn the_size_of_a_tick_number_tells_its_unit() {
    let table = [
        ("0", "1970-01-01T00:00:00Z"),
        ("2025", "1970-01-01T00:33:45Z"),
        ("1718000000", "2024-06-10T06:13:20Z"),
        ("99999999999", "5138-11-16T09:46:39Z"),
        ("100000000000", "1973-03-03T09:46:40Z"),
        ("1718000000123", "2024-06-10T06:13:20.123Z"),
        ("99999999999999", "5138-11-16T09:46:39.999Z"),
        ("100000000000000", "1973-03-03T09:46:40Z"),
        ("1718000000123456", "2024-06-10T06:13:20.123456Z"),
        ("99999999999999999", "5138-11-16T09:46:39.999999Z"),
        ("100000000000000000", "1973-03-03T09:46:40Z"),
        ("619999999999999999", "1989-08-24T22:13:19.999999999Z"),
        ("620000000000000000", "1965-09-14T14:13:20Z"),
        ("621355968000000000", "1970-01-01T00:00:00Z"),
        ("638535968001234567", "2024-06-10T06:13:20.1234567Z"),
        ("700000000000000000", "2219-03-20T04:26:40Z"),
        ("700000000000000001", "1992-03-07T20:26:40.000000001Z"),
        ("1718000000123456789", "2024-06-10T06:13:20.123456789Z"),
        ("253402300799999999999", "9999-12-31T23:59:59.999999999Z"),
    ];
    assert_all(json, &table);
    assert_all(text, &table);
}

#[test]
fn fractions_and_exponents_of_numbers_are_exact() {
    let table = [
        ("1718000000.123", "2024-06-10T06:13:20.123Z"),
        ("1718000000.123456789", "2024-06-10T06:13:20.123456789Z"),
        ("1718000000.1234567899", "2024-06-10T06:13:20.123456789Z"),
        ("1718000000123.25", "2024-06-10T06:13:20.12325Z"),
        ("1718000000123456789.9", "2024-06-10T06:13:20.123456789Z"),
        ("0.5", "1970-01-01T00:00:00.5Z"),
        ("1.0", "1970-01-01T00:00:01Z"),
        ("1.718e9", "2024-06-10T06:13:20Z"),
        ("1.718000000123456789E+18", "2024-06-10T06:13:20.123456789Z"),
        ("17180000001230e-1", "2024-06-10T06:13:20.123Z"),
        ("15e-1", "1970-01-01T00:00:01.5Z"),
        ("1e-64", "1970-01-01T00:00:00Z"),
        ("0e5", "1970-01-01T00:00:00Z"),
    ];
    assert_all(json, &table);
}

#[test]
fn negative_huge_and_foreign_values_are_refused() {
    let table = [
        "-1",
        "-0",
        "-0.0",
        "-1718000000",
        "253402300800000000000",
        "1e30",
        "1e64",
        "1e65",
        "1e999999999999999999999",
        "1e-65",
        "340282366920938463463374607431768211455",
        "340282366920938463463374607431768211456",
        "999999999999999999999999999999999999999999999999999999999999999",
        "true",
        "false",
        "null",
        "[]",
        "{}",
        "[1718000000]",
        r#"{"a":1}"#,
        r#""""#,
        r#""\ud800""#,
        r#""-1""#,
        r#""1718000000.5""#,
        r#""1e9""#,
    ];
    assert_none(json, &table);
    assert_none(json, &[&"9".repeat(100_000), &format!("1.{}", "0".repeat(64)), &format!("\"{}\"", "0".repeat(65))]);
}

#[test]
fn escapes_in_a_string_are_read() {
    assert_eq!(json(r#""\u0032025-06-09""#).as_deref(), Some("2025-06-09T00:00:00Z"));
    let all_escaped: String = "2025-06-09T10:30Z".chars().map(|c| format!("\\u{:04x}", c as u32)).collect();
    assert_eq!(json(&format!("\"{all_escaped}\"")).as_deref(), Some("2025-06-09T10:30:00Z"));
}

/// Instants that both jiff types hold.
fn instants() -> impl Strategy<Value = Timestamp> {
    (-62_167_219_200_i64..253_402_200_000, 0..1_000_000_000_i32)
        .prop_filter_map("in range", |(seconds, nanos)| Timestamp::new(seconds, nanos).ok())
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(input in any::<String>()) {
        let _ = parse_text(&input);
    }

    #[test]
    fn no_text_of_the_right_letters_makes_the_parser_panic(input in "[-+0-9TWZ:., eé]{0,40}") {
        let _ = parse_text(&input);
        let _ = ticks::parse(&input);
    }

    #[test]
    fn a_printed_instant_is_read_back(instant in instants()) {
        let printed = instant.to_string();
        prop_assert_eq!(text(&printed), Some(printed));
    }

    #[test]
    fn basic_and_extended_forms_agree(instant in instants(), minutes in -1_439..1_440_i32) {
        let offset = format!("{}{:02}:{:02}", if minutes < 0 { '-' } else { '+' }, minutes.abs() / 60, minutes.abs() % 60);
        let local = jiff::tz::Offset::UTC.to_datetime(instant);
        let extended = format!("{}{offset}", local.strftime("%Y-%m-%dT%H:%M:%S%.9f"));
        let basic = format!("{}{}", local.strftime("%Y%m%dT%H%M%S%.9f"), offset.replace(':', ""));
        let week = format!("{}{offset}", local.strftime("%G-W%V-%uT%H:%M:%S%.9f"));
        let ordinal = format!("{}{offset}", local.strftime("%Y-%jT%H:%M:%S%.9f"));
        let expected = text(&extended);
        prop_assert_eq!(&text(&basic), &expected);
        prop_assert_eq!(&text(&ordinal), &expected);
        // The ISO year of a week date may lie outside 0 to 9999 although the date does not.
        if (1..9999).contains(&local.year()) {
            prop_assert_eq!(&text(&week), &expected);
        }
    }

    #[test]
    fn nanoseconds_and_the_printed_instant_agree(seconds in 1_000_000_000_i64..253_402_200_000, nanos in 0..1_000_000_000_i32) {
        let instant = Timestamp::new(seconds, nanos).unwrap();
        prop_assert_eq!(json(&instant.as_nanosecond().to_string()), Some(instant.to_string()));
    }
}
