//! Why a fact could not be had, sorted so that the cure can be named.

use std::error::Error;

use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::error::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use thiserror::Error as ThisError;

use crate::aws::denial::denied_action;

/// Why AWS did not say what it was asked. Holds no text of an answer but its code.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum Trouble {
    /// A permission is missing.
    #[error("{action} is not allowed")]
    Denied {
        /// The action that a policy must allow, such as `sqs:GetQueueAttributes`.
        action: String,
    },
    /// What was asked about does not exist, as far as these credentials can see.
    #[error("it does not exist")]
    Missing,
    /// What was asked about is in another region.
    #[error("it is in {}", region.as_deref().unwrap_or("another region"))]
    Elsewhere {
        /// Its own region, where AWS tells.
        region: Option<String>,
    },
    /// AWS does not accept who asks: unknown key, wrong secret, expired token, or a clock that is off.
    #[error("AWS does not accept the credentials ({code})")]
    Credentials {
        /// The code of AWS.
        code: String,
    },
    /// AWS answered something else than what was asked.
    #[error("AWS answered {status} {code}")]
    Answered {
        /// The status of HTTP.
        status: u16,
        /// The code of AWS; may be empty.
        code: String,
    },
    /// No connection, or one that broke.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// No answer within the bound.
    #[error("it did not answer in time")]
    TimedOut,
    /// An answer that is not understood.
    #[error("{0}")]
    Unexpected(String),
}

/// Codes of missing things.
const MISSING: &[&str] = &[
    "AWS.SimpleQueueService.NonExistentQueue",
    "NoSuchBucket",
    "ParameterNotFound",
    "ParameterVersionNotFound",
    "QueueDoesNotExist",
    "ResourceNotFoundException",
];

/// Beginnings of codes that judge who asks.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html> and
/// <https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html>
const CREDENTIALS: &[&str] = &[
    "AuthFailure",
    "ExpiredToken",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "InvalidSignature",
    "InvalidToken",
    "MissingAuthenticationToken",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "UnrecognizedClient",
];

/// A call of the SDK that failed. `action` is what a policy must allow for it.
pub(super) fn of_call<E>(action: &str, error: &SdkError<E, HttpResponse>) -> Trouble
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if let Some(response) = error.raw_response() {
        let (code, message) = (error.code().unwrap_or_default(), error.message().unwrap_or_default());
        return of_answer(action, response.status().as_u16(), code, message);
    }
    match error {
        SdkError::TimeoutError(_) => Trouble::TimedOut,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => Trouble::TimedOut,
        other => Trouble::Unreachable(root_cause(other)),
    }
}

/// An answer that is a refusal.
pub(super) fn of_answer(action: &str, status: u16, code: &str, message: &str) -> Trouble {
    // Some answers have the name of the protocol's shape in front.
    let code = code.rsplit('#').next().unwrap_or(code);
    if code.starts_with("AccessDenied") || (code.is_empty() && matches!(status, 401 | 403)) {
        return Trouble::Denied { action: missing_action(action, message) };
    }
    if MISSING.contains(&code) {
        return Trouble::Missing;
    }
    let code = code.to_owned();
    if CREDENTIALS.iter().any(|start| code.starts_with(start)) {
        return Trouble::Credentials { code };
    }
    Trouble::Answered { status, code }
}

/// The answer may name an action of another service, such as `kms:Decrypt`. Its names of the service's own are not those
/// of policies everywhere: SQS writes them in small letters.
fn missing_action(asked: &str, message: &str) -> String {
    let service = |action: &str| action.split(':').next().unwrap_or_default().to_owned();
    match denied_action(message) {
        Some(named) if service(named) != service(asked) => named.to_owned(),
        _ => asked.to_owned(),
    }
}

/// The text behind all wrappers: the outer ones say no more than that something failed.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_sorted_by_their_cure() {
        let sorted = |status, code| of_answer("sqs:GetQueueAttributes", status, code, "");
        let denied = || Trouble::Denied { action: "sqs:GetQueueAttributes".into() };
        assert_eq!(sorted(403, "AccessDenied"), denied());
        assert_eq!(sorted(400, "com.amazon.coral.service#AccessDeniedException"), denied());
        assert_eq!(sorted(403, ""), denied());
        assert_eq!(sorted(400, "AWS.SimpleQueueService.NonExistentQueue"), Trouble::Missing);
        assert_eq!(sorted(400, "com.amazonaws.sqs#QueueDoesNotExist"), Trouble::Missing);
        for code in ["ExpiredTokenException", "SignatureDoesNotMatch", "RequestTimeTooSkewed"] {
            assert!(matches!(sorted(403, code), Trouble::Credentials { .. }), "{code}");
        }
        assert_eq!(sorted(503, "SlowDown"), Trouble::Answered { status: 503, code: "SlowDown".into() });
    }

    #[test]
    fn an_action_of_another_service_is_named() {
        let named = |message| match of_answer("ssm:GetParameter", 400, "AccessDeniedException", message) {
            Trouble::Denied { action } => action,
            other => panic!("{other:?}"),
        };
        assert_eq!(named("User: x is not authorized to perform: kms:Decrypt on resource: y"), "kms:Decrypt");
        assert_eq!(named("User: x is not authorized to perform: ssm:getparameter on resource: y"), "ssm:GetParameter");
        assert_eq!(named("no"), "ssm:GetParameter");
    }
}
