//! Errors as callers see them: a kind that decides the status, a public text, and a private cause for the log.
//!
//! A handler returns [`Error`]; the edge renders it as one RFC 9457 problem body, because only the edge knows the
//! request's path and correlation id.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use crate::ports::{ObjectError, QueueError};

/// What went wrong, by meaning. The status codes stand in [`Kind::status`], the one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request cannot be understood.
    BadRequest,
    /// Who asks is not known.
    Unauthorized,
    /// Who asks may not do this.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// The client stopped sending in the middle of its request.
    RequestTimeout,
    /// Something else is in the way.
    Conflict,
    /// The thing is not in the state that the request names.
    PreconditionFailed,
    /// The body is over a limit.
    PayloadTooLarge,
    /// The request line is over a limit.
    UriTooLong,
    /// The request is understood and breaks a rule.
    Invalid,
    /// The client asks too often.
    TooManyRequests,
    /// The request's head is over a limit.
    HeadersTooLarge,
    /// A fault of ours.
    Internal,
    /// Something that no service here does.
    NotImplemented,
    /// A service that was called for the caller failed.
    BadGateway,
    /// A dependency is down; trying again later may help.
    Unavailable,
    /// There is more to do than can be done; trying again later helps.
    Overloaded,
    /// A service that was called for the caller did not answer in time.
    GatewayTimeout,
    /// A version of HTTP that is not spoken here.
    VersionNotSupported,
}

impl Kind {
    /// The status code of this kind.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict => StatusCode::CONFLICT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::BadGateway => StatusCode::BAD_GATEWAY,
            Self::Unavailable | Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::GatewayTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::VersionNotSupported => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        }
    }
}

/// One part of the input that breaks a rule. Never holds the input itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Where: `["body", "email"]`.
    pub loc: Vec<serde_json::Value>,
    /// What is expected.
    pub msg: String,
    /// A word that programs can test, such as `missing` or `string_type`.
    #[serde(rename = "type")]
    pub kind: String,
}

impl FieldError {
    /// A rule that the part at `loc` breaks.
    #[must_use]
    pub fn new(loc: &[&str], msg: impl Into<String>, kind: &str) -> Self {
        Self { loc: loc.iter().map(|&part| part.into()).collect(), msg: msg.into(), kind: kind.to_owned() }
    }
}

/// Seconds that callers are asked to wait for a dependency, unless the error knows better.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(5);

/// An error on its way to a caller.
#[derive(Debug, Clone)]
pub struct Error {
    pub(crate) kind: Kind,
    pub(crate) detail: Cow<'static, str>,
    pub(crate) fields: Vec<FieldError>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) upstream_status: Option<StatusCode>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) cause: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with its public text.
    #[must_use]
    pub fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        let retry_after = (kind == Kind::Unavailable).then_some(DEFAULT_RETRY_AFTER);
        Self {
            kind,
            detail: detail.into(),
            fields: Vec::new(),
            retry_after,
            upstream_status: None,
            headers: Vec::new(),
            cause: None,
        }
    }

    /// A fault of ours: the caller learns nothing but that.
    #[must_use]
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(Kind::Internal, "Internal Server Error").caused_by(cause)
    }

    /// Input that breaks rules.
    #[must_use]
    pub fn invalid(fields: Vec<FieldError>) -> Self {
        Self { fields, ..Self::new(Kind::Invalid, "Validation failed") }
    }

    /// Adds more input that breaks rules.
    #[must_use]
    pub fn with_fields(mut self, fields: impl IntoIterator<Item = FieldError>) -> Self {
        self.fields.extend(fields);
        self
    }

    /// Adds the private cause, for the log alone.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(Arc::from(cause.into()));
        self
    }

    /// Says after what time the caller may try again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Says what a service answered that was called for the caller.
    #[must_use]
    pub fn with_upstream_status(mut self, status: StatusCode) -> Self {
        self.upstream_status = Some(status);
        self
    }

    /// Adds a header to the answer. A text that cannot be a header's value is left out.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, text: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(text).ok().map(|value| (name, value)));
        self
    }

    /// The kind, for callers that look before they pass it on.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether its private cause is of this type.
    pub(crate) fn is_caused_by<E: std::error::Error + 'static>(&self) -> bool {
        self.cause.as_ref().is_some_and(|cause| cause.is::<E>())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Error {}

impl IntoResponse for Error {
    /// An empty answer that carries the error to the edge, which writes the body.
    fn into_response(self) -> Response {
        let mut response = self.kind.status().into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

impl From<QueueError> for Error {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::TooLarge { .. } => Self::new(Kind::PayloadTooLarge, "Payload too large"),
            QueueError::Unavailable(_) | QueueError::Timeout => {
                Self::new(Kind::Unavailable, "Queue unavailable").caused_by(error)
            }
            QueueError::Invalid(_) | QueueError::StaleReceipt | QueueError::Other(_) => Self::internal(error),
        }
    }
}

impl From<ObjectError> for Error {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::Unavailable(_) | ObjectError::Timeout => {
                Self::new(Kind::Unavailable, "Object store unavailable").caused_by(error)
            }
            ObjectError::InvalidKey(_) | ObjectError::Other(_) => Self::internal(error),
        }
    }
}

/// The text of an error and of each cause behind it, down to what the system said: `cannot connect: connection refused`.
#[must_use]
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

/// The body of every error (RFC 9457).
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct Problem<'a> {
    /// `about:blank`: the status says it all.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// The status in words.
    pub title: &'a str,
    /// The status code.
    pub status: u16,
    /// What happened, for people.
    pub detail: &'a str,
    /// The path of the request.
    pub instance: &'a str,
    /// Finds the log lines of this request.
    pub correlation_id: &'a str,
    /// The same as `detail`, where old clients look for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a str>,
    /// The rules that the input breaks.
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    #[schema(value_type = Vec<Object>, required = false)]
    pub errors: &'a [FieldError],
    /// Seconds to wait, as in the `Retry-After` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// With 502: the status that the called service answered, where it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_status: Option<u16>,
}
