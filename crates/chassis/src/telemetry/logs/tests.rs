//! Whole lines, from the event to the bytes.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use proptest::prelude::*;
use serde_json::Value;
use tracing::{debug, error, info, warn};

use super::*;
use crate::telemetry::correlation::{CorrelationId, TraceContext, in_scope};
use crate::testing::ManualClock;

fn settings(format: Format) -> LogSettings {
    LogSettings { format, ..LogSettings::new("keelson") }
}

fn captured(settings: LogSettings) -> (Arc<Logs>, Captured) {
    Logs::captured(settings, ManualClock::new()).unwrap()
}

/// What `work` logs.
fn logged(settings: LogSettings, work: impl FnOnce()) -> String {
    let (logs, captured) = captured(settings);
    tracing::dispatcher::with_default(&logs.dispatch(), work);
    logs.close();
    captured.text()
}

fn json(work: impl FnOnce()) -> String {
    logged(settings(Format::Json), work)
}

fn terminal(work: impl FnOnce()) -> String {
    logged(settings(Format::Terminal { color: false }), work)
}

fn scope() -> Scope {
    Scope {
        service: "ingest".into(),
        correlation_id: CorrelationId::parse(b"0197547b-4f13-7a6e-a7c8-1d2e3f405162"),
        trace: Some(TraceContext { trace_id: 0xabc, span_id: 0xdef, sampled: false }),
        client: None,
        deadline: None,
    }
}

fn record<'a>(method: &'a Method, path: &'a str) -> AccessRecord<'a> {
    AccessRecord {
        method,
        route: "/health",
        path,
        status: 200,
        duration: Duration::from_micros(1_234),
        client: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        is_probe: false,
    }
}

fn access_line(settings: LogSettings, record: &AccessRecord<'_>) -> String {
    let (logs, captured) = captured(settings);
    logs.access(record, &scope());
    logs.close();
    captured.text()
}

#[tokio::test]
async fn a_json_line_has_the_fixed_fields_first_and_in_order() {
    let (logs, captured) = captured(settings(Format::Json));
    let work = async { info!(order.id = 7, ok = true, ratio = 0.5, "created order {}", 7) };
    in_scope(scope(), tracing::instrument::WithSubscriber::with_subscriber(work, logs.dispatch())).await;
    logs.close();
    let expected = concat!(
        r#"{"timestamp":"2025-06-09T10:30:45.000000Z","level":"INFO","message":"created order 7","service":"ingest","#,
        r#""correlation_id":"0197547b-4f13-7a6e-a7c8-1d2e3f405162","trace_id":"00000000000000000000000000000abc","#,
        r#""span_id":"0000000000000def","target":"chassis::telemetry::logs::tests","order.id":7,"ok":true,"ratio":0.5}"#,
        "\n"
    );
    assert_eq!(captured.text(), expected);
}

#[test]
fn outside_a_scope_there_are_no_ids() {
    let line = json(|| warn!("disk is filling up"));
    let expected = concat!(
        r#"{"timestamp":"2025-06-09T10:30:45.000000Z","level":"WARNING","message":"disk is filling up","#,
        r#""service":"keelson","target":"chassis::telemetry::logs::tests"}"#,
        "\n"
    );
    assert_eq!(line, expected);
}

