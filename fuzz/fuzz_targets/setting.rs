//! Values of settings, wherever they come from: what is taken keeps the bounds that the reference promises, and what
//! is not is told by name, in one line, without a secret.
#![no_main]

use std::net::Ipv4Addr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use chassis::config::{ChassisConfig, CommaList, FromText, Layers, Origin, Reader, SETTINGS, SettingInfo, explain};
use chassis::ports::secrets::SecretRef;
use fuzz::{TOKEN, hides_the_token};
use libfuzzer_sys::fuzz_target;
use pipeline::config::{ArchiverConfig, HIDDEN_AGES, IngestConfig};

static KNOWN: LazyLock<Vec<SettingInfo>> = LazyLock::new(|| {
    let sections = SETTINGS.iter().chain(pipeline::config::SETTINGS);
    sections.flat_map(|section| section.settings).copied().collect()
});

// The number of services, then `NAME=value` on a line each; `¶` is a line break within a value.
fuzz_target!(|text: &str| {
    if text.contains(TOKEN) {
        return;
    }
    let mut layers = Layers::of(&[("API_TOKEN", TOKEN)]);
    let mut lines = text.lines();
    let services = lines.next().and_then(|line| line.parse().ok()).unwrap_or(1_usize).clamp(1, 4);
    for (name, value) in lines.filter_map(|line| line.split_once('=')) {
        let value = value.replace('¶', "\n");
        check_types(&value);
        if let Some(info) = KNOWN.iter().find(|info| info.name == name && !info.secret) {
            layers.set(info.name, &value, Origin::Environment);
        }
    }
    for info in KNOWN.iter() {
        hides_the_token(&explain(info, &layers).value);
    }

    let mut reader = Reader::new(&layers);
    let config = ChassisConfig::read(&mut reader, services, Ipv4Addr::LOCALHOST);
    let (ingest, archiver) = (IngestConfig::read(&mut reader), ArchiverConfig::read(&mut reader));
    hides_the_token(&(&config, ingest));
    match reader.finish(()) {
        Ok(()) => {
            check(&config, services);
            check_archiver(archiver);
            let is_rolled_up = layers.find("ARCHIVE_ROLLUP").is_some();
            assert_eq!(archiver.rollup.is_some(), is_rolled_up, "{archiver:?}");
            let is_told = config.host.is_loopback() || layers.find("PRODUCTION").is_some();
            assert!(is_told, "{} is open to others, and nobody said so", config.host);
        }
        Err(mistakes) => {
            hides_the_token(&mistakes.to_string());
            assert!(!mistakes.lines().is_empty());
            for line in mistakes.lines() {
                assert!(KNOWN.iter().any(|info| line.starts_with(info.name)), "no setting is named: {line}");
                assert!(line.contains("expected ") && !line.contains(char::is_control) && line.len() < 1500, "{line}");
            }
        }
    }
});

/// The bounds in `docs/CONFIGURATION.md`.
fn check(config: &ChassisConfig, services: usize) {
    let http = &config.http;
    assert!(http.request_timeout >= Duration::from_millis(100));
    for count in [http.max_body_bytes, http.max_requests, http.connections.max, http.connections.max_per_client] {
        assert!((1..=1 << 30).contains(&count), "{count}");
    }
    for origin in &http.cors_origins {
        let (scheme, authority) = origin.split_once("://").expect("an origin has a scheme");
        assert!(!scheme.is_empty() && !authority.is_empty(), "{origin}");
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"/?#@\\".contains(&byte);
        assert!(authority.bytes().all(is_plain), "{origin} is no origin of a page");
    }
    assert!(config.lifetimes.drain_delay < config.lifetimes.shutdown_grace);
    assert!(services == 1 || (config.service_name.is_none() && config.service_port.is_none()));
    let ports = usize::from(config.internal_port.unwrap_or(0)) + services - 1;
    assert!(ports <= usize::from(u16::MAX), "there is no internal port for each service");
    for service in &config.consumer_services {
        assert!(!service.name.is_empty() && !service.endpoint.is_empty() && service.port > 0, "{service:?}");
        assert!(service.timeout > 0.0 && service.timeout.is_finite(), "{service:?}");
        assert!(["http", "https"].contains(&service.scheme.as_str()), "{service:?}");
    }
}

fn check_archiver(archiver: ArchiverConfig) {
    let hours = 60 * 60;
    assert!((Duration::from_secs(1)..=Duration::from_secs(12 * hours)).contains(&archiver.visibility));
    assert!((1..=10).contains(&archiver.max_messages));
    assert!((1..=1000).contains(&archiver.max_receive_count) && (1..=1000).contains(&archiver.concurrency));
    assert!(archiver.poll_wait <= Duration::from_secs(20));
    if let Some(rollup) = archiver.rollup {
        assert!((1_000..=1_000_000_000).contains(&rollup.size_bytes), "{rollup:?}");
        assert!((Duration::from_millis(100)..=Duration::from_secs(hours)).contains(&rollup.age), "{rollup:?}");
        // A message waits for its roll-up unseen by others.
        assert!(archiver.visibility >= rollup.age * HIDDEN_AGES, "{archiver:?}");
        let rules = archiver.age_that_hides();
        assert!(rules.is_none_or(|age| age == rollup.age && archiver.visibility == age * HIDDEN_AGES), "{archiver:?}");
    }
}

/// What one type of value says of another must fit.
fn check_types(text: &str) {
    if let Some(time) = Duration::from_text(text) {
        let deadlines = [Instant::now().checked_add(time), Instant::now().checked_add(time + time)];
        assert!(deadlines.iter().all(Option::is_some), "{text} has no end");
        let seconds = text.parse::<u32>().ok();
        assert!(seconds.is_none_or(|seconds| time == Duration::from_secs(seconds.into())), "{text} is not {time:?}");
    }
    if let Some(CommaList(items)) = CommaList::<String>::from_text(text) {
        assert!(items.iter().all(|item| !item.is_empty() && item.trim() == item && !item.contains(',')));
        assert_eq!(CommaList::from_text(&items.join(",")), Some(CommaList(items)));
    }
    if let Some(reference) = SecretRef::parse(text, &["env", "file"]) {
        assert!(!reference.name.is_empty() && reference.to_string() == text);
    }
}
