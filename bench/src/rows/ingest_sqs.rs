//! Messages that are on SQS when they are answered, from 64 connections at once: what ingest needs of a core for each,
//! against Flask and boto3 in the shape of seed 001.
//!
//! SQS is the fake of the tests, on the core of the load. The queue is emptied between slices.

use std::time::Duration;

use anyhow::Result;

use super::ingest::{CONNECTIONS, loaded};
use crate::aws::Aws;
use crate::bench::{Bench, message};
use crate::load::{Target, post};
use crate::paired::{self, Contestant, Slice};
use crate::python::gunicorn;
use crate::report::Goal;
use crate::server::Loaded;

/// Of the peer: of 1, 2, 4, 8, 16 and 64 the number with which it needed the least for a message, in two tries each.
const THREADS: usize = 16;

/// A contestant that leaves an empty queue behind.
struct Emptied<'a> {
    loaded: Loaded,
    aws: &'a Aws,
}

impl Contestant for Emptied<'_> {
    fn name(&self) -> &str {
        self.loaded.name()
    }

    fn slice(&mut self, length: Duration) -> Result<Slice> {
        let slice = self.loaded.slice(length)?;
        self.aws.purge()?;
        Ok(slice)
    }
}

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let aws = Aws::new(bench, "aws")?;
    let _fake = aws.start()?;
    let mut contestants = Vec::new();
    for name in ["keelson-sqs", "twin-sqs"] {
        bench.fresh(name)?;
        contestants.push(loaded(&aws.serve(bench, name, "ingest")?)?);
    }
    let flask = flask(bench, &aws)?;
    let has_flask = flask.is_some();
    contestants.extend(flask);
    let mut contestants: Vec<_> = contestants.into_iter().map(|loaded| Emptied { loaded, aws: &aws }).collect();
    let mut all: Vec<_> = contestants.iter_mut().map(|it| it as &mut dyn Contestant).collect();
    let rounds = paired::run(&mut all, bench.plan, &mut bench.report)?;
    rounds.describe("message", &mut bench.report);
    let cpu = Slice::cpu_each;
    if !rounds.check_null(["keelson-sqs", "twin-sqs"], "CPU", cpu, &mut bench.report)? {
        return Ok(());
    }
    if has_flask {
        let ratio = rounds.ratio("flask", "keelson-sqs", cpu);
        bench.report.judged("CPU of Flask and boto3 by ours", ratio.median, ratio, Goal::AtLeast(50.0, None));
    }
    Ok(())
}

fn flask(bench: &mut Bench, aws: &Aws) -> Result<Option<Loaded>> {
    let mut env = aws.environment();
    env.push(("THREADS".to_owned(), THREADS.to_string()));
    let Some((launch, address)) = gunicorn(bench, "flask", "flask.conf.py", &env)? else { return Ok(None) };
    let server = launch.start()?;
    Ok(Some(Loaded {
        server,
        target: Target::new(address, post("/api/message", &message()))?,
        connections: CONNECTIONS,
    }))
}
