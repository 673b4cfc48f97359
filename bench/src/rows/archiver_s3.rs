//! The archiver from SQS to S3, against a bare loop of the same PUTs with as many at a time.
//!
//! Both services are the fake of the tests, on the core of the load; whoever is measured has the other core. The fake
//! counts the objects of both. It is started anew for each slice, with a full queue for the archiver, so that no slice
//! meets the objects of another.
//!
//! Two things are asked. What an object needs of a core, which is the archiver's own: the fake has a core of its own, and
//! what it needs does not count. And objects per second when each call takes its time, as at AWS: the cores have time
//! then, and what counts is how many calls are under way at once.

use std::time::{Duration, Instant};
use std::{fmt, fs};

use anyhow::{Result, ensure};

use super::ingest;
use crate::aws::{Aws, Calls};
use crate::bench::Bench;
use crate::load::closed::{Closed, Until};
use crate::paired::{self, Contestant, Rounds, Slice};
use crate::report::{Goal, Report};
use crate::server::Server;
use crate::stats::short;
use crate::system::{CpuTime, pause};

/// Messages in the full queue: more than a slice can take, of calls that are answered at once and of others.
const BACKLOG: u64 = 40_000;
const BACKLOG_FAR: u64 = 12_000;
/// How long a contestant works before it is counted.
const RUN_UP: Duration = Duration::from_millis(300);
/// PUTs at a time: what `ARCHIVE_CONCURRENCY` is by default.
const WRITERS: usize = 64;
/// Milliseconds of a call for the contestants that are to wait: assumed, as no number of AWS is promised.
const FAR: [(&str, u64); 2] = [("s3", 20), ("sqs", 5)];

const OURS: &str = "archiver-s3";
const TWIN: &str = "twin-archiver-s3";
const LOOP: &str = "loop of PUTs";
const OURS_FAR: &str = "archiver-s3, AWS far";
const LOOP_FAR: &str = "loop of PUTs, AWS far";

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    // The contestants need all the rest of it while the report is written.
    let mut report = std::mem::take(&mut bench.report);
    let outcome = measure(bench, &mut report);
    bench.report = report;
    outcome
}

fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let archiver = |name, far| Putter { bench, name, work: Work::Archive, far, calls: Counts::default() };
    let mut ours = archiver(OURS, false);
    let bytes = ours.object_size()?;
    let puts = |name, far| Putter { work: Work::Put { bytes }, ..archiver(name, far) };
    report.note(format_args!("an object has {bytes} bytes"));
    let (mut twin, mut bare) = (archiver(TWIN, false), puts(LOOP, false));
    let (mut ours_far, mut bare_far) = (archiver(OURS_FAR, true), puts(LOOP_FAR, true));
    let mut all: [&mut dyn Contestant; 5] = [&mut ours, &mut twin, &mut bare, &mut ours_far, &mut bare_far];
    let rounds = paired::run(&mut all, bench.plan, report)?;
    rounds.describe("object", report);
    for (name, what) in [(OURS, "the archiver"), (LOOP, "the loop")] {
        report.info(&format!("the fake beside {what}"), beside(&rounds, name));
    }
    report.info("calls of SQS for each object", ours.calls);
    if !rounds.check_null([OURS, TWIN], "CPU", Slice::cpu_each, report)? {
        return Ok(());
    }
    let goal = Goal::AtLeast(0.8, None);
    let efficiency = rounds.ratio(LOOP, OURS, Slice::cpu_each);
    report.judged("objects for each second of a core by those of the loop", efficiency.median, efficiency, goal);
    report.info("objects per second by those of the loop", rounds.ratio(OURS, LOOP, Slice::per_second));
    let far = rounds.ratio(OURS_FAR, LOOP_FAR, Slice::per_second);
    let [(_, put), (_, sqs)] = FAR;
    let what = format!("objects per second by those of the loop, a PUT takes {put} ms and a call of SQS {sqs} ms");
    report.judged(&what, far.median, far, goal);
    Ok(())
}

/// What the fake needs of its core, and how much of it: near to 100 % it is the fake that is measured.
fn beside(rounds: &Rounds, name: &str) -> String {
    let each = rounds.median(name, Slice::beside_each) / 1000.0;
    let busy = rounds.median(name, |slice| 100.0 * slice.beside.as_secs_f64() / slice.wall.as_secs_f64());
    format!("{} µs CPU for each object, {} % of its core", short(each), short(busy))
}

