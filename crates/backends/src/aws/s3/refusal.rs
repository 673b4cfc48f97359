//! What a failure means for the caller: the store as a whole is down, or this object alone cannot be written.
//!
//! Only a failure that is the object's own may count against a message: a missing bucket, a missing permission or
//! expired credentials would send every healthy message to the dead-letter queue.

use std::error::Error;

use chassis::ports::ObjectError;

use super::answers::{Refusal, Silence};
use super::credentials::NoCredentials;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Put,
    Get,
    Delete,
    List,
}

impl Operation {
    /// What a policy must allow.
    fn action(self) -> &'static str {
        match self {
            Self::Put => "s3:PutObject",
            Self::Get => "s3:GetObject",
            Self::Delete => "s3:DeleteObject",
            Self::List => "s3:ListBucket",
        }
    }
}

/// 4xx that any object would meet, by the beginning of S3's code: they judge who asks, and how, which is the same for each.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
const EVERY_OBJECT: &[&str] = &[
    "AuthorizationHeaderMalformed", // another region's bucket
    "AuthorizationQueryParametersError",
    "ExpiredToken",
    "IllegalLocationConstraint",
    "IllegalVersioningConfiguration",
    "InvalidAccessKeyId",
    "InvalidArgument",
    "InvalidBucketName",
    "InvalidEncryptionAlgorithm",
    "InvalidRequest",
    "InvalidSecurity",
    "InvalidToken",
    "KMS.",
    "MethodNotAllowed",
    "NoSuchBucket",
    "NotSignedUp",
    "PermanentRedirect",
    "RequestTimeout",
    "ServerSideEncryptionConfiguration",
    "SlowDown",
    "Throttl",
    "TokenRefreshRequired",
    "TooManyRequests",
];

/// Sorts a failure by its first cause that is known. Says what to do where that is known too.
pub(super) fn sort(error: &object_store::Error, operation: Operation, bucket: &str) -> ObjectError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(found) = cause {
        if let Some(refusal) = found.downcast_ref::<Refusal>() {
            return refused(refusal, operation, bucket);
        }
        if let Some(silence) = found.downcast_ref::<Silence>() {
            return match silence {
                Silence::TimedOut => ObjectError::Timeout,
                _ => ObjectError::Unavailable(silence.to_string()),
            };
        }
        if let Some(none) = found.downcast_ref::<NoCredentials>() {
            return ObjectError::Unavailable(none.to_string());
        }
        cause = found.source();
    }
    // The texts of other errors may repeat an answer.
    match error {
        object_store::Error::InvalidPath { .. } => ObjectError::Other("S3 cannot hold an object under this key".into()),
        _ => ObjectError::Unavailable("the answer of S3 broke off, or cannot be understood".into()),
    }
}

fn refused(refusal: &Refusal, operation: Operation, bucket: &str) -> ObjectError {
    let status = refusal.status.as_u16();
    let code = refusal.code.as_str();
    let is_everybodys = EVERY_OBJECT.iter().any(|start| code.starts_with(start));
    match (status, code) {
        (_, "NoSuchBucket") => {
            ObjectError::Unavailable(format!("there is no bucket {bucket}: create it, or correct S3_BUCKET_NAME"))
        }
        (301 | 307 | 308, _) | (_, "AuthorizationHeaderMalformed" | "PermanentRedirect") => ObjectError::Unavailable(
            format!("{refusal}: the bucket {bucket} is in another region, set AWS_REGION to its own"),
        ),
        (403, "RequestTimeTooSkewed") => {
            ObjectError::Unavailable(format!("{refusal}: the clock of this machine is wrong"))
        }
        (403, "" | "AccessDenied" | "AllAccessDisabled" | "AccountProblem") => denied(refusal, operation, bucket),
        (401 | 403, _) => ObjectError::Unavailable(format!("{refusal}: the credentials are not accepted")),
        (408 | 429 | 500.., _) => ObjectError::Unavailable(refusal.to_string()),
        _ if is_everybodys => ObjectError::Unavailable(format!("{refusal} for every object of bucket {bucket}")),
        _ => ObjectError::Other(refusal.to_string()),
    }
}

fn denied(refusal: &Refusal, operation: Operation, bucket: &str) -> ObjectError {
    let action = refusal.action.as_deref().unwrap_or(operation.action());
    let resource = match action {
        "s3:ListBucket" => format!("on arn:aws:s3:::{bucket}"),
        action if action.starts_with("s3:") => format!("on arn:aws:s3:::{bucket}/*"),
        _ => format!("for bucket {bucket}"),
    };
    ObjectError::Unavailable(format!("{refusal}: {action} {resource} is not allowed, add it to the policy of the role"))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use object_store::Error as StoreError;
    use object_store::client::{HttpError, HttpErrorKind};

    use super::*;

    fn sorted(status: u16, code: &str) -> ObjectError {
        let refusal = Refusal { status: StatusCode::from_u16(status).unwrap(), code: code.to_owned(), action: None };
        let source = Box::new(HttpError::new(HttpErrorKind::Unknown, refusal));
        sort(&StoreError::Generic { store: "S3", source }, Operation::Put, "letters")
    }

    #[test]
    fn what_every_write_would_meet_is_no_attempt_at_a_message() {
        let all = [
            (500, "InternalError"),
            (503, "SlowDown"),
            (501, "NotImplemented"),
            (404, "NoSuchBucket"),
            (403, "AccessDenied"),
            (403, "InvalidAccessKeyId"),
            (403, "SignatureDoesNotMatch"),
            (400, "ExpiredToken"),
            (400, "KMS.DisabledException"),
            (400, "InvalidRequest"),
            (301, "PermanentRedirect"),
            (429, ""),
        ];
        for (status, code) in all {
            assert!(matches!(sorted(status, code), ObjectError::Unavailable(_)), "{status} {code}");
        }
    }

    #[test]
    fn what_is_the_objects_own_is_an_attempt_at_its_message() {
        for (status, code) in [(400, "EntityTooLarge"), (400, "KeyTooLongError"), (409, "ConditionalRequestConflict")] {
            assert!(matches!(sorted(status, code), ObjectError::Other(_)), "{status} {code}");
        }
    }

    #[test]
    fn a_missing_permission_and_a_missing_bucket_are_named() {
        let text = sorted(403, "AccessDenied").to_string();
        assert!(text.contains("s3:PutObject") && text.contains("arn:aws:s3:::letters/*"), "{text}");
        let text = sorted(404, "NoSuchBucket").to_string();
        assert!(text.contains("no bucket letters"), "{text}");
    }
}
