//! Whoever asks for a call chooses among the services that are configured, and nothing else (CWE-918).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};

use super::*;

/// Listen where no call leads. Whoever connects was led astray.
struct Canaries(Vec<TcpListener>);

impl Canaries {
    fn start() -> Self {
        let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
        // Some machines have no IPv6.
        let listeners: Vec<_> = loopback.iter().filter_map(|ip| TcpListener::bind((*ip, 0)).ok()).collect();
        assert!(!listeners.is_empty());
        for listener in &listeners {
            listener.set_nonblocking(true).unwrap();
        }
        Self(listeners)
    }

    fn ports(&self) -> Vec<u16> {
        self.0.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
    }

    /// A connection that was made waits to be accepted.
    fn assert_nobody_came(&self) {
        for listener in &self.0 {
            let came = listener.accept();
            assert!(came.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "{listener:?}");
        }
    }
}

/// Ways to write an address of this machine, or of where clouds keep the credentials of machines.
fn hosts() -> Vec<String> {
    let hosts = [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "127.0.0.1.",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "ⓛocalhost",
        "１２７.0.0.1",
        "127。0。0。1",
        "loc\u{ad}alhost",
        "user-service@127.0.0.1",
        "user-service:80@127.0.0.1",
        "127.0.0.1#user-service",
        "127.0.0.1?user-service",
        "127.0.0.1\\@user-service",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "2852039166",
        "metadata.google.internal",
    ];
    hosts.map(String::from).to_vec()
}

/// Texts that lead to a host wherever they are taken for a URL, or for the rest of one.
fn texts(port: u16) -> Vec<String> {
    let mut texts = Vec::new();
    for host in hosts() {
        for scheme in ["http://", "https://", "HTTP://", "http:", "//", "\\\\", "/\\", "\\/", "@", "", ".", ":"] {
            texts.push(format!("{scheme}{host}:{port}/latest/meta-data"));
        }
    }
    let rest = [
        format!(":{port}/"),
        format!("@127.0.0.1:{port}/"),
        format!("?@127.0.0.1:{port}/"),
        format!("#@127.0.0.1:{port}/"),
        format!("gopher://127.0.0.1:{port}/_GET%20/"),
        "file:///etc/passwd".to_owned(),
        "data:,a".to_owned(),
    ];
    texts.extend(rest);
    texts
}

/// Paths that lead out of where they stand, if read by somebody forgiving.
fn escapes(port: u16) -> Vec<String> {
    let up = ["..", ".", "%2e%2e", ".%2E", "%2e.", "%252e%252e", "..;", "..;a=b", "%2e%2e%3b", "%c0%ae%c0%ae"];
    let mut paths: Vec<_> =
        up.iter().flat_map(|up| [format!("/{up}/secret"), format!("/a/{up}"), format!("/{up}?a")]).collect();
    paths.extend(
        ["/a%2f..%2fb", "/a%5Cb", "/a\\b", "/a%00", "/a\0", "/a b", "/ü", "/a%", "/a%zz", "/a#b"].map(String::from),
    );
    paths.extend([
        format!("/%2f127.0.0.1:{port}/"),
        format!("/%5c127.0.0.1:{port}/"),
        format!("/\t/127.0.0.1:{port}/"),
        format!("/\r\nhost: 127.0.0.1:{port}\r\n\r\n"),
        format!("/ HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\nGET /"),
        format!("/%20HTTP/1.1%0d%0ahost:%20127.0.0.1:{port}"),
        format!("/{}", "a".repeat(10_000)),
    ]);
    paths
}

#[tokio::test]
async fn no_path_leads_to_another_host_or_out_of_its_place() {
    let canaries = Canaries::start();
    let (app, server) = beside(echoing()).await;
    for port in canaries.ports() {
        for path in texts(port).iter().chain(&escapes(port)) {
            let problem = call(&app, "user-service", "GET", path).await.expect_problem(422, "Validation failed");
            assert_eq!(problem["errors"][0]["loc"], json!(["query", "path"]), "{path:?}");
            assert!(!problem["errors"].to_string().contains("127.0.0.1"), "{problem}");
        }
    }
    assert_eq!(server.connections(), 0, "what is refused is not sent");
    canaries.assert_nobody_came();
}

#[tokio::test]
async fn no_name_leads_anywhere_but_to_the_service_of_that_name() {
    let canaries = Canaries::start();
    let (app, server) = beside(echoing()).await;
    for port in canaries.ports() {
        let names = texts(port).into_iter().chain(hosts()).chain([
            server.url(),
            server.url().replace("http://", ""),
            "user-service@127.0.0.1".to_owned(),
            "../user-service".to_owned(),
            "user-service/../..".to_owned(),
            "user-service\0".to_owned(),
            "user-service\r\n".to_owned(),
        ]);
        for name in names {
            call(&app, &name, "GET", "/").await.expect_problem(404, &format!("Service {name} not found"));
        }
    }
    assert_eq!(server.connections(), 0);
    canaries.assert_nobody_came();
}

#[tokio::test]
async fn what_looks_like_a_host_inside_a_path_is_a_path() {
    let canaries = Canaries::start();
    let (app, _server) = beside(echoing()).await;
    for port in canaries.ports() {
        for path in [
            format!("/@127.0.0.1:{port}/"),
            format!("/http://127.0.0.1:{port}/"),
            format!("/a//127.0.0.1:{port}/"),
            format!("/a?url=http://127.0.0.1:{port}/../b"),
            format!("/:{port}"),
        ] {
            let called = call(&app, "user-service", "GET", &path).await.expect(200).json();
            assert_eq!(called["result"]["target"], path.as_str());
        }
    }
    canaries.assert_nobody_came();
}
