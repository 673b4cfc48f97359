//! A long queue beside one that is all but empty.
//!
//! Three queues take turns: one that is empty but for what it is worked on, the same once more (their ratio is what the
//! machine adds by itself), and the long one. In each turn as much is sent as is then received and deleted, so that
//! each stays as long as it is; only the latter is measured. A round gives each two turns, in mirrored order, and a
//! ratio is taken within a round.

use super::side::{Done, Side};
use super::table::{Spread, Table};
use super::{Outcome, Plan, memory};

/// Callers at once, and the messages of a turn.
const TURNS: [(usize, usize); 2] = [(1, 2_000), (16, 8_000)];
/// What stays in an empty queue: so that each of the callers finds something up to the end of a turn.
const BASE: usize = 500;
const GOAL: f64 = 0.8;

const SIDES: usize = 3;
const EMPTY: usize = 0;
const TWIN: usize = 1;
const LONG: usize = 2;

/// The empty queue, its twin and the long one.
#[derive(Debug)]
pub(crate) struct Depth {
    pub(crate) sides: [Side; SIDES],
    plan: Plan,
}

impl Depth {
    /// Sends what makes the last one long.
    pub(crate) fn fill(mut sides: [Side; SIDES], plan: Plan) -> Outcome<Self> {
        for (side, messages) in sides.iter_mut().zip([BASE, BASE, plan.messages]) {
            let sent = side.send(64, 10, messages)?;
            println!("{}: {messages} messages sent, {:.0}/s", side.name, sent.per_second());
        }
        Ok(Self { sides, plan })
    }

    pub(crate) fn measure_rates(&mut self, table: &mut Table) -> Outcome<()> {
        for (callers, messages) in TURNS {
            let what = format!("receive and delete, callers: {callers}");
            self.round(0, callers, messages)?;
            let mut rounds = Vec::new();
            for number in 1..=self.plan.rounds {
                let rates = self.round(number, callers, messages)?.map(Done::per_second);
                println!(
                    "{what}, round {number}: empty {:.0}/s, twin {:.0}/s, long {:.0}/s",
                    rates[0], rates[1], rates[2]
                );
                rounds.push(rates);
            }
            let ratio = |one: usize| Spread::of(rounds.iter().map(|rates| rates[one] / rates[EMPTY]));
            table.info(
                &format!("{what}: all but empty"),
                format!("{:.0}/s", Spread::of(rounds.iter().map(|rates| rates[EMPTY])).median),
            );
            table.info(&format!("{what}: null, an empty queue by an empty one"), ratio(TWIN));
            table.judged(
                &format!("{what}: {} messages by empty", self.plan.messages),
                ratio(LONG).median,
                ratio(LONG),
                GOAL,
            );
        }
        Ok(())
    }

    fn round(&mut self, number: usize, callers: usize, messages: usize) -> Outcome<[Done; SIDES]> {
        let mut order = [EMPTY, TWIN, LONG];
        order.rotate_left(number % SIDES);
        let mut done = [Done::default(); SIDES];
        for &index in order.iter().chain(order.iter().rev()) {
            let side = &mut self.sides[index];
            side.send(64, 10, messages)?;
            done[index] = done[index].and(side.work(callers, messages)?);
        }
        Ok(done)
    }

    /// Of our processes, the most that they ever had.
    pub(crate) fn measure_memory(&self, table: &mut Table) -> Outcome<()> {
        self.compare_memory("memory of the process", |side| memory::of(side.pid(), memory::PEAK), table)
    }

    /// The empty queue's memory by that of the long one. Nothing where the system does not tell.
    pub(crate) fn compare_memory(
        &self,
        what: &str,
        measure: impl Fn(&Side) -> Outcome<Option<f64>>,
        table: &mut Table,
    ) -> Outcome<()> {
        let (Some(empty), Some(long)) = (measure(&self.sides[EMPTY])?, measure(&self.sides[LONG])?) else {
            return Ok(());
        };
        let shown = format!("{:.2} ({empty:.1} MiB by {long:.1} MiB)", empty / long);
        table.judged(&format!("{what}: empty by {} messages", self.plan.messages), empty / long, shown, GOAL);
        Ok(())
    }

    /// What is done with all of the long queue.
    pub(crate) fn measure_whole(&mut self, table: &mut Table) -> Outcome<()> {
        let long = &mut self.sides[LONG];
        let counted = long.tell("stats")?;
        table.info(&format!("counting {} messages", counted.messages), format!("{:.0} ms", counted.seconds * 1000.0));
        let purged = long.tell("purge")?;
        table.info(&format!("purging {} messages", purged.messages), format!("{:.0}/s", purged.per_second()));
        Ok(())
    }
}
