//! Secrets, with how they are kept.

use std::time::Duration;

use aws_sdk_ssm::types::ParameterType;
use chassis::ports::secrets::{SecretError, into_secret};
use secrecy::SecretString;

use super::{Inspector, Trouble, bounded, trouble};
use crate::aws::secrets::{invalid, member};

/// A secret as it is. Prints as `***`.
#[derive(Debug)]
pub struct SecretFacts {
    /// Its value, or why what is there is none.
    pub value: Result<SecretString, SecretError>,
    /// Whether it is encrypted at rest.
    pub encrypted: bool,
    /// How long the answer took.
    pub took: Duration,
}

impl Inspector {
    /// A parameter of Systems Manager by name or ARN, decrypted. Needs `ssm:GetParameter`, and `kms:Decrypt` where it has
    /// a key of its own.
    ///
    /// # Errors
    /// When Parameter Store does not say.
    pub async fn parameter(&self, name: &str) -> Result<SecretFacts, Trouble> {
        let begun = self.clock.monotonic();
        let request = self.ssm.get_parameter().name(name).with_decryption(true);
        let ask = async {
            let answer = request.send().await;
            answer.map_err(|error| trouble::of_call("ssm:GetParameter", &error))
        };
        let parameter = bounded(ask).await?.parameter.ok_or(Trouble::Missing)?;
        let value = parameter.value.unwrap_or_default();
        Ok(SecretFacts {
            value: into_secret(name, value.into_bytes()),
            encrypted: parameter.r#type == Some(ParameterType::SecureString),
            took: self.since(begun),
        })
    }

    /// A secret of Secrets Manager by `NAME` or `NAME#FIELD`. Needs `secretsmanager:GetSecretValue`, and `kms:Decrypt`
    /// where it has a key of its own.
    ///
    /// # Errors
    /// When Secrets Manager does not say.
    pub async fn secret(&self, name: &str) -> Result<SecretFacts, Trouble> {
        let begun = self.clock.monotonic();
        let (id, field) = name.split_once('#').map_or((name, None), |(id, field)| (id, Some(field)));
        let request = self.secrets.get_secret_value().secret_id(id);
        let ask = async {
            let answer = request.send().await;
            answer.map_err(|error| trouble::of_call("secretsmanager:GetSecretValue", &error))
        };
        let text = bounded(ask).await?.secret_string;
        let text = text.ok_or_else(|| invalid(name, "it is binary, not text"));
        let value = text.and_then(|text| match field {
            Some(field) => member(name, &text, field),
            None => Ok(text),
        });
        let value = value.and_then(|value| into_secret(name, value.into_bytes()));
        Ok(SecretFacts { value, encrypted: true, took: self.since(begun) })
    }
}
