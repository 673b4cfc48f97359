//! A system whose ports all speak TLS: the commands beside it, services that know each other by certificates, and
//! certificates that change under load.

use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::launch::Launch;
use crate::production::serve;
use crate::system::{Answer, System, email};

/// Whoever issues the certificates of a system.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Puts the files of a service where the launch has them.
    fn equip(&self, launch: Launch, id: &str) -> Launch {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
        params.subject_alt_names.push(SanType::URI(id.try_into().unwrap()));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = [
            ("TLS_CA_FILE", "ca.pem", self.pem.clone()),
            ("TLS_KEY_FILE", "key.pem", key.serialize_pem()),
            ("TLS_CERT_FILE", "cert.pem", certificate.pem()),
        ];
        files.into_iter().fold(launch, |launch, (setting, name, text)| {
            let (file, new) = (launch.path(name), launch.path("new.pem"));
            std::fs::write(&new, text).unwrap();
            std::fs::rename(new, &file).unwrap();
            launch.env(setting, &file.display().to_string())
        })
    }

    /// A client that believes this authority and shows nothing.
    fn client(&self) -> reqwest::Client {
        let root = reqwest::Certificate::from_pem(self.pem.as_bytes()).unwrap();
        reqwest::Client::builder().no_proxy().tls_info(true).tls_certs_only([root]).build().unwrap()
    }
}

