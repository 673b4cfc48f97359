//! Measures the codecs of encrypted bodies on one thread, in turns with something else:
//!
//! ```text
//! cargo run --release -p chassis --example envelope_numbers                     AES-256-GCM by the library alone
//! cargo run --release -p chassis --example envelope_numbers -- --python PYTHON  and Fernet by Python's `cryptography`
//! ```
//!
//! Each line is a round, and a ratio is one within a round. `--rounds N` changes how many there are.
#![expect(clippy::print_stdout, reason = "the rounds are its result")]

mod fernet;
mod gcm;

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// As the product has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One turn of a round.
const TURN: Duration = Duration::from_millis(250);

fn main() -> Outcome<()> {
    let (mut rounds, mut python) = (8, None);
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        match name.as_str() {
            "--rounds" => rounds = args.next().ok_or("--rounds needs a number")?.parse()?,
            "--python" => python = Some(PathBuf::from(args.next().ok_or("--python needs a program")?)),
            _ => return Err(format!("unknown argument {name}; see the head of main.rs").into()),
        }
    }
    gcm::measure(rounds)?;
    python.map_or(Ok(()), |python| fernet::measure(rounds, &python))
}

/// Ours and theirs in turns, by how often they did it in a second.
fn compare(
    what: &str,
    rounds: usize,
    mut ours: impl FnMut() -> Outcome<f64>,
    mut theirs: impl FnMut() -> Outcome<f64>,
) -> Outcome<()> {
    let mut ratios = Vec::new();
    for number in 0..rounds {
        let (own, other) = if number % 2 == 0 {
            let own = ours()?;
            (own, theirs()?)
        } else {
            let other = theirs()?;
            (ours()?, other)
        };
        println!("{what}: {own:.0}/s, beside {other:.0}/s");
        ratios.push(own / other);
    }
    ratios.sort_by(f64::total_cmp);
    println!("-> {what}: ratio {:.2}", ratios.get(rounds / 2).copied().unwrap_or(f64::NAN));
    Ok(())
}

/// How often it is done in a second.
fn rate<T>(mut act: impl FnMut() -> Outcome<T>) -> Outcome<f64> {
    rate_with(|| (), |()| act())
}

/// The same where each time something is used up, whose making does not count.
fn rate_with<A, T>(mut make: impl FnMut() -> A, mut act: impl FnMut(A) -> Outcome<T>) -> Outcome<f64> {
    /// Between two looks at the clock.
    const AT_ONCE: u32 = 16;
    let (mut elapsed, mut done) = (Duration::ZERO, 0);
    while elapsed < TURN {
        let made: Vec<A> = (0..AT_ONCE).map(|_| make()).collect();
        let begun = Instant::now();
        for it in made {
            drop(black_box(act(black_box(it))?));
        }
        elapsed += begun.elapsed();
        done += AT_ONCE;
    }
    Ok(f64::from(done) / elapsed.as_secs_f64())
}
