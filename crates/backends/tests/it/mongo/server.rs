//! A server that speaks MongoDB's protocol on this machine. The tests of other crates share this file, so it knows no driver.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chassis::testing::require;

/// Far more than a start takes.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// A running server. It ends with its standard input, so with the process that holds this.
#[derive(Debug)]
pub(crate) struct Server {
    child: Mutex<Child>,
    address: SocketAddr,
    folder: String,
}

impl Server {
    /// With databases in memory. `None`, after saying so, where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        Self::start_on("memory")
    }

    /// With databases in a folder.
    pub(crate) fn start_on(folder: &str) -> Option<Self> {
        let python = python();
        let what = format!("nx-27017 (./test installs it, see scripts/tools.sh: {})", python.display());
        if !require(&what, python.is_file()) {
            return None;
        }
        // Between the choice of a port and its use somebody else may take it.
        let start = || {
            let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
            launch(address, folder).map(|child| Self { child: Mutex::new(child), address, folder: folder.to_owned() })
        };
        (0..3).find_map(|_| start()).or_else(|| panic!("nx-27017 does not start"))
    }

    /// The URL of a database in it.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("mongodb://{}/{database}", self.address)
    }

    /// The URL of a database that nobody else uses.
    pub(crate) fn fresh_url(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        self.url(&format!("fresh{}", COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    /// Kills it.
    pub(crate) fn kill(&self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let _ended = child.kill();
        let _status = child.wait();
    }

    /// Starts it again where it was, on the same port.
    pub(crate) fn start_again(&self) {
        let child = (0..3).find_map(|_| launch(self.address, &self.folder)).expect("nx-27017 starts again");
        *self.child.lock().unwrap_or_else(PoisonError::into_inner) = child;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn python() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/mongodb-venv/bin/python")
}

/// One that answers; `None` when it ended instead.
fn launch(address: SocketAddr, folder: &str) -> Option<Child> {
    /// Numbers the logs, so that the next run replaces them.
    static LAUNCHES: AtomicU32 = AtomicU32::new(0);
    let number = LAUNCHES.fetch_add(1, Ordering::Relaxed);
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("nx-27017-{number}.log"));
    let output = File::create(&log).unwrap();
    let mut child = Command::new(python())
        .args(["-c", include_str!("server.py"), &address.port().to_string(), folder])
        .stdin(Stdio::piped())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        if child.try_wait().unwrap().is_some() {
            eprintln!("nx-27017 ended: {}", std::fs::read_to_string(&log).unwrap());
            return None;
        }
        assert!(begun.elapsed() < PATIENCE, "nx-27017 does not answer, see {}", log.display());
        #[expect(clippy::disallowed_methods, reason = "not async: the first of many tests waits for all of them")]
        std::thread::sleep(LOOK_INTERVAL);
    }
    Some(child)
}