fn output(launch: &Launch, args: &[&str]) -> (Option<i32>, String) {
    let output = launch.args(args).run();
    (output.status.code(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn up_speaks_tls_alone_and_the_commands_find_it() {
    let authority = Authority::new();
    let launch = authority.equip(Launch::up(), "spiffe://example.org/all");
    let system = launch.start().await;
    assert!(system.url("gateway").starts_with("https://"), "{}", system.ready);
    let http = authority.client();
    let token = std::fs::read_to_string(system.data().join("secrets/api_token")).unwrap();
    let message = json!({"data": email("over TLS"), "token": token.trim()});
    for service in ["ingest", "gateway"] {
        let answer = http.post(format!("{}/api/message", system.url(service))).json(&message);
        assert_eq!(Answer::of(answer).await.status, 200, "{service}");
    }
    let registered = http.post(format!("{}/api/v1/users/register", system.url("gateway")));
    let ann = json!({"username": "ann", "email": "ann@example.com", "password": "a good password of hers"});
    assert_eq!(Answer::of(registered.json(&ann)).await.status, 200);

    let plain = format!("http://{}", system.url("users").trim_start_matches("https://"));
    system.http.get(format!("{plain}/health")).send().await.unwrap_err();
    system.http.get(format!("{}/health", system.url("users"))).send().await.unwrap_err();

    for args in [&["e2e"][..], &["healthcheck"], &["dlq", "list"], &["archive", "ls"]] {
        let (code, text) = output(&launch, args);
        assert_eq!(code, Some(0), "{args:?}: {text}");
    }
}

const TOKEN_KEY: &str = "0123456789abcdef0123456789abcdef-of-tokens";

#[tokio::test]
async fn services_know_each_other_by_certificates_and_operators_need_none() {
    let authority = Authority::new();
    let orders_id = "spiffe://example.org/orders";
    let allowed = json!([{"identity": orders_id, "scopes": ["users:read"]}]).to_string();
    let users = authority.equip(serve(&["users"]), "spiffe://example.org/users").env("JWT_SECRET_KEY", TOKEN_KEY);
    let users = users.env("TLS_CLIENT_AUTH", "required").env("SERVICE_IDENTITIES", &allowed).start().await;
    // Whoever shows no certificate does not get past the handshake, but on the listener of operators.
    let http = authority.client();
    http.get(format!("{}/health", users.url("users"))).send().await.unwrap_err();
    assert_eq!(Answer::of(http.get(format!("{}/health/ready", users.url("users-internal")))).await.status, 200);

    let invoking = json!([{"identity": orders_id, "scopes": ["calls:invoke"]}]).to_string();
    let orders = authority.equip(serve(&["orders"]), orders_id).env("JWT_SECRET_KEY", TOKEN_KEY);
    let orders = orders.env("SERVICE_IDENTITIES", &invoking);
    let orders = orders.env("TLS_CLIENT_AUTH", "optional").env("USER_SERVICE_URL", &users.url("users")).start().await;
    let issued = output(&orders.launch, &["token", "issue", "--scope", "orders:write", "--scope", "users:read"]).1;
    let order = json!({"user_id": "01975408-5f35-7000-8000-000000000001", "shipping_address": "1 Main St",
        "items": [{"product_id": "p", "product_name": "n", "quantity": 1, "price": 1}]});
    let asked = http.post(format!("{}/api/v1/orders", orders.url("orders"))).bearer_auth(issued.trim()).json(&order);
    let answer = Answer::of(asked).await;
    assert_eq!((answer.status, &answer.json()["detail"]), (404, &json!("User not found")), "users was asked");

    // A request without a token is that of the service whose certificate it shows, with the scopes of its entry.
    let called = |path: &str| http.post(format!("{}/call/user-service?method=GET&path={path}", orders.url("orders")));
    let operator = output(&orders.launch, &["token", "issue", "--scope", "calls:invoke"]).1;
    let answer = Answer::of(called("/api/v1/users").header("x-access-token", operator.trim())).await;
    assert_eq!(answer.json()["status"], 403, "a token that is shown counts instead: {answer:?}");
    let identity = reqwest::Identity::from_pem(
        [std::fs::read(orders.launch.path("cert.pem")).unwrap(), std::fs::read(orders.launch.path("key.pem")).unwrap()]
            .concat()
            .as_slice(),
    );
    let root = reqwest::Certificate::from_pem(authority.pem.as_bytes()).unwrap();
    let as_orders = reqwest::Client::builder().no_proxy().tls_certs_only([root]).identity(identity.unwrap());
    let as_orders = as_orders.build().unwrap();
    let listed = Answer::of(as_orders.get(format!("{}/api/v1/users", users.url("users")))).await;
    assert_eq!(listed.status, 200, "{listed:?}");
    let made = as_orders.post(format!("{}/api/v1/users", users.url("users")));
    let made = Answer::of(made.json(&json!({"name": "Ann", "email": "ann@example.com"}))).await;
    assert_eq!(made.status, 403, "{made:?}");

    // What somebody asks through a service is not asked by that service.
    let called = as_orders.post(format!("{}/call/user-service?method=GET&path=/api/v1/users", orders.url("orders")));
    let called = Answer::of(called).await;
    assert_eq!((called.status, &called.json()["status"]), (200, &json!(401)), "{called:?}");
    let place: reqwest::Url = users.url("users").parse().unwrap();
    let known = json!([{"name": "user-service", "endpoint": "127.0.0.1", "port": place.port(), "scheme": "https"}]);
    let gateway = authority.equip(serve(&["gateway"]), orders_id).env("CONSUMER_SERVICES", &known.to_string());
    let gateway = gateway.env("TLS_CLIENT_AUTH", "optional").start().await;
    for client in [&http, &as_orders] {
        let passed = Answer::of(client.get(format!("{}/api/v1/users", gateway.url("gateway")))).await;
        assert_eq!(passed.status, 401, "{passed:?}");
    }
}

#[tokio::test]
async fn a_system_that_is_not_believed_is_not_taken_for_one_that_does_not_run() {
    let authority = Authority::new();
    let launch = authority.equip(Launch::up(), "spiffe://example.org/all");
    let system = launch.start().await;
    let stranger = launch.clone().unset("TLS_CA_FILE").unset("TLS_CERT_FILE").unset("TLS_KEY_FILE");
    for args in [&["dlq", "list"][..], &["healthcheck"]] {
        let (code, text) = output(&stranger, args);
        assert_eq!(code, Some(69), "{args:?}: {text}");
        assert!(text.contains("it answers, and TLS fails"), "{args:?}: {text}");
    }
    assert!(system.data().join("run.json").is_file());
    // A key that does not fit is a warning to the services, and no reason to stop them.
    std::fs::write(launch.path("key.pem"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let (code, text) = output(&launch, &["healthcheck"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("the certificates of services are not looked at"), "{text}");
}

#[tokio::test]
async fn certificates_change_under_load_without_a_request_that_fails() {
    let authority = Authority::new();
    let id = "spiffe://example.org/all";
    let launch = authority.equip(Launch::up().env("RATE_LIMIT", "0"), id);
    let system = launch.start().await;
    let first = shown(&authority, &system).await;
    let mut callers = JoinSet::new();
    for _ in 0..2 {
        let (http, url) = (authority.client(), format!("{}/api/v1/users/stats/count", system.url("gateway")));
        callers.spawn(async move {
            loop {
                // Each over a connection of its own, and so with a handshake.
                let answer = Answer::of(http.get(&url).header("connection", "close")).await;
                assert_eq!(answer.status, 200, "{answer:?}");
                sleep(Duration::from_millis(2)).await;
            }
        });
    }
    authority.equip(launch.clone(), id);
    let begun = Instant::now();
    while shown(&authority, &system).await == first {
        assert!(begun.elapsed() < Duration::from_secs(20), "the new certificate is not shown");
        sleep(Duration::from_millis(50)).await;
    }
    sleep(Duration::from_millis(300)).await;
    assert!(callers.try_join_next().is_none(), "a request failed");
}

/// The certificate that the gateway shows whoever comes now.
async fn shown(authority: &Authority, system: &System) -> Vec<u8> {
    let asked = authority.client().get(format!("{}/health", system.url("gateway"))).send().await.unwrap();
    asked.extensions().get::<reqwest::tls::TlsInfo>().unwrap().peer_certificate().unwrap().to_vec()
}
