//! What it means that AWS did not say what it was asked.

use backends::aws::inspect::Trouble;

use super::account;
use super::fix::Fixes;
use super::report::Check;

/// A question to AWS, as far as its failure needs it.
#[derive(Debug, Clone)]
pub(super) struct Question<'a> {
    /// The check that asks.
    pub(super) name: &'static str,
    /// What it asks about, in words.
    pub(super) about: String,
    /// The same in policies.
    pub(super) arn: String,
    /// What to do when it is not there.
    pub(super) if_missing: Vec<String>,
    /// Whether the services ask the same: then they are as lost without an answer.
    pub(super) services_ask: bool,
    pub(super) fixes: Fixes<'a>,
}

impl Question<'_> {
    /// The check that failed so.
    pub(super) fn check(&self, trouble: &Trouble) -> Check {
        let about = &self.about;
        match trouble {
            Trouble::Denied { action } => self.denied(action),
            Trouble::Missing => Check {
                fix: self.if_missing.clone(),
                ..Check::failed(self.name, format!("{about} does not exist, as far as these credentials see"), "")
            },
            Trouble::Elsewhere { region } => {
                let own = region.as_deref().unwrap_or("its own region");
                Check::failed(self.name, format!("{about} is in another region"), format!("set AWS_REGION to {own}"))
            }
            Trouble::Credentials { code } => account::refused(self.name, code),
            Trouble::Unreachable(_) | Trouble::TimedOut => {
                Check::failed(self.name, format!("{about}: {trouble}"), self.fixes.reach(self.name))
            }
            Trouble::Answered { status: 429 | 500.., .. } => Check::failed(
                self.name,
                format!("{about}: {trouble}"),
                "ask again in a moment; https://health.aws.amazon.com/ knows outages",
            ),
            Trouble::Answered { .. } | Trouble::Unexpected(_) => {
                let fix = "check AWS_REGION and AWS_ENDPOINT_URL: the answer is not one that AWS gives here";
                Check::failed(self.name, format!("{about}: {trouble}"), fix)
            }
        }
    }

    fn denied(&self, action: &str) -> Check {
        // A secret's key is none of its own names.
        let arn = if action.starts_with("kms:") { self.fixes.arn("kms", "*", "key/*") } else { self.arn.clone() };
        let allow = self.fixes.allow(action, &arn);
        if self.services_ask {
            Check::failed(self.name, format!("{action} on {} is not allowed, and is needed", self.about), allow)
        } else {
            let text = format!("not checked: needs {action} on {}, which the services do not", self.about);
            Check { fix: vec![allow], ..Check::not_checked(self.name, text) }
        }
    }
}
