//! The closed loop: each connection sends its next request when it has its answer.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use hdrhistogram::Histogram;
use mio::{Events, Poll, Token};

use super::connection::{Connection, Progress};
use super::{Target, latencies, note};

/// How long a run may stand still.
const PATIENCE: Duration = Duration::from_secs(30);

/// When a run ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    Over(Duration),
    Answers(u64),
}

/// What a run was answered.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) count: u64,
    pub(crate) took: Duration,
    pub(crate) latency: Histogram<u64>,
}

/// Connections of one client. Requests that are under way at the end of a run are answered in the next one.
#[derive(Debug)]
pub(crate) struct Closed<'a> {
    target: &'a Target,
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    begun: Vec<Instant>,
    /// Which request each connection sends.
    requests: Vec<usize>,
    /// How many were begun.
    sent: usize,
    /// Requests that a run by count may still send.
    left: u64,
    parked: Vec<usize>,
}

impl<'a> Closed<'a> {
    pub(crate) fn connect(target: &'a Target, connections: usize) -> Result<Self> {
        let poll = Poll::new()?;
        let open = |index| Connection::open(target.address, poll.registry(), Token(index));
        let connections = (0..connections).map(open).collect::<Result<Vec<_>, _>>()?;
        let begun = vec![Instant::now(); connections.len()];
        let (parked, requests): (Vec<_>, Vec<_>) = (0..connections.len()).map(|index| (index, index)).unzip();
        let events = Events::with_capacity(1024);
        Ok(Self { target, events, poll, connections, begun, requests, sent: 0, left: 0, parked })
    }

    /// Sends and receives. Every answer must have the right status and length.
    pub(crate) fn run(&mut self, until: Until) -> Result<Answers> {
        let started = Instant::now();
        let mut answers = Answers { count: 0, took: Duration::ZERO, latency: latencies()? };
        let wanted = if let Until::Answers(count) = until { count } else { u64::MAX };
        self.left = wanted;
        for index in std::mem::take(&mut self.parked) {
            self.send(index)?;
        }
        loop {
            let elapsed = started.elapsed();
            let over = matches!(until, Until::Over(length) if elapsed >= length);
            if over || answers.count >= wanted {
                answers.took = elapsed;
                return Ok(answers);
            }
            self.turn(&mut answers)?;
        }
    }

    /// Waits for what is under way, and sends nothing more: whoever hangs up on a server leaves it with work, or with a
    /// guess at a password that it does not know the end of.
    pub(crate) fn finish(mut self) -> Result<()> {
        let mut answers = Answers { count: 0, took: Duration::ZERO, latency: latencies()? };
        self.left = 0;
        while self.parked.len() < self.connections.len() {
            self.turn(&mut answers)?;
        }
        Ok(())
    }

    fn turn(&mut self, answers: &mut Answers) -> Result<()> {
        match self.poll.poll(&mut self.events, Some(PATIENCE)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        ensure!(!self.events.is_empty(), "{} did not answer for {PATIENCE:?}", self.target.address);
        let ready: Vec<usize> = self.events.iter().map(|event| event.token().0).collect();
        for index in ready {
            match self.connections[index].advance(self.target.request(self.requests[index])) {
                Progress::Waiting => {}
                Progress::Gone => bail!("{} closed a connection of a closed loop", self.target.address),
                Progress::Answered(answer) => {
                    let Target { address, status, length, closes, .. } = self.target;
                    let right = answer.status == *status && self.target.fits(answer.length) && answer.closes == *closes;
                    ensure!(right, "{address} answered {answer:?}, expected {status} and {length:?}");
                    answers.count += 1;
                    note(&mut answers.latency, self.begun[index].elapsed());
                    if *closes {
                        self.connections[index] = Connection::open(*address, self.poll.registry(), Token(index))?;
                    }
                    self.send(index)?;
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, index: usize) -> Result<()> {
        if self.left == 0 {
            self.parked.push(index);
            return Ok(());
        }
        self.left -= 1;
        self.begun[index] = Instant::now();
        if self.target.once {
            self.requests[index] = self.sent;
        }
        self.sent += 1;
        match self.connections[index].send(self.target.request(self.requests[index])) {
            Progress::Gone => bail!("{} does not take requests", self.target.address),
            _ => Ok(()),
        }
    }
}
