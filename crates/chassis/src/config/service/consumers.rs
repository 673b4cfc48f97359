//! Other services, as `CONSUMER_SERVICES` names them.

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use super::super::FromText;
use crate::client::ServiceUrls;

/// A service that may be called, as `CONSUMER_SERVICES` names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConsumerService {
    /// The name that others see.
    pub name: String,
    /// A host name or address.
    pub endpoint: String,
    /// The port.
    pub port: u16,
    /// Seconds that one call may take.
    #[serde(default = "default_call_timeout")]
    pub timeout: f64,
    /// `http` or `https`.
    #[serde(default = "default_scheme")]
    pub scheme: String,
}

fn default_call_timeout() -> f64 {
    30.0
}

fn default_scheme() -> String {
    "http".into()
}

impl ConsumerService {
    /// Where the service of this name is; `None` where it is not named. Each entry is a replica.
    #[must_use]
    pub fn place_of(name: &str, all: &[Self]) -> Option<ServiceUrls> {
        let named = all.iter().filter(|service| service.name == name);
        let urls: Vec<_> = named.map(Self::url).collect();
        urls.join(",").parse().ok()
    }

    fn url(&self) -> String {
        match self.endpoint.parse::<Ipv6Addr>() {
            Ok(address) => format!("{}://[{address}]:{}", self.scheme, self.port),
            Err(_) => format!("{}://{}:{}", self.scheme, self.endpoint, self.port),
        }
    }

    fn is_sound(&self) -> bool {
        let host = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        let named = |text: &str| !text.is_empty() && text.chars().all(host);
        named(&self.name)
            && named(&self.endpoint)
            && self.port != 0
            && self.timeout > 0.0
            && ["http", "https"].contains(&self.scheme.as_str())
            && self.url().parse::<ServiceUrls>().is_ok()
    }
}

pub(super) struct ConsumerServices(pub(super) Vec<ConsumerService>);

impl FromText for ConsumerServices {
    const EXPECTED: &'static str = "a JSON array such as `[{\"name\":\"user-service\",\"endpoint\":\"users.internal\",\"port\":8002,\"timeout\":30}]`";

    fn from_text(text: &str) -> Option<Self> {
        let services: Vec<ConsumerService> = serde_json::from_str(text).ok()?;
        services.iter().all(ConsumerService::is_sound).then_some(Self(services))
    }
}
