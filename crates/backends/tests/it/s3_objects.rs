//! Objects on S3: the conformance suite on two emulators, and what S3 adds to it.

use std::sync::Arc;

use backends::aws::{S3Encryption, S3Objects};
use bytes::Bytes;
use chassis::ports::{ObjectError, ObjectStore, Put};
use chassis::testing::object_suite::ObjectHarness;

use crate::emulators::{account, fresh_name, ministack, moto, plain_request};

/// A bucket of its own.
struct Harness {
    url: String,
    bucket: String,
    store: Arc<S3Objects>,
}

impl Harness {
    fn new(url: String) -> Self {
        let bucket = fresh_name("letters");
        let answer = plain_request(&url, "PUT", &format!("/{bucket}"), "");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let store = S3Objects::open(&account(&url), &bucket, "", &S3Encryption::default()).unwrap();
        Self { url, bucket, store }
    }

    /// The same bucket otherwise.
    fn open(&self, prefix: &str, encryption: &S3Encryption) -> Arc<S3Objects> {
        S3Objects::open(&account(&self.url), &self.bucket, prefix, encryption).unwrap()
    }

    /// The head of an object as S3 shows it, in lower case.
    fn head(&self, key: &str) -> String {
        plain_request(&self.url, "HEAD", &format!("/{}/{key}", self.bucket), "").to_ascii_lowercase()
    }
}

impl ObjectHarness for Harness {
    fn store(&self) -> Arc<dyn ObjectStore> {
        self.store.clone()
    }
}

/// Both emulators, or those that are there.
fn both() -> Vec<Harness> {
    [ministack(), moto()].into_iter().flatten().map(Harness::new).collect()
}

mod s3_on_ministack {
    use super::Harness;
    use crate::emulators::ministack;

    async fn harness() -> Option<Harness> {
        ministack().map(Harness::new)
    }

    chassis::object_conformance!(harness);
}

mod s3_on_moto {
    use super::Harness;
    use crate::emulators::moto;

    async fn harness() -> Option<Harness> {
        moto().map(Harness::new)
    }

    chassis::object_conformance!(harness);
}

async fn put(store: &S3Objects, key: &str) -> Result<Put, ObjectError> {
    store.put_if_absent(&key.parse().unwrap(), Bytes::from_static(b"{}"), "application/json").await
}

#[tokio::test]
async fn objects_are_encrypted_with_the_keys_of_s3_and_carry_their_content_type() {
    for harness in both() {
        assert_eq!(put(&harness.store, "a/b.json").await.unwrap(), Put::Created);
        let head = harness.head("a/b.json");
        assert!(head.contains("x-amz-server-side-encryption: aes256"), "{head}");
        assert!(head.contains("content-type: application/json"), "{head}");
    }
}

#[tokio::test]
async fn a_key_of_ones_own_is_asked_for_by_setting() {
    let arn = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555";
    for harness in both() {
        put(&harness.open("", &S3Encryption::Kms(Some(arn.into()))), "own.json").await.unwrap();
        let head = harness.head("own.json");
        assert!(head.contains("x-amz-server-side-encryption: aws:kms") && head.contains(arn), "{head}");
    }
}

/// moto alone: ministack refuses `aws:kms` without a key, which S3 takes for the account's own `aws/s3`.
#[tokio::test]
async fn the_key_of_the_account_is_asked_for_by_setting() {
    let Some(harness) = moto().map(Harness::new) else { return };
    put(&harness.open("", &S3Encryption::Kms(None)), "aws.json").await.unwrap();
    let head = harness.head("aws.json");
    assert!(head.contains("x-amz-server-side-encryption: aws:kms"), "{head}");
}

#[tokio::test]
async fn a_prefix_keeps_systems_apart_in_one_bucket() {
    for harness in both() {
        let (east, west) = (harness.open("east", &S3Encryption::Aes256), harness.open("west", &S3Encryption::Aes256));
        assert_eq!(put(&east, "one.json").await.unwrap(), Put::Created);
        assert_eq!(put(&west, "one.json").await.unwrap(), Put::Created);
        assert!(harness.head("east/one.json").starts_with("http/1.1 200"));
        assert!(east.delete(&"one.json".parse().unwrap()).await.unwrap());
        assert!(west.get(&"one.json".parse().unwrap()).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_missing_bucket_is_no_missing_object() {
    for harness in both() {
        let store = S3Objects::open(&account(&harness.url), "never-made", "", &S3Encryption::default()).unwrap();
        let key = "one.json".parse().unwrap();
        for error in [put(&store, "one.json").await.unwrap_err(), store.get(&key).await.unwrap_err()] {
            assert!(matches!(error, ObjectError::Unavailable(_)), "{error:?}");
            assert!(error.to_string().contains("no bucket never-made"), "{error}");
        }
    }
}
