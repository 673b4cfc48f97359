//! What the faults have decided about one call.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::super::error::AwsError;
use super::super::service::Service;
use super::{Effect, Entries};

/// How a call begins, if not with its work.
#[derive(Debug, Clone)]
pub(crate) enum Refusal {
    Error(AwsError),
    Drop,
}

/// Everything that one call has to suffer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    pub(crate) stall: Duration,
    pub(crate) late: Duration,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) no_answer: bool,
    pub(crate) deliver_twice: bool,
    pub(crate) reorder: bool,
    pub(crate) forget_delete: bool,
    entries: Vec<EntryFault>,
    /// Seeds what is left to chance within the call.
    pub(crate) seed: u64,
}

#[derive(Debug, Clone)]
struct EntryFault {
    code: String,
    sender_fault: bool,
    entries: Entries,
}

/// The failure of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntryError {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) sender_fault: bool,
}

impl Plan {
    pub(super) fn add(&mut self, effect: &Effect, service: Service) {
        match effect {
            Effect::Throttle => self.refusal = Some(Refusal::Error(AwsError::throttled(service))),
            Effect::Error { status, code } => {
                let error = AwsError::new(*status, code.clone(), "A scripted fault.");
                self.refusal = Some(Refusal::Error(error));
            }
            Effect::Stall(duration) => self.stall += *duration,
            Effect::LateAnswer(duration) => self.late += *duration,
            Effect::NoAnswer => self.no_answer = true,
            Effect::Drop => self.refusal = Some(Refusal::Drop),
            Effect::FailEntries { code, sender_fault, entries } => {
                let (code, entries) = (code.clone(), entries.clone());
                self.entries.push(EntryFault { code, sender_fault: *sender_fault, entries });
            }
            Effect::DeliverTwice => self.deliver_twice = true,
            Effect::Reorder => self.reorder = true,
            Effect::ForgetDelete => self.forget_delete = true,
        }
    }

    /// What the entry at this place fails with.
    pub(crate) fn entry_error(&self, position: usize) -> Option<EntryError> {
        let strikes = |fault: &&EntryFault| match fault.entries {
            Entries::All => true,
            Entries::First(count) => position < count,
            Entries::Each(chance) => StdRng::seed_from_u64(self.seed.wrapping_add(position as u64)).random_bool(chance),
        };
        let fault = self.entries.iter().find(strikes)?;
        let message = "A scripted fault.".to_owned();
        Some(EntryError { code: fault.code.clone(), message, sender_fault: fault.sender_fault })
    }
}