/// Someone who puts objects into the bucket.
struct Putter<'a> {
    bench: &'a Bench,
    name: &'static str,
    work: Work,
    far: bool,
    /// Of all slices.
    calls: Counts,
}

enum Work {
    /// Of a full queue.
    Archive,
    Put {
        bytes: usize,
    },
}

/// A slice's processes. They end in this order, so that nobody misses the fake. Their ports are new ones each time: in
/// the meantime a connection of someone else may have got the last ones.
struct Started {
    server: Server,
    fake: Server,
    aws: Aws,
}

/// Calls that the fake has answered.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    puts: u64,
    receives: u64,
    deletes: u64,
}

impl Counts {
    fn of(calls: &Calls) -> Self {
        let [puts, receives, deletes] =
            ["PutObject", "ReceiveMessage", "DeleteMessageBatch"].map(|name| calls.of(name));
        Self { puts, receives, deletes }
    }

    fn add(&mut self, before: Self, after: Self) {
        self.puts += after.puts - before.puts;
        self.receives += after.receives - before.receives;
        self.deletes += after.deletes - before.deletes;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = |calls: u64| short(calls as f64 / self.puts as f64);
        write!(f, "{} receives and {} deletes", each(self.receives), each(self.deletes))
    }
}

impl Putter<'_> {
    /// Bytes of an object, as the archiver puts them.
    fn object_size(&self) -> Result<usize> {
        let started = self.start()?;
        loop {
            if let Some(bytes) = started.aws.object_size()? {
                return Ok(bytes);
            }
            pause(Duration::from_millis(1));
        }
    }

    fn backlog(&self) -> u64 {
        if self.far { BACKLOG_FAR } else { BACKLOG }
    }

    /// The last line that was logged.
    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.bench.output(self.name)).unwrap_or_default();
        log.lines().last().unwrap_or_default().to_owned()
    }

    fn start(&self) -> Result<Started> {
        let aws = Aws::new(self.bench, "aws")?;
        let fake = aws.start()?;
        let launch = match self.work {
            Work::Archive => {
                self.fill(&aws)?;
                aws.serve(self.bench, self.name, "archiver")?.launch
            }
            Work::Put { bytes } => {
                let (writers, bytes) = (WRITERS.to_string(), bytes.to_string());
                let words = ["puts", "--endpoint", &aws.endpoint(), "--writers", &writers, "--bytes", &bytes];
                self.bench.client(self.name, &words, aws.ready())
            }
        };
        for (service, millis) in FAR.into_iter().filter(|_| self.far) {
            aws.delay(service, millis)?;
        }
        Ok(Started { server: launch.start()?, fake, aws })
    }

    /// Sends messages through ingest, so that they are as the archiver gets them.
    fn fill(&self, aws: &Aws) -> Result<()> {
        let loaded = ingest::loaded(&aws.serve(self.bench, "filler", "ingest")?)?;
        Closed::connect(&loaded.target, loaded.connections)?.run(Until::Answers(self.backlog()))?;
        loaded.server.forget_output()?;
        let status = loaded.server.stop()?;
        ensure!(status.success(), "ingest ended with {status}");
        Ok(())
    }
}

impl Contestant for Putter<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn slice(&mut self, length: Duration) -> Result<Slice> {
        let Started { server, fake, aws } = &self.start()?;
        let look = || Ok::<_, anyhow::Error>((CpuTime::of(server.pid())?, CpuTime::of(fake.pid())?));
        pause(RUN_UP);
        let (before, (cpu, beside), begun) = (Counts::of(&aws.calls()?), look()?, Instant::now());
        pause(length);
        let (after, (cpu_after, beside_after), wall) = (Counts::of(&aws.calls()?), look()?, begun.elapsed());
        ensure!(after.puts > before.puts, "{} puts nothing: {}", self.name, self.last_words());
        server.forget_output()?;
        let ran_empty = matches!(self.work, Work::Archive) && after.puts >= self.backlog();
        ensure!(!ran_empty, "the queue ran empty: {} messages archived", after.puts);
        self.calls.add(before, after);
        let [cpu, beside] = [cpu_after.since(&cpu), beside_after.since(&beside)].map(Duration::from_nanos);
        Ok(Slice { done: after.puts - before.puts, cpu, wall, beside })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_for_each_object() {
        let mut counts = Counts { puts: 90, receives: 9, deletes: 9 };
        counts.add(Counts { puts: 5, receives: 1, deletes: 0 }, Counts { puts: 15, receives: 2, deletes: 11 });
        assert_eq!(counts.to_string(), "0.10 receives and 0.20 deletes");
    }
}