#[test]
fn a_name_that_is_taken_gets_a_prefix() {
    let line = json(|| info!(level = 1, a = 2, field.a = 3, timestamp = "x", r#type = "t", "m"));
    assert!(
        line.ends_with(",\"field.level\":1,\"a\":2,\"field.a\":3,\"field.timestamp\":\"x\",\"type\":\"t\"}\n"),
        "{line}"
    );
}

#[test]
fn a_name_that_comes_twice_is_two_keys() {
    let line = json(|| info!(a = 1, "a" = 2, field.a = 3, message = "first", "message" = 5));
    assert!(line.contains(r#""message":"first""#), "{line}");
    assert!(line.ends_with(",\"a\":1,\"field.a\":2,\"field.field.a\":3,\"field.message\":5}\n"), "{line}");
}

#[test]
fn numbers_that_json_does_not_know_are_strings() {
    let line = json(|| info!(a = f64::NAN, b = f64::NEG_INFINITY, c = u128::MAX, d = i64::MIN, e = 1e300, "m"));
    let value: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&value["a"], &value["b"]), (&"NaN".into(), &"-inf".into()));
    assert!(value["c"].is_number() && value["d"].is_number() && value["e"].is_number());
}

#[test]
fn a_huge_value_is_cut_and_the_line_stays_valid() {
    let huge = "\u{1}ü".repeat(1_000_000);
    let line = json(|| info!(text = huge.as_str(), debug = ?huge, "{huge}"));
    assert!(line.len() < 256 * 1024, "{}", line.len());
    let value: Value = serde_json::from_str(&line).unwrap();
    for name in ["message", "text", "debug"] {
        assert!(value[name].as_str().unwrap().ends_with('…'), "{name}");
    }
}

#[test]
fn an_error_is_written_with_its_causes() {
    let cause = io::Error::other("disk is full");
    let error = LogError::Stream(cause);
    let line = json(|| error!(error = &error as &(dyn std::error::Error + 'static), "stopped"));
    assert!(line.contains(r#""error":"cannot write logs to the standard streams: disk is full""#), "{line}");
}

#[test]
fn a_value_may_log_while_it_is_written() {
    struct Talkative(Arc<Logs>);
    impl std::fmt::Debug for Talkative {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.0.access(&record(&Method::GET, "/inner"), &scope());
            f.write_str("outer")
        }
    }
    let (logs, captured) = captured(settings(Format::Json));
    let value = Talkative(Arc::clone(&logs));
    tracing::dispatcher::with_default(&logs.dispatch(), || info!(a = 1, b = ?value, "m"));
    logs.close();
    let text = captured.text();
    assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{text}");
    assert!(text.ends_with(",\"a\":1,\"b\":\"outer\"}\n"), "{text}");
    assert!(text.contains("GET /inner 200"), "{text}");
}

#[test]
fn critical_events_say_so() {
    assert!(json(|| error!(target: CRITICAL, "out of disk")).contains(r#""level":"CRITICAL""#));
}

#[test]
fn the_level_can_change_at_run_time() {
    let (logs, captured) = captured(settings(Format::Json));
    let say = || debug!("said");
    tracing::dispatcher::with_default(&logs.dispatch(), || {
        say();
        logs.set_level(Level::Debug);
        say();
        logs.set_level(Level::Error);
        say();
        warn!("not said");
    });
    logs.access(&record(&Method::GET, "/health"), &scope());
    logs.close();
    assert_eq!(captured.text().lines().count(), 1);
    assert_eq!(logs.level(), Level::Error);
}

#[test]
fn other_crates_follow_the_filter() {
    let work = || {
        info!(target: "hyper::proto", "not shown");
        warn!(target: "hyper::proto", "shown");
        info!(target: "chassis::run", "shown too");
        info!(target: "rustls", "shown by the filter");
    };
    let text = logged(LogSettings { filter: "rustls=info".to_owned(), ..settings(Format::Json) }, work);
    assert_eq!(text.lines().count(), 3);
    assert!(!text.contains("not shown"));
}

#[test]
fn a_panic_is_one_line() {
    let line = json(|| panics::report("first\nsecond", Some(std::panic::Location::caller())));
    let value: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["level"], "ERROR");
    assert_eq!(value["message"], "panicked: first\nsecond");
    assert!(value["location"].as_str().unwrap().contains("tests.rs:"), "{line}");
}

#[test]
fn an_access_line_says_who_asked_what_and_how_it_went() {
    let line = access_line(settings(Format::Json), &record(&Method::GET, "/health?token=secret"));
    let (_, rest) = line.split_once(r#""target":"#).unwrap();
    let expected = concat!(
        r#""keelson::access","method":"GET","route":"/health","path":"/health","status":200,"#,
        r#""duration_ms":1.234,"client":"127.0.0.1"}"#,
        "\n"
    );
    assert_eq!(rest, expected);
    assert!(line.contains(r#""level":"INFO","message":"GET /health 200","service":"ingest","correlation_id":""#));
}

#[test]
fn a_failed_request_is_an_error_and_an_unavailable_service_a_warning() {
    let failed = AccessRecord { status: 500, ..record(&Method::GET, "/health") };
    let quiet = || LogSettings { level: Level::Warning, ..settings(Format::Json) };
    assert!(access_line(quiet(), &failed).contains(r#""level":"ERROR","message":"GET /health 500""#));
    let unavailable = AccessRecord { status: 503, ..failed };
    assert!(access_line(quiet(), &unavailable).contains(r#""level":"WARNING","message":"GET /health 503""#));
}

#[test]
fn a_terminal_line_is_for_people() {
    let line = access_line(settings(Format::Terminal { color: false }), &record(&Method::GET, "/health"));
    let expected =
        "10:30:45.000 INFO      ingest  GET /health 200  duration_ms=1.234 client=127.0.0.1  cid=…3f405162\n";
    assert_eq!(line, expected);
    let plain = terminal(|| info!("ready"));
    assert_eq!(plain, "10:30:45.000 INFO      keelson  ready\n");
    let other = terminal(|| warn!(target: "hyper", reason = "too long", empty = "", "closed"));
    assert_eq!(other, "10:30:45.000 WARNING   keelson  closed  target=hyper reason=\"too long\" empty=\"\"\n");
}

#[test]
fn only_the_level_is_coloured_and_only_on_demand() {
    let line = logged(settings(Format::Terminal { color: true }), || error!(text = "\u{1b}[2J", "m"));
    assert_eq!(line, "10:30:45.000 \u{1b}[31mERROR   \u{1b}[0m  keelson  m  text=\\u{1b}[2J\n");
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn files_are_json_by_service_and_errors_are_apart() {
    let folder = tempfile::tempdir().unwrap();
    let colored = LogSettings { dir: Some(folder.path().to_owned()), ..settings(Format::Terminal { color: true }) };
    let (logs, captured) = captured(colored);
    tracing::dispatcher::with_default(&logs.dispatch(), || {
        info!("fine");
        error!("broken");
        error!(target: CRITICAL, "lost");
    });
    logs.access(&record(&Method::GET, "/health"), &scope());
    logs.close();
    assert_eq!(captured.text().lines().count(), 4);
    let levels = |name: &str| -> Vec<String> {
        let parse = |line: &str| serde_json::from_str::<Value>(line).unwrap()["level"].as_str().unwrap().to_owned();
        read(folder.path(), name).lines().map(parse).collect()
    };
    assert_eq!(levels("keelson.log"), ["INFO", "ERROR", "CRITICAL"]);
    assert_eq!(levels("keelson_errors.log"), ["ERROR", "CRITICAL"]);
    assert_eq!(levels("ingest.log"), ["INFO"]);
    assert!(!folder.path().join("ingest_errors.log").exists());
}

#[test]
fn wrong_settings_are_clear_errors() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let below_a_file = LogSettings { dir: Some(file.path().join("logs")), ..settings(Format::Json) };
    let refusal = Logs::captured(below_a_file, ManualClock::new()).unwrap_err().to_string();
    assert!(refusal.starts_with("LOG_DIR: cannot write log files to /"), "{refusal}");
    let misspelt = LogSettings { filter: "wran".to_owned(), ..settings(Format::Json) };
    let refusal = Logs::captured(misspelt, ManualClock::new()).unwrap_err().to_string();
    assert!(refusal.starts_with("LOG_FILTER: `wran` is neither"), "{refusal}");
}

/// Any text, with more than its share of what breaks lines.
fn hostile() -> impl Strategy<Value = String> {
    let nasty = prop::sample::select(vec![
        "\n",
        "\r\n",
        "\"",
        "\\",
        "\u{1b}[31m",
        "\u{9b}2J",
        "\0",
        "\u{7f}",
        "\u{2028}",
        "\u{202e}",
        "\"}\n{\"a\":\"",
    ]);
    prop::collection::vec(prop_oneof![nasty.prop_map(str::to_owned), any::<String>()], 0..6)
        .prop_map(|parts| parts.concat())
}

fn has_control(text: &str) -> bool {
    text.chars().any(|c| c.is_control() || c == '\u{2028}' || c == '\u{202e}')
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn any_event_is_one_valid_json_line(message in hostile(), value in hostile()) {
        let line = json(|| info!(text = value.as_str(), shown = %value, level = ?value, "x{message}"));
        prop_assert!(!has_control(line.strip_suffix('\n').unwrap()), "{:?}", line);
        let parsed: Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(parsed["message"].as_str().unwrap(), format!("x{message}"));
        prop_assert_eq!(parsed["text"].as_str().unwrap(), value.as_str());
        prop_assert_eq!(parsed["shown"].as_str().unwrap(), value.as_str());
        prop_assert_eq!(parsed["field.level"].as_str().unwrap(), format!("{value:?}"));
    }

    #[test]
    fn any_request_is_one_valid_json_line(path in hostile()) {
        let line = access_line(settings(Format::Json), &record(&Method::GET, &path));
        prop_assert!(!has_control(line.strip_suffix('\n').unwrap()), "{:?}", line);
        let parsed: Value = serde_json::from_str(&line).unwrap();
        prop_assert!(!parsed["path"].as_str().unwrap().contains('?'));
    }

    #[test]
    fn no_value_moves_the_terminal(message in hostile(), value in hostile()) {
        let line = terminal(|| info!(text = value.as_str(), shown = %value, "{message}"));
        prop_assert!(!has_control(line.strip_suffix('\n').unwrap()), "{:?}", line);
        let line = access_line(settings(Format::Terminal { color: false }), &record(&Method::GET, &value));
        prop_assert!(!has_control(line.strip_suffix('\n').unwrap()), "{:?}", line);
    }
}
