//! `POST /call/{service_name}`: calls another service for whoever asks. The call has what every call between services
//! has ([`crate::client`]): a deadline, balancing, circuits, retries where they do no harm, and the ids of the request.

use std::sync::Arc;

use axum::extract::State;
use http::{HeaderMap, header};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;
use utoipa::openapi::RefOr;
use utoipa_axum::routes;

use super::access::Routes;
use super::call_request::CallRequest;
use super::docs::operations;
use super::extract::{Json, Path};
use super::router::ServiceState;
use crate::auth::Access;
use crate::client::{Answer, CallError, CallFailure};
use crate::error::{Error, FieldError, Kind};

/// Characters of a name that an answer repeats.
const MAX_NAME_CHARS: usize = 100;

/// The route.
pub(super) fn routes() -> Routes<Arc<ServiceState>> {
    let mut handlers = routes!(call_service);
    // The macro knows bodies that must be there, and bodies that may be `null`; this one may be missing.
    for operation in handlers.1.paths.values_mut().flat_map(operations) {
        if let Some(RefOr::T(body)) = &mut operation.request_body {
            body.required = None;
        }
    }
    Routes::new().route(Access::Scope("calls:invoke"), handlers)
}

/// What the called service answered.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct CallAnswer {
    #[schema(value_type = String, example = "user-service")]
    service: Arc<str>,
    /// Its status, which is below 500. Redirects are not followed.
    #[schema(example = 200)]
    status: u16,
    /// Its JSON, as it was written, or its text; `null` when the body was empty.
    #[schema(value_type = Value)]
    result: Payload,
    /// How often it was asked.
    #[schema(example = 1)]
    attempts: usize,
    /// How long all of it took.
    #[schema(example = 1.284)]
    duration_ms: f64,
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
}

/// A body as a part of a JSON document.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Payload {
    Nothing,
    Json(Box<RawValue>),
    Text(String),
}

/// Calls another service, which discovery or the configuration names, with the ids, the deadline, the token and the
/// `Idempotency-Key` of this request.
#[utoipa::path(
    post, path = "/call/{service_name}", tag = "service",
    params(
        ("service_name" = String, Path, description = "As `GET /services` names it"),
        ("path" = Option<String>, Query, description = "An absolute path, which may have a query; `/` by default"),
        ("method" = Option<String>, Query, pattern = "^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)$", description = "`POST` by default"),
        ("Idempotency-Key" = Option<String>, Header, nullable = false, pattern = "^[!-~]{1,255}$", description = "Is handed on, so that a call that changes something can be tried again"),
    ),
    request_body(content = Object, description = "What is sent to the service"),
    responses(
        (status = 200, body = CallAnswer, description = "The service answered with a status below 500"),
        (status = 404, description = "Service not found: none of this name may be called"),
        (status = 422, description = "The path, the method or the body cannot be sent"),
        (status = 502, description = "Error calling the service: it failed, and `upstream_status` is what it answered"),
        (status = 504, description = "Timeout calling the service"),
    )
)]
async fn call_service(
    State(state): State<Arc<ServiceState>>,
    Path(name): Path<String>,
    request: CallRequest,
) -> Result<Json<CallAnswer>, Error> {
    let client = state.callees.get(&name).ok_or_else(|| not_found(&name))?;
    let begun = Instant::now();
    let answer = match request.put_to(&client).send().await {
        Ok(answer) => judge(&name, answer)?,
        Err(error) => return Err(unanswered(&name, error)),
    };
    Ok(Json(CallAnswer {
        service: Arc::clone(client.service()),
        status: answer.status().as_u16(),
        result: Payload::of(&answer),
        attempts: answer.attempts(),
        duration_ms: (begun.elapsed().as_secs_f64() * 1e6).round() / 1e3,
        timestamp: state.context.clock.now(),
    }))
}

fn not_found(name: &str) -> Error {
    let shown: String = name.chars().take(MAX_NAME_CHARS).collect();
    Error::new(Kind::NotFound, format!("Service {shown} not found"))
}

/// An answer that is the caller's to judge.
fn judge(name: &str, answer: Answer) -> Result<Answer, Error> {
    let status = answer.status();
    if !status.is_server_error() {
        return Ok(answer);
    }
    Err(failed(name).with_upstream_status(status).caused_by(answer.unexpected()))
}

fn unanswered(name: &str, error: CallError) -> Error {
    let answer = match error.failure() {
        CallFailure::Timeout(_) => timed_out(name),
        CallFailure::NoEndpoint(_) => Error::new(Kind::Unavailable, format!("{name} unavailable")),
        CallFailure::Unavailable(_) | CallFailure::TooLarge(_) | CallFailure::Malformed(_) => failed(name),
        CallFailure::Unaddressable(why) => Error::invalid(vec![FieldError::new(&["query", "path"], *why, "path")]),
        CallFailure::Unsendable(_) => Error::new(Kind::Internal, "Internal Server Error"),
    };
    answer.caused_by(error)
}

fn timed_out(name: &str) -> Error {
    Error::new(Kind::GatewayTimeout, format!("Timeout calling {name}"))
}

fn failed(name: &str) -> Error {
    Error::new(Kind::BadGateway, format!("Error calling {name}"))
}

impl Payload {
    /// Many services say that objects are text, or do not say what they are. A text that only looks like a number stays
    /// one: `1.10` is a version.
    fn of(answer: &Answer) -> Self {
        let body = answer.body();
        if body.is_empty() {
            return Self::Nothing;
        }
        let looks_like_json = matches!(body.trim_ascii_start().first(), Some(b'{' | b'['));
        if (looks_like_json || is_json(answer.headers()))
            && let Ok(json) = serde_json::from_slice(body)
        {
            return Self::Json(json);
        }
        Self::Text(String::from_utf8_lossy(body).into_owned())
    }
}

/// Whether the content type is `application/json`, or one of its kind (RFC 6839, section 3.1).
fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}
