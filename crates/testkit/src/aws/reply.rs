//! Answers, and what the call log wants to know about them.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use http_body_util::Full;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{AwsError, JSON_1_1};

pub(crate) type Response = http::Response<Full<Bytes>>;

/// An answer, with how many entries or messages it was about and how many of them failed.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) response: Response,
    pub(crate) entries: usize,
    pub(crate) failed: usize,
}

impl From<Response> for Reply {
    fn from(response: Response) -> Self {
        Self { response, entries: 1, failed: 0 }
    }
}

pub(crate) fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = http::Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// No body and no type of one.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = http::Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    response
}

pub(crate) fn json_1_0<T: Serialize>(value: &T) -> Response {
    respond(StatusCode::OK, "application/x-amz-json-1.0", serialize(value))
}

pub(crate) fn json_1_1<T: Serialize>(value: &T) -> Response {
    respond(StatusCode::OK, JSON_1_1, serialize(value))
}

pub(crate) fn serialize<T: Serialize>(value: &T) -> Vec<u8> {
    // Only maps with keys that are no strings can fail, and there are none.
    serde_json::to_vec(value).unwrap_or_default()
}

/// A JSON request, or what a service says to a malformed one.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, AwsError> {
    serde_json::from_slice(body).map_err(|error| {
        let code = if error.to_string().starts_with("missing field") {
            "MissingRequiredParameterException"
        } else {
            "SerializationException"
        };
        AwsError::new(400, code, error.to_string())
    })
}

/// Sets a header whose value may come from a client; one that cannot be sent is left out.
pub(crate) fn with_header(mut response: Response, name: &'static str, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}

pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
