//! Least privilege: each action that is allowed passes, signed as it must be; any other is refused, and its name is told.

use std::sync::Arc;

use backends::aws::{Aws, ParameterSecrets, S3Encryption, S3Objects, SecretsManagerSecrets};
use bytes::Bytes;
use chassis::ports::{ObjectError, ObjectStore, Put, SecretError, SecretSource};
use secrecy::ExposeSecret;

use crate::emulators::{Guarded, guarded_account, json_request, plain_request};

const BUCKET: &str = "letters";

fn prepare(url: &str) {
    let put = r#"{"Name": "/x", "Value": "the-token", "Type": "SecureString"}"#;
    let create =
        r#"{"Name": "x", "SecretString": "the-token", "ClientRequestToken": "11111111-2222-3333-4444-555555555555"}"#;
    for answer in [
        plain_request(url, "PUT", &format!("/{BUCKET}"), ""),
        json_request(url, "AmazonSSM.PutParameter", put),
        json_request(url, "secretsmanager.CreateSecret", create),
    ] {
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

fn store(aws: &Arc<Aws>) -> Arc<S3Objects> {
    S3Objects::open(aws, BUCKET, "", &S3Encryption::default()).unwrap()
}

async fn put(store: &S3Objects, body: &'static str) -> Result<Put, ObjectError> {
    store.put_if_absent(&"a/Grüße 1+2.json".parse().unwrap(), Bytes::from_static(body.as_bytes()), "text/plain").await
}

#[tokio::test]
async fn writing_needs_put_object_alone() {
    let Some(guarded) = Guarded::start(&["s3:PutObject"], prepare) else { return };
    let store = store(&guarded_account(&guarded));
    store.ping().await.unwrap();
    assert_eq!(put(&store, "first").await.unwrap(), Put::Created);
    assert_eq!(put(&store, "second").await.unwrap(), Put::AlreadyExists);
    let error = store.get(&"a/Grüße 1+2.json".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, ObjectError::Unavailable(_)) && error.to_string().contains("s3:GetObject"), "{error:?}");
}

#[tokio::test]
async fn secrets_need_one_action_each() {
    let both = ["ssm:GetParameter", "secretsmanager:GetSecretValue"];
    for allowed in both {
        let Some(guarded) = Guarded::start(&[allowed], prepare) else { return };
        let aws = guarded_account(&guarded);
        let sources: [(Arc<dyn SecretSource>, &str); 2] = [
            (Arc::new(ParameterSecrets::new(Arc::clone(&aws))), "/x"),
            (Arc::new(SecretsManagerSecrets::new(aws)), "x"),
        ];
        for ((source, name), action) in sources.into_iter().zip(both) {
            match source.fetch(name).await {
                Ok(value) => assert_eq!((allowed, value.expose_secret()), (action, "the-token")),
                Err(error @ SecretError::Unavailable(_)) => {
                    assert_ne!(allowed, action, "{error}");
                    assert!(error.to_string().contains(action), "{error}");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[tokio::test]
async fn without_put_object_a_write_names_it() {
    let Some(guarded) = Guarded::start(&["s3:GetObject"], prepare) else { return };
    let error = put(&store(&guarded_account(&guarded)), "x").await.unwrap_err();
    assert!(matches!(error, ObjectError::Unavailable(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("s3:PutObject") && text.contains("arn:aws:s3:::letters/*"), "{text}");
}
