//! The paired method: all contestants alive at once, short slices in random and mirrored order, ratios within a round.
//!
//! A machine is never the same for long. Contestants that take turns every second meet the same machine, the mirrored
//! order cancels what drifts evenly within a round, and the ratio within a round what drifts between rounds.

use std::time::Duration;

use anyhow::{Result, ensure};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngCore as _, SeedableRng as _};

use crate::report::Report;
use crate::stats::{Spread, median, short};

/// Where the median of the same binary against itself must lie.
const NULL: std::ops::RangeInclusive<f64> = 0.97..=1.03;

/// What one contestant did in one slice.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Slice {
    pub(crate) done: u64,
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
    /// What a server that it works against was on a core meanwhile, where that is measured.
    pub(crate) beside: Duration,
}

impl Slice {
    fn add(&mut self, other: Self) {
        self.done += other.done;
        self.cpu += other.cpu;
        self.wall += other.wall;
        self.beside += other.beside;
    }

    /// Nanoseconds on a core for each thing done.
    pub(crate) fn cpu_each(&self) -> f64 {
        self.cpu.as_nanos() as f64 / self.done as f64
    }

    /// The same of the server that it works against.
    pub(crate) fn beside_each(&self) -> f64 {
        self.beside.as_nanos() as f64 / self.done as f64
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.done as f64 / self.wall.as_secs_f64()
    }
}

/// Someone who takes part.
pub(crate) trait Contestant {
    fn name(&self) -> &str;
    /// Works for about this long.
    fn slice(&mut self, length: Duration) -> Result<Slice>;
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) slice: Duration,
}

/// Slices by contestant and round.
#[derive(Debug)]
pub(crate) struct Rounds {
    names: Vec<String>,
    slices: Vec<Vec<Slice>>,
}

/// Runs all rounds, after a short one that only warms up.
pub(crate) fn run(contestants: &mut [&mut dyn Contestant], plan: Plan, report: &mut Report) -> Result<Rounds> {
    let seed = StdRng::from_os_rng().next_u64();
    let mut random = StdRng::seed_from_u64(seed);
    report.note(format_args!("{} rounds of two slices of {:?} each, order by seed {seed}", plan.rounds, plan.slice));
    for contestant in contestants.iter_mut() {
        contestant.slice(plan.slice / 4)?;
    }
    let mut rounds = Rounds { names: contestants.iter().map(|it| it.name().to_owned()).collect(), slices: Vec::new() };
    rounds.slices.resize(contestants.len(), Vec::new());
    for number in 1..=plan.rounds {
        let mut order: Vec<usize> = (0..contestants.len()).collect();
        order.shuffle(&mut random);
        let mut round = vec![Slice::default(); contestants.len()];
        for &index in order.iter().chain(order.iter().rev()) {
            round[index].add(contestants[index].slice(plan.slice)?);
        }
        for (index, slice) in round.into_iter().enumerate() {
            let (name, cpu, rate) = (&rounds.names[index], slice.cpu_each(), slice.per_second());
            report.note(format_args!("round {number} {name}: {} done, {cpu:.0} ns each, {rate:.0}/s", slice.done));
            rounds.slices[index].push(slice);
        }
    }
    Ok(rounds)
}

impl Rounds {
    fn of(&self, name: &str) -> &[Slice] {
        self.names.iter().position(|known| known == name).map_or(&[], |index| &self.slices[index])
    }

    /// `measure` of one contestant divided by that of another, round by round.
    pub(crate) fn ratio(&self, one: &str, other: &str, measure: impl Fn(&Slice) -> f64) -> Spread {
        self.combine([one, other], |[one, other]| measure(&one) / measure(&other))
    }

    /// Any sum over the slices of one round.
    pub(crate) fn combine<const N: usize>(&self, names: [&str; N], sum: impl Fn([Slice; N]) -> f64) -> Spread {
        let rounds = names.iter().map(|name| self.of(name).len()).min().unwrap_or(0);
        let values: Vec<f64> = (0..rounds).map(|round| sum(names.map(|name| self.of(name)[round]))).collect();
        Spread::of(&values)
    }

    pub(crate) fn median(&self, name: &str, measure: impl Fn(&Slice) -> f64) -> f64 {
        median(self.of(name).iter().map(measure))
    }

    /// Holds the same binary against itself; false when the rounds mean nothing.
    pub(crate) fn check_null(
        &self,
        [one, twin]: [&str; 2],
        what: &str,
        measure: impl Fn(&Slice) -> f64,
        report: &mut Report,
    ) -> Result<bool> {
        ensure!(!self.of(one).is_empty() && !self.of(twin).is_empty(), "{one} or {twin} took no part");
        let null = self.ratio(one, twin, measure);
        let holds = NULL.contains(&null.median);
        let what = format!("null: the same binary twice, {what}");
        if holds {
            report.info(&what, null)
        } else {
            report.void(&what, null)
        }
        Ok(holds)
    }

    /// What each contestant needs and does, as medians.
    pub(crate) fn describe(&self, unit: &str, report: &mut Report) {
        for name in &self.names {
            let (cpu, rate) = (self.median(name, Slice::cpu_each), self.median(name, Slice::per_second));
            report.info(name, format!("{} µs CPU for each {unit}, {rate:.0}/s", short(cpu / 1000.0)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Steady(&'static str, u64);

    impl Contestant for Steady {
        fn name(&self) -> &str {
            self.0
        }

        fn slice(&mut self, length: Duration) -> Result<Slice> {
            Ok(Slice { done: 1000, cpu: Duration::from_micros(self.1), wall: length, ..Slice::default() })
        }
    }

    #[test]
    fn ratios_are_taken_round_by_round_and_the_null_is_checked() {
        let (mut one, mut twin, mut other) = (Steady("one", 10), Steady("twin", 10), Steady("other", 20));
        let mut report = Report::default();
        let plan = Plan { rounds: 3, slice: Duration::from_secs(1) };
        let rounds = run(&mut [&mut one, &mut twin, &mut other], plan, &mut report).unwrap();
        assert_eq!(rounds.ratio("other", "one", Slice::cpu_each), Spread { p10: 2.0, median: 2.0, p90: 2.0 });
        assert_eq!(rounds.median("one", Slice::per_second), 1000.0);
        assert!(rounds.check_null(["one", "twin"], "CPU", Slice::cpu_each, &mut report).unwrap());
        assert!(!report.is_void());
        assert!(!rounds.check_null(["one", "other"], "CPU", Slice::cpu_each, &mut report).unwrap());
        assert!(report.is_void());
    }
}
