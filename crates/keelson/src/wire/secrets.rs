//! The secrets of services: those that are set, fetched or generated.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use backends::aws::Aws;
use backends::local::{generated_secret, generated_secret_path};
use chassis::auth::{ApiToken, KeyRing, SigningKey, TokenIssuer, TokenKeys, TokenVerifier};
use chassis::config::{JWT_PREVIOUS_SECRET_KEY, JWT_SECRET_KEY, SecretSources, SettingInfo, TokenConfig, check_secret};
use chassis::ports::{SecretError, SecretRef, SecretSource};
use chassis::service::Context;
use secrecy::SecretString;
use tokio::time::sleep;
use tracing::warn;

use crate::failure::Failure;
use crate::settings::Settings;

/// The name of the generated API token under `DIR/secrets`.
pub(crate) const API_TOKEN_FILE: &str = "api_token";

/// The name of the generated key of users' tokens, in the same place.
const JWT_SECRET_FILE: &str = "jwt_secret_key";

/// The sources that references to secrets may name.
pub(crate) fn secret_sources(aws: &Arc<Aws>) -> SecretSources {
    backends::secret_sources(aws)
        .into_iter()
        .fold(SecretSources::default(), |all, (scheme, source)| all.with(scheme, source))
}

/// The token that ingest asks for: the one that is set, one that is fetched, or the generated one.
pub(super) async fn api_token(settings: &Settings, context: &Context) -> Result<Arc<ApiToken>, Failure> {
    let clock = Arc::clone(&context.clock);
    let Some(token) = &settings.ingest.api_token else {
        return Ok(ApiToken::fixed(generated_secret(&settings.data, API_TOKEN_FILE)?, clock));
    };
    let Some((source, reference)) = secret_sources(&settings.aws).reference(token) else {
        return Ok(ApiToken::fixed(token.clone(), clock));
    };
    if settings.chassis.production {
        refuse_weak(&*source, &reference).await?;
    }
    Ok(ApiToken::fetched(source, reference, clock))
}

/// Production starts with no weak and no missing secret; a source that is down may come back.
async fn refuse_weak(source: &dyn SecretSource, reference: &SecretRef) -> Result<(), Failure> {
    match source.fetch(&reference.name).await {
        Ok(secret) => match check_secret(&secret) {
            Some(expected) => Err(Failure::usage(format!("API_TOKEN={reference}: expected {expected}"))),
            None => Ok(()),
        },
        Err(error @ SecretError::Unavailable(_)) => {
            warn!(cause = %error, "the API token cannot be checked yet");
            Ok(())
        }
        Err(error) => Err(Failure::usage(format!("API_TOKEN={reference}: {error}"))),
    }
}

/// What signs and verifies users' tokens: what is set, or what is generated where users are kept. `None` where no
/// service of the process asks for tokens.
pub(super) async fn token_keys(settings: &Settings, keeps_users: bool) -> Result<Option<Arc<TokenKeys>>, Failure> {
    Ok(key_ring(settings, keeps_users).await?.map(TokenKeys::new))
}

async fn key_ring(settings: &Settings, keeps_users: bool) -> Result<Option<KeyRing>, Failure> {
    let tokens = &settings.chassis.tokens;
    let key = match &tokens.key {
        Some(key) => signing_key(settings, &JWT_SECRET_KEY.info, key).await?,
        None if keeps_users => {
            let generated = generated_secret(&settings.data, JWT_SECRET_FILE)?;
            SigningKey::parse(&generated).map_err(|error| Failure::failed(format!("{JWT_SECRET_FILE}: {error}")))?
        }
        None => return Ok(None),
    };
    let previous = match &tokens.previous_key {
        Some(previous) => Some(signing_key(settings, &JWT_PREVIOUS_SECRET_KEY.info, previous).await?),
        None => None,
    };
    Ok(Some(KeyRing { current: key, previous }))
}

/// How old keys may become that are referred to, before they are read again: the five minutes of the contract, less the
/// time that a source may take.
pub(super) const KEY_INTERVAL: Duration = Duration::from_secs(290);

/// Reads referenced keys again and again, so that a rotation needs no restart. While a source is down, or holds what is
/// no key, the last good ones stay.
pub(super) async fn refresh_keys(settings: Settings, keys: Arc<TokenKeys>) -> Infallible {
    loop {
        sleep(KEY_INTERVAL).await;
        match key_ring(&settings, false).await {
            Ok(ring) => ring.into_iter().for_each(|ring| keys.replace(ring)),
            Err(failure) => warn!(cause = %failure, "the keys of users' tokens could not be read again"),
        }
    }
}

