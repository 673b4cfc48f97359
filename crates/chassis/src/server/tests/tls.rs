//! TLS: who gets in, what stays true of connections, and certificates that change.

use h2::client as h2_client;
use http::Request;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::auth::{Access, AllowedIdentities, Caller};
use crate::config::{ClientAuth, Lifetimes};
use crate::http::Routes;
use crate::service::{Identity, Service as ChassisService};
use crate::testing::TestApp;
use crate::tls::Tls;
use crate::tls::pki::{Authority, Folder, Issued, NAME, ORDERS};

/// A system with one authority and one certificate for all.
struct System {
    authority: Authority,
    folder: Folder,
}

impl System {
    fn new() -> Self {
        let authority = Authority::new("ours");
        let folder = Folder::of(&authority, &authority.issue(ORDERS));
        Self { authority, folder }
    }

    fn tls(&self, client_auth: ClientAuth) -> Arc<Tls> {
        Tls::load(&self.folder.config(client_auth)).unwrap().unwrap()
    }

    fn serve(&self, client_auth: ClientAuth, http2: bool) -> (Server, Arc<Tls>) {
        let tls = self.tls(client_auth);
        let listener = tls.listener(true, http2, &Arc::default()).unwrap();
        (Server::start_over(listener, &[]), tls)
    }

    /// A client that shows what this authority has issued.
    fn client_of(&self, authority: &Authority, issued: &Issued) -> ClientConfig {
        let folder = Folder::of(authority, issued);
        folder.write("ca.pem", &self.authority.pem());
        Tls::load(&folder.config(ClientAuth::Off)).unwrap().unwrap().client_config().unwrap()
    }

    /// A client that shows nothing.
    fn nobody(&self) -> ClientConfig {
        let config = crate::config::TlsConfig { identity: None, ..self.folder.config(ClientAuth::Off) };
        Tls::load(&config).unwrap().unwrap().client_config().unwrap()
    }
}

async fn shake_hands(address: SocketAddr, config: &ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(NAME).unwrap();
    let socket = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config.clone())).connect(name, socket).await
}

/// The answer to `bytes` and all that follows.
async fn ask(address: SocketAddr, config: &ClientConfig, bytes: &[u8]) -> std::io::Result<String> {
    let mut stream = shake_hands(address, config).await?;
    stream.write_all(bytes).await?;
    let mut answer = Vec::new();
    timeout(LONG, stream.read_to_end(&mut answer)).await.expect("the server closes")?;
    Ok(String::from_utf8(answer).unwrap())
}

const LAST_GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn http1_is_spoken_over_both_versions_of_tls() {
    let system = System::new();
    let (server, _tls) = system.serve(ClientAuth::Optional, false);
    for (version, protocol) in
        [(&rustls::version::TLS12, ProtocolVersion::TLSv1_2), (&rustls::version::TLS13, ProtocolVersion::TLSv1_3)]
    {
        let mut roots = rustls::RootCertStore::empty();
        let pem = system.authority.pem();
        roots.add(rustls::pki_types::pem::PemObject::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let stream = shake_hands(server.address, &config).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(protocol));
        let answer = ask(server.address, &config, LAST_GET).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("hello"), "{answer}");
    }
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the connection of a client, for as long as the test lasts")]
async fn alpn_decides_between_http1_and_http2() {
    let system = System::new();
    let mut config = system.nobody();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let (server, _tls) = system.serve(ClientAuth::Optional, true);
    let stream = shake_hands(server.address, &config).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (send, connection) = h2_client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("https://localhost/").body(()).unwrap();
    let (answer, _) = send.ready().await.unwrap().send_request(request, true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
    assert!(ask(server.address, &system.nobody(), LAST_GET).await.unwrap().ends_with("hello"), "without ALPN");

    let (server, _tls) = system.serve(ClientAuth::Optional, false);
    let stream = shake_hands(server.address, &config).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]), "HTTP2 is not set");
}

