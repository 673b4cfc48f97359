//! Messages that are on SQS when they are answered, from 64 connections at once: what ingest needs of a core for each,
//! against Flask and boto3 in the shape of seed 001.
//!
//! SQS is the fake of the tests, on the core of the load. The queue is emptied between slices.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;

use super::ingest::{CONNECTIONS, loaded};
use crate::aws::Aws;
use crate::bench::{Bench, message};
use crate::load::{Target, post};
use crate::paired::{self, Contestant, Slice};
use crate::python::{gunicorn, program};
use crate::report::Goal;
use crate::server::{Launch, Loaded};

/// The peer as the seed starts it, and under a server for production.
const FLASK: &str = "flask";
const GUNICORN: &str = "flask-gunicorn";
/// Of the latter: of 1, 2, 4, 8, 16 and 64 the number with which it needed the least for a message, in two tries each.
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
    let has_flask = !flask.is_empty();
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
        let [flask, gunicorn] = [FLASK, GUNICORN].map(|peer| rounds.ratio(peer, "keelson-sqs", cpu));
        bench.report.judged("CPU of Flask and boto3 by ours", flask.median, flask, Goal::AtLeast(50.0, None));
        bench.report.info("the same under gunicorn, without its access log", gunicorn);
    }
    Ok(())
}

fn flask(bench: &mut Bench, aws: &Aws) -> Result<Vec<Loaded>> {
    let mut env = aws.environment();
    env.push(("THREADS".to_owned(), THREADS.to_string()));
    let own = program(bench, FLASK, "flask", &env)?.map(|launch| start(launch, true));
    let under_gunicorn = gunicorn(bench, GUNICORN, "flask", "flask.conf.py", &env)?.map(|launch| start(launch, false));
    own.into_iter().chain(under_gunicorn).collect()
}

fn start((launch, address): (Launch, SocketAddr), closes: bool) -> Result<Loaded> {
    let server = launch.start()?;
    let target = Target { closes, ..Target::new(address, post("/api/message", &message()))? };
    Ok(Loaded { server, target, connections: CONNECTIONS })
}
