//! The faults that are in force, and which of them strike a call.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::super::lock;
use super::super::service::{Service, Target};
use super::{Fault, FaultId, Plan};

#[derive(Debug)]
pub(crate) struct Rules {
    /// Read before the lock is taken, as most calls meet no fault at all.
    active: AtomicUsize,
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    rules: Vec<Rule>,
    next_id: u64,
    rng: StdRng,
}

#[derive(Debug)]
struct Rule {
    id: FaultId,
    fault: Fault,
    seen: u64,
    struck: u64,
}

impl Rules {
    pub(crate) fn new(seed: u64) -> Self {
        let book = Book { rules: Vec::new(), next_id: 1, rng: StdRng::seed_from_u64(seed) };
        Self { active: AtomicUsize::new(0), book: Mutex::new(book) }
    }

    pub(crate) fn inject(&self, fault: Fault) -> FaultId {
        let mut book = lock(&self.book);
        let id = FaultId(book.next_id);
        book.next_id += 1;
        book.rules.push(Rule { id, fault, seen: 0, struck: 0 });
        self.active.store(book.rules.len(), Ordering::Release);
        id
    }

    /// Takes one away; whether it was there.
    pub(crate) fn heal(&self, id: FaultId) -> bool {
        let mut book = lock(&self.book);
        let before = book.rules.len();
        book.rules.retain(|rule| rule.id != id);
        self.active.store(book.rules.len(), Ordering::Release);
        book.rules.len() < before
    }

    pub(crate) fn heal_all(&self) {
        let mut book = lock(&self.book);
        book.rules.clear();
        self.active.store(0, Ordering::Release);
    }

    /// How many calls this one struck so far.
    pub(crate) fn struck(&self, id: FaultId) -> u64 {
        lock(&self.book).rules.iter().find(|rule| rule.id == id).map_or(0, |rule| rule.struck)
    }

    pub(crate) fn plan(&self, target: &Target) -> Plan {
        let mut plan = Plan::default();
        if self.active.load(Ordering::Acquire) == 0 {
            return plan;
        }
        let mut book = lock(&self.book);
        let Book { rules, rng, .. } = &mut *book;
        plan.seed = rng.random();
        for rule in rules {
            if rule.strikes(target, rng) {
                plan.add(&rule.fault.effect, target.service);
            }
            if plan.refusal.is_some() {
                break;
            }
        }
        plan
    }
}

impl Rule {
    fn strikes(&mut self, target: &Target, rng: &mut StdRng) -> bool {
        if !self.matches(target) || self.fault.times.is_some_and(|times| self.struck >= times) {
            return false;
        }
        self.seen += 1;
        if self.seen <= self.fault.after || !rng.random_bool(self.fault.chance) {
            return false;
        }
        self.struck += 1;
        true
    }

    fn matches(&self, target: &Target) -> bool {
        let Fault { service, action, resource, .. } = &self.fault;
        let same_resource = |resource: &String| match target.service {
            Service::S3 => target.resource.starts_with(resource),
            _ => target.resource == *resource,
        };
        self.fault.effect.concerns(target.action)
            && service.is_none_or(|service| service == target.service)
            && action.as_ref().is_none_or(|action| action == target.action)
            && resource.as_ref().is_none_or(same_resource)
    }
}
