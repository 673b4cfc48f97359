//! Secrets in files: references `file:PATH`, and the secrets that the embedded system makes for itself.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use chassis::envelope::random_key;
use chassis::ports::secrets::{MAX_SECRET_BYTES, SecretError, SecretSource, into_secret};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use super::durable;
use crate::OpenError;

/// The scheme `file`: the name is the path of a file that holds one secret, as orchestrators mount them.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileSecrets;

#[async_trait]
impl SecretSource for FileSecrets {
    async fn fetch(&self, name: &str) -> Result<SecretString, SecretError> {
        let path = name.to_owned();
        let task = tokio::task::spawn_blocking(move || read_secret(&path));
        task.await.map_err(|error| SecretError::Unavailable(error.to_string()))?
    }
}

pub(super) fn read_secret(path: &str) -> Result<SecretString, SecretError> {
    let invalid = |reason: &str| SecretError::Invalid { name: path.to_owned(), reason: reason.to_owned() };
    match read_bounded(Path::new(path)) {
        Ok(Some(bytes)) => into_secret(path, bytes),
        Ok(None) => Err(invalid("it is not a plain file")),
        Err(error) => Err(match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => SecretError::NotFound(path.to_owned()),
            ErrorKind::InvalidInput | ErrorKind::InvalidFilename => invalid("it is not the path of a file"),
            _ => SecretError::Unavailable(format!("{path}: {error}")),
        }),
    }
}

/// At most one byte over the limit, so that a mistaken reference to a large file costs nothing; `None` for what is no
/// plain file. That is asked before opening: opening a pipe waits for its writer.
fn read_bounded(path: &Path) -> io::Result<Option<Vec<u8>>> {
    if !std::fs::metadata(path)?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_SECRET_BYTES).unwrap_or(u64::MAX) + 1;
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Random bytes of a generated secret.
const GENERATED_BYTES: usize = 32;

/// The folder of generated secrets in the data folder.
pub(super) const SECRETS: &str = "secrets";

/// Where a generated secret lies.
#[must_use]
pub fn generated_secret_path(data: &Path, name: &str) -> PathBuf {
    data.join(SECRETS).join(name)
}

/// Reads the secret that was generated into the data folder, or generates it: 32 random bytes as 64 hexadecimal
/// digits, in a file for the owner only. Blocks for a moment.
///
/// # Errors
/// When the file cannot be read or written, or holds no secret.
pub fn generated_secret(data: &Path, name: &str) -> Result<SecretString, OpenError> {
    generated(data, name, random_secret)
}

/// The same for a key of encrypted calls: 32 random bytes in base64.
///
/// # Errors
/// As for [`generated_secret`].
pub fn generated_key(data: &Path, name: &str) -> Result<SecretString, OpenError> {
    generated(data, name, || Ok(random_key(&*random_bytes()?)))
}

fn generated(
    data: &Path,
    name: &str,
    generate: impl Fn() -> Result<SecretString, OpenError>,
) -> Result<SecretString, OpenError> {
    let path = generated_secret_path(data, name);
    let unusable = |error: io::Error| {
        OpenError::unusable(&path, error, "the data folder must be readable and writable for this user")
    };
    if let Some(folder) = path.parent() {
        durable::create_folder(folder).map_err(unusable)?;
    }
    if !path.exists() {
        // Of two that generate at once one wins; both then read what the winner wrote.
        let line = format!("{}\n", generate()?.expose_secret());
        durable::create_file(&path, line.as_bytes()).map_err(unusable)?;
    }
    warn_when_open_to_others(&path);
    read_secret(&path.to_string_lossy()).map_err(|error| {
        let problem = match error {
            SecretError::NotFound(_) => "the file is empty".to_owned(),
            other => other.to_string(),
        };
        OpenError::unusable(&path, problem, "remove it to have a new secret generated")
    })
}

/// A new secret: 32 random bytes as 64 hexadecimal digits.
///
/// # Errors
/// When the operating system gives no random bytes.
pub fn random_secret() -> Result<SecretString, OpenError> {
    let text: String = random_bytes()?.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(text.into())
}

/// What a new key is made of.
///
/// # Errors
/// When the operating system gives no random bytes.
pub fn random_bytes() -> Result<Zeroizing<[u8; GENERATED_BYTES]>, OpenError> {
    let mut bytes = Zeroizing::new([0_u8; GENERATED_BYTES]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|error| OpenError::Randomness(error.to_string()))?;
    Ok(bytes)
}

/// Whoever copied the folder may have lost the mode; refusing to start would help nobody.
#[cfg(unix)]
fn warn_when_open_to_others(path: &Path) {
    let mode = |metadata: &std::fs::Metadata| std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
    if std::fs::metadata(path).is_ok_and(|metadata| mode(&metadata) & 0o077 != 0) {
        let path = path.display();
        tracing::warn!(secret.path = %path, "others on this machine can read the secret, run `chmod 600 {path}`");
    }
}

#[cfg(not(unix))]
fn warn_when_open_to_others(_path: &Path) {}
