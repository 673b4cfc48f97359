//! From the POST to the object: one message at a time through an idle system, with the disk's fsyncs on the way.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::bench::{Bench, message};
use crate::load::{latencies, millis, note, once, post};
use crate::machine::now;
use crate::report::Goal;
use crate::stats::short;
use crate::system::pause;

const MESSAGES: usize = 500;
/// Between two messages, so that each finds the system idle.
const GAP: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let product = bench.up("latency")?;
    let server = product.start()?;
    let objects = product.data.join("objects");
    let request = post("/api/message", &message());
    let (mut answered, mut stored) = (latencies()?, latencies()?);
    for _ in 0..MESSAGES {
        let begun = Instant::now();
        let answer = once::ask(product.public, &request)?;
        ensure!(answer.status == 200, "answered {}: {}", answer.status, answer.text());
        note(&mut answered, answer.latency);
        wait_for(&object(&objects, &answer.text())?, begun)?;
        note(&mut stored, begun.elapsed());
        pause(GAP);
    }
    drop(server);
    let [p50, p99] = [0.5, 0.99].map(|quantile| millis(&stored, quantile));
    bench.report.judged("POST to object, p50", p50, format_args!("{} ms", short(p50)), Goal::AtMost(50.0, None));
    bench.report.info("POST to object, p99", format_args!("{} ms", short(p99)));
    let [p50, p99] = [0.5, 0.99].map(|quantile| millis(&answered, quantile));
    bench.report.info("POST to answer, p50 and p99", format_args!("{} ms, {} ms", short(p50), short(p99)));
    Ok(())
}

/// Where the object of an answered message will be.
fn object(objects: &Path, answer: &str) -> Result<PathBuf> {
    let answer: Value = serde_json::from_str(answer)?;
    let id = answer["message_id"].as_str().context("an answer without a message id")?;
    Ok(objects.join("messages").join(now().strftime("%Y/%m/%d").to_string()).join(format!("{id}.json")))
}

/// An object has its name when it is whole.
fn wait_for(path: &Path, begun: Instant) -> Result<()> {
    while !path.exists() {
        ensure!(begun.elapsed() < PATIENCE, "{} does not come", path.display());
        pause(Duration::from_micros(100));
    }
    Ok(())
}
