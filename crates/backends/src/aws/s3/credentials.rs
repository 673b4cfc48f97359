//! The SDK's credentials as `object_store` takes them, kept until shortly before they end.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chassis::clock::Clock;
use jiff::Timestamp;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::aws::Aws;

/// How long the chain may take; the metadata services answer in milliseconds.
const LOAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Fresh ones are fetched this long before the end of the present ones. ECS and EC2 hand out new ones at least 5 minutes
/// before. Source: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html>
const EARLY: Duration = Duration::from_secs(5 * 60);
/// Credentials without an end, such as those of a profile, are read again after this time.
const REREAD: Duration = Duration::from_secs(5 * 60);

/// The chain brought none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::aws) struct NoCredentials(String);

impl fmt::Display for NoCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "there are no AWS credentials ({}): give the task or pod a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            self.0
        )
    }
}

impl Error for NoCredentials {}

/// One fetch at a time, however many requests wait for it.
#[derive(Debug)]
pub(in crate::aws) struct SdkCredentials {
    aws: Arc<Aws>,
    clock: Arc<dyn Clock>,
    held: Mutex<Option<Held>>,
}

#[derive(Debug, Clone)]
struct Held {
    credential: Arc<AwsCredential>,
    /// When to look for others.
    refresh_at: Timestamp,
    /// When these are good for nothing; `None` for those without an end.
    ends_at: Option<Timestamp>,
}

impl SdkCredentials {
    pub(in crate::aws) fn new(aws: Arc<Aws>, clock: Arc<dyn Clock>) -> Self {
        Self { aws, clock, held: Mutex::default() }
    }

    pub(in crate::aws) async fn get(&self) -> Result<Arc<AwsCredential>, NoCredentials> {
        let mut held = self.held.lock().await;
        let now = self.clock.now();
        if let Some(present) = &*held
            && now < present.refresh_at
        {
            return Ok(Arc::clone(&present.credential));
        }
        let loaded = timeout(LOAD_TIMEOUT, self.aws.credentials()).await;
        let fresh = match loaded {
            Ok(Ok(credentials)) => Ok(keep(&credentials, now)),
            Ok(Err(error)) => Err(NoCredentials(error.to_string())),
            Err(_) => Err(NoCredentials("the source of credentials does not answer".into())),
        };
        match (fresh, &*held) {
            (Ok(fresh), _) => {
                let credential = Arc::clone(&fresh.credential);
                *held = Some(fresh);
                Ok(credential)
            }
            // The present ones may well outlive the trouble of their source.
            (Err(_), Some(present)) if present.ends_at.is_none_or(|end| now < end) => {
                Ok(Arc::clone(&present.credential))
            }
            (Err(error), _) => Err(error),
        }
    }
}

fn keep(credentials: &aws_credential_types::Credentials, now: Timestamp) -> Held {
    let credential = AwsCredential {
        key_id: credentials.access_key_id().to_owned(),
        secret_key: credentials.secret_access_key().to_owned(),
        token: credentials.session_token().map(str::to_owned),
    };
    let ends_at = credentials.expiry().and_then(|end| Timestamp::try_from(end).ok());
    let refresh_at = ends_at.map_or(now + REREAD, |end| end - EARLY);
    Held { credential: Arc::new(credential), refresh_at, ends_at }
}

#[async_trait]
impl CredentialProvider for SdkCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        self.get().await.map_err(|error| object_store::Error::Generic { store: "S3", source: Box::new(error) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as SyncMutex;
    use std::time::SystemTime;

    use aws_credential_types::Credentials;
    use aws_credential_types::provider::error::CredentialsError;
    use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
    use chassis::testing::ManualClock;

    use super::*;
    use crate::aws::AwsSettings;

    /// Counts how often it is asked.
    #[derive(Debug, Default, Clone)]
    struct Source(Arc<SyncMutex<State>>);

    #[derive(Debug, Default)]
    struct State {
        asked: u32,
        ends_at: Option<SystemTime>,
        down: bool,
    }

    impl ProvideCredentials for Source {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let mut state = self.0.lock().unwrap();
            state.asked += 1;
            let key = format!("key-{}", state.asked);
            future::ProvideCredentials::ready(match state.down {
                true => Err(CredentialsError::provider_error("switched off")),
                false => Ok(Credentials::new(key, "the-secret", None, state.ends_at, "test")),
            })
        }
    }

    fn held() -> (SdkCredentials, Source, Arc<ManualClock>) {
        let (source, clock) = (Source::default(), ManualClock::new());
        let settings = AwsSettings { region: "us-east-1".into(), endpoint_url: None };
        let aws = Aws::with_credentials(settings, SharedCredentialsProvider::new(source.clone()));
        (SdkCredentials::new(aws, Arc::clone(&clock) as _), source, clock)
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn credentials_are_fetched_once_and_again_before_they_end() {
        let (held, source, clock) = held();
        source.0.lock().unwrap().ends_at = Some(SystemTime::from(clock.now()) + 60 * MINUTE);
        let crowd = futures_util::future::join_all((0..50).map(|_| held.get())).await;
        assert!(crowd.into_iter().all(|found| found.unwrap().key_id == "key-1"));
        clock.advance(54 * MINUTE);
        assert_eq!(held.get().await.unwrap().key_id, "key-1");
        clock.advance(2 * MINUTE);
        assert_eq!(held.get().await.unwrap().key_id, "key-2");
    }

    #[tokio::test]
    async fn the_present_ones_serve_until_their_end_while_the_source_is_down() {
        let (held, source, clock) = held();
        source.0.lock().unwrap().ends_at = Some(SystemTime::from(clock.now()) + 60 * MINUTE);
        held.get().await.unwrap();
        source.0.lock().unwrap().down = true;
        clock.advance(59 * MINUTE);
        assert_eq!(held.get().await.unwrap().key_id, "key-1");
        clock.advance(MINUTE);
        assert!(held.get().await.unwrap_err().to_string().contains("AWS_ACCESS_KEY_ID"));
    }

    #[tokio::test]
    async fn credentials_never_print() {
        let (held, _source, _clock) = held();
        held.get().await.unwrap();
        assert!(!format!("{held:?} {held:#?}").contains("the-secret"));
    }
}
