//! From a request to the answer of the service that it is for.

use axum::extract::{FromRequest as _, Request};
use axum::response::Response;
use chassis::error::{Error, Kind};
use chassis::http::{RawBody, ThroughProxy};
use chassis::telemetry::correlation::with_current;
use http::request::Parts;
use http::{HeaderValue, Method, Uri, header};

use crate::behind::Destination;
use crate::error::unanswered;
use crate::model::{Asked, rewrite_answer, rewrite_request, target};

/// What may be asked of services: not for tunnels, nor for what a request looks like where it arrives.
const PASSED_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Passes a request on, and the answer back: its body as it comes.
pub(crate) async fn pass_on(
    to: &Destination,
    ThroughProxy(through_proxy): ThroughProxy,
    request: Request,
) -> Result<Response, Error> {
    let (mut parts, body) = request.into_parts();
    let Some(target) = target(&parts.uri).cloned() else { return Err(Error::new(Kind::NotFound, "Not Found")) };
    if [Method::CONNECT, Method::TRACE].contains(&parts.method) {
        return Err(Error::new(Kind::MethodNotAllowed, "Method Not Allowed").with_header(header::ALLOW, PASSED_METHODS));
    }
    let client = to.client(&parts.headers)?;
    let asked = Asked {
        client: with_current(|scope| scope.client).flatten(),
        host: host_of(&parts),
        version: parts.version,
        hop: &to.hop,
        through_proxy,
    };
    rewrite_request(&mut parts.headers, asked);
    let RawBody(body) = RawBody::from_request(Request::new(body), &()).await?;
    let mut passed = http::Request::new(body);
    *passed.method_mut() = parts.method;
    // Without the host of a target that is a whole URL: where it goes is for the route to say.
    *passed.uri_mut() = Uri::from(target);
    *passed.headers_mut() = parts.headers;
    let mut answer = client.forward(passed).await.map_err(unanswered)?;
    rewrite_answer(answer.headers_mut());
    Ok(answer)
}

/// What the caller calls this place. A target that is a whole URL wins over the header (RFC 9112, section 3.2.2).
fn host_of(parts: &Parts) -> Option<HeaderValue> {
    match parts.uri.authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str().rsplit('@').next().unwrap_or_default()).ok(),
        None => parts.headers.get(header::HOST).cloned(),
    }
}
