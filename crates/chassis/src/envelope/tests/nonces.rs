//! Two bodies with one nonce would give away both: no two have one, of threads at once and of a process that was
//! started anew with the same key.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread;

use super::*;

/// Tells a process of a test how many bodies each of its threads encrypts.
const BODIES: &str = "KEELSON_TEST_ENCRYPT_BODIES";
/// Before what such a process prints; the test runner writes into the same stream.
const BEGIN: &[u8] = b"\nnonces: ";
const THREADS: usize = 8;
/// Characters of the base64 of a nonce of 12 bytes, which tell it as well as the bytes do.
const NONCE_CHARACTERS: usize = 16;

/// Those that lie next to each other are compared, so they are numbers.
type Nonce = u128;

/// Of as many bodies of each thread, all of one ring.
fn encrypt(bodies: usize) -> Vec<Nonce> {
    let ring = &ring(RANDOM_KEY);
    thread::scope(|scope| {
        let threads = [(); THREADS].map(|()| scope.spawn(move || (0..bodies).map(|_| nonce(ring)).collect::<Vec<_>>()));
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

fn nonce(ring: &KeyRing) -> Nonce {
    let body = ring.encrypt_v2(b"", &binding(Direction::Request), at(NOW)).unwrap().encrypted_data;
    Nonce::from_be_bytes(*body.as_bytes().first_chunk::<NONCE_CHARACTERS>().unwrap())
}

/// Whether this is a process that a test has started; then its work is done.
#[expect(clippy::disallowed_methods, reason = "a test tells its own processes what they are")]
fn obeyed() -> bool {
    let Ok(bodies) = std::env::var(BODIES) else { return false };
    let nonces = encrypt(bodies.parse().unwrap());
    let mut output = std::io::stdout().lock();
    output.write_all(BEGIN).unwrap();
    output.write_all(&nonces.iter().flat_map(|nonce| nonce.to_be_bytes()).collect::<Vec<_>>()).unwrap();
    output.flush().unwrap();
    true
}

/// The nonces of this program, started again for the same test.
fn encrypt_in_another_process(test: &str, bodies: usize) -> Vec<Nonce> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("envelope::tests::nonces::{test}"), "--include-ignored", "--nocapture"]);
    let output = command.env(BODIES, bodies.to_string()).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success());
    let begin = output.stdout.windows(BEGIN.len()).position(|window| window == BEGIN).unwrap() + BEGIN.len();
    let (nonces, _) = output.stdout[begin..].as_chunks::<NONCE_CHARACTERS>();
    nonces.iter().take(THREADS * bodies).map(|nonce| Nonce::from_be_bytes(*nonce)).collect()
}

fn no_nonce_comes_twice(test: &str, bodies: usize) {
    if obeyed() {
        return;
    }
    let mut nonces = encrypt(bodies);
    nonces.extend(encrypt_in_another_process(test, bodies));
    assert_eq!(nonces.len(), 2 * THREADS * bodies);
    nonces.sort_unstable();
    let repeated = nonces.array_windows().filter(|[one, next]| one == next).count();
    assert_eq!(repeated, 0);
}

#[test]
fn no_nonce_comes_twice_with_threads_and_a_restart() {
    no_nonce_comes_twice("no_nonce_comes_twice_with_threads_and_a_restart", 50_000);
}

#[test]
#[ignore = "the long run of `./test full`"]
fn no_nonce_comes_twice_in_millions_of_bodies() {
    no_nonce_comes_twice("no_nonce_comes_twice_in_millions_of_bodies", 1_000_000);
}
