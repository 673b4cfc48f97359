//! AWS on this machine: one server of each emulator for each test binary, started when first asked for.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use backends::aws::{Aws, AwsSettings};
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

/// The account behind an emulator.
pub(crate) fn account(endpoint_url: &str) -> Arc<Aws> {
    let settings = AwsSettings { region: "us-east-1".into(), endpoint_url: Some(endpoint_url.to_owned()) };
    let credentials = Credentials::new("AKIDEMULATOR", "emulated-secret-key", None, None, "tests");
    Aws::with_credentials(settings, SharedCredentialsProvider::new(credentials))
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
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.log", address.port()));
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
        Some(Self { child: Mutex::new(child), address })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }
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
