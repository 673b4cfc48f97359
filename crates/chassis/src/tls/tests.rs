//! Files that are wrong, and calls of other services.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::get;

use super::pki::{Authority, Folder, ORDERS};
use super::*;
use crate::client::{CallEncryption, CallLimits, Callees, ServiceUrls};
use crate::config::{ChassisConfig, Layers, Reader};
use crate::lifecycle::Lifecycle;
use crate::server::{self, Limits};
use crate::telemetry::metrics::Metrics;

const USERS: &str = "spiffe://example.org/users";

#[test]
fn files_that_are_wrong_say_which_and_what_was_expected() {
    let authority = Authority::new("ours");
    let (one, other) = (authority.issue(ORDERS), authority.issue(ORDERS));
    let cases: [(&str, Option<&str>, &str, &str); 9] = [
        ("cert.pem", None, "TLS_CERT_FILE=", "found a file that cannot be read"),
        ("key.pem", None, "TLS_KEY_FILE=", "found a file that cannot be read"),
        ("ca.pem", None, "TLS_CA_FILE=", "found a file that cannot be read"),
        (
            "cert.pem",
            Some(&one.key),
            "TLS_CERT_FILE=",
            "found no certificate, expected a PEM file with the certificate",
        ),
        (
            "cert.pem",
            Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "TLS_CERT_FILE=",
            "cannot be",
        ),
        ("key.pem", Some(&one.certificate), "TLS_KEY_FILE=", "found no private key, expected the private key of the"),
        ("key.pem", Some(&other.key), "TLS_KEY_FILE=", "found the key of another certificate"),
        ("ca.pem", Some(""), "TLS_CA_FILE=", "found no certificate, expected a PEM file with the certificates of"),
        ("ca.pem", Some("-----BEGIN CERTIFICATE-----\nAAAA"), "TLS_CA_FILE=", "found PEM that cannot be read"),
    ];
    for (file, text, setting, found) in cases {
        let folder = Folder::of(&authority, &one);
        match text {
            Some(text) => folder.write(file, text),
            None => std::fs::remove_file(folder.path(file)).unwrap(),
        }
        let error = Tls::load(&folder.config(ClientAuth::Off)).unwrap_err().to_string();
        assert!(error.starts_with(setting) && error.contains(file) && error.contains(found), "{error}");
        assert!(!error.contains("PRIVATE KEY"), "{error}");
    }
    assert!(Tls::load(&TlsConfig::default()).unwrap().is_none());
}

/// A service that asks for certificates, and counts the requests of those who show one.
#[expect(clippy::disallowed_methods, reason = "the task ends with the test")]
fn serve(folder: &Folder) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let routes = Router::new().route(
        "/hello",
        get(async move || {
            count.fetch_add(1, Ordering::Relaxed);
        }),
    );
    let listener = server::bind("127.0.0.1:0".parse().unwrap(), "PORT").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let config = ChassisConfig::read(&mut Reader::new(&Layers::of(&[])), 1, std::net::Ipv4Addr::LOCALHOST);
    let tls = Tls::load(&folder.config(ClientAuth::Required)).unwrap().unwrap();
    let tls = tls.listener(true, false, &Arc::default()).unwrap();
    let limits = Limits::new(100, &config.http, Metrics::new("test", "1"), Arc::default()).over(tls);
    tokio::spawn(server::serve(listener, routes, limits, Lifecycle::new()));
    (url, asked)
}

async fn call(url: &str, tls: &Arc<Tls>) -> Result<u16, String> {
    let (metrics, encryption) = (Metrics::new("order-service", "1"), CallEncryption::new("order-service", None));
    let callees = Callees::new("order-service".into(), metrics, Some(Arc::clone(tls)), encryption);
    let client = callees.client("user-service", url.parse::<ServiceUrls>().unwrap(), CallLimits::default()).unwrap();
    client.get(&["hello"]).send().await.map(|answer| answer.status().as_u16()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_call_shows_the_certificate_and_refuses_a_service_of_another_authority() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let orders = Tls::load(&Folder::of(&ours, &ours.issue(ORDERS)).config(ClientAuth::Off)).unwrap().unwrap();
    let (url, asked) = serve(&Folder::of(&ours, &ours.issue(USERS)));
    assert_eq!(call(&url, &orders).await, Ok(200));

    let stranger = Folder::of(&theirs, &theirs.issue(ORDERS));
    stranger.write("ca.pem", &ours.pem());
    let stranger = Tls::load(&stranger.config(ClientAuth::Off)).unwrap().unwrap();
    call(&url, &stranger).await.unwrap_err();

    let impostor = Folder::of(&theirs, &theirs.issue(USERS));
    impostor.write("ca.pem", &ours.pem());
    let (url, asked_of_impostor) = serve(&impostor);
    call(&url, &orders).await.unwrap_err();
    assert_eq!((asked.load(Ordering::Relaxed), asked_of_impostor.load(Ordering::Relaxed)), (1, 0));
}

#[tokio::test]
async fn a_name_counts_but_for_the_process_itself_on_its_own_machine() {
    let authority = Authority::new("ours");
    let nameless = |params: &mut rcgen::CertificateParams| {
        params.subject_alt_names.retain(|name| matches!(name, rcgen::SanType::URI(_)))
    };
    let folder = Folder::of(&authority, &authority.issue_with(USERS, nameless));
    let (url, _) = serve(&folder);
    let own = Tls::load(&folder.config(ClientAuth::Off)).unwrap().unwrap();
    assert_eq!(call(&url, &own).await, Ok(200));
    let other = Tls::load(&Folder::of(&authority, &authority.issue(ORDERS)).config(ClientAuth::Off)).unwrap().unwrap();
    call(&url, &other).await.unwrap_err();

    // After a change the certificate before is still the process's own.
    folder.put(&authority.issue_with(USERS, nameless));
    own.look();
    assert_eq!(call(&url, &own).await, Ok(200));
}
