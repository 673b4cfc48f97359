//! What goes wrong, for whom and how often.

mod plan;
mod rules;
mod wire;

use std::time::Duration;

pub(crate) use plan::{Plan, Refusal};
pub(crate) use rules::Rules;

use super::service::Service;

/// Names an injected fault, to take it away again or to ask how often it struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FaultId(pub(crate) u64);

/// What happens to a call that a fault strikes.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// The throttling error of the service: `RequestThrottled`, `SlowDown`, `ThrottlingException`.
    Throttle,
    /// This status and code, in the service's own form. Nothing is done.
    Error {
        /// HTTP status.
        status: u16,
        /// The service's code, such as `AccessDenied`.
        code: String,
    },
    /// Nothing happens for so long, in real time; then the call is done and answered. One whose client hangs up
    /// meanwhile is never done.
    Stall(Duration),
    /// The call is done at once and answered so much later: what it changed is there before the client knows.
    LateAnswer(Duration),
    /// The call is done, then the connection is closed in the place of an answer.
    NoAnswer,
    /// The connection is closed, and nothing is done.
    Drop,
    /// Entries of a batch fail; the others are done.
    FailEntries {
        /// The entry's code, such as `InternalError`.
        code: String,
        /// Whether AWS blames the caller. A well-made client does not repeat those.
        sender_fault: bool,
        /// Which of them.
        entries: Entries,
    },
    /// A receive hands messages out and leaves them visible, so the next receive hands them out again.
    DeliverTwice,
    /// A receive hands out any visible messages, not the oldest.
    Reorder,
    /// A delete is answered with success, and the message comes back when its visibility ends. AWS says that a copy
    /// may be missed: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html>
    ForgetDelete,
}

impl Effect {
    /// Whether it could do anything to calls of this action. Those that it could not are neither struck nor counted.
    fn concerns(&self, action: &str) -> bool {
        match self {
            Self::FailEntries { .. } => action.ends_with("Batch"),
            Self::DeliverTwice | Self::Reorder => action == "ReceiveMessage",
            Self::ForgetDelete => matches!(action, "DeleteMessage" | "DeleteMessageBatch"),
            _ => true,
        }
    }
}

/// Which entries of a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Entries {
    /// Every one.
    All,
    /// The first so many, as the request orders them.
    First(usize),
    /// Each with this probability, from 0 to 1.
    Each(f64),
}

/// A scripted fault: an effect on the calls that match, all of them until told otherwise.
///
/// Faults are asked in the order of their injection. Those that only delay or disturb add up; the first one that
/// refuses or closes ends the asking, so that the ones behind it are not used up.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    pub(crate) effect: Effect,
    pub(crate) service: Option<Service>,
    pub(crate) action: Option<String>,
    pub(crate) resource: Option<String>,
    pub(crate) after: u64,
    pub(crate) times: Option<u64>,
    pub(crate) chance: f64,
}

impl Fault {
    /// This effect on every call to every service.
    #[must_use]
    pub fn new(effect: Effect) -> Self {
        Self { effect, service: None, action: None, resource: None, after: 0, times: None, chance: 1.0 }
    }

    /// [`Effect::Throttle`].
    #[must_use]
    pub fn throttle() -> Self {
        Self::new(Effect::Throttle)
    }

    /// [`Effect::Error`]. A status that HTTP does not have is answered as 500.
    #[must_use]
    pub fn error(status: u16, code: &str) -> Self {
        Self::new(Effect::Error { status, code: code.to_owned() })
    }

    /// [`Effect::Stall`].
    #[must_use]
    pub fn stall(duration: Duration) -> Self {
        Self::new(Effect::Stall(duration))
    }

    /// [`Effect::LateAnswer`].
    #[must_use]
    pub fn late_answer(duration: Duration) -> Self {
        Self::new(Effect::LateAnswer(duration))
    }

    /// [`Effect::NoAnswer`]: a lost response.
    #[must_use]
    pub fn no_answer() -> Self {
        Self::new(Effect::NoAnswer)
    }

    /// [`Effect::Drop`]: a lost request.
    #[must_use]
    pub fn drop_connection() -> Self {
        Self::new(Effect::Drop)
    }

    /// [`Effect::FailEntries`], with the service's fault.
    #[must_use]
    pub fn fail_entries(entries: Entries, code: &str) -> Self {
        Self::new(Effect::FailEntries { code: code.to_owned(), sender_fault: false, entries })
    }

    /// [`Effect::FailEntries`], with the caller's fault.
    #[must_use]
    pub fn fail_entries_of_sender(entries: Entries, code: &str) -> Self {
        Self::new(Effect::FailEntries { code: code.to_owned(), sender_fault: true, entries })
    }

    /// [`Effect::DeliverTwice`].
    #[must_use]
    pub fn deliver_twice() -> Self {
        Self::new(Effect::DeliverTwice)
    }

    /// [`Effect::Reorder`].
    #[must_use]
    pub fn reorder() -> Self {
        Self::new(Effect::Reorder)
    }

    /// [`Effect::ForgetDelete`].
    #[must_use]
    pub fn forget_delete() -> Self {
        Self::new(Effect::ForgetDelete)
    }

    /// Only calls to this service.
    #[must_use]
    pub fn on_service(mut self, service: Service) -> Self {
        self.service = Some(service);
        self
    }

    /// Only calls of this action, such as `SendMessageBatch`.
    ///
    /// # Panics
    ///
    /// If no service has such an action: a fault that never strikes proves nothing.
    #[must_use]
    pub fn on(mut self, action: &str) -> Self {
        assert!(is_action(action), "the fake knows no action {action}");
        self.action = Some(action.to_owned());
        self
    }

    /// Only calls about this queue (its name), parameter, secret, or objects whose `bucket/key` begins so.
    #[must_use]
    pub fn on_resource(mut self, resource: &str) -> Self {
        self.resource = Some(resource.to_owned());
        self
    }

    /// Leaves the first `calls` matching calls alone.
    #[must_use]
    pub fn after(mut self, calls: u64) -> Self {
        self.after = calls;
        self
    }

    /// Strikes so many calls, then never again.
    #[must_use]
    pub fn times(mut self, calls: u64) -> Self {
        self.times = Some(calls);
        self
    }

    /// Strikes a matching call with this probability, by the seed of the fake.
    ///
    /// # Panics
    ///
    /// Outside of 0 to 1.
    #[must_use]
    pub fn with_chance(mut self, probability: f64) -> Self {
        assert!((0.0..=1.0).contains(&probability), "{probability} is no probability");
        self.chance = probability;
        self
    }
}

pub(crate) fn is_action(name: &str) -> bool {
    Service::ALL.iter().any(|service| service.actions().contains(&name))
}
