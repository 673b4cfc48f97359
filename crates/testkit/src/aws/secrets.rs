//! Secrets Manager in AWS JSON 1.1.
//!
//! Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::World;
use super::clock::Millis;
use super::error::AwsError;
use super::lock;
use super::reply::{Reply, json_1_1, parse};
use super::service::Service;
use super::settings::secret_arn;
use super::ssm::seconds;

pub(crate) const ACTIONS: [&str; 4] = ["GetSecretValue", "PutSecretValue", "CreateSecret", "DeleteSecret"];

/// The secrets by name.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    pub(crate) secrets: BTreeMap<String, Secret>,
}

/// A secret with its versions, the newest last.
#[derive(Debug, Clone)]
pub(crate) struct Secret {
    arn: String,
    versions: Vec<Version>,
}

#[derive(Debug, Clone)]
struct Version {
    id: String,
    created_at: Millis,
    value: SecretValue,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SecretValue {
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_string: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_binary: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetSecretValue {
    secret_id: String,
    version_id: Option<String>,
    version_stage: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutSecretValue {
    secret_id: String,
    #[serde(flatten)]
    value: SecretValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateSecret {
    name: String,
    #[serde(flatten)]
    value: SecretValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteSecret {
    secret_id: String,
}

pub(crate) fn answer(world: &World, action: &str, body: &[u8]) -> Result<Reply, AwsError> {
    let mut secrets = lock(&world.secrets);
    let now = world.clock.now();
    match action {
        "GetSecretValue" => secrets.get(&parse(body)?),
        "PutSecretValue" => {
            let PutSecretValue { secret_id, value } = parse(body)?;
            let name = secrets.name_of(&secret_id).ok_or_else(not_found)?;
            Ok(secrets.write(&name, value, now))
        }
        "CreateSecret" => {
            let CreateSecret { name, value } = parse(body)?;
            if secrets.secrets.contains_key(&name) {
                let message = format!("The operation failed because the secret {name} already exists.");
                return Err(AwsError::new(400, "ResourceExistsException", message));
            }
            Ok(secrets.write(&name, value, now))
        }
        "DeleteSecret" => {
            let DeleteSecret { secret_id } = parse(body)?;
            let name = secrets.name_of(&secret_id).ok_or_else(not_found)?;
            let removed = secrets.secrets.remove(&name).ok_or_else(not_found)?;
            Ok(json_1_1(&json!({"ARN": removed.arn, "Name": name})).into())
        }
        _ => Err(AwsError::unknown_action(Service::SecretsManager)),
    }
}

impl Secrets {
    fn get(&self, request: &GetSecretValue) -> Result<Reply, AwsError> {
        let name = self.name_of(&request.secret_id).ok_or_else(not_found)?;
        let secret = self.secrets.get(&name).ok_or_else(not_found)?;
        let stage = request.version_stage.as_deref().unwrap_or("AWSCURRENT");
        let found = match &request.version_id {
            Some(id) => secret.versions.iter().position(|version| version.id == *id),
            None => secret.versions.len().checked_sub(if stage == "AWSPREVIOUS" { 2 } else { 1 }),
        };
        let position = found.filter(|_| matches!(stage, "AWSCURRENT" | "AWSPREVIOUS")).ok_or_else(not_found)?;
        let version = &secret.versions[position];
        let stages = match secret.versions.len() - position {
            1 => vec!["AWSCURRENT"],
            2 => vec!["AWSPREVIOUS"],
            _ => vec![],
        };
        let mut answer = json!({
            "ARN": secret.arn,
            "Name": name,
            "VersionId": version.id,
            "VersionStages": stages,
            "CreatedDate": seconds(version.created_at),
        });
        if let Some(text) = &version.value.secret_string {
            answer["SecretString"] = json!(text);
        }
        if let Some(binary) = &version.value.secret_binary {
            answer["SecretBinary"] = json!(binary);
        }
        Ok(json_1_1(&answer).into())
    }

    /// Adds a version, which is the current one from then on.
    fn write(&mut self, name: &str, value: SecretValue, now: Millis) -> Reply {
        let arn = secret_arn(name);
        let secret = self.secrets.entry(name.to_owned()).or_insert_with(|| Secret { arn, versions: Vec::new() });
        let id = format!("00000000-0000-4000-8000-{:012x}", secret.versions.len() + 1);
        secret.versions.push(Version { id: id.clone(), created_at: now, value });
        let answer = json!({"ARN": secret.arn, "Name": name, "VersionId": id, "VersionStages": ["AWSCURRENT"]});
        json_1_1(&answer).into()
    }

    /// Writes a text, and says the secret's ARN.
    pub(crate) fn set(&mut self, name: &str, text: &str, now: Millis) -> String {
        let value = SecretValue { secret_string: Some(text.to_owned()), secret_binary: None };
        self.write(name, value, now);
        self.secrets.get(name).map(|secret| secret.arn.clone()).unwrap_or_default()
    }

    /// The current text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.secrets.get(name)?.versions.last()?.value.secret_string.clone()
    }

    /// The name that a name, an ARN, or an ARN without its random end stands for.
    fn name_of(&self, id: &str) -> Option<String> {
        let name = match id.split_once(":secret:") {
            Some((_, name)) => name.strip_suffix("-AbCdEf").unwrap_or(name),
            None => id,
        };
        self.secrets.contains_key(name).then(|| name.to_owned())
    }
}

fn not_found() -> AwsError {
    AwsError::new(400, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}
