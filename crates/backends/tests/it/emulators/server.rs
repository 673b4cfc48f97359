//! One server of each emulator for each test binary, started when first asked for, and plain requests to it. The tests of
//! other crates share this file, so it knows no SDK.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use chassis::testing::require;

/// Far more than a start takes.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// The URL of ministack, such as `http://127.0.0.1:4566`; `None`, after saying so, where it is not installed.
pub(crate) fn ministack() -> Option<String> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| Server::start("ministack")).as_ref().map(Server::url)
}

/// The URL of moto.
pub(crate) fn moto() -> Option<String> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| Server::start("moto")).as_ref().map(Server::url)
}

/// A moto that refuses what no policy allows, with an account that may do `actions` alone.
pub(crate) struct Guarded {
    server: Server,
    pub(crate) key_id: String,
    pub(crate) secret_key: String,
}

impl Guarded {
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// `prepare` is given its URL while everything is still allowed.
    pub(crate) fn start(actions: &[&str], prepare: impl FnOnce(&str)) -> Option<Self> {
        let server = Server::start("moto")?;
        let url = server.url();
        prepare(&url);
        let quoted: Vec<String> = actions.iter().map(|action| format!("%22{action}%22")).collect();
        let statement =
            format!("%7B%22Effect%22:%22Allow%22,%22Action%22:%5B{}%5D,%22Resource%22:%22*%22%7D", quoted.join(","));
        let policy = format!("%7B%22Version%22:%222012-10-17%22,%22Statement%22:%5B{statement}%5D%7D");
        iam(&url, "CreateUser");
        if !actions.is_empty() {
            iam(&url, &format!("PutUserPolicy&PolicyName=tested&PolicyDocument={policy}"));
        }
        let key = iam(&url, "CreateAccessKey");
        let part = |name: &str| {
            let (_, after) = key.split_once(&format!("<{name}>")).unwrap();
            after.split_once('<').unwrap().0.to_owned()
        };
        let (key_id, secret_key) = (part("AccessKeyId"), part("SecretAccessKey"));
        assert!(plain_request(&url, "POST", "/moto-api/reset-auth", "0").starts_with("HTTP/1.1 200"));
        Some(Self { server, key_id, secret_key })
    }
}

fn iam(url: &str, action: &str) -> String {
    let lines = "iam\r\ncontent-type: application/x-www-form-urlencoded";
    let answer = request(url, "POST /", lines, &format!("Version=2010-05-08&UserName=tested&Action={action}"));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer
}

/// A running emulator. It ends with its standard input, so with the process that holds this.
struct Server {
    child: Mutex<Child>,
    address: SocketAddr,
}

impl Server {
    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn start(name: &str) -> Option<Self> {
        let python = root().join(".tools/aws-venv/bin/python");
        let what = format!("{name} (./test installs it, see scripts/tools.sh: {})", python.display());
        if !require(&what, python.is_file()) {
            return None;
        }
        // Between the choice of a port and its use somebody else may take it.
        (0..3).find_map(|_| Self::try_start(name, &python)).or_else(|| panic!("{name} does not start"))
    }

    fn try_start(name: &str, python: &Path) -> Option<Self> {
        /// Numbers the logs, so that the next run replaces them.
        static LAUNCHES: AtomicU32 = AtomicU32::new(0);
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let log = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("{name}-{}.log", LAUNCHES.fetch_add(1, Ordering::Relaxed)));
        let output = File::create(&log).unwrap();
        let mut child = Command::new(python)
            .args(["-c", include_str!("emulators.py"), name, &address.port().to_string()])
            .stdin(Stdio::piped())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while !answers(address) {
            if child.try_wait().unwrap().is_some() {
                eprintln!("{name} ended: {}", std::fs::read_to_string(&log).unwrap());
                return None;
            }
            assert!(begun.elapsed() < PATIENCE, "{name} does not answer, see {}", log.display());
            #[expect(clippy::disallowed_methods, reason = "not async: the first of many tests waits for all of them")]
            std::thread::sleep(LOOK_INTERVAL);
        }
        let server = Self { child: Mutex::new(child), address };
        if name == "moto" {
            // It loads half of itself at the first call of this kind, longer than the caller waits.
            let _no_such_parameter = json_request(&server.url(), "AmazonSSM.GetParameter", "{\"Name\": \"none\"}");
        }
        Some(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// The head and body of the answer to a request whose signature no emulator checks.
pub(crate) fn plain_request(url: &str, method: &str, path: &str, body: &str) -> String {
    request(url, &format!("{method} {path}"), "s3", body)
}

/// The answer to one call of a service that speaks JSON, such as `AmazonSSM.PutParameter`.
pub(crate) fn json_request(url: &str, target: &str, body: &str) -> String {
    let service = target.split('.').next().unwrap().trim_start_matches("Amazon").to_ascii_lowercase();
    let lines = format!("{service}\r\nx-amz-target: {target}\r\ncontent-type: application/x-amz-json-1.1");
    request(url, "POST /", &lines, body)
}

/// `start` is the method and the path; lines of the head may follow `service`, the name in the signature.
fn request(url: &str, start: &str, service: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (service, lines) = service.split_once("\r\n").unwrap_or((service, "x-nothing: more"));
    let length = body.len();
    let head = format!(
        "{start} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n{lines}\r\n\
         authorization: AWS4-HMAC-SHA256 Credential=AKIDEMULATOR/20250101/us-east-1/{service}/aws4_request, \
         SignedHeaders=host, Signature=0\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// A name that no other case uses.
pub(crate) fn fresh_name(label: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{label}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Whether it answers HTTP: the port is open before the routes are there.
fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let request = b"GET /nothing-here HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let mut first = [0; 5];
    stream.write_all(request).is_ok() && stream.read_exact(&mut first).is_ok() && &first == b"HTTP/"
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn an_emulator_ends_with_the_process_that_holds_its_input() {
    let Some(server) = Server::start("moto") else { return };
    let mut child = server.child.lock().unwrap();
    assert!(answers(server.address));
    drop(child.stdin.take());
    child.wait().unwrap();
    assert!(!answers(server.address));
}
