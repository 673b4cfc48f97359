//! Settings that hold a secret: the value itself, or a reference to where it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

use crate::ports::secrets::{SecretError, SecretRef, SecretSource, into_secret};

/// Bytes of the shortest secret that production takes.
const MIN_SECRET_BYTES: usize = 32;

/// Secrets that stand in documents and tutorials, so that anybody knows them. Compared without case.
const WELL_KNOWN: &[&str] = &["my-secret-token", "secret", "changeme", "password", "your-secret-key", "test-token"];

/// Says why production cannot take this secret; `None` when it can.
#[must_use]
pub fn check_secret(secret: &SecretString) -> Option<String> {
    let text = secret.expose_secret();
    if WELL_KNOWN.iter().any(|known| text.to_ascii_lowercase().starts_with(known)) {
        return Some("a secret of your own: this one stands in public documents".into());
    }
    if text.len() < MIN_SECRET_BYTES {
        return Some(format!("a secret of at least {MIN_SECRET_BYTES} bytes, such as `openssl rand -hex 32` prints"));
    }
    None
}

/// `env:NAME`: another environment variable.
#[derive(Debug, Default, Clone, Copy)]
pub struct EnvSecrets;

#[async_trait]
impl SecretSource for EnvSecrets {
    #[expect(clippy::disallowed_methods, reason = "configuration is the one place that reads the environment")]
    async fn fetch(&self, name: &str) -> Result<SecretString, SecretError> {
        let value = std::env::var_os(name).ok_or_else(|| SecretError::NotFound(name.to_owned()))?;
        into_secret(name, value.into_encoded_bytes())
    }
}

/// The sources of all known schemes.
#[derive(Debug, Clone)]
pub struct SecretSources {
    by_scheme: BTreeMap<&'static str, Arc<dyn SecretSource>>,
}

impl Default for SecretSources {
    fn default() -> Self {
        Self { by_scheme: BTreeMap::from([("env", Arc::new(EnvSecrets) as Arc<dyn SecretSource>)]) }
    }
}

impl SecretSources {
    /// Adds the source of a scheme.
    #[must_use]
    pub fn with(mut self, scheme: &'static str, source: Arc<dyn SecretSource>) -> Self {
        self.by_scheme.insert(scheme, source);
        self
    }

    /// What a setting's text means: a reference with its source, or `None` for the secret itself.
    #[must_use]
    pub fn reference(&self, text: &SecretString) -> Option<(Arc<dyn SecretSource>, SecretRef)> {
        let known: Vec<&str> = self.by_scheme.keys().copied().collect();
        let reference = SecretRef::parse(text.expose_secret(), &known)?;
        let source = self.by_scheme.get(reference.scheme.as_str())?;
        Some((Arc::clone(source), reference))
    }
}
