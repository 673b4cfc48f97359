//! The attributes of a queue, checked when they are set.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::Value;

use crate::aws::error::AwsError;

/// Bytes that a message, or a whole batch, may have.
pub(crate) const MAX_BYTES: u64 = 1_048_576;

/// Numbers with their defaults and ranges; the first five columns of what `GetQueueAttributes` answers.
const NUMBERS: [(&str, u64, RangeInclusive<u64>); 5] = [
    ("DelaySeconds", 0, 0..=900),
    ("MaximumMessageSize", MAX_BYTES, 1024..=MAX_BYTES),
    ("MessageRetentionPeriod", 345_600, 60..=1_209_600),
    ("ReceiveMessageWaitTimeSeconds", 0, 0..=20),
    ("VisibilityTimeout", 30, 0..=43_200),
];

/// Kept and answered, but without any effect here.
const TEXTS: [&str; 5] =
    ["Policy", "RedriveAllowPolicy", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled"];

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Attributes {
    numbers: [u64; 5],
    pub(crate) redrive: Option<Redrive>,
    texts: BTreeMap<String, String>,
}

/// Where a message goes that was received too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Redrive {
    pub(crate) target_arn: String,
    pub(crate) max_receive_count: u64,
    /// As it was set, since it is answered so.
    text: String,
}

impl Default for Attributes {
    fn default() -> Self {
        let texts = BTreeMap::from([("SqsManagedSseEnabled".to_owned(), "true".to_owned())]);
        Self { numbers: NUMBERS.map(|(_, default, _)| default), redrive: None, texts }
    }
}

impl Attributes {
    pub(crate) fn delay_seconds(&self) -> u64 {
        self.numbers[0]
    }

    pub(crate) fn max_message_bytes(&self) -> u64 {
        self.numbers[1]
    }

    pub(crate) fn wait_seconds(&self) -> u64 {
        self.numbers[3]
    }

    pub(crate) fn visibility_seconds(&self) -> u64 {
        self.numbers[4]
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), AwsError> {
        if let Some(index) = NUMBERS.iter().position(|(number, ..)| *number == name) {
            let range = &NUMBERS[index].2;
            let number = value.parse().ok().filter(|number| range.contains(number));
            self.numbers[index] = number.ok_or_else(|| invalid_value(name))?;
        } else if name == "RedrivePolicy" {
            self.redrive = if value.is_empty() { None } else { Some(Redrive::parse(value)?) };
        } else if TEXTS.contains(&name) {
            self.texts.insert(name.to_owned(), value.to_owned());
        } else {
            return Err(unknown_name(name));
        }
        Ok(())
    }

    /// What was set, and the defaults of what was not.
    pub(crate) fn list(&self) -> BTreeMap<String, String> {
        let mut all = self.texts.clone();
        all.extend(NUMBERS.iter().zip(self.numbers).map(|((name, ..), value)| ((*name).to_owned(), value.to_string())));
        all.extend(self.redrive.as_ref().map(|redrive| ("RedrivePolicy".to_owned(), redrive.text.clone())));
        all
    }
}

impl Redrive {
    fn parse(text: &str) -> Result<Self, AwsError> {
        let wrong = || invalid_value("RedrivePolicy");
        let policy: Value = serde_json::from_str(text).map_err(|_| wrong())?;
        let target_arn = policy["deadLetterTargetArn"].as_str().ok_or_else(wrong)?.to_owned();
        let count = &policy["maxReceiveCount"];
        // The console writes a number, Terraform and older tools a string; AWS takes both.
        let count = count.as_u64().or_else(|| count.as_str()?.parse().ok());
        let max_receive_count = count.filter(|count| (1..=1000).contains(count)).ok_or_else(wrong)?;
        Ok(Self { target_arn, max_receive_count, text: text.to_owned() })
    }
}

fn invalid_value(name: &str) -> AwsError {
    AwsError::new(400, "InvalidAttributeValue", format!("Invalid value for the parameter {name}."))
}

pub(crate) fn unknown_name(name: &str) -> AwsError {
    AwsError::new(400, "InvalidAttributeName", format!("Unknown Attribute {name}."))
}
