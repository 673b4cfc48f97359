//! What the server's errors mean.

use analytics::store::StoreError;
use mongodb::error::{Error, ErrorKind, WriteFailure};

use crate::gather::Refusal;

/// <https://www.mongodb.com/docs/manual/reference/error-codes/>
pub(super) const DUPLICATE_KEY: i32 = 11_000;
pub(super) const UNAUTHORIZED: i32 = 13;
pub(super) const AUTHENTICATION_FAILED: i32 = 18;
pub(super) const INDEX_OPTIONS_CONFLICT: i32 = 85;
pub(super) const INDEX_KEYS_CONFLICT: i32 = 86;
/// `MaxTimeMSExpired`, `ExceededTimeLimit`.
const OUT_OF_TIME: [i32; 2] = [50, 262];
/// No primary: its election, its shutdown, or the disk's end. Another try may find another one.
const AWAY: [i32; 15] = [6, 7, 89, 91, 133, 134, 189, 9001, 10_058, 10_107, 11_600, 11_602, 13_435, 13_436, 14_031];
/// What a server says that takes no retryable writes, as DocumentDB does not.
const NO_RETRYABLE_WRITES: i32 = 301;

/// The server's code, where it was the server that refused.
pub(super) fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => Some(concern.code),
        _ => None,
    }
}

/// For callers of the store.
pub(super) fn store_error(error: &Error) -> StoreError {
    let told = || describe(error);
    match &*error.kind {
        // Written, and not known to be safe.
        ErrorKind::Write(WriteFailure::WriteConcernError(_)) => StoreError::Timeout,
        ErrorKind::Io(_)
        | ErrorKind::ServerSelection { .. }
        | ErrorKind::ConnectionPoolCleared { .. }
        | ErrorKind::Authentication { .. }
        | ErrorKind::DnsResolve { .. }
        | ErrorKind::Shutdown => StoreError::Unavailable(told()),
        _ => match code(error) {
            Some(code) if OUT_OF_TIME.contains(&code) => StoreError::Timeout,
            Some(NO_RETRYABLE_WRITES) => {
                StoreError::Unavailable("the server takes no retryable writes: add retryWrites=false to its URL".into())
            }
            Some(code) if AWAY.contains(&code) || error.contains_label("RetryableWriteError") => {
                StoreError::Unavailable(told())
            }
            _ => StoreError::Other(told()),
        },
    }
}

/// In one line, without the labels and documents that the driver adds.
pub(super) fn describe(error: &Error) -> String {
    match &*error.kind {
        ErrorKind::Command(command) => format!("{} (code {})", command.message, command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => format!("{} (code {})", write.message, write.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => {
            format!("{} (code {})", concern.message, concern.code)
        }
        kind => kind.to_string(),
    }
}

impl From<Refusal> for StoreError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Full => Self::Unavailable("too much work waits for the database".into()),
            Refusal::Closed => Self::Unavailable("the store is closed".into()),
            Refusal::TimedOut => Self::Timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use mongodb::error::CommandError;
    use serde_json::json;

    use super::*;

    fn command(code: i32) -> Error {
        let error: CommandError =
            serde_json::from_value(json!({ "code": code, "codeName": "X", "errmsg": "as it says" })).unwrap();
        Error::from(ErrorKind::Command(error))
    }

    #[test]
    fn a_server_that_is_no_primary_or_late_is_tried_again_and_a_fault_is_not() {
        for code in AWAY {
            assert!(
                matches!(store_error(&command(code)), StoreError::Unavailable(text) if text.contains("as it says"))
            );
        }
        for code in OUT_OF_TIME {
            assert!(matches!(store_error(&command(code)), StoreError::Timeout));
        }
        let told = store_error(&command(NO_RETRYABLE_WRITES)).to_string();
        assert!(told.contains("retryWrites=false"), "{told}");
        assert!(matches!(store_error(&command(UNAUTHORIZED)), StoreError::Other(_)));
    }

    #[test]
    fn a_write_that_no_majority_confirmed_may_be_done() {
        let concern =
            serde_json::from_value(json!({ "code": 64, "codeName": "X", "errmsg": "waiting timed out" })).unwrap();
        let error = Error::from(ErrorKind::Write(WriteFailure::WriteConcernError(concern)));
        assert!(matches!(store_error(&error), StoreError::Timeout));
    }
}