#[tokio::test]
async fn whoever_shows_no_good_certificate_gets_no_further_than_the_handshake() {
    let system = System::new();
    let foreign = Authority::new("theirs");
    let for_servers = system.authority.issue_with(ORDERS, |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    });
    let ours = |issued: &Issued| system.client_of(&system.authority, issued);
    let good = ours(&system.authority.issue(ORDERS));
    let bad = [
        ("of a foreign authority", system.client_of(&foreign, &foreign.issue(ORDERS))),
        ("expired", ours(&system.authority.issue_expired(ORDERS))),
        ("for servers alone", ours(&for_servers)),
    ];
    for client_auth in [ClientAuth::Required, ClientAuth::Optional] {
        let (server, _tls) = system.serve(client_auth, false);
        for (why, config) in &bad {
            let answer = ask(server.address, config, LAST_GET).await;
            assert!(answer.is_err(), "{why}: {answer:?}");
        }
        let nobody = ask(server.address, &system.nobody(), LAST_GET).await;
        assert_eq!(nobody.is_ok(), client_auth == ClientAuth::Optional, "{nobody:?}");
        assert_eq!(server.handled(), usize::from(nobody.is_ok()));
        assert!(ask(server.address, &good, LAST_GET).await.unwrap().ends_with("hello"));
    }
}

