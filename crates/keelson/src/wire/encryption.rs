//! The keys of encrypted calls: those that are set, fetched or generated, and fresh ones while services run.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use backends::local::{generated_key, generated_secret_path};
use chassis::envelope::{EncryptionKeys, KeyRing, ServiceKeys};
use chassis::ports::{SecretError, SecretRef, SecretSource};
use chassis::service::{Context, Service};
use futures_util::future::join_all;
use secrecy::SecretString;
use tokio::time::sleep;
use tracing::warn;

use super::identity;
use super::secrets::{KEY_INTERVAL, secret_sources};
use crate::cli::ServiceName;
use crate::failure::Failure;
use crate::settings::{Demands, KeySetting, Settings};

/// The name of the generated key under `DIR/secrets`.
pub(crate) const ENCRYPTION_KEY_FILE: &str = "encryption_key";

/// How old a key in a file may become before it is read again.
const FILE_INTERVAL: Duration = Duration::from_secs(4);

/// Rings that are read from somewhere where they may change.
pub(crate) struct FollowedKeys(Vec<Followed>);

struct Followed {
    setting: &'static str,
    source: Arc<dyn SecretSource>,
    reference: SecretRef,
    demands: Demands,
    keys: Arc<EncryptionKeys>,
}

/// The keys of this process's services, if there are any.
pub(crate) async fn service_keys(
    settings: &Settings,
    context: &Context,
) -> Result<(Option<Arc<ServiceKeys>>, FollowedKeys), Failure> {
    let mut keys = ServiceKeys::new(Arc::clone(&context.clock));
    if settings.chassis.encryption.encrypts_calls {
        keys = keys.encrypting_calls_of(ServiceName::ALL.iter().map(|&name| identity(name).name));
    }
    let mut followed = Vec::new();
    for setting in &settings.keys.all {
        let Some((active, reference)) = read(settings, setting).await? else { continue };
        if let Some((source, reference)) = reference.filter(|(_, reference)| reference.scheme != "env") {
            let (demands, keys) = (settings.keys.demands_of(setting), Arc::clone(&active));
            followed.push(Followed { setting: setting.info.name, source, reference, demands, keys });
        }
        keys = match setting.owner {
            None => keys.with_shared(active),
            Some(owner) => keys.with(owner, active),
        };
    }
    Ok(((!keys.is_empty()).then(|| Arc::new(keys)), FollowedKeys(followed)))
}

type Reference = (Arc<dyn SecretSource>, SecretRef);

async fn read(
    settings: &Settings,
    setting: &KeySetting,
) -> Result<Option<(Arc<EncryptionKeys>, Option<Reference>)>, Failure> {
    let sources = secret_sources(&settings.aws);
    let text = match &setting.text {
        Some(text) => text.clone(),
        None if setting.owner.is_none() && settings.keys.generates => {
            generated_key(&settings.data, ENCRYPTION_KEY_FILE)?;
            // A rotation changes the file.
            let path = generated_secret_path(&settings.data, ENCRYPTION_KEY_FILE);
            SecretString::from(format!("file:{}", path.display()))
        }
        None => return Ok(None),
    };
    let (name, demands) = (setting.info.name, settings.keys.demands_of(setting));
    let Some((source, reference)) = sources.reference(&text) else {
        let ring = demands.ring(&text).map_err(|problem| Failure::usage(format!("{name}: {problem}")))?;
        return Ok(Some((EncryptionKeys::new(ring), None)));
    };
    let ring = match fetch(&*source, &reference, demands).await {
        Ok(ring) => ring,
        Err(NoRing::Unavailable(problem)) => return Err(Failure::unavailable(problem)),
        Err(NoRing::Wrong(problem)) => return Err(Failure::usage(format!("{name}={reference}: {problem}"))),
    };
    Ok(Some((EncryptionKeys::new(ring), Some((source, reference)))))
}

/// Why a reference brings no ring.
enum NoRing {
    Unavailable(String),
    Wrong(String),
}

async fn fetch(source: &dyn SecretSource, reference: &SecretRef, demands: Demands) -> Result<KeyRing, NoRing> {
    match source.fetch(&reference.name).await {
        Ok(text) => demands.ring(&text).map_err(NoRing::Wrong),
        Err(error @ SecretError::Unavailable(_)) => Err(NoRing::Unavailable(error.to_string())),
        Err(error) => Err(NoRing::Wrong(error.to_string())),
    }
}

impl FollowedKeys {
    /// Lets rotated keys count without a restart. The first service reads them.
    pub(crate) fn follow(self, services: &mut [Service]) {
        let Some(first) = services.first_mut().filter(|_| !self.0.is_empty()) else { return };
        first.add_worker("encryption-keys", |lifecycle| async move {
            let following = join_all(self.0.iter().map(Followed::follow));
            lifecycle.draining().run_until_cancelled(following).await;
        });
    }
}

impl Followed {
    async fn take(&self, ring: KeyRing) {
        let keys = Arc::clone(&self.keys);
        // Else the first of many bodies would do it, and all others wait for it.
        let taking = tokio::task::spawn_blocking(move || {
            if keys.speaks_gcm()
                && let Err(cause) = ring.derive()
            {
                warn!(%cause, "a new key could not be derived");
                return;
            }
            keys.replace(ring);
        });
        if let Err(cause) = taking.await {
            warn!(%cause, "new keys could not be taken");
        }
    }

    /// While a source is down, or holds what is no ring, the last good one stays.
    async fn follow(&self) -> Infallible {
        let interval = if self.reference.scheme == "file" { FILE_INTERVAL } else { KEY_INTERVAL };
        let mut last_problem = None;
        loop {
            sleep(interval).await;
            let problem = match fetch(&*self.source, &self.reference, self.demands).await {
                Ok(ring) => {
                    self.take(ring).await;
                    None
                }
                Err(NoRing::Unavailable(problem) | NoRing::Wrong(problem)) => Some(problem),
            };
            if let Some(cause) = problem.as_ref().filter(|_| problem != last_problem) {
                warn!(cause, "{} could not be read again: the keys stay as they were", self.setting);
            }
            last_problem = problem;
        }
    }
}
