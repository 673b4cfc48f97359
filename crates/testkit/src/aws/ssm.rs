//! Parameter Store in AWS JSON 1.1.
//!
//! Source: <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html>

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::World;
use super::clock::Millis;
use super::error::AwsError;
use super::lock;
use super::reply::{Reply, json_1_1, parse};
use super::service::Service;
use super::settings::{ACCOUNT, REGION};

pub(crate) const ACTIONS: [&str; 4] = ["GetParameter", "GetParameters", "PutParameter", "DeleteParameter"];

const SECURE: &str = "SecureString";

/// The parameters by name.
#[derive(Debug, Default)]
pub(crate) struct Ssm {
    pub(crate) parameters: BTreeMap<String, Parameter>,
}

/// A parameter as it is now; earlier versions are not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// In plain text, whatever the type.
    pub value: String,
    /// `String`, `StringList` or `SecureString`.
    pub kind: String,
    /// 1 at first, one more with each write.
    pub version: u64,
    pub(crate) modified_at: Millis,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetParameter {
    name: String,
    #[serde(default)]
    with_decryption: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetParameters {
    names: Vec<String>,
    #[serde(default)]
    with_decryption: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutParameter {
    name: String,
    value: String,
    r#type: Option<String>,
    #[serde(default)]
    overwrite: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteParameter {
    name: String,
}

pub(crate) fn answer(world: &World, action: &str, body: &[u8]) -> Result<Reply, AwsError> {
    let mut ssm = lock(&world.ssm);
    match action {
        "GetParameter" => ssm.get(&parse(body)?),
        "GetParameters" => ssm.get_all(&parse(body)?),
        "PutParameter" => ssm.put(parse(body)?, world.clock.now()),
        "DeleteParameter" => ssm.delete(&parse(body)?),
        _ => Err(AwsError::unknown_action(Service::Ssm)),
    }
}

impl Ssm {
    fn get(&self, request: &GetParameter) -> Result<Reply, AwsError> {
        let parameter = self.describe(&request.name, request.with_decryption).ok_or_else(not_found)?;
        Ok(json_1_1(&json!({"Parameter": parameter})).into())
    }

    fn get_all(&self, request: &GetParameters) -> Result<Reply, AwsError> {
        if request.names.len() > 10 {
            return Err(AwsError::new(400, "ValidationException", "At most 10 names may be given."));
        }
        let found = |name: &String| self.describe(name, request.with_decryption);
        let parameters: Vec<_> = request.names.iter().filter_map(found).collect();
        let missing: Vec<_> = request.names.iter().filter(|name| found(name).is_none()).collect();
        Ok(json_1_1(&json!({"Parameters": parameters, "InvalidParameters": missing})).into())
    }

    fn put(&mut self, request: PutParameter, now: Millis) -> Result<Reply, AwsError> {
        let PutParameter { name, value, r#type, overwrite } = request;
        let existing = self.parameters.get(&name);
        if existing.is_some() && !overwrite {
            let message = "The parameter already exists. To overwrite this value, set the overwrite option in the \
                           request to true.";
            return Err(AwsError::new(400, "ParameterAlreadyExists", message));
        }
        let kind = r#type.or_else(|| existing.map(|parameter| parameter.kind.clone()));
        let kind = kind.ok_or_else(|| AwsError::new(400, "ValidationException", "A parameter type is required."))?;
        let version = self.set(&name, value, &kind, now);
        Ok(json_1_1(&json!({"Version": version, "Tier": "Standard"})).into())
    }

    fn delete(&mut self, request: &DeleteParameter) -> Result<Reply, AwsError> {
        self.parameters.remove(&request.name).ok_or_else(not_found)?;
        Ok(json_1_1(&json!({})).into())
    }

    /// Writes a value, and says its version.
    pub(crate) fn set(&mut self, name: &str, value: String, kind: &str, now: Millis) -> u64 {
        let version = self.parameters.get(name).map_or(1, |parameter| parameter.version + 1);
        let parameter = Parameter { value, kind: kind.to_owned(), version, modified_at: now };
        self.parameters.insert(name.to_owned(), parameter);
        version
    }

    fn describe(&self, name: &str, decrypt: bool) -> Option<Value> {
        let name = plain_name(name);
        let parameter = self.parameters.get(name)?;
        let value = if parameter.kind == SECURE && !decrypt {
            // Nobody decrypts it, but nobody should take it for the secret either.
            STANDARD.encode(format!("ciphertext of version {}", parameter.version))
        } else {
            parameter.value.clone()
        };
        Some(json!({
            "Name": name,
            "Type": parameter.kind,
            "Value": value,
            "Version": parameter.version,
            "LastModifiedDate": seconds(parameter.modified_at),
            "ARN": arn(name),
            "DataType": "text",
        }))
    }
}

pub(crate) fn arn(name: &str) -> String {
    let separator = if name.starts_with('/') { "" } else { "/" };
    format!("arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{separator}{name}")
}

/// An ARN stands for its parameter.
fn plain_name(name: &str) -> &str {
    match name.split_once(":parameter/") {
        Some((arn, rest)) if arn.starts_with("arn:") => &name[name.len() - rest.len() - 1..],
        _ => name,
    }
}

/// Times in AWS JSON are seconds with a fraction.
pub(crate) fn seconds(at: Millis) -> f64 {
    std::time::Duration::from_millis(at).as_secs_f64()
}

/// The service sends no text with it.
fn not_found() -> AwsError {
    AwsError::new(400, "ParameterNotFound", "")
}
