//! Codecs of encrypted bodies: AES-256-GCM beside the library alone, Fernet beside Python's.
//!
//! An example of the crate of the codecs measures them, since the cipher without base64 is reached by its code alone.

use std::process::Command;

use anyhow::{Result, ensure};

use super::rounds::{Round, rounds};
use crate::bench::Bench;
use crate::report::Goal;
use crate::stats::{Spread, median};

const GCM: [&str; 2] = ["AES-256-GCM, seal, 64 KiB", "AES-256-GCM, open, 64 KiB"];
const FERNET_SIZES: [usize; 3] = [64, 256, 1024];

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &bench.cores.server.to_string()]).arg(&bench.envelope_numbers);
    command.args(["--rounds", &bench.plan.rounds.to_string()]);
    if let Some(python) = &bench.python {
        command.arg("--python").arg(python);
    }
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    text.lines().for_each(|line| bench.report.note(format_args!("{line}")));
    bench.report.info("null: the library by itself", ratio(&rounds(&text, "null")));
    for what in GCM {
        let rounds = rounds(&text, what);
        ensure!(!rounds.is_empty(), "no rounds of {what}");
        judge(bench, what, "the library alone", &rounds, Goal::AtLeast(0.9, None));
    }
    for size in FERNET_SIZES {
        fernet(bench, &text, size);
    }
    Ok(())
}

/// A service decrypts a request and encrypts its answer, so the pair is what counts.
fn fernet(bench: &mut Bench, text: &str, size: usize) {
    let [encrypt, decrypt] = ["encrypt", "decrypt"].map(|act| rounds(text, &format!("Fernet, {act}, {size} B")));
    let what = format!("Fernet, both ways, {size} B, by Python's cryptography");
    if encrypt.is_empty() {
        return bench.report.skip(&what, "no Python with its packages: bench/run makes one with python3 -m venv");
    }
    for (act, rounds) in [("encrypt", &encrypt), ("decrypt", &decrypt)] {
        bench.report.info(&format!("Fernet, {act}, {size} B, by Python's cryptography"), ratio(rounds));
    }
    let pairs = encrypt.iter().zip(&decrypt);
    let ratios: Vec<_> = pairs
        .map(|(one, other)| (1.0 / one.theirs + 1.0 / other.theirs) / (1.0 / one.ours + 1.0 / other.ours))
        .collect();
    let ratio = Spread::of(&ratios);
    bench.report.judged(&what, ratio.median, ratio, Goal::AtLeast(10.0, None));
}

fn judge(bench: &mut Bench, what: &str, peer: &str, rounds: &[Round<'_>], goal: Goal) {
    let [ours, theirs] = [|it: &Round<'_>| it.ours, |it: &Round<'_>| it.theirs].map(|of| median(rounds.iter().map(of)));
    bench.report.info(what, format_args!("{ours:.0}/s, {peer} {theirs:.0}/s"));
    let ratio = ratio(rounds);
    bench.report.judged(&format!("{what}, by that of {peer}"), ratio.median, ratio, goal);
}

fn ratio(rounds: &[Round<'_>]) -> Spread {
    Spread::of(&rounds.iter().map(|round| round.ours / round.theirs).collect::<Vec<_>>())
}
