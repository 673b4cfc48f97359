//! Secrets in files: the conformance suite, and the generated ones.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use backends::local::{FileSecrets, generated_secret};
use chassis::ports::{SecretError, SecretSource};
use chassis::testing::secret_suite::SecretHarness;
use secrecy::ExposeSecret;
use tempfile::TempDir;

struct Harness(TempDir);

async fn harness() -> Option<Harness> {
    Some(Harness(tempfile::tempdir().unwrap()))
}

#[async_trait]
impl SecretHarness for Harness {
    fn source(&self) -> Arc<dyn SecretSource> {
        Arc::new(FileSecrets)
    }

    fn name(&self, label: &str) -> String {
        self.0.path().join(label).to_str().unwrap().to_owned()
    }

    async fn set(&self, label: &str, value: &[u8]) -> bool {
        std::fs::write(self.0.path().join(label), value).unwrap();
        true
    }
}

chassis::secret_conformance!(harness);

fn generate(data: &Path) -> String {
    generated_secret(data, "api_token").unwrap().expose_secret().to_owned()
}

#[tokio::test]
async fn a_folder_is_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = FileSecrets.fetch(folder.path().to_str().unwrap()).await;
    assert!(matches!(outcome, Err(SecretError::Invalid { .. })), "{outcome:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn an_endless_device_is_no_secret() {
    let outcome = FileSecrets.fetch("/dev/zero").await;
    assert!(matches!(outcome, Err(SecretError::Invalid { .. })), "{outcome:?}");
}

#[tokio::test]
async fn odd_paths_are_refused_by_meaning() {
    let outcome = FileSecrets.fetch("a\0b").await;
    assert!(matches!(outcome, Err(SecretError::Invalid { .. })), "{outcome:?}");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "x").unwrap();
    let outcome = FileSecrets.fetch(folder.path().join("file/below").to_str().unwrap()).await;
    assert!(matches!(outcome, Err(SecretError::NotFound(_))), "{outcome:?}");
}

#[test]
fn a_secret_is_generated_once() {
    let data = tempfile::tempdir().unwrap();
    let secret = generate(data.path());
    assert_eq!(secret.len(), 64);
    assert!(secret.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(generate(data.path()), secret);
    let other = tempfile::tempdir().unwrap();
    assert_ne!(generate(other.path()), secret);
}

#[test]
fn secrets_generated_at_once_are_one() {
    let data = tempfile::tempdir().unwrap();
    let secrets: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| generate(data.path()))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(secrets.iter().all(|secret| *secret == secrets[0]), "different secrets were handed out");
    assert_eq!(data.path().join("secrets").read_dir().unwrap().count(), 1, "a temporary file is left");
}

#[test]
fn a_secret_of_ones_own_is_kept() {
    let data = tempfile::tempdir().unwrap();
    std::fs::create_dir(data.path().join("secrets")).unwrap();
    std::fs::write(data.path().join("secrets/api_token"), "my own\n").unwrap();
    assert_eq!(generate(data.path()), "my own");
}

#[test]
fn an_empty_file_is_refused_with_its_path() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path().join("secrets/api_token");
    std::fs::create_dir(data.path().join("secrets")).unwrap();
    std::fs::write(&path, "\n").unwrap();
    let error = generated_secret(data.path(), "api_token").unwrap_err().to_string();
    assert!(error.contains(path.to_str().unwrap()) && error.contains("empty"), "{error}");
}

#[cfg(unix)]
#[test]
fn generated_secrets_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let data = tempfile::tempdir().unwrap();
    generate(data.path());
    let mode = |path: &str| std::fs::metadata(data.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("secrets"), mode("secrets/api_token")), (0o700, 0o600));
}
