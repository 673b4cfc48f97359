//! `/health` beside more logins than the processor can hash, on the same core.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::beside::Healthy;
use super::logins::{accounts, product};
use crate::bench::Bench;
use crate::load::closed::{Closed, Until};
use crate::load::{Target, get};
use crate::stats::Spread;

/// Each has an account of its own and logs in again as soon as it is answered.
const CALLERS: usize = 64;
/// Requests for `/health`.
const PER_SECOND: f64 = 500.0;
/// How soon the flood sees that it is over.
const TURN: Duration = Duration::from_millis(100);

/// Logins on a thread of their own.
struct Flood {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Result<f64>>,
}

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let product = product(bench, "login-flood")?;
    let server = product.start()?;
    let logins = Target::of_callers(product.public, accounts(product.public, CALLERS)?)?;
    let target = Target { length: None, ..Target::new(product.public, get("/health", None))? };
    let mut rates = Vec::new();
    let found = Healthy { server, target, per_second: PER_SECOND }.measure(
        bench,
        || Ok(Flood::begin(logins.clone())),
        |flood| {
            rates.push(flood.end()?);
            Ok(())
        },
    )?;
    let (rate, report) = (Spread::of(&rates).median, &mut bench.report);
    report.info(&format!("flood of {CALLERS} callers"), format_args!("{rate:.0} logins/s, all answered 200"));
    report.info("null: p99 of /health alone by p99 alone", found.null());
    let [alone, beside] = [Spread::of(&found.alone()), Spread::of(&found.beside)];
    report.info("p99 of /health alone", format_args!("{alone} ms"));
    report.info("p99 of /health beside the flood", format_args!("{beside} ms"));
    report.info("p99 of /health beside the flood by p99 alone", found.ratio());
    Ok(())
}

impl Flood {
    fn begin(logins: Target) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        Self { over, thread: std::thread::spawn(move || flood(&logins, &told)) }
    }

    /// Answers the logins per second.
    fn end(self) -> Result<f64> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().ok().context("the flood panicked")?
    }
}

fn flood(logins: &Target, over: &AtomicBool) -> Result<f64> {
    let mut load = Closed::connect(logins, CALLERS)?;
    let (begun, mut done) = (Instant::now(), 0);
    while !over.load(Ordering::Relaxed) {
        done += load.run(Until::Over(TURN))?.count;
    }
    let rate = done as f64 / begun.elapsed().as_secs_f64();
    load.finish()?;
    Ok(rate)
}
