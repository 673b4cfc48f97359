//! The secrets port: references such as `env:NAME` or `file:/run/secrets/x`, and the sources that resolve them.
//!
//! A setting holds either the secret itself or a reference. Values are wrapped and print as `***`.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use secrecy::SecretString;
use thiserror::Error;

/// Bytes of the longest secret that a source hands out; more is a mistaken reference.
pub const MAX_SECRET_BYTES: usize = 64 * 1024;

/// Where a secret is found: a scheme, and a name that the scheme's source understands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SecretRef {
    /// `env`, `file`, …
    pub scheme: String,
    /// What follows the colon.
    pub name: String,
}

impl SecretRef {
    /// Reads `scheme:name` when `scheme` is one of `known`; any other text is a secret itself, not a reference.
    #[must_use]
    pub fn parse(text: &str, known: &[&str]) -> Option<Self> {
        let (scheme, name) = text.split_once(':')?;
        let is_reference = known.contains(&scheme) && !name.is_empty();
        is_reference.then(|| Self { scheme: scheme.to_owned(), name: name.to_owned() })
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scheme, self.name)
    }
}

/// Why a secret could not be had. Never holds the secret.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The source works and has no such secret, or an empty one.
    #[error("no secret under `{0}`")]
    NotFound(String),
    /// The source has something under this name that is no secret: not UTF-8, too large, a folder.
    #[error("`{name}` cannot be used as a secret: {reason}")]
    Invalid {
        /// The name in the source.
        name: String,
        /// What was found and what was expected.
        reason: String,
    },
    /// The source cannot be reached; trying again later may help.
    #[error("the source of secrets is unavailable: {0}")]
    Unavailable(String),
}

/// Resolves the names of one scheme.
///
/// # Contract
/// The value comes without trailing line breaks, is not empty and has at most [`MAX_SECRET_BYTES`]. Each call asks the
/// source anew: caching is the caller's.
#[async_trait]
pub trait SecretSource: fmt::Debug + Send + Sync + 'static {
    /// The present value under `name`.
    async fn fetch(&self, name: &str) -> Result<SecretString, SecretError>;
}

/// Brings what a source read into the contract's form.
///
/// # Errors
/// [`SecretError::NotFound`] when nothing is left, [`SecretError::Invalid`] when it is not UTF-8 or too large.
pub fn into_secret(name: &str, bytes: Vec<u8>) -> Result<SecretString, SecretError> {
    let invalid = |reason: String| SecretError::Invalid { name: name.to_owned(), reason };
    if bytes.len() > MAX_SECRET_BYTES {
        return Err(invalid(format!("it has {} bytes, the limit is {MAX_SECRET_BYTES}", bytes.len())));
    }
    let text = String::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8 text".into()))?;
    let value = text.trim_end_matches(['\r', '\n']);
    if value.is_empty() {
        return Err(SecretError::NotFound(name.to_owned()));
    }
    Ok(SecretString::from(value))
}

/// Secrets in memory. Tests rotate them and take the source away.
#[derive(Debug, Default)]
pub struct MemorySecrets {
    state: Mutex<MemoryState>,
}

#[derive(Default)]
struct MemoryState {
    values: HashMap<String, Vec<u8>>,
    unavailable: bool,
    fetches: u64,
}

impl fmt::Debug for MemoryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryState").field("names", &self.values.len()).finish_non_exhaustive()
    }
}

impl MemorySecrets {
    /// Sets or replaces a value, given as the raw bytes that a file or a service would hold.
    pub fn set(&self, name: &str, value: impl Into<Vec<u8>>) {
        self.lock().values.insert(name.to_owned(), value.into());
    }

    /// Makes every fetch fail, or work again.
    pub fn set_unavailable(&self, unavailable: bool) {
        self.lock().unavailable = unavailable;
    }

    /// How often the source was asked.
    #[must_use]
    pub fn fetches(&self) -> u64 {
        self.lock().fetches
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, MemoryState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl SecretSource for MemorySecrets {
    async fn fetch(&self, name: &str) -> Result<SecretString, SecretError> {
        let mut state = self.lock();
        state.fetches += 1;
        if state.unavailable {
            return Err(SecretError::Unavailable("switched off".into()));
        }
        match state.values.get(name) {
            Some(bytes) => into_secret(name, bytes.clone()),
            None => Err(SecretError::NotFound(name.to_owned())),
        }
    }
}
