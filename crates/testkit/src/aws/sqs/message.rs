//! What a message is made of, and the checks before it is taken.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::attributes::MAX_BYTES;
use super::{digest, invalid};
use crate::aws::clock::Millis;
use crate::aws::error::AwsError;

/// Attributes that a message may have.
const MAX_ATTRIBUTES: usize = 10;

/// An attribute as the request had it, binary values in base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct MessageAttribute {
    pub(crate) data_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) string_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) binary_value: Option<String>,
}

/// A message as its sender gave it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NewMessage {
    /// Of an entry in a batch; empty otherwise.
    #[serde(default)]
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) message_body: String,
    pub(crate) delay_seconds: Option<u64>,
    #[serde(default)]
    pub(crate) message_attributes: BTreeMap<String, MessageAttribute>,
    #[serde(default)]
    pub(crate) message_system_attributes: BTreeMap<String, MessageAttribute>,
}

/// What never changes about a message, so that a receive can answer without holding the lock.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) id: String,
    pub(crate) body: String,
    pub(crate) body_md5: String,
    pub(crate) attributes: BTreeMap<String, MessageAttribute>,
    pub(crate) attributes_md5: Option<String>,
    pub(crate) trace_header: Option<String>,
    pub(crate) sent_at: Millis,
}

impl NewMessage {
    /// Body and attributes: names, types and values all count.
    pub(crate) fn bytes(&self) -> u64 {
        let attribute = |(name, value): (&String, &MessageAttribute)| {
            let text = value.string_value.as_ref().map_or(0, String::len);
            let binary = value.binary_value.as_ref().map_or(0, |base64| base64.len() / 4 * 3);
            name.len() + value.data_type.len() + text + binary
        };
        let attributes: usize = self.message_attributes.iter().map(attribute).sum();
        (self.message_body.len() + attributes) as u64
    }

    pub(crate) fn check(&self, max_bytes: u64) -> Result<(), AwsError> {
        if self.message_body.is_empty() {
            let message = "The request must contain the parameter MessageBody.";
            return Err(AwsError::new(400, "MissingParameter", message));
        }
        if self.bytes() > max_bytes.min(MAX_BYTES) {
            let reason = format!("Message must be shorter than {max_bytes} bytes.");
            return Err(invalid(format!("One or more parameters are invalid. Reason: {reason}")));
        }
        if self.delay_seconds.is_some_and(|seconds| seconds > 900) {
            return Err(invalid("Value for parameter DelaySeconds is invalid. Reason: DelaySeconds must be <= 900."));
        }
        if !self.message_body.chars().all(is_allowed) {
            let message = "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF \
                           | #xE000 to #xFFFD | #x10000 to #x10FFFF";
            return Err(AwsError::new(400, "InvalidMessageContents", message));
        }
        self.check_attributes()
    }

    fn check_attributes(&self) -> Result<(), AwsError> {
        let count = self.message_attributes.len();
        if count > MAX_ATTRIBUTES {
            return Err(invalid(format!(
                "Number of message attributes [{count}] exceeds the allowed maximum [{MAX_ATTRIBUTES}]."
            )));
        }
        for (name, attribute) in &self.message_attributes {
            let kind = attribute.data_type.split('.').next().unwrap_or_default();
            let value = match kind {
                "String" | "Number" => attribute.string_value.as_deref(),
                "Binary" => attribute.binary_value.as_deref(),
                _ => return Err(invalid(format!("The type of message (user) attribute '{name}' is invalid."))),
            };
            if value.is_none_or(str::is_empty) {
                let kind = if kind == "Binary" { "binary" } else { "string" };
                return Err(invalid(format!(
                    "Message (user) attribute '{name}' must contain a non-empty value of type '{kind}'."
                )));
            }
        }
        Ok(())
    }

    pub(crate) fn into_content(self, id: String, sent_at: Millis) -> Content {
        let trace = self.message_system_attributes.get("AWSTraceHeader");
        Content {
            id,
            body_md5: digest::hex_md5(self.message_body.as_bytes()),
            attributes_md5: digest::of_attributes(&self.message_attributes),
            trace_header: trace.and_then(|attribute| attribute.string_value.clone()),
            body: self.message_body,
            attributes: self.message_attributes,
            sent_at,
        }
    }
}

/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}
