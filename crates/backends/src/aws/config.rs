//! Region, endpoint and credentials, found once for the whole process.

use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use tokio::sync::OnceCell;

use super::AwsRequests;

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Attempts at one call, the first one included. Few, since whoever calls has a plan of his own for an outage.
const ATTEMPTS: u32 = 3;

/// Where AWS is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsSettings {
    /// `AWS_REGION`.
    pub region: String,
    /// `AWS_ENDPOINT_URL`: an emulator, or a private endpoint; `None` for the public ones of the region.
    pub endpoint_url: Option<String>,
}

/// One account as this process sees it. Costs nothing until something of it is used.
///
/// Credentials come from the SDK's default chain: environment, profile, web identity (Kubernetes), task role (ECS),
/// instance role (EC2). Source: <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>
#[derive(Debug)]
pub struct Aws {
    settings: AwsSettings,
    credentials: Option<SharedCredentialsProvider>,
    config: OnceCell<SdkConfig>,
    requests: AwsRequests,
}

impl Aws {
    /// Looks for nothing yet.
    #[must_use]
    pub fn new(settings: AwsSettings) -> Arc<Self> {
        Self::build(settings, None)
    }

    /// The same with given credentials in place of the chain.
    #[must_use]
    pub fn with_credentials(settings: AwsSettings, credentials: SharedCredentialsProvider) -> Arc<Self> {
        Self::build(settings, Some(credentials))
    }

    fn build(settings: AwsSettings, credentials: Option<SharedCredentialsProvider>) -> Arc<Self> {
        Arc::new(Self { settings, credentials, config: OnceCell::new(), requests: AwsRequests::default() })
    }

    /// Where AWS is.
    #[must_use]
    pub fn settings(&self) -> &AwsSettings {
        &self.settings
    }

    /// The requests of this process so far.
    #[must_use]
    pub fn requests(&self) -> &AwsRequests {
        &self.requests
    }

    /// What every client is made from.
    pub(crate) async fn config(&self) -> &SdkConfig {
        self.config.get_or_init(|| self.load()).await
    }

    /// What the chain gives at this moment: caching is the caller's. The SDK's own clients do it themselves.
    pub(crate) async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let none = || CredentialsError::not_loaded("the SDK has no source of credentials");
        self.config().await.credentials_provider().ok_or_else(none)?.provide_credentials().await
    }

    async fn load(&self) -> SdkConfig {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(self.settings.region.clone()))
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build());
        if let Some(endpoint) = &self.settings.endpoint_url {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(credentials) = &self.credentials {
            loader = loader.credentials_provider(credentials.clone());
        }
        loader.load().await
    }
}