/// Whether keys are read from somewhere where they may change.
pub(super) fn refers_to_keys(settings: &Settings) -> bool {
    let sources = secret_sources(&settings.aws);
    let tokens = &settings.chassis.tokens;
    [&tokens.key, &tokens.previous_key].into_iter().flatten().any(|key| sources.reference(key).is_some())
}

async fn signing_key(settings: &Settings, setting: &SettingInfo, text: &SecretString) -> Result<SigningKey, Failure> {
    let (key, shown) = match secret_sources(&settings.aws).reference(text) {
        None => (text.clone(), "***".to_owned()),
        Some((source, reference)) => match source.fetch(&reference.name).await {
            Ok(key) => (key, reference.to_string()),
            Err(error @ SecretError::Unavailable(_)) => return Err(Failure::unavailable(error.to_string())),
            Err(error) => return Err(Failure::usage(format!("{}={reference}: {error}", setting.name))),
        },
    };
    let expected = check_secret(&key).filter(|_| settings.chassis.production);
    if let Some(expected) = expected {
        return Err(Failure::usage(format!("{}={shown}: expected {expected}", setting.name)));
    }
    SigningKey::parse(&key).map_err(|error| Failure::usage(format!("{}={shown}: {error}", setting.name)))
}

/// The keys as a command finds them, which makes none: nobody would know it.
async fn operators_keys(settings: &Settings) -> Result<Arc<TokenKeys>, Failure> {
    let is_generated = generated_secret_path(&settings.data, JWT_SECRET_FILE).is_file();
    let keys = token_keys(settings, is_generated).await?;
    keys.ok_or_else(|| {
        let data = settings.data.display();
        Failure::usage(format!(
            "there is no key: no users have run on {data} yet; start `keelson up`, name its folder with --data, or set JWT_SECRET_KEY"
        ))
    })
}

/// Issues tokens that operators ask for.
pub(crate) async fn operators_issuer(
    settings: &Settings,
    lifetime: Duration,
    context: &Context,
) -> Result<TokenIssuer, Failure> {
    let keys = operators_keys(settings).await?;
    let parties = settings.chassis.tokens.parties.clone();
    Ok(TokenIssuer::new(keys, parties, lifetime, Arc::clone(&context.clock), Arc::clone(&context.ids)))
}

/// Verifies tokens as services do.
pub(crate) async fn operators_verifier(settings: &Settings, context: &Context) -> Result<TokenVerifier, Failure> {
    let keys = operators_keys(settings).await?;
    Ok(TokenVerifier::new(keys, settings.chassis.tokens.parties.clone(), Arc::clone(&context.clock)))
}

pub(super) fn token_issuer(settings: &Settings, keys: &Arc<TokenKeys>, context: &Context) -> TokenIssuer {
    let TokenConfig { parties, lifetime, .. } = &settings.chassis.tokens;
    let (clock, ids) = (Arc::clone(&context.clock), Arc::clone(&context.ids));
    TokenIssuer::new(Arc::clone(keys), parties.clone(), *lifetime, clock, ids)
}

#[cfg(test)]
mod tests {
    use chassis::auth::Verification;
    use chassis::config::Layers;

    use super::*;
    use crate::settings::Mode;

    #[tokio::test(start_paused = true)]
    async fn a_rotated_key_counts_within_five_minutes_and_what_is_no_key_changes_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let write = |text: &str| std::fs::write(file.path(), text).unwrap();
        write("0123456789abcdef0123456789abcdef-first");
        let reference = format!("file:{}", file.path().display());
        let layers = Layers::of(&[("JWT_SECRET_KEY", &reference)]);
        let settings = Settings::read(&layers, Mode::Up, &[]).unwrap();
        assert!(refers_to_keys(&settings));
        let keys = token_keys(&settings, true).await.unwrap().unwrap();
        let context = Context::system();
        let issue = || token_issuer(&settings, &keys, &context).issue("ann", "ann", &[]).unwrap();
        let parties = settings.chassis.tokens.parties.clone();
        let verifier = TokenVerifier::new(Arc::clone(&keys), parties, Arc::clone(&context.clock));
        let is_good = async |token: &SecretString| {
            let verified = verifier.verify(secrecy::ExposeSecret::expose_secret(token)).await;
            matches!(verified, Verification::Valid(_))
        };

        let five_minutes = || async {
            let refreshing = refresh_keys(settings.clone(), Arc::clone(&keys));
            let _elapsed = tokio::time::timeout(Duration::from_secs(300), refreshing).await;
        };
        let first = issue();
        write("-----BEGIN PUBLIC KEY-----");
        five_minutes().await;
        assert!(is_good(&first).await, "what is no key changes nothing");
        write("fedcba9876543210fedcba9876543210-second");
        five_minutes().await;
        assert!(!is_good(&first).await && is_good(&issue()).await);
    }
}
