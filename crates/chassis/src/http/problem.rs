//! The one place that writes error bodies.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::header::{self, HeaderValue};
use http::{HeaderMap, StatusCode};
use tracing::error;

use crate::error::{Error, Kind, Problem};

/// What the edge knows of the request that failed.
pub(super) struct Request<'a> {
    pub(super) path: &'a str,
    pub(super) correlation_id: &'a str,
    /// Repeat the text as `error`.
    pub(super) error_member: bool,
}

/// Gives every failed answer a problem body: those that carry an [`Error`], and those of the framework (unknown path,
/// wrong method) that come with text or nothing. Answers with a JSON body of their own are left alone.
pub(super) fn render(mut response: Response, request: &Request<'_>) -> Response {
    if let Some(error) = response.extensions_mut().remove::<Arc<Error>>() {
        log_cause(&error);
        return write(response, &error.detail, Some(&error), request);
    }
    let status = response.status();
    let failed = status.is_client_error() || status.is_server_error();
    if !failed || is_json(response.headers()) {
        return response;
    }
    let title = status.canonical_reason().unwrap_or("Error");
    write(response, title, None, request)
}

/// A failure is logged once, here; what the client did wrong is not our failure, and a log line for each request that
/// is one too many would add to the load (they are counted).
fn log_cause(error: &Error) {
    if !matches!(error.kind(), Kind::Internal | Kind::BadGateway | Kind::Unavailable | Kind::GatewayTimeout) {
        return;
    }
    match &error.cause {
        Some(cause) => error!(cause = %cause, "request failed: {}", error.detail),
        None => error!("request failed: {}", error.detail),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.starts_with("application/json") || value.starts_with("application/problem"))
}

fn write(response: Response, detail: &str, error: Option<&Error>, request: &Request<'_>) -> Response {
    let (mut parts, _) = response.into_parts();
    let status = parts.status;
    let retry_after = error.and_then(|error| error.retry_after).map(|wait| wait.as_secs_f64().ceil().max(1.0) as u64);
    let problem = Problem {
        kind: "about:blank",
        title: status.canonical_reason().unwrap_or("Error"),
        status: status.as_u16(),
        detail,
        instance: request.path,
        correlation_id: request.correlation_id,
        error: request.error_member.then_some(detail),
        errors: error.map_or(&[], |error| &error.fields),
        retry_after,
        upstream_status: error.and_then(|error| error.upstream_status).map(|status| status.as_u16()),
    };
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    // Of the body that was there before.
    for name in [header::CONTENT_ENCODING, header::CONTENT_LANGUAGE, header::ETAG, header::LAST_MODIFIED] {
        parts.headers.remove(name);
    }
    parts.headers.extend(error.into_iter().flat_map(|error| error.headers.clone()));
    if let Some(seconds) = retry_after {
        parts.headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::UNAUTHORIZED && !parts.headers.contains_key(header::WWW_AUTHENTICATE) {
        parts.headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    Response::from_parts(parts, Body::from(body))
}
