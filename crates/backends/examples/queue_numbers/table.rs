//! What was found, as Markdown.

use std::fmt;

/// The tenth, fiftieth and ninetieth percentile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    low: f64,
    pub(crate) median: f64,
    high: f64,
}

impl Spread {
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| sorted.get((share * (sorted.len().saturating_sub(1)) as f64).round() as usize);
        let [low, median, high] = [0.1, 0.5, 0.9].map(|share| at(share).copied().unwrap_or(f64::NAN));
        Self { low, median, high }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} / **{:.2}** / {:.2}", self.low, self.median, self.high)
    }
}

#[derive(Debug)]
struct Line {
    what: String,
    value: String,
    goal: Option<f64>,
    is_met: bool,
}

/// Lines with a value, some with a goal.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<Line>);

impl Table {
    pub(crate) fn info(&mut self, what: &str, value: impl fmt::Display) {
        self.add(Line { what: what.to_owned(), value: value.to_string(), goal: None, is_met: true });
    }

    /// `shown` is the value with its spread or unit; it is to be `at_least` so much.
    pub(crate) fn judged(&mut self, what: &str, value: f64, shown: impl fmt::Display, at_least: f64) {
        let is_met = value >= at_least;
        self.add(Line { what: what.to_owned(), value: shown.to_string(), goal: Some(at_least), is_met });
    }

    pub(crate) fn has_misses(&self) -> bool {
        self.0.iter().any(|line| !line.is_met)
    }

    fn add(&mut self, line: Line) {
        println!("-> {}: {}", line.what, line.value);
        self.0.push(line);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| measured | value | goal | |\n|---|---|---|---|")?;
        for Line { what, value, goal, is_met } in &self.0 {
            let verdict = if *is_met { "goal met" } else { "MISS" };
            match goal {
                Some(goal) => writeln!(f, "| {what} | {value} | ≥ {goal} | {verdict} |")?,
                None => writeln!(f, "| {what} | {value} | | |")?,
            }
        }
        Ok(())
    }
}
