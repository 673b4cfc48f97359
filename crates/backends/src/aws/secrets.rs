//! Secrets in AWS: parameters of Systems Manager (`ssm:/path`) and Secrets Manager (`secretsmanager:NAME#field`).
//!
//! Each call is one attempt with a bound of its own: whoever waits for a token keeps it for minutes and asks again soon,
//! so that a retry inside would only hold requests back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_secretsmanager as secretsmanager;
use aws_sdk_ssm as ssm;
use aws_sdk_ssm::config::http::HttpResponse;
use aws_sdk_ssm::error::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use chassis::ports::secrets::{SecretError, SecretSource, into_secret};
use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::Aws;

/// How long a fetch may take, credentials included; below the 1.5 s that a request waits for the token.
const FETCH_TIMEOUT: Duration = Duration::from_millis(1400);
/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1000);

/// The scheme `ssm`: the name is that of a parameter, such as `/keelson/api_token`, or its ARN. A `SecureString` is
/// decrypted.
/// Source: <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html>
pub struct ParameterSecrets {
    aws: Arc<Aws>,
    client: OnceCell<ssm::Client>,
}

/// The scheme `secretsmanager`: the name is that of a secret, or its ARN; `#field` takes a member of a secret that is a
/// JSON object.
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>
pub struct SecretsManagerSecrets {
    aws: Arc<Aws>,
    client: OnceCell<secretsmanager::Client>,
}

impl ParameterSecrets {
    /// Asks nothing yet.
    #[must_use]
    pub fn new(aws: Arc<Aws>) -> Self {
        Self { aws, client: OnceCell::new() }
    }

    async fn client(&self) -> &ssm::Client {
        let make = async || {
            let config = ssm::config::Builder::from(self.aws.config().await);
            let config = config.retry_config(RetryConfig::disabled()).timeout_config(one_attempt());
            ssm::Client::from_conf(config.interceptor(self.aws.requests().meter()).build())
        };
        self.client.get_or_init(make).await
    }
}

impl SecretsManagerSecrets {
    /// Asks nothing yet.
    #[must_use]
    pub fn new(aws: Arc<Aws>) -> Self {
        Self { aws, client: OnceCell::new() }
    }

    async fn client(&self) -> &secretsmanager::Client {
        let make = async || {
            let config = secretsmanager::config::Builder::from(self.aws.config().await);
            let config = config.retry_config(RetryConfig::disabled()).timeout_config(one_attempt());
            secretsmanager::Client::from_conf(config.interceptor(self.aws.requests().meter()).build())
        };
        self.client.get_or_init(make).await
    }
}

fn one_attempt() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_timeout(FETCH_TIMEOUT).build()
}

#[async_trait]
impl SecretSource for ParameterSecrets {
    async fn fetch(&self, name: &str) -> Result<SecretString, SecretError> {
        let fetch = async { self.client().await.get_parameter().name(name).with_decryption(true).send().await };
        let answer = bounded(&PARAMETERS, name, fetch).await?;
        match answer.parameter.and_then(|parameter| parameter.value) {
            Some(value) => into_secret(name, value.into_bytes()),
            None => Err(SecretError::NotFound(name.to_owned())),
        }
    }
}

#[async_trait]
impl SecretSource for SecretsManagerSecrets {
    async fn fetch(&self, name: &str) -> Result<SecretString, SecretError> {
        let (id, field) = name.split_once('#').map_or((name, None), |(id, field)| (id, Some(field)));
        let fetch = async { self.client().await.get_secret_value().secret_id(id).send().await };
        let answer = bounded(&SECRETS, name, fetch).await?;
        let text = answer.secret_string.ok_or_else(|| invalid(name, "it is binary, not text"))?;
        match field {
            None => into_secret(name, text.into_bytes()),
            Some(field) => into_secret(name, member(name, &text, field)?.into_bytes()),
        }
    }
}