#[tokio::test]
async fn what_is_no_handshake_is_closed_and_a_slow_one_is_cut_off() {
    let (server, _tls) = System::new().serve(ClientAuth::Off, true);
    for bytes in [GET, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x00\x05hello"] {
        let answer = server.send(bytes).await;
        let begun = Instant::now();
        drain(answer).await;
        assert!(begun.elapsed() < SHORT.idle, "{bytes:?}");
    }
    let begun = Instant::now();
    drain(server.send(&[22, 3, 1, 2, 0, 1, 0]).await).await;
    assert!((SHORT.stall..SHORT.idle).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(server.handled(), 0);
    eventually(|| server.metrics.open_connections().get() == 0).await;
}

/// Reads until the server closes, alerts and all.
async fn drain(mut stream: TcpStream) {
    let mut bytes = Vec::new();
    let _reset = timeout(LONG, stream.read_to_end(&mut bytes)).await.expect("the server closes");
    assert!(!bytes.starts_with(b"HTTP"), "{bytes:?}");
}

#[tokio::test]
async fn clients_that_do_not_read_or_say_nothing_are_given_up_over_tls_too() {
    let system = System::new();
    let (server, _tls) = system.serve(ClientAuth::Off, false);
    let mut blind = shake_hands(server.address, &system.nobody()).await.unwrap();
    blind.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let _silent = shake_hands(server.address, &system.nobody()).await.unwrap();
    let mut half = shake_hands(server.address, &system.nobody()).await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
    let mut answer = Vec::new();
    timeout(LONG, half.read_to_end(&mut answer)).await.expect("the server closes").unwrap();
    assert_refused(&String::from_utf8(answer).unwrap(), 408, "half a head");
    eventually(|| server.metrics.open_connections().get() == 0).await;
}

#[tokio::test]
async fn a_client_that_leaves_or_breaks_the_connection_is_noticed_over_tls_too() {
    let system = System::new();
    let (server, _tls) = system.serve(ClientAuth::Off, false);
    let mut leaves = shake_hands(server.address, &system.nobody()).await.unwrap();
    leaves.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    eventually(|| server.handled() == 1).await;
    let begun = Instant::now();
    leaves.shutdown().await.unwrap();
    let _cut_off = timeout(LONG, leaves.read(&mut [0])).await.expect("the server closes");
    assert!(begun.elapsed() < SLOW / 2, "{:?}", begun.elapsed());

    for says_so in [false, true] {
        let before = server.left.load(Ordering::Relaxed);
        let mut breaks = shake_hands(server.address, &system.nobody()).await.unwrap();
        breaks.write_all(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        assert!(breaks.read(&mut [0]).await.unwrap() > 0, "the answer has begun");
        if says_so {
            // As clients of this system do: the end of TLS, and then a reset.
            breaks.get_mut().1.send_close_notify();
            breaks.flush().await.unwrap();
        }
        breaks.get_ref().0.set_zero_linger().unwrap();
        drop(breaks);
        eventually(|| server.left.load(Ordering::Relaxed) > before).await;
    }
}

#[tokio::test]
async fn work_over_tls_is_finished_at_the_end_and_large_answers_arrive_whole() {
    let system = System::new();
    let (server, _tls) = system.serve(ClientAuth::Off, false);
    let nobody = system.nobody();
    let large = ask(server.address, &nobody, b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(large.await.unwrap().len() > 32 << 20);
    let mut slow = shake_hands(server.address, &system.nobody()).await.unwrap();
    slow.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut idle = shake_hands(server.address, &system.nobody()).await.unwrap();
    eventually(|| server.handled() == 2).await;
    server.lifecycle.shut_down();
    let lifetimes = Lifetimes { drain_delay: Duration::ZERO, shutdown_grace: LONG };
    let mut answer = Vec::new();
    let (_, read) = tokio::join!(server.lifecycle.run_to_end(lifetimes), slow.read_to_end(&mut answer));
    // With an end that TLS knows: nothing was cut off.
    read.unwrap();
    let answer = String::from_utf8(answer).unwrap().to_lowercase();
    assert!(answer.starts_with("http/1.1 200") && answer.contains("connection: close"), "{answer}");
    assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
    timeout(LONG, server.task).await.expect("the server ends").unwrap();
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the test awaits the task")]
async fn certificates_change_while_requests_run_and_none_fails() {
    let system = System::new();
    let (server, tls) = system.serve(ClientAuth::Required, false);
    let config = tls.client_config().unwrap();
    let (address, stop) = (server.address, Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let (asking, stopped) = (config.clone(), Arc::clone(&stop));
    let requests = tokio::spawn(async move {
        let mut failed = Vec::new();
        while !stopped.load(Ordering::Relaxed) {
            match ask(address, &asking, LAST_GET).await {
                Ok(answer) if answer.ends_with("hello") => {}
                other => failed.push(format!("{other:?}")),
            }
        }
        failed
    });
    let mut kept = shake_hands(address, &config).await.unwrap();
    let mut before = certificate(&shake_hands(address, &config).await.unwrap());
    for _ in 0..3 {
        let handled = server.handled();
        eventually(|| server.handled() > handled + 1).await;
        let next = system.authority.issue(ORDERS);
        system.folder.write("cert.pem", &next.certificate);
        tls.look();
        assert_eq!(certificate(&shake_hands(address, &config).await.unwrap()), before, "the key does not fit yet");
        system.folder.write("cert.pem", "-----BEGIN CERTIFICATE-----\nbroken");
        tls.look();
        system.folder.put(&system.authority.issue(ORDERS));
        tls.look();
        let now = certificate(&shake_hands(address, &config).await.unwrap());
        assert_ne!(now, before);
        system.folder.put(&next);
        system.folder.write("key.pem", "no key");
        tls.look();
        assert_eq!(certificate(&shake_hands(address, &config).await.unwrap()), now, "a broken file changes nothing");
        before = now;
    }
    kept.write_all(LAST_GET).await.unwrap();
    let mut answer = String::new();
    kept.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("hello"), "a connection that is open stays so");
    let handled = server.handled();
    eventually(|| server.handled() > handled + 1).await;
    stop.store(true, Ordering::Relaxed);
    assert_eq!(requests.await.unwrap(), Vec::<String>::new());
}

fn certificate(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

#[utoipa::path(get, path = "/mine", responses((status = 200)))]
async fn show_caller(caller: Caller) -> String {
    format!("{} {}", caller.subject().unwrap_or("nobody"), caller.has("service"))
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the task ends with the test")]
async fn a_listed_certificate_has_its_scopes_and_any_other_is_nobody() {
    const IDENTITY: Identity = Identity { name: "test-service", short_name: "test", about: "Under test." };
    let app = TestApp::start_with(&[("PRODUCTION", "true")], |context| {
        let routes = Routes::new().route(Access::Scope("mine:read"), utoipa_axum::routes!(show_caller));
        ChassisService::new(IDENTITY, context).routes(routes)
    });
    let system = System::new();
    let list = r#"[{"identity": "spiffe://example.org/orders", "scopes": ["mine:read"]},
                   {"identity": "spiffe://example.org/users", "scopes": ["other"]}]"#;
    let identities: Arc<AllowedIdentities> = Arc::new(list.parse().unwrap());
    let listener = bind("127.0.0.1:0".parse().unwrap(), "PORT").unwrap();
    let address = listener.local_addr().unwrap();
    let config = ChassisConfig::read(&mut Reader::new(&Layers::of(&[])), 1, std::net::Ipv4Addr::LOCALHOST);
    let limits = Limits::new(100, &config.http, Metrics::new("test", "1"), Arc::default());
    let tls = system.tls(ClientAuth::Optional).listener(true, false, &identities).unwrap();
    let _serving = tokio::spawn(serve(listener, app.edge(), limits.over(tls), Lifecycle::new()));
    let of = |id: &str| system.client_of(&system.authority, &system.authority.issue(id));
    let with = |header: &str| format!("GET /mine HTTP/1.1\r\nHost: a\r\n{header}Connection: close\r\n\r\n");
    let two = system.authority.issue_with(ORDERS, |params| {
        let other = rcgen::SanType::URI("spiffe://example.org/users".try_into().unwrap());
        params.subject_alt_names.push(other);
    });
    for (config, header, status, text) in [
        (of(ORDERS), "", 200, "spiffe://example.org/orders true"),
        (of(ORDERS), "Authorization: Bearer nonsense\r\n", 401, "token"),
        (of(ORDERS), "x-access-token: nonsense\r\n", 401, "token"),
        (of("spiffe://example.org/users"), "", 403, "mine:read"),
        (of("spiffe://example.org/orders/2"), "", 401, "token"),
        (of("spiffe://other.org/orders"), "", 401, "token"),
        (system.client_of(&system.authority, &two), "", 401, "token"),
        (system.nobody(), "", 401, "token"),
    ] {
        let answer = ask(address, &config, with(header).as_bytes()).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(text), "{header}: {answer}");
    }
}

#[tokio::test]
async fn a_connection_ends_with_the_certificate_of_its_client() {
    let system = System::new();
    let identities: Arc<AllowedIdentities> =
        Arc::new(format!(r#"[{{"identity": "{ORDERS}", "scopes": []}}]"#).parse().unwrap());
    let tls = system.tls(ClientAuth::Required).listener(true, false, &identities).unwrap();
    let server = Server::start_over(tls, &[]);
    let soon = system.authority.issue_with(ORDERS, |params| {
        let now = i64::try_from(rustls::pki_types::UnixTime::now().as_secs()).unwrap();
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(now + 1).unwrap());
    });
    let config = system.client_of(&system.authority, &soon);
    let mut stream = shake_hands(server.address, &config).await.unwrap();
    let begun = Instant::now();
    let mut answers = String::new();
    // Faster than a connection is idle.
    while begun.elapsed() < LONG && !answers.contains("connection: close") {
        stream.write_all(GET).await.unwrap();
        let mut buffer = [0; 1024];
        let count = stream.read(&mut buffer).await.unwrap();
        answers = String::from_utf8_lossy(&buffer[..count]).to_lowercase();
        assert!(answers.starts_with("http/1.1 200"), "{answers}");
        sleep(Duration::from_millis(100)).await;
    }
    assert!(answers.contains("connection: close"), "{answers}");
}
