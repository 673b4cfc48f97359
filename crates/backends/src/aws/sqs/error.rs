//! What SQS answered, by meaning. Texts name the action and the queue, so that the missing permission can be read off.

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::BatchResultErrorEntry;
use chassis::error::causes;
use chassis::ports::QueueError;
use std::fmt::Debug;

use aws_sdk_sqs::config::http::HttpResponse;

/// The code of a permission that is missing.
const DENIED: &str = "AccessDenied";
/// Codes that say that a receipt cannot be right; SQS has them for a text that is none of its own.
const FOREIGN_RECEIPT: &[&str] = &["ReceiptHandleIsInvalid", "InvalidIdFormat"];
/// Codes that say that a message is no longer held by a receipt.
const NOT_HELD: &[&str] = &["MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"];
/// Codes of a queue that is not there.
const NO_QUEUE: &[&str] = &["QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"];
/// The code of a batch that is too large, and the words about a message that is; it shares its code with other mistakes.
const TOO_LONG: &str = "BatchRequestTooLong";
const TOO_LARGE: &str = "Message must be shorter than";
/// Codes that say that the request itself is wrong.
const INVALID: &[&str] =
    &["InvalidAttributeName", "InvalidAttributeValue", "InvalidMessageContents", "InvalidParameterValue"];
/// Codes that ask for patience.
const TRANSIENT: &[&str] = &[
    "InternalError",
    "InternalFailure",
    "KmsThrottled",
    "OverLimit",
    "RequestThrottled",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
];

/// A call that failed as a whole.
pub(super) fn of_call<E>(action: &str, error: &SdkError<E, HttpResponse>) -> QueueError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error {
        SdkError::TimeoutError(_) => QueueError::Timeout,
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            let (code, message) = (answer.err().code().unwrap_or_default(), answer.err().message().unwrap_or_default());
            if status >= 500 {
                return QueueError::Unavailable(format!("sqs:{action} answered {status} {code}"));
            }
            if matches!(status, 401 | 403) && !is_denied(status, code) {
                return QueueError::Unavailable(format!(
                    "sqs:{action} answered {status} {code}: check the credentials"
                ));
            }
            of_code(action, if is_denied(status, code) { DENIED } else { code }, message)
        }
        // Credentials that cannot be had, names that do not resolve, connections that break.
        // Its texts and not its fields: an answer that is not understood has all messages in them.
        other => QueueError::Unavailable(format!("sqs:{action}: {}", causes(other))),
    }
}

/// Whether SQS has answered that it did nothing, and may do it soon.
pub(super) fn is_refusal<E>(error: &SdkError<E, HttpResponse>) -> bool
where
    E: ProvideErrorMetadata,
{
    let SdkError::ServiceError(answer) = error else { return false };
    let code = answer.err().code().unwrap_or_default();
    answer.raw().status().as_u16() >= 500 || TRANSIENT.contains(&code)
}

/// One entry of a batch that failed.
pub(super) fn of_entry(action: &str, entry: &BatchResultErrorEntry) -> QueueError {
    let message = entry.message().unwrap_or_default();
    if entry.sender_fault() {
        of_code(action, entry.code(), message)
    } else {
        QueueError::Unavailable(format!("sqs:{action} answered {}: {message}", entry.code()))
    }
}

fn of_code(action: &str, code: &str, message: &str) -> QueueError {
    // Some answers have the name of the protocol's shape in front.
    let code = code.rsplit('#').next().unwrap_or(code);
    if NO_QUEUE.contains(&code) {
        return QueueError::Unavailable("the queue does not exist: check SQS_QUEUE_URL and AWS_REGION".into());
    }
    if code.starts_with(DENIED) {
        return QueueError::Unavailable(format!("the credentials lack the permission sqs:{action} on the queue"));
    }
    if TRANSIENT.contains(&code) {
        return QueueError::Unavailable(format!("sqs:{action} answered {code}"));
    }
    let is_about_visibility = message.contains("not available for visibility timeout change");
    if NOT_HELD.contains(&code) || is_about_visibility {
        return QueueError::StaleReceipt;
    }
    if FOREIGN_RECEIPT.contains(&code) {
        return QueueError::Invalid("the receipt is none of this queue".into());
    }
    if code == TOO_LONG || (code == "InvalidParameterValue" && message.contains(TOO_LARGE)) {
        return QueueError::TooLarge { size_bytes: 0 };
    }
    if INVALID.contains(&code) {
        return QueueError::Invalid(format!("sqs:{action}: {code}: {message}"));
    }
    // Unknown keys, expired tokens, clocks that are off: nothing about one message.
    QueueError::Unavailable(format!("sqs:{action} answered {code}: {message}"))
}

/// For readiness: an answer of any kind shows that the queue can be reached, a permission that is missing too.
pub(super) fn is_denial<E: ProvideErrorMetadata + Debug>(error: &SdkError<E, HttpResponse>) -> bool {
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    is_denied(status, error.code().unwrap_or_default())
}

/// Whatever stands between here and SQS may refuse without a code.
fn is_denied(status: u16, code: &str) -> bool {
    code.starts_with(DENIED) || (status == 403 && code.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_by_meaning() {
        let denied = of_code("SendMessage", "AccessDeniedException", "no");
        assert!(matches!(&denied, QueueError::Unavailable(text) if text.contains("sqs:SendMessage")));
        let gone = of_code("SendMessage", "com.amazonaws.sqs#QueueDoesNotExist", "");
        assert!(matches!(&gone, QueueError::Unavailable(text) if text.contains("SQS_QUEUE_URL")));
        assert!(matches!(of_code("x", "ReceiptHandleIsInvalid", ""), QueueError::Invalid(_)));
        assert!(matches!(of_code("x", "MessageNotInflight", ""), QueueError::StaleReceipt));
        assert!(matches!(of_code("x", "InvalidMessageContents", ""), QueueError::Invalid(_)));
        let too_large = "One or more parameters are invalid. Reason: Message must be shorter than 262144 bytes.";
        for (code, message) in [("InvalidParameterValue", too_large), ("AWS#BatchRequestTooLong", "")] {
            assert!(matches!(of_code("x", code, message), QueueError::TooLarge { .. }), "{code}");
        }
        for of_account in ["ExpiredToken", "InvalidClientTokenId", "InvalidSecurity"] {
            assert!(matches!(of_code("x", of_account, ""), QueueError::Unavailable(_)), "{of_account}");
        }
    }

    #[test]
    fn a_fault_of_the_service_is_no_fault_of_the_entry() {
        let entry = |fault| BatchResultErrorEntry::builder().id("0").code("InternalError").sender_fault(fault).build();
        assert!(matches!(of_entry("SendMessage", &entry(false).unwrap()), QueueError::Unavailable(_)));
    }
}
