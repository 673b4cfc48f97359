//! Fernet as old peers have it, beside `cryptography.fernet` in Python. Both do what stands between a plaintext and
//! `encrypted_data`: a token, and base64 once more.

use std::hint::black_box;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use chassis::clock::{Clock as _, SystemClock};
use chassis::envelope::KeyRing;

use super::{Outcome, TURN, compare, rate};

const KEY: &str = "test-main-key";
const SIZES: [usize; 3] = [64, 256, 1024];

pub(crate) fn measure(rounds: usize, python: &Path) -> Outcome<()> {
    let ring = KeyRing::parse(&KEY.into())?;
    let mut peer = Peer::start(python)?;
    for size in SIZES {
        let plaintext = vec![b'a'; size];
        // The clock is looked at each time, as for a call.
        let encrypt = || ring.encrypt_fernet(black_box(&plaintext), SystemClock.now());
        let body = encrypt()?;
        let ours = || rate(|| Ok(encrypt()?));
        compare(&format!("Fernet, encrypt, {size} B"), rounds, ours, || peer.rate("encrypt", size))?;
        let ours = || rate(|| Ok(ring.decrypt_fernet(black_box(body.as_bytes()), SystemClock.now())?));
        compare(&format!("Fernet, decrypt, {size} B"), rounds, ours, || peer.rate("decrypt", size))?;
    }
    peer.end()
}

/// Waits for its turn without using the processor.
struct Peer {
    child: Child,
    orders: ChildStdin,
    rates: BufReader<ChildStdout>,
}

impl Peer {
    fn start(python: &Path) -> Outcome<Self> {
        let mut command = Command::new(python);
        command.args(["-c", include_str!("fernet.py"), KEY]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (orders, rates) = child.stdin.take().zip(child.stdout.take()).ok_or("no pipes to Python")?;
        Ok(Self { child, orders, rates: BufReader::new(rates) })
    }

    fn rate(&mut self, what: &str, size: usize) -> Outcome<f64> {
        writeln!(self.orders, "{what} {size} {}", TURN.as_secs_f64())?;
        let mut line = String::new();
        self.rates.read_line(&mut line)?;
        Ok(line.trim().parse()?)
    }

    fn end(self) -> Outcome<()> {
        let Self { mut child, orders, rates } = self;
        drop((orders, rates));
        if child.wait()?.success() { Ok(()) } else { Err("Python failed".into()) }
    }
}
