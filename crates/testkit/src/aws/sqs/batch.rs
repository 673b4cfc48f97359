//! What all batch actions have in common: the rules for entries, and answers that tell each entry's fate.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::aws::error::AwsError;
use crate::aws::faults::Plan;
use crate::aws::reply::{Reply, json_1_0};

const MAX_ENTRIES: usize = 10;

/// A batch request with entries of one kind.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Batch<T> {
    #[serde(default = "Vec::new")]
    entries: Vec<T>,
}

/// An entry of a batch. Its id is a field of its own, as flattening one in would cost half of the time.
pub(super) trait Entry {
    /// Names it in the answer.
    fn id(&self) -> &str;
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct BatchAnswer<S> {
    successful: Vec<S>,
    failed: Vec<FailedEntry>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct FailedEntry {
    id: String,
    sender_fault: bool,
    code: String,
    message: String,
}

impl<T: Entry> Batch<T> {
    /// The entries, if there may be so many under such names.
    pub(super) fn checked(self) -> Result<Vec<T>, AwsError> {
        if self.entries.is_empty() {
            let message = "There should be at least one entry in the request.";
            return Err(AwsError::new(400, "EmptyBatchRequest", message));
        }
        if self.entries.len() > MAX_ENTRIES {
            let message = "Maximum number of entries per request are 10. You have sent more.";
            return Err(AwsError::new(400, "TooManyEntriesInBatchRequest", message));
        }
        let mut seen = HashSet::new();
        for entry in &self.entries {
            if !is_entry_id(entry.id()) {
                let message = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. \
                               It can be at most 80 letters long.";
                return Err(AwsError::new(400, "InvalidBatchEntryId", message));
            }
            if !seen.insert(entry.id()) {
                let message = format!("Id {} repeated.", entry.id());
                return Err(AwsError::new(400, "BatchEntryIdsNotDistinct", message));
            }
        }
        Ok(self.entries)
    }
}

/// Works on each entry that no fault has struck.
pub(super) fn each<T: Entry, S: Serialize>(
    entries: Vec<T>,
    plan: &Plan,
    mut work: impl FnMut(T) -> Result<S, AwsError>,
) -> Reply {
    let count = entries.len();
    let (mut successful, mut failed) = (Vec::with_capacity(count), Vec::new());
    for (position, entry) in entries.into_iter().enumerate() {
        let id = entry.id().to_owned();
        if let Some(error) = plan.entry_error(position) {
            let (sender_fault, code, message) = (error.sender_fault, error.code, error.message);
            failed.push(FailedEntry { id, sender_fault, code, message });
            continue;
        }
        match work(entry) {
            Ok(done) => successful.push(done),
            Err(AwsError { status, code, message }) => {
                let (code, message) = (entry_code(&code).to_owned(), message.into_owned());
                failed.push(FailedEntry { id, sender_fault: status < 500, code, message });
            }
        }
    }
    let failures = failed.len();
    let response = json_1_0(&BatchAnswer { successful, failed });
    Reply { response, entries: count, failed: failures }
}

/// Entries fail under the names of the query protocol.
fn entry_code(code: &str) -> &str {
    code.strip_suffix("Exception").unwrap_or(code)
}

fn is_entry_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=80).contains(&id.len()) && id.bytes().all(allowed)
}
