//! What users says of itself.

use chassis::client::{CallError, CallLimits, NoClient, ServiceClient, ServiceUrl};
use chassis::health::Check;
use chassis::telemetry::metrics::Metrics;
use serde::{Deserialize, Serialize};
use tracing::warn;
use utoipa::ToSchema;

/// As users is called everywhere.
const USERS: &str = "user-service";

/// How many users there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct UserCounts {
    total_users: u64,
    active_users: u64,
    inactive_users: u64,
}

#[derive(Deserialize)]
struct Counted {
    data: UserCounts,
}

/// Asks users.
#[derive(Debug)]
pub(crate) struct UserStatistics(Option<ServiceClient>);

impl UserStatistics {
    pub(crate) fn new(url: Option<ServiceUrl>, metrics: &Metrics) -> Result<Self, NoClient> {
        let client = url.map(|url| ServiceClient::new(USERS, url, CallLimits::default(), metrics)).transpose()?;
        Ok(Self(client))
    }

    /// Whether users can be reached, where it is known.
    pub(crate) fn check(&self) -> Option<Check> {
        self.0.as_ref().map(|client| client.check(USERS))
    }

    /// How many users there are; or why that is not known, for callers.
    pub(crate) async fn count(&self) -> Result<UserCounts, &'static str> {
        let Some(client) = &self.0 else { return Err("user statistics are unavailable: USER_SERVICE_URL is not set") };
        self.ask(client).await.map_err(|error| {
            warn!(cause = %error, "users does not tell how many there are");
            "user statistics are unavailable: user-service does not answer"
        })
    }

    async fn ask(&self, client: &ServiceClient) -> Result<UserCounts, CallError> {
        let answer = client.get(&["api", "v1", "users", "stats", "count"]).send().await?;
        if !answer.status().is_success() {
            return Err(answer.unexpected());
        }
        Ok(answer.json::<Counted>()?.data)
    }
}
