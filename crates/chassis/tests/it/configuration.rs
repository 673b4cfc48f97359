//! Configuration: layers, mistakes, the reference.

use std::net::Ipv4Addr;
use std::time::Duration;

use chassis::config::{self, ChassisConfig, ClientAuth, Layers, Mistakes, Origin, Reader, SettingInfo, TlsConfig};

fn known() -> Vec<SettingInfo> {
    config::SETTINGS.iter().flat_map(|section| section.settings).copied().collect()
}

fn read(layers: &Layers, services: usize) -> Result<ChassisConfig, Mistakes> {
    let mut reader = Reader::new(layers);
    let config = ChassisConfig::read(&mut reader, services, Ipv4Addr::LOCALHOST);
    reader.finish(config)
}

fn mistakes(settings: &[(&'static str, &str)]) -> Vec<String> {
    read(&Layers::of(settings), 2).expect_err("mistakes").lines().to_vec()
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let config = read(&Layers::default(), 1).unwrap();
    assert!(!config.production);
    assert_eq!(config.internal_port, None);
    assert_eq!(config.lifetimes.drain_delay, Duration::ZERO);
    assert_eq!(config.lifetimes.shutdown_grace, Duration::from_secs(25));
    assert_eq!(config.http.rate_limit.unwrap().get(), 100);
    assert!(config.http.metrics && config.http.docs && config.http.spare_loopback);
    let production = read(&Layers::of(&[("PRODUCTION", "true")]), 1).unwrap();
    assert_eq!(production.internal_port, Some(9090));
    assert_eq!(production.lifetimes.drain_delay, Duration::from_secs(5));
}

#[test]
fn one_message_lists_every_mistake_with_what_was_found_and_expected() {
    let lines = mistakes(&[
        ("LOG_LEVEL", "LOUD"),
        ("RATE_LIMIT", "many"),
        ("SERVICE_PORT", "8080"),
        ("CONSUMER_SERVICES", "{}"),
        ("KEELSON_HOST", "0.0.0.0"),
    ]);
    assert_eq!(lines.len(), 5, "{lines:#?}");
    let one = |start: &str| lines.iter().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}"));
    assert_eq!(one("LOG_LEVEL"), "LOG_LEVEL=LOUD (environment): expected one of DEBUG, INFO, WARNING, ERROR, CRITICAL");
    assert_eq!(one("RATE_LIMIT"), "RATE_LIMIT=many (environment): expected a whole number, such as `100`");
    assert!(one("SERVICE_PORT").contains("several services"));
    assert!(one("CONSUMER_SERVICES").contains("a JSON array"));
    assert!(one("PRODUCTION is not set").contains("true or false"));
}

#[test]
fn consumer_services_have_names_endpoints_and_ports() {
    let good = r#"[{"name":"a","endpoint":"a.internal","port":1},{"name":"a","endpoint":"::1","port":2,"timeout":5,"scheme":"https"}]"#;
    let services = read(&Layers::of(&[("CONSUMER_SERVICES", good)]), 1).unwrap().consumer_services;
    assert_eq!((services[0].timeout, services[0].scheme.as_str()), (30.0, "http"));
    assert_eq!([0, 1].map(|service: usize| services[service].call_timeout().as_secs()), [30, 5]);
    let endless = r#"[{"name":"a","endpoint":"b","port":1,"timeout":1e300}]"#;
    let services = read(&Layers::of(&[("CONSUMER_SERVICES", endless)]), 1).unwrap().consumer_services;
    assert_eq!(services[0].call_timeout().as_secs(), 24 * 3600, "it can be added to an instant");
    for bad in [
        "nonsense",
        r#"[{"name":"a"}]"#,
        r#"[{"name":"a","endpoint":"b","port":0}]"#,
        r#"[{"name":"a","endpoint":"http://b/","port":1}]"#,
        r#"[{"name":"a","endpoint":"b","port":1,"scheme":"ftp"}]"#,
        r#"[{"name":"a","endpoint":"b","port":1,"timeout":-1}]"#,
    ] {
        assert_eq!(mistakes(&[("CONSUMER_SERVICES", bad)]).len(), 1, "{bad}");
    }
}

#[test]
fn an_origin_is_a_scheme_and_a_host_and_nothing_else() {
    for good in ["https://app.example.com", "http://localhost:3000", "http://[::1]:80"] {
        assert_eq!(read(&Layers::of(&[("CORS_ORIGINS", good)]), 1).unwrap().http.cors_origins, [good]);
    }
    for bad in [
        "*",
        "null",
        "a.example",
        "https://",
        "https://a/",
        "https://a/b",
        "https://a?b",
        "https://a#b",
        "https://u@a",
        "HTTPS://A",
        "https://a:",
        "://a",
    ] {
        assert_eq!(mistakes(&[("CORS_ORIGINS", bad)]).len(), 1, "{bad}");
    }
}

#[test]
fn settings_of_tls_are_right_together_or_refused() {
    let read = |settings: &[(&'static str, &str)]| read(&Layers::of(settings), 1).unwrap().tls;
    let (own, ca) = ([("TLS_CERT_FILE", "a.pem"), ("TLS_KEY_FILE", "a.key")], ("TLS_CA_FILE", "ca.pem"));
    let with = |more: &[(&'static str, &'static str)]| [&own[..], more].concat();
    assert_eq!((read(&[]), read(&[]).scheme()), (TlsConfig::default(), "http"));
    assert_eq!((read(&own).scheme(), read(&own).client_auth), ("https", ClientAuth::Off));
    assert_eq!(read(&[ca]).client_auth, ClientAuth::Off, "nobody can be asked without TLS");
    assert_eq!(read(&with(&[ca])).client_auth, ClientAuth::Optional);
    assert_eq!(read(&with(&[ca, ("TLS_CLIENT_AUTH", "required")])).client_auth, ClientAuth::Required);
    assert_eq!(read(&with(&[ca, ("TLS_CLIENT_AUTH", "off")])).client_auth, ClientAuth::Off);
    for (settings, found) in [
        (vec![own[0]], "TLS_KEY_FILE is not set: expected the private key of TLS_CERT_FILE"),
        (vec![own[1]], "TLS_CERT_FILE is not set: expected the certificate of TLS_KEY_FILE"),
        (
            with(&[("TLS_CLIENT_AUTH", "required")]),
            "TLS_CLIENT_AUTH=required (environment): expected `off`, or TLS_CA_FILE",
        ),
        (
            vec![ca, ("TLS_CLIENT_AUTH", "optional")],
            "TLS_CLIENT_AUTH=optional (environment): expected `off`, or TLS_CERT_FILE",
        ),
        (
            with(&[ca, ("TLS_CLIENT_AUTH", "maybe")]),
            "TLS_CLIENT_AUTH=maybe (environment): expected `off`, `optional` or",
        ),
    ] {
        let lines = mistakes(&settings);
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert!(lines[0].starts_with(found), "{}", lines[0]);
    }
}

#[test]
fn service_identities_say_what_is_wrong_with_them() {
    let good = r#"[{"identity":"spiffe://example.org/orders","scopes":["users:read"]}]"#;
    let identities = read(&Layers::of(&[("SERVICE_IDENTITIES", good)]), 1).unwrap().identities;
    assert_eq!(identities.scopes("spiffe://example.org/orders").unwrap(), ["users:read"]);
    let lines = mistakes(&[("SERVICE_IDENTITIES", r#"[{"identity":"orders","scopes":[]}]"#)]);
    let found = "(environment): found `orders`, expected a SPIFFE id";
    assert!(lines.len() == 1 && lines[0].starts_with("SERVICE_IDENTITIES=") && lines[0].contains(found), "{lines:#?}");
}

#[test]
fn flags_beat_the_environment_which_beats_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keelson.toml");
    let text = "rate_limit = 5\ncors_origins = [\"https://a.example\", \"https://b.example\"]\n[log]\nlevel = \"DEBUG\"\n[[consumer_services]]\nname = \"a\"\nendpoint = \"b\"\nport = 1\n";
    std::fs::write(&path, text).unwrap();
    let mut layers = Layers::load(&known(), Some(&path), &[("RATE_LIMIT", "--rate-limit", "7".into())]).unwrap();
    assert_eq!(layers.find("LOG_LEVEL"), Some(("DEBUG", &Origin::File(path.clone()))));
    layers.set("LOG_LEVEL", "ERROR", Origin::Environment);
    let config = read(&layers, 1).unwrap();
    assert_eq!(config.http.rate_limit.unwrap().get(), 7);
    assert_eq!(config.http.cors_origins.len(), 2);
    assert_eq!(config.logs.level.to_string(), "ERROR");
    assert_eq!(config.consumer_services.len(), 1);
}

#[test]
fn a_file_with_unknown_settings_or_that_is_no_toml_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keelson.toml");
    let load = || Layers::load(&known(), Some(&path), &[]).unwrap_err().lines().to_vec();
    assert!(load()[0].contains("cannot be read"));
    std::fs::write(&path, "rate_limt = 5\n[log]\nlevle = 1\n").unwrap();
    let lines = load();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].contains("LOG_LEVLE") || lines[1].contains("LOG_LEVLE"), "{lines:?}");
    std::fs::write(&path, "rate_limit = = 5").unwrap();
    assert!(load()[0].contains("expected TOML"));
}

#[test]
fn the_reference_names_every_setting_and_its_default() {
    let page = config::reference(config::SETTINGS);
    for setting in known() {
        assert!(page.contains(&format!("| `{}` |", setting.name)), "{}", setting.name);
    }
    assert!(page.contains("| `RATE_LIMIT` | `100` |"));
}
