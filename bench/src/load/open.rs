//! The open loop: requests come at a rate, whatever becomes of those before, from clients that give up after a while.
//!
//! Latency counts from when a request was due, so a slow server cannot hide behind a client that waits for it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::Result;
use mio::{Events, Poll, Token};

use super::Target;
use super::connection::{Connection, Progress};

/// A stretch of time with one rate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Phase {
    pub(crate) per_second: f64,
    pub(crate) length: Duration,
}

/// The clients of an open loop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clients {
    /// Connections at once. A request that finds none free is not sent, and counts as failed.
    pub(crate) connections: usize,
    /// How long a client waits before it closes its connection.
    pub(crate) patience: Duration,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Answered(u16),
    GaveUp,
    /// The connection was closed or refused.
    Broken,
    NotSent,
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// When it was due, from the start.
    pub(crate) due: Duration,
    /// From then to its end.
    pub(crate) latency: Duration,
    pub(crate) end: End,
}

/// Sends through all phases and waits for the last answers.
pub(crate) fn run(target: &Target, clients: Clients, phases: &[Phase]) -> Result<Vec<Sample>> {
    let mut load = Load::new(target, clients)?;
    let mut due = Duration::ZERO;
    let mut end = Duration::ZERO;
    for phase in phases {
        end += phase.length;
        let step = Duration::from_secs_f64(1.0 / phase.per_second);
        while due < end {
            load.turn_until(due)?;
            load.begin(due);
            due += step;
        }
    }
    load.finish(end)?;
    Ok(load.samples)
}

/// A request under way.
#[derive(Debug, Clone, Copy)]
struct Pending {
    serial: u64,
    due: Duration,
}

#[derive(Debug)]
struct Slot {
    connection: Connection,
    pending: Option<Pending>,
}

struct Load<'a> {
    target: &'a Target,
    clients: Clients,
    poll: Poll,
    events: Events,
    started: Instant,
    slots: Vec<Option<Slot>>,
    /// Slots with an open connection and nothing on it, and those without a connection.
    idle: Vec<usize>,
    empty: Vec<usize>,
    /// In the order in which clients give up; what is answered by then stays in here.
    deadlines: VecDeque<(usize, Pending)>,
    under_way: usize,
    serial: u64,
    samples: Vec<Sample>,
}

impl<'a> Load<'a> {
    fn new(target: &'a Target, clients: Clients) -> Result<Self> {
        Ok(Self {
            target,
            clients,
            poll: Poll::new()?,
            events: Events::with_capacity(4096),
            started: Instant::now(),
            slots: (0..clients.connections).map(|_| None).collect(),
            idle: Vec::new(),
            empty: (0..clients.connections).rev().collect(),
            deadlines: VecDeque::new(),
            under_way: 0,
            serial: 0,
            samples: Vec::new(),
        })
    }

    /// Works until `due`. It asks again and again instead of sleeping, as a sleep would end up to a millisecond late.
    fn turn_until(&mut self, due: Duration) -> Result<()> {
        loop {
            self.turn()?;
            if self.started.elapsed() >= due {
                return Ok(());
            }
        }
    }

    fn finish(&mut self, end: Duration) -> Result<()> {
        while self.under_way > 0 && self.started.elapsed() < end + self.clients.patience * 2 {
            self.turn()?;
        }
        Ok(())
    }

    fn turn(&mut self) -> Result<()> {
        self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
        let ready: Vec<usize> = self.events.iter().map(|event| event.token().0).collect();
        for index in ready {
            self.advance(index);
        }
        let now = self.started.elapsed();
        while let Some((index, pending)) = self.deadlines.front().copied()
            && pending.due + self.clients.patience <= now
        {
            self.deadlines.pop_front();
            let is_current = |slot: &Slot| slot.pending.is_some_and(|it| it.serial == pending.serial);
            if self.slots[index].as_ref().is_some_and(is_current) {
                self.end(index, End::GaveUp);
                self.close(index);
            }
        }
        Ok(())
    }

    fn begin(&mut self, due: Duration) {
        let Some(index) = self.idle.pop().or_else(|| self.open()) else {
            let latency = self.started.elapsed().saturating_sub(due);
            self.samples.push(Sample { due, latency, end: End::NotSent });
            return;
        };
        let Some(slot) = &mut self.slots[index] else { return };
        self.serial += 1;
        let pending = Pending { serial: self.serial, due };
        slot.pending = Some(pending);
        self.under_way += 1;
        self.deadlines.push_back((index, pending));
        if slot.connection.send(self.target.request(index)) == Progress::Gone {
            self.end(index, End::Broken);
            self.close(index);
        }
    }

    fn open(&mut self) -> Option<usize> {
        let index = self.empty.pop()?;
        match Connection::open(self.target.address, self.poll.registry(), Token(index)) {
            Ok(connection) => self.slots[index] = Some(Slot { connection, pending: None }),
            Err(_) => {
                self.empty.push(index);
                return None;
            }
        }
        Some(index)
    }

    fn advance(&mut self, index: usize) {
        let Some(slot) = &mut self.slots[index] else { return };
        let was_idle = slot.pending.is_none();
        match slot.connection.advance(self.target.request(index)) {
            Progress::Waiting => {}
            // Closed, or told something that nobody asked for.
            _ if was_idle => {
                self.idle.retain(|idle| *idle != index);
                self.close(index);
            }
            Progress::Answered(answer) => {
                let right = answer.status != 200 || self.target.fits(answer.length);
                self.end(index, if right { End::Answered(answer.status) } else { End::Broken });
                if answer.closes {
                    self.close(index);
                } else {
                    self.idle.push(index);
                }
            }
            Progress::Gone => {
                self.end(index, End::Broken);
                self.close(index);
            }
        }
    }

    /// Notes the end of the request on a connection.
    fn end(&mut self, index: usize, end: End) {
        let Some(pending) = self.slots[index].as_mut().and_then(|slot| slot.pending.take()) else { return };
        self.under_way -= 1;
        let latency = self.started.elapsed().saturating_sub(pending.due);
        self.samples.push(Sample { due: pending.due, latency, end });
    }

    fn close(&mut self, index: usize) {
        self.slots[index] = None;
        self.empty.push(index);
    }
}
