//! What users says of itself.

use chassis::auth::{ServiceToken, ServiceTokens};
use chassis::client::{Call, CallError, CallLimits, NoClient, ServiceClient, ServiceUrls};
use chassis::health::Check;
use chassis::service::Service;
use http::StatusCode;
use secrecy::SecretString;
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
pub(crate) struct UserStatistics {
    client: Option<ServiceClient>,
    /// With it the calls of a service on another machine are not limited as those of a stranger there.
    token: Option<ServiceToken>,
}

impl UserStatistics {
    /// For this service, where it is known where users is, and what to show there.
    pub(crate) fn new(
        url: Option<ServiceUrls>,
        tokens: Option<&ServiceTokens>,
        service: &Service,
    ) -> Result<Self, NoClient> {
        let client = |url| service.callees().client(USERS, url, CallLimits::default());
        let token = tokens.map(|tokens| tokens.of(crate::IDENTITY.name, &[]));
        Ok(Self { client: url.map(client).transpose()?, token })
    }

    /// What is asked with, where it is known whom.
    pub(crate) fn client(&self) -> Option<&ServiceClient> {
        self.client.as_ref()
    }

    /// Whether users can be reached, where it is known.
    pub(crate) fn check(&self) -> Option<Check> {
        self.client.as_ref().map(|client| client.check(USERS))
    }

    /// How many users there are; or why that is not known, for callers.
    pub(crate) async fn count(&self) -> Result<UserCounts, &'static str> {
        let Some(client) = &self.client else {
            return Err("user statistics are unavailable: USER_SERVICE_URL is not set");
        };
        self.ask(client).await.map_err(|error| {
            warn!(cause = %error, "users does not tell how many there are");
            "user statistics are unavailable: user-service does not answer"
        })
    }

    async fn ask(&self, client: &ServiceClient) -> Result<UserCounts, CallError> {
        let call = client.get(&["api", "v1", "users", "stats", "count"]);
        let shown = self.shown().await;
        let answer = shown.iter().fold(call, Call::bearer).send().await?;
        if let (Some(token), Some(shown), StatusCode::UNAUTHORIZED) = (&self.token, &shown, answer.status()) {
            token.refused(shown);
        }
        if !answer.status().is_success() {
            return Err(answer.unexpected());
        }
        Ok(answer.json::<Counted>()?.data)
    }

    /// The count is public: without a token it is told too.
    async fn shown(&self) -> Option<SecretString> {
        let shown = self.token.as_ref()?.show().await;
        shown.inspect_err(|error| warn!(cause = %error, "users is asked without a token")).ok()
    }
}
