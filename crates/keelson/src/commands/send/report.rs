//! What the user sees: each message that was not sent when it happens, the progress on a terminal, the sums at the end.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::place::Place;
use crate::output::{print_line, print_notice, printable};

/// Messages that `--json` lists; all are counted, and all were told on standard error.
const MAX_LISTED: usize = 10_000;

/// Why a message is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// The service will never take it.
    Refused,
    /// The service failed with it again and again.
    Failed,
    /// No message could be made of it.
    Unreadable,
    /// The sending ended before.
    NotSent,
}

impl Problem {
    const ALL: [Self; 4] = [Self::Refused, Self::Failed, Self::Unreadable, Self::NotSent];

    fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unreadable => "unreadable",
            Self::NotSent => "not sent",
        }
    }
}

/// Counts and tells.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) bar: ProgressBar,
    pub(super) sent: u64,
    pub(super) already_sent: u64,
    problems: [u64; 4],
    listed: Vec<Value>,
    begun: Instant,
    dry: bool,
}

impl Report {
    /// `sized`: how much there is to read will be known.
    pub(super) fn new(sized: bool, dry: bool) -> Self {
        let target =
            if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(sized.then_some(0), target);
        let form = if sized { "[{wide_bar}] {bytes} of {total_bytes}, {msg}" } else { "{spinner} {bytes}, {msg}" };
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style.progress_chars("=> "));
        }
        let report =
            Self { bar, sent: 0, already_sent: 0, problems: [0; 4], listed: Vec::new(), begun: Instant::now(), dry };
        report.show();
        report
    }

    pub(super) fn sent(&mut self) {
        self.sent += 1;
        self.show();
    }

    pub(super) fn already_sent(&mut self) {
        self.already_sent += 1;
        self.show();
    }

    /// Tells of a message that is not sent.
    pub(super) fn problem(&mut self, problem: Problem, place: &Place, reason: &str) {
        self.problems[problem as usize] += 1;
        self.say(&format!("{}: {place}: {}", problem.name(), printable(reason)));
        if self.listed.len() < MAX_LISTED {
            let mut entry = place.to_json();
            entry["problem"] = problem.name().into();
            entry["reason"] = reason.into();
            self.listed.push(entry);
        }
        self.show();
    }

    /// A line above the progress.
    pub(super) fn say(&self, line: &str) {
        self.bar.suspend(|| print_notice(line));
    }

    pub(super) fn count(&self, problem: Problem) -> u64 {
        self.problems[problem as usize]
    }

    fn show(&self) {
        if !self.bar.is_hidden() {
            let not = self.problems.iter().sum::<u64>();
            let rate = self.rate(self.begun.elapsed());
            let problems = if not == 0 { String::new() } else { format!(", {not} not") };
            self.bar.set_message(format!("{} {}{problems}, {rate:.0}/s", self.sent, self.verb()));
        }
    }

    fn verb(&self) -> &'static str {
        if self.dry { "would be sent" } else { "sent" }
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn rate(&self, took: Duration) -> f64 {
        self.sent as f64 / took.as_secs_f64().max(0.001)
    }

    /// The sums. `target`: where the messages went, and whether it runs.
    pub(super) fn finish(&self, target: Option<(&str, bool)>, as_json: bool) {
        self.bar.finish_and_clear();
        let took = self.begun.elapsed();
        if as_json {
            print_line(&self.to_json(target, took).to_string());
            return;
        }
        let mut sums = format!("{} {}, already sent {}", self.verb(), self.sent, self.already_sent);
        for problem in Problem::ALL {
            sums.push_str(&format!(", {} {}", problem.name(), self.count(problem)));
        }
        print_line(&format!("{sums}; {:.2} s, {:.0}/s", took.as_secs_f64(), self.rate(took)));
        if let Some((folder, false)) = target {
            print_line(&format!("nothing runs on {folder}: what was sent waits in its queue for `keelson up`"));
        }
    }

    fn to_json(&self, target: Option<(&str, bool)>, took: Duration) -> Value {
        json!({
            "target": target.map(|(name, _)| name),
            "running": target.map(|(_, running)| running),
            "dry_run": self.dry,
            "sent": self.sent,
            "already_sent": self.already_sent,
            "refused": self.count(Problem::Refused),
            "failed": self.count(Problem::Failed),
            "unreadable": self.count(Problem::Unreadable),
            "not_sent": self.count(Problem::NotSent),
            "seconds": (took.as_secs_f64() * 1000.0).round() / 1000.0,
            "per_second": self.rate(took).round(),
            "problems": self.listed,
        })
    }
}
