//! The services, their actions, and which of them a request is for.

use std::fmt;

use http::request::Parts;
use serde::{Deserialize, Serialize};

use super::s3;

/// A service of AWS that the fake plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// Simple Queue Service.
    Sqs,
    /// Simple Storage Service.
    S3,
    /// Systems Manager, of which only Parameter Store.
    Ssm,
    /// Secrets Manager.
    SecretsManager,
    /// Security Token Service.
    Sts,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Sqs, Self::S3, Self::Ssm, Self::SecretsManager, Self::Sts];

    /// The name that IAM policies and endpoints use, such as `secretsmanager`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqs => "sqs",
            Self::S3 => "s3",
            Self::Ssm => "ssm",
            Self::SecretsManager => "secretsmanager",
            Self::Sts => "sts",
        }
    }

    /// The actions that are answered, by the names in the API reference.
    #[must_use]
    pub fn actions(self) -> &'static [&'static str] {
        match self {
            Self::Sqs => &super::sqs::ACTIONS,
            Self::S3 => &s3::ACTIONS,
            Self::Ssm => &super::ssm::ACTIONS,
            Self::SecretsManager => &super::secrets::ACTIONS,
            Self::Sts => &super::sts::ACTIONS,
        }
    }

    pub(crate) fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.name() == name)
    }

    fn action(self, name: &str) -> &'static str {
        self.actions().iter().find(|action| **action == name).copied().unwrap_or(UNKNOWN_ACTION)
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The action of a request that the fake has no answer for.
pub const UNKNOWN_ACTION: &str = "Unknown";

/// What a request is about, found before it is worked on.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) service: Service,
    pub(crate) action: &'static str,
    /// Queue, `bucket/key`, parameter or secret; empty when there is none.
    pub(crate) resource: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Names {
    queue_url: Option<String>,
    queue_name: Option<String>,
    name: Option<String>,
    secret_id: Option<String>,
}

impl Target {
    pub(crate) fn of(parts: &Parts, body: &[u8]) -> Self {
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let Some((prefix, action)) = header("x-amz-target").and_then(|target| target.split_once('.')) else {
            return Self::without_target_header(parts, body);
        };
        let service = match prefix {
            "AmazonSSM" => Service::Ssm,
            "secretsmanager" => Service::SecretsManager,
            _ => Service::Sqs,
        };
        Self { service, action: service.action(action), resource: resource(body) }
    }

    fn without_target_header(parts: &Parts, body: &[u8]) -> Self {
        let form = parts.headers.get(http::header::CONTENT_TYPE);
        let is_form = form.is_some_and(|value| value.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
        let query = parts.uri.query().unwrap_or_default().as_bytes();
        let parameters = if is_form { body } else { query };
        let action = form_urlencoded::parse(parameters).find(|(name, _)| name == "Action");
        match action {
            Some((_, name)) if parts.uri.path() == "/" => {
                Self { service: Service::Sts, action: Service::Sts.action(&name), resource: String::new() }
            }
            _ => s3::target(parts),
        }
    }
}

/// What a JSON request is about.
fn resource(body: &[u8]) -> String {
    let Ok(names) = serde_json::from_slice::<Names>(body) else { return String::new() };
    if let Some(url) = names.queue_url {
        return url.rsplit('/').next().unwrap_or_default().to_owned();
    }
    names.queue_name.or(names.name).or(names.secret_id).unwrap_or_default()
}
