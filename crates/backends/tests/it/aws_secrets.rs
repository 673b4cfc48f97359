//! Secrets in Parameter Store and Secrets Manager: the conformance suites on two emulators, and what each adds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_sdk_ssm::types::ParameterType;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use backends::aws::{Aws, ParameterSecrets, SecretsManagerSecrets};
use chassis::ports::{SecretError, SecretSource};
use chassis::testing::secret_suite::SecretHarness;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;

use crate::emulators::{account, emulated_config, fresh_name, ministack, moto};

/// Parameters below a path of their own.
struct Parameters {
    aws: Arc<Aws>,
    client: aws_sdk_ssm::Client,
    path: String,
}

impl Parameters {
    fn new(url: &str) -> Self {
        let client = aws_sdk_ssm::Client::new(&emulated_config(url));
        Self { aws: account(url), client, path: format!("/{}", fresh_name("keelson")) }
    }
}

#[async_trait]
impl SecretHarness for Parameters {
    fn source(&self) -> Arc<dyn SecretSource> {
        Arc::new(ParameterSecrets::new(Arc::clone(&self.aws)))
    }

    fn name(&self, label: &str) -> String {
        format!("{}/{label}", self.path)
    }

    /// A parameter is text, and not empty.
    async fn set(&self, label: &str, value: &[u8]) -> bool {
        let Ok(value) = std::str::from_utf8(value) else { return false };
        let put = self.client.put_parameter().name(self.name(label)).value(value);
        let put = put.r#type(ParameterType::SecureString).overwrite(true).send().await;
        put.is_ok()
    }
}

/// Secrets with names of their own.
struct Secrets {
    aws: Arc<Aws>,
    client: aws_sdk_secretsmanager::Client,
    prefix: String,
}

impl Secrets {
    fn new(url: &str) -> Self {
        let client = aws_sdk_secretsmanager::Client::new(&emulated_config(url));
        Self { aws: account(url), client, prefix: fresh_name("keelson") }
    }
}

#[async_trait]
impl SecretHarness for Secrets {
    fn source(&self) -> Arc<dyn SecretSource> {
        Arc::new(SecretsManagerSecrets::new(Arc::clone(&self.aws)))
    }

    fn name(&self, label: &str) -> String {
        format!("{}/{label}", self.prefix)
    }

    /// What is not text is kept as binary.
    async fn set(&self, label: &str, value: &[u8]) -> bool {
        let name = self.name(label);
        let text = std::str::from_utf8(value).ok().map(str::to_owned);
        let binary = text.is_none().then(|| value.to_vec().into());
        let create = self.client.create_secret().name(&name);
        let create = create.set_secret_string(text.clone()).set_secret_binary(binary.clone()).send().await;
        match create {
            Ok(_) => true,
            Err(error) if error.code() == Some("ResourceExistsException") => {
                let put = self.client.put_secret_value().secret_id(&name);
                put.set_secret_string(text).set_secret_binary(binary).send().await.is_ok()
            }
            Err(_) => false,
        }
    }
}

mod parameters_on_ministack {
    use super::{Parameters, ministack};

    async fn harness() -> Option<Parameters> {
        ministack().as_deref().map(Parameters::new)
    }

    chassis::secret_conformance!(harness);
}

mod parameters_on_moto {
    use super::{Parameters, moto};

    async fn harness() -> Option<Parameters> {
        moto().as_deref().map(Parameters::new)
    }

    chassis::secret_conformance!(harness);
}

mod secrets_manager_on_ministack {
    use super::{Secrets, ministack};

    async fn harness() -> Option<Secrets> {
        ministack().as_deref().map(Secrets::new)
    }

    chassis::secret_conformance!(harness);
}

mod secrets_manager_on_moto {
    use super::{Secrets, moto};

    async fn harness() -> Option<Secrets> {
        moto().as_deref().map(Secrets::new)
    }

    chassis::secret_conformance!(harness);
}

#[tokio::test]
async fn a_field_of_a_json_secret_is_fetched_by_name_and_by_arn() {
    for url in [ministack(), moto()].into_iter().flatten() {
        let harness = Secrets::new(&url);
        let made = harness.client.create_secret().name(harness.name("json"));
        let made = made.secret_string(r#"{"token": "the value", "port": 8080}"#).send().await.unwrap();
        let source = harness.source();
        for id in [harness.name("json"), made.arn.unwrap()] {
            let value = source.fetch(&format!("{id}#token")).await.unwrap();
            assert_eq!(value.expose_secret(), "the value");
            for (field, problem) in [("port", "a number"), ("other", "no field `other`")] {
                let error = source.fetch(&format!("{id}#{field}")).await.unwrap_err();
                assert!(matches!(error, SecretError::Invalid { .. }), "{error:?}");
                let text = error.to_string();
                assert!(text.contains(problem) && !text.contains("the value") && !text.contains("8080"), "{text}");
            }
        }
    }
}

#[tokio::test]
async fn a_source_that_is_silent_or_away_is_unavailable_before_a_request_gives_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let away = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    for url in [silent, away] {
        let sources: [Arc<dyn SecretSource>; 2] =
            [Arc::new(ParameterSecrets::new(account(&url))), Arc::new(SecretsManagerSecrets::new(account(&url)))];
        for source in sources {
            let begun = Instant::now();
            let error = source.fetch("/keelson/api_token").await.unwrap_err();
            assert!(matches!(error, SecretError::Unavailable(_)), "{error:?}");
            assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
        }
    }
}
