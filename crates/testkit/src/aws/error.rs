//! Refusals, in the form of each service.

use std::borrow::Cow;

use http::StatusCode;
use serde_json::json;

use super::reply::{Response, respond, with_header};
use super::service::Service;

/// A refusal with the code that clients match on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AwsError {
    pub(crate) status: u16,
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: Cow<'static, str>,
}

impl AwsError {
    pub(crate) fn new(status: u16, code: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code: code.into(), message: message.into() }
    }

    /// What the service says when it is asked too often.
    pub(crate) fn throttled(service: Service) -> Self {
        match service {
            // https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html#API_SendMessage_Errors
            Service::Sqs => Self::new(403, "RequestThrottled", "The request was denied due to request throttling."),
            // https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
            Service::S3 => Self::new(503, "SlowDown", "Please reduce your request rate."),
            // https://docs.aws.amazon.com/systems-manager/latest/APIReference/CommonErrors.html
            Service::Ssm | Service::SecretsManager => Self::new(400, "ThrottlingException", "Rate exceeded"),
            Service::Sts => Self::new(400, "Throttling", "Rate exceeded"),
        }
    }

    /// A request that nobody has signed.
    pub(crate) fn unsigned(service: Service) -> Self {
        match service {
            Service::S3 => Self::new(403, "AccessDenied", "Access Denied"),
            Service::Sts => Self::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token"),
            _ => Self::new(403, "MissingAuthenticationTokenException", "Missing Authentication Token"),
        }
    }

    pub(crate) fn unknown_action(service: Service) -> Self {
        match service {
            Service::S3 => Self::new(501, "NotImplemented", "The fake has no answer for this request."),
            Service::Sts => Self::new(400, "InvalidAction", "The fake has no answer for this action."),
            _ => Self::new(400, "UnknownOperationException", "The fake has no answer for this action."),
        }
    }

    /// The whole answer.
    pub(crate) fn into_response(self, service: Service) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match service {
            Service::Sqs => self.sqs(status),
            Service::Ssm => {
                let body = json!({"__type": self.code, "message": self.message});
                respond(status, JSON_1_1, body.to_string())
            }
            Service::SecretsManager => {
                let body = json!({"__type": self.code, "Message": self.message});
                respond(status, JSON_1_1, body.to_string())
            }
            Service::S3 => respond(status, "application/xml", self.s3()),
            Service::Sts => respond(status, "text/xml", self.sts()),
        }
    }

    /// Clients of the former query protocol know other names; the service sends them in a header.
    /// Source: <https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#aws-protocols-awsquerycompatible-trait>
    fn sqs(self, status: StatusCode) -> Response {
        let named = QUERY_CODES.iter().find(|(shape, _)| *shape == self.code);
        let namespace = if named.is_some() { "com.amazonaws.sqs" } else { "com.amazon.coral.service" };
        let body = json!({"__type": format!("{namespace}#{}", self.code), "message": self.message});
        let fault = if status.is_server_error() { "Receiver" } else { "Sender" };
        let query_code = named.map_or(self.code.as_ref(), |(_, code)| code);
        let response = respond(status, "application/x-amz-json-1.0", body.to_string());
        with_header(response, "x-amzn-query-error", &format!("{query_code};{fault}"))
    }

    fn s3(&self) -> String {
        let (code, message) = (escape(&self.code), escape(&self.message));
        format!("{XML_HEAD}<Error><Code>{code}</Code><Message>{message}</Message><RequestId>0</RequestId></Error>")
    }

    fn sts(&self) -> String {
        let (code, message) = (escape(&self.code), escape(&self.message));
        let fault = if self.status >= 500 { "Receiver" } else { "Sender" };
        format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>{fault}</Type>\
             <Code>{code}</Code><Message>{message}</Message></Error><RequestId>0</RequestId></ErrorResponse>"
        )
    }
}

pub(crate) const JSON_1_1: &str = "application/x-amz-json-1.1";
pub(crate) const XML_HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// For text between XML tags.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    quick_xml::escape::escape(text)
}

/// Errors of SQS with a shape of their own, and what the query protocol calls them.
const QUERY_CODES: [(&str, &str); 23] = [
    ("BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"),
    ("BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong"),
    ("EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest"),
    ("InvalidAttributeName", "InvalidAttributeName"),
    ("InvalidAttributeValue", "InvalidAttributeValue"),
    ("InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId"),
    ("InvalidMessageContents", "InvalidMessageContents"),
    ("KmsAccessDenied", "KMS.AccessDeniedException"),
    ("KmsDisabled", "KMS.DisabledException"),
    ("KmsInvalidKeyUsage", "KMS.InvalidKeyUsageException"),
    ("KmsInvalidState", "KMS.InvalidStateException"),
    ("KmsNotFound", "KMS.NotFoundException"),
    ("KmsOptInRequired", "KMS.OptInRequired"),
    ("KmsThrottled", "KMS.ThrottlingException"),
    ("MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"),
    ("OverLimit", "OverLimit"),
    ("PurgeQueueInProgress", "AWS.SimpleQueueService.PurgeQueueInProgress"),
    ("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"),
    ("QueueNameExists", "QueueAlreadyExists"),
    ("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid"),
    ("RequestThrottled", "RequestThrottled"),
    ("TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"),
    ("UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation"),
];
