//! What was found: the table, the raw output, and whether the goals are met.

use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::stats::short;

/// The block of the README that is written anew.
const BEGIN: &str = "<!-- begin: written by bench/run --write -->";
const END: &str = "<!-- end -->";

/// A value that is to be reached.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// At least the first value; aimed at is the second.
    AtLeast(f64, Option<f64>),
    /// At most the first value; aimed at is the second.
    AtMost(f64, Option<f64>),
}

impl Goal {
    fn judge(self, value: f64) -> Verdict {
        let (goal, aim) = match self {
            Self::AtLeast(goal, aim) => (value >= goal, aim.is_some_and(|aim| value >= aim)),
            Self::AtMost(goal, aim) => (value <= goal, aim.is_some_and(|aim| value <= aim)),
        };
        match (goal, aim) {
            (true, true) => Verdict::Aim,
            (true, false) => Verdict::Goal,
            _ => Verdict::Miss,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, goal, aim) = match self {
            Self::AtLeast(goal, aim) => ('≥', goal, aim),
            Self::AtMost(goal, aim) => ('≤', goal, aim),
        };
        write!(f, "{sign} {}", plain(*goal))?;
        aim.map_or(Ok(()), |aim| write!(f, " (aim {})", plain(aim)))
    }
}

fn plain(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value}") } else { short(value) }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Aim,
    Goal,
    Miss,
    Info,
    Skip,
    Void,
    Failed,
}

impl Verdict {
    fn text(self) -> &'static str {
        match self {
            Self::Aim => "aim met",
            Self::Goal => "goal met",
            Self::Miss => "MISS",
            Self::Info => "",
            Self::Skip => "SKIP",
            Self::Void => "VOID",
            Self::Failed => "FAILED",
        }
    }
}

#[derive(Debug)]
struct Finding {
    row: &'static str,
    what: String,
    value: String,
    goal: String,
    verdict: Verdict,
}

/// Everything that a run finds out.
#[derive(Debug, Default)]
pub(crate) struct Report {
    row: &'static str,
    findings: Vec<Finding>,
    raw: String,
}

impl Report {
    pub(crate) fn begin(&mut self, row: &'static str, about: &str) {
        self.row = row;
        self.note(format_args!("== {row}: {about}"));
    }

    /// A line for the raw output; it shows that the run goes on.
    pub(crate) fn note(&mut self, line: fmt::Arguments<'_>) {
        progress(line);
        let _infallible = writeln!(self.raw, "{line}");
    }

    /// A value with a goal. `shown` is the value with its spread or unit.
    pub(crate) fn judged(&mut self, what: &str, value: f64, shown: impl fmt::Display, goal: Goal) {
        self.add(what, shown.to_string(), goal.to_string(), goal.judge(value));
    }

    /// A value without one.
    pub(crate) fn info(&mut self, what: &str, shown: impl fmt::Display) {
        self.add(what, shown.to_string(), String::new(), Verdict::Info);
    }

    /// Something that could not be measured, and what to do about it.
    pub(crate) fn skip(&mut self, what: &str, remedy: &str) {
        self.add(what, remedy.to_owned(), String::new(), Verdict::Skip);
    }

    /// The same binary against itself did not come out equal: nothing else of this row means anything.
    pub(crate) fn void(&mut self, what: &str, shown: impl fmt::Display) {
        self.add(what, shown.to_string(), "0.97 to 1.03".to_owned(), Verdict::Void);
    }

    /// The row could not be measured to its end.
    pub(crate) fn failed(&mut self, error: &anyhow::Error) {
        self.add("the whole row", format!("{error:#}"), String::new(), Verdict::Failed);
    }

    /// Whether the present row is void.
    pub(crate) fn row_is_void(&self) -> bool {
        self.has(Verdict::Void, Some(self.row))
    }

    /// Takes the findings of the present row out, since it begins again; the raw output keeps them.
    pub(crate) fn forget_row(&mut self) {
        self.findings.retain(|finding| finding.row != self.row);
    }

    fn add(&mut self, what: &str, value: String, goal: String, verdict: Verdict) {
        let (what, row) = (what.to_owned(), self.row);
        self.note(format_args!("-> {what}: {value} {goal} {}", verdict.text()));
        self.findings.push(Finding { row, what, value, goal, verdict });
    }

    pub(crate) fn is_void(&self) -> bool {
        self.has(Verdict::Void, None)
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.has(Verdict::Failed, None)
    }

    fn has(&self, verdict: Verdict, row: Option<&str>) -> bool {
        self.findings.iter().any(|it| it.verdict == verdict && row.is_none_or(|row| row == it.row))
    }

    pub(crate) fn misses(&self) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == Verdict::Miss).count()
    }

    /// The table, as Markdown.
    pub(crate) fn table(&self) -> String {
        let mut table = "| row | measured | value | goal | |\n|---|---|---|---|---|\n".to_owned();
        for Finding { row, what, value, goal, verdict } in &self.findings {
            let _infallible = writeln!(table, "| {row} | {what} | {value} | {goal} | {} |", verdict.text());
        }
        table
    }

    /// Replaces the block in the README, and the file with the raw output.
    pub(crate) fn write(&self, readme: &Path, raw: &Path, machine: &str) -> Result<()> {
        let text = fs::read_to_string(readme).with_context(|| format!("{}", readme.display()))?;
        let (before, rest) = text.split_once(BEGIN).with_context(|| format!("no line {BEGIN}"))?;
        let (_, after) = rest.split_once(END).with_context(|| format!("no line {END}"))?;
        fs::write(readme, format!("{before}{BEGIN}\n{machine}\n{}{END}{after}", self.table()))?;
        self.write_raw(raw, machine)
    }

    pub(crate) fn write_raw(&self, raw: &Path, machine: &str) -> Result<()> {
        fs::write(raw, format!("{machine}\n{}\n{}", self.raw, self.table()))?;
        Ok(())
    }
}

/// Progress, for who waits.
#[expect(clippy::print_stderr, reason = "a command line tool")]
pub(crate) fn progress(line: fmt::Arguments<'_>) {
    eprintln!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_missed_met_or_surpassed() {
        let at_least = Goal::AtLeast(0.8, Some(0.9));
        assert_eq!([0.7, 0.85, 0.95].map(|value| at_least.judge(value)), [Verdict::Miss, Verdict::Goal, Verdict::Aim]);
        let at_most = Goal::AtMost(50.0, Some(20.0));
        assert_eq!([51.0, 50.0, 20.0].map(|value| at_most.judge(value)), [Verdict::Miss, Verdict::Goal, Verdict::Aim]);
        assert_eq!(Goal::AtMost(8.0, None).judge(8.0), Verdict::Goal);
        assert_eq!(Goal::AtMost(1.0, None).judge(f64::NAN), Verdict::Miss);
        assert_eq!(at_least.to_string(), "≥ 0.80 (aim 0.90)");
    }

    #[test]
    fn a_row_that_is_void_can_begin_again() {
        let mut report = Report::default();
        report.begin("one", "good");
        report.info("fact", "1");
        report.begin("two", "void");
        report.void("null", "1.10");
        assert!(report.row_is_void());
        report.forget_row();
        assert!(!report.is_void() && report.table().contains("| one | fact | 1 |"));
    }
}
