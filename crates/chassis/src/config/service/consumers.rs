//! Other services, as `CONSUMER_SERVICES` names them.

use std::net::Ipv6Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::FromText;
use crate::client::{DEFAULT_CALL_TIMEOUT, ServiceUrls};
use crate::envelope::Form;

/// Nobody waits longer for a call, whatever is set.
const LONGEST_CALL: Duration = Duration::from_secs(24 * 60 * 60);

/// A service that may be called, as `CONSUMER_SERVICES` names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConsumerService {
    /// The name that others see.
    pub name: String,
    /// A host name or address.
    pub endpoint: String,
    /// The port; 0, which may be left out, where the endpoint is a service record.
    #[serde(default)]
    pub port: u16,
    /// Seconds that one call may take.
    #[serde(default = "default_call_timeout")]
    pub timeout: f64,
    /// `http` or `https`.
    #[serde(default = "default_scheme")]
    pub scheme: String,
    /// How its requests are encrypted; `None`: as the system does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<PeerEncryption>,
}

/// How a service wants its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PeerEncryption {
    /// As they are.
    None,
    /// In the form of Fernet.
    Fernet,
    /// In the first GCM form.
    Gcm,
    /// In ours.
    V2,
}

fn default_call_timeout() -> f64 {
    DEFAULT_CALL_TIMEOUT.as_secs_f64()
}

fn default_scheme() -> String {
    "http".into()
}

impl PeerEncryption {
    /// Whether they are encrypted at all.
    #[must_use]
    pub fn is_some(self) -> bool {
        self != Self::None
    }

    /// The form; `None` for requests as they are.
    pub(crate) fn form(self) -> Option<Form> {
        match self {
            Self::None => None,
            Self::Fernet => Some(Form::Fernet),
            Self::Gcm => Some(Form::Gcm),
            Self::V2 => Some(Form::V2),
        }
    }
}

impl ConsumerService {
    /// Where the service of this name is; `None` where it is not named. Each entry is a replica.
    #[must_use]
    pub fn place_of(name: &str, all: &[Self]) -> Option<ServiceUrls> {
        let named = all.iter().filter(|service| service.name == name);
        let urls: Vec<_> = named.map(Self::url).collect();
        urls.join(",").parse().ok()
    }

    /// How long one call may take.
    #[must_use]
    pub fn call_timeout(&self) -> Duration {
        // What is too much for the type is too much.
        Duration::try_from_secs_f64(self.timeout).map_or(LONGEST_CALL, |timeout| timeout.min(LONGEST_CALL))
    }

    fn url(&self) -> String {
        if self.is_service_record() {
            return format!("{}://{}", self.scheme, self.endpoint);
        }
        match self.endpoint.parse::<Ipv6Addr>() {
            Ok(address) => format!("{}://[{address}]:{}", self.scheme, self.port),
            Err(_) => format!("{}://{}:{}", self.scheme, self.endpoint, self.port),
        }
    }

    /// Whether the endpoint is the name of a service record (RFC 2782), such as `_users._tcp.internal`: these tell ports.
    fn is_service_record(&self) -> bool {
        self.endpoint.starts_with('_')
    }

    fn is_sound(&self) -> bool {
        let host = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        let named = |text: &str| !text.is_empty() && text.chars().all(host);
        named(&self.name)
            && named(&self.endpoint)
            && (self.port != 0) != self.is_service_record()
            && self.timeout > 0.0
            && ["http", "https"].contains(&self.scheme.as_str())
            && self.url().parse::<ServiceUrls>().is_ok()
    }
}

/// All of them.
#[derive(Debug)]
pub struct ConsumerServices(pub(super) Vec<ConsumerService>);

impl FromText for ConsumerServices {
    const EXPECTED: &'static str = "a JSON array such as `[{\"name\":\"user-service\",\"endpoint\":\"users.internal\",\"port\":8002,\"timeout\":30}]`";

    fn from_text(text: &str) -> Option<Self> {
        let services: Vec<ConsumerService> = serde_json::from_str(text).ok()?;
        services.iter().all(ConsumerService::is_sound).then_some(Self(services))
    }
}