/// The text of one member of a JSON object. A number is refused: `007` and `1e3` would not come back as written.
pub(super) fn member(name: &str, text: &str, field: &str) -> Result<String, SecretError> {
    // The parser's own words may repeat what it read.
    let parsed: Value = serde_json::from_str(text).map_err(|_| invalid(name, "it is not JSON, so it has no fields"))?;
    let members = parsed.as_object().ok_or_else(|| invalid(name, "it is not a JSON object, so it has no fields"))?;
    let found = members.get(field).ok_or_else(|| invalid(name, format!("it has no field `{field}`")))?;
    let kind = match found {
        Value::String(text) => return Ok(text.clone()),
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    Err(invalid(name, format!("its field `{field}` is {kind}, expected a string")))
}

pub(super) fn invalid(name: &str, reason: impl Into<String>) -> SecretError {
    SecretError::Invalid { name: name.to_owned(), reason: reason.into() }
}

/// One service as its errors name it.
struct Kind {
    service: &'static str,
    action: &'static str,
    missing: &'static [&'static str],
    malformed: &'static [&'static str],
}

const PARAMETERS: Kind = Kind {
    service: "Parameter Store",
    action: "ssm:GetParameter",
    missing: &["ParameterNotFound", "ParameterVersionNotFound"],
    malformed: &["ValidationException"],
};

const SECRETS: Kind = Kind {
    service: "Secrets Manager",
    action: "secretsmanager:GetSecretValue",
    missing: &["ResourceNotFoundException"],
    malformed: &["InvalidParameterException", "ValidationException"],
};

/// Bounds the fetch and sorts its failure by meaning. The service's own text is left out: it names roles and accounts.
async fn bounded<T, E: ProvideErrorMetadata>(
    kind: &Kind,
    name: &str,
    fetch: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
) -> Result<T, SecretError> {
    let (service, action) = (kind.service, kind.action);
    let error = match timeout(FETCH_TIMEOUT, fetch).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => error,
        Err(_) => return Err(SecretError::Unavailable(format!("{service} did not answer in time"))),
    };
    let status = error.raw_response().map(|response| response.status().as_u16());
    let text = match (error.code(), status) {
        (Some(code), _) if kind.missing.contains(&code) => return Err(SecretError::NotFound(name.to_owned())),
        (Some(code), _) if kind.malformed.contains(&code) => {
            return Err(invalid(name, format!("{service} takes no such name")));
        }
        (Some("AccessDeniedException" | "AccessDenied"), _) | (None, Some(401 | 403)) => format!(
            "{action} on `{name}` is not allowed: add it to the policy of the role, and kms:Decrypt where the secret \
             has a key of its own"
        ),
        (Some(code), _) => format!("{service} answered {code} to {action}"),
        (None, Some(status)) => format!("{service} answered {status} to {action}"),
        (None, None) => unanswered(service, &error),
    };
    Err(SecretError::Unavailable(text))
}

fn unanswered<E>(service: &str, error: &SdkError<E, HttpResponse>) -> String {
    match error {
        SdkError::TimeoutError(_) => format!("{service} did not answer in time"),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => format!("{service} did not answer in time"),
        SdkError::DispatchFailure(failure) if failure.is_io() => format!("{service} cannot be reached"),
        _ => format!("{service} cannot be asked, most likely since there are no AWS credentials"),
    }
}

impl fmt::Debug for ParameterSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParameterSecrets").finish_non_exhaustive()
    }
}

impl fmt::Debug for SecretsManagerSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretsManagerSecrets").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_a_string_or_a_clear_error_that_shows_no_value() {
        let text = r#"{"token": "x", "number": 4711, "yes": true, "none": null, "list": [4711]}"#;
        assert_eq!(member("name", text, "token").unwrap(), "x");
        let error = |text: &str, field: &str| member("name", text, field).unwrap_err().to_string();
        for (field, kind) in [("number", "a number"), ("yes", "a boolean"), ("none", "null"), ("list", "an array")] {
            let text = error(text, field);
            assert!(text.contains(kind) && text.contains(field) && !text.contains("4711"), "{text}");
        }
        assert!(error(text, "other").contains("no field `other`"));
        for bad in ["hunter2", "\"hunter2\"", "[\"hunter2\"]", "{\"hunter2"] {
            let text = error(bad, "token");
            assert!(text.contains("JSON") && !text.contains("hunter2"), "{text}");
        }
    }
}
