//! The conformance suite of [`SecretSource`]: what every adapter and decorator must do.
//!
//! `chassis::secret_conformance!(make_harness)` in a test module makes one named test per case.
#![expect(missing_docs, reason = "the name of a case is a sentence")]
#![expect(clippy::unwrap_used, reason = "test code: a panic is the failure report")]

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::ExposeSecret;

use crate::ports::secrets::{MAX_SECRET_BYTES, SecretError, SecretSource};

/// A fresh source without secrets. Owns whatever must outlive it, such as a folder.
#[async_trait]
pub trait SecretHarness: Send + Sync {
    /// The source under test.
    fn source(&self) -> Arc<dyn SecretSource>;

    /// The name under which the source knows the secret that the suite calls `label`.
    fn name(&self, label: &str) -> String {
        label.to_owned()
    }

    /// Writes a secret where the source reads it; answers false when the place cannot hold such a value at all.
    async fn set(&self, label: &str, value: &[u8]) -> bool;
}

const CANARY: &str = "canary-5f0c9";

async fn fetch(harness: &impl SecretHarness, label: &str) -> Result<String, SecretError> {
    let value = harness.source().fetch(&harness.name(label)).await?;
    Ok(value.expose_secret().to_owned())
}

/// Fetches a value that must be refused as invalid, without being shown.
async fn assert_invalid(harness: &impl SecretHarness, value: &[u8]) {
    if !harness.set("bad", value).await {
        return;
    }
    let error = harness.source().fetch(&harness.name("bad")).await.unwrap_err();
    assert!(matches!(error, SecretError::Invalid { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains(CANARY), "the error shows the value");
}

pub async fn a_secret_is_fetched(harness: &impl SecretHarness) {
    harness.set("token", "pässword with spaces ".as_bytes()).await;
    assert_eq!(fetch(harness, "token").await.unwrap(), "pässword with spaces ");
}

pub async fn a_missing_secret_is_not_found(harness: &impl SecretHarness) {
    let name = harness.name("missing");
    let outcome = harness.source().fetch(&name).await;
    assert!(matches!(outcome, Err(SecretError::NotFound(ref found)) if *found == name), "{outcome:?}");
}

pub async fn an_empty_secret_is_not_found(harness: &impl SecretHarness) {
    for value in [b"".as_slice(), b"\n", b"\r\n\r\n"] {
        if harness.set("empty", value).await {
            let outcome = fetch(harness, "empty").await;
            assert!(matches!(outcome, Err(SecretError::NotFound(_))), "{value:?}: {outcome:?}");
        }
    }
}

pub async fn trailing_line_breaks_are_cut_off(harness: &impl SecretHarness) {
    for value in [b"line\n".as_slice(), b"line\r\n", b"line\n\n"] {
        harness.set("token", value).await;
        assert_eq!(fetch(harness, "token").await.unwrap(), "line");
    }
    harness.set("token", b"\ntwo\nlines").await;
    assert_eq!(fetch(harness, "token").await.unwrap(), "\ntwo\nlines");
}

pub async fn a_secret_that_is_not_text_is_invalid(harness: &impl SecretHarness) {
    let mut value = CANARY.as_bytes().to_vec();
    value.extend([0xff, 0xfe]);
    assert_invalid(harness, &value).await;
}

pub async fn a_secret_over_the_limit_is_invalid(harness: &impl SecretHarness) {
    let longest = "x".repeat(MAX_SECRET_BYTES);
    if harness.set("longest", longest.as_bytes()).await {
        assert!(fetch(harness, "longest").await.unwrap() == longest, "the value changed");
    }
    assert_invalid(harness, CANARY.repeat(MAX_SECRET_BYTES / CANARY.len() + 1).as_bytes()).await;
}

pub async fn a_rotated_secret_is_seen_at_the_next_fetch(harness: &impl SecretHarness) {
    harness.set("token", b"old").await;
    assert_eq!(fetch(harness, "token").await.unwrap(), "old");
    harness.set("token", b"new").await;
    assert_eq!(fetch(harness, "token").await.unwrap(), "new");
}

pub async fn a_secret_is_never_printed(harness: &impl SecretHarness) {
    harness.set("token", CANARY.as_bytes()).await;
    let source = harness.source();
    let value = source.fetch(&harness.name("token")).await.unwrap();
    assert_eq!(value.expose_secret(), CANARY);
    assert!(!format!("{value:?} {source:?} {source:#?}").contains(CANARY));
}

/// One named test per case of the secret source's contract; see [`secret_suite`](crate::testing::secret_suite).
#[macro_export]
macro_rules! secret_conformance {
    ($make:path) => {
        $crate::conformance_cases!(
            $make,
            secret_suite,
            [
                a_secret_is_fetched,
                a_missing_secret_is_not_found,
                an_empty_secret_is_not_found,
                trailing_line_breaks_are_cut_off,
                a_secret_that_is_not_text_is_invalid,
                a_secret_over_the_limit_is_invalid,
                a_rotated_secret_is_seen_at_the_next_fetch,
                a_secret_is_never_printed,
            ]
        );
    };
}
