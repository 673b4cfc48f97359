//! Checks, and how they are shown: a line for each, the fix below what is wrong.

use std::io;

use serde_json::{Value, json};

use crate::output::{color_on, print, print_line, printable};

/// How a check came out, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    Ok,
    /// Could not be looked at; says nothing about the system.
    NotChecked,
    /// Works, and should be mended.
    Warning,
    Failed,
}

impl Status {
    const ALL: [Self; 4] = [Self::Ok, Self::Warning, Self::Failed, Self::NotChecked];

    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotChecked => "not_checked",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }

    /// In words, for the sums.
    fn counted(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotChecked => "not checked",
            Self::Warning => "to mend",
            Self::Failed => "failed",
        }
    }

    /// Letters that every terminal, file and mail has.
    fn plain_mark(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotChecked => "-",
            Self::Warning => "!",
            Self::Failed => "x",
        }
    }

    fn mark(self) -> &'static str {
        match self {
            Self::Ok => "\x1b[32m✓\x1b[0m",
            Self::NotChecked => "\x1b[2m–\x1b[0m",
            Self::Warning => "\x1b[1;33m!\x1b[0m",
            Self::Failed => "\x1b[1;31m✗\x1b[0m",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) status: Status,
    /// What was found.
    pub(super) text: String,
    /// What to do, a step in each line.
    pub(super) fix: Vec<String>,
}

impl Check {
    pub(super) fn ok(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, status: Status::Ok, text: text.into(), fix: Vec::new() }
    }

    /// Its text says why.
    pub(super) fn not_checked(name: &'static str, text: impl Into<String>) -> Self {
        Self { status: Status::NotChecked, ..Self::ok(name, text) }
    }

    pub(super) fn warning(name: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { status: Status::Warning, fix: vec![fix.into()], ..Self::ok(name, text) }
    }

    pub(super) fn failed(name: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { status: Status::Failed, ..Self::warning(name, text, fix) }
    }

    /// The same with one more step.
    pub(super) fn and(mut self, step: impl Into<String>) -> Self {
        self.fix.push(step.into());
        self
    }

    fn to_json(&self) -> Value {
        let name = self.name.to_ascii_lowercase().replace(' ', "_");
        json!({ "name": name, "status": self.status.name(), "text": self.text, "fix": self.fix })
    }
}

/// How many failed.
pub(super) fn failures(checks: &[Check]) -> usize {
    count(checks, Status::Failed)
}

fn count(checks: &[Check], status: Status) -> usize {
    checks.iter().filter(|check| check.status == status).count()
}

/// Prints everything.
pub(super) fn show(checks: &[Check], as_json: bool) {
    if as_json {
        let worst = checks.iter().map(|check| check.status).max().unwrap_or(Status::Ok);
        let shown: Vec<Value> = checks.iter().map(Check::to_json).collect();
        print_line(&json!({ "status": worst.name(), "checks": shown }).to_string());
    } else {
        print(&to_text(checks, color_on(&io::stdout())));
    }
}

/// `rich` has colour and marks beyond ASCII: not every file and mail takes them.
fn to_text(checks: &[Check], rich: bool) -> String {
    let mut text = String::new();
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    for check in checks {
        let mark = if rich { format!(" {}", check.status.mark()) } else { format!("{:>2}", check.status.plain_mark()) };
        text.push_str(&format!("{mark} {:<width$}  {}\n", check.name, printable(&check.text)));
        for (number, step) in check.fix.iter().enumerate() {
            let label = if number == 0 { "fix:" } else { "" };
            text.push_str(&format!("     {label:<4} {}\n", printable(step)));
        }
    }
    let sums = Status::ALL.into_iter().map(|status| (count(checks, status), status.counted()));
    let sums: Vec<String> =
        sums.filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    text.push_str(&format!("\n{}\n", sums.join(", ")));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fix_stands_below_its_check_and_others_text_cannot_steer_a_terminal() {
        let checks = [
            Check::ok("queue", "there"),
            Check::failed("dead letters", "none \x1b[2J", "first").and("second"),
            Check::not_checked("bucket", "no \u{9b}right"),
        ];
        let plain = "ok queue         there\n x dead letters  none \u{fffd}[2J\n     fix: first\n          second\n - bucket        no \u{fffd}right\n\n1 ok, 1 failed, 1 not checked\n";
        assert_eq!(to_text(&checks, false), plain);
        let rich = to_text(&checks, true);
        assert!(rich.contains("\x1b[1;31m✗\x1b[0m dead letters") && rich.contains("\x1b[32m✓\x1b[0m queue"), "{rich}");
        assert_eq!(failures(&checks), 1);
    }
}
