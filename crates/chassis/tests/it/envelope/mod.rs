//! Encrypted bodies between us and a peer in Python, both ways and in every form.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use chassis::clock::{Clock as _, SystemClock};
use chassis::envelope::{Binding, Direction, KeyRing, Received, ReplayCache};
use chassis::testing::require;
use rand::rngs::StdRng;
use rand::{RngCore as _, SeedableRng as _};
use serde_json::{Value, json};

/// Of Fernet and the first GCM form.
const TEXT: &str = "test-user-key-0123456789";
/// Of v2: the bytes 00 to 1f.
const RANDOM_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SIZES: usize = 1000;
/// Up to here each size: lengths of blocks and of base64 in every combination.
const DENSE: usize = 512;
const LARGEST: usize = 64 * 1024;

const REQUEST: Binding<'static> = Binding {
    direction: Direction::Request,
    method: "POST",
    path: "/api/v1/analytics/events?x=1",
    sender: b"user-service",
    target: b"analytics-service",
};
const RESPONSE: Binding<'static> =
    Binding { direction: Direction::Response, sender: b"analytics-service", target: b"user-service", ..REQUEST };

struct Rings {
    text: KeyRing,
    random: KeyRing,
    taken: ReplayCache,
}

impl Rings {
    fn new() -> Self {
        let ring = |text: &str| KeyRing::parse(&text.into()).unwrap();
        let random = ring(&json!({ "k1": RANDOM_KEY }).to_string());
        Self { text: ring(TEXT), random, taken: ReplayCache::default() }
    }

    /// A request in each form, in one line.
    fn encrypt(&self, plaintext: &[u8]) -> Value {
        let now = SystemClock.now();
        let v2 = self.random.encrypt_v2(plaintext, &REQUEST, now).unwrap();
        json!({
            "fernet": self.text.encrypt_fernet(plaintext, now).unwrap(),
            "gcm": self.text.encrypt_gcm(plaintext).unwrap(),
            "v2": v2.encrypted_data,
            "time": v2.time,
        })
    }

    /// What is in the peer's response in each form.
    fn decrypt(&self, line: &Value) -> [Vec<u8>; 3] {
        let now = SystemClock.now();
        let text = |name: &str| line[name].as_str().unwrap();
        let received =
            Received { key_id: "k1", time: line["time"].as_i64().unwrap(), encrypted_data: text("v2").as_bytes() };
        [
            self.text.decrypt_fernet(text("fernet").as_bytes(), now).unwrap(),
            self.text.decrypt_gcm(text("gcm").as_bytes()).unwrap(),
            self.random.decrypt_v2(&received, &RESPONSE, now, &self.taken).unwrap(),
        ]
    }
}

/// Every one at first, then each a little larger than the one before.
fn sizes() -> Vec<usize> {
    let spread = SIZES - DENSE - 2;
    let growth = (LARGEST as f64 / DENSE as f64).ln() / spread as f64;
    let larger = (0..spread).map(|step| (DENSE as f64 * (growth * step as f64).exp()) as usize);
    (0..DENSE).chain(larger).chain([LARGEST - 1, LARGEST]).collect()
}

fn peer() -> Option<Child> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/aws-venv/bin/python");
    let what = format!("Python's cryptography (./test installs it, see scripts/tools.sh: {})", python.display());
    if !require(&what, python.is_file()) {
        return None;
    }
    let mut command = Command::new(python);
    command.args(["-c", include_str!("peer.py"), TEXT, RANDOM_KEY]);
    Some(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
}

#[test]
fn bodies_of_a_thousand_sizes_go_to_python_and_come_back_in_every_form() {
    let Some(mut peer) = peer() else { return };
    let (rings, sizes) = (Rings::new(), sizes());
    assert_eq!((sizes.len(), sizes[0], sizes[SIZES - 1]), (SIZES, 0, LARGEST));
    let mut random = StdRng::seed_from_u64(8);
    let plaintext = |size| {
        let mut plaintext = vec![0; size];
        random.fill_bytes(&mut plaintext);
        plaintext
    };
    let plaintexts: Vec<_> = sizes.into_iter().map(plaintext).collect();
    let (mut requests, responses) = (peer.stdin.take().unwrap(), BufReader::new(peer.stdout.take().unwrap()));
    thread::scope(|scope| {
        scope.spawn(|| {
            for plaintext in &plaintexts {
                writeln!(requests, "{}", rings.encrypt(plaintext)).unwrap();
            }
            drop(requests);
        });
        let mut responses = responses.lines();
        for plaintext in &plaintexts {
            let line = serde_json::from_str(&responses.next().expect("Python ended early").unwrap()).unwrap();
            for decrypted in rings.decrypt(&line) {
                // Not `assert_eq`, which would print 64 KiB.
                assert!(decrypted == *plaintext, "{} bytes", plaintext.len());
            }
        }
    });
    assert!(peer.wait().unwrap().success());
}
