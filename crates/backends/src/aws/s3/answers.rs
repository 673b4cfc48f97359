//! Between S3 and the client: an answer that is a refusal becomes an error with its status and its code, no more.
//!
//! The client's own errors repeat the answer's body, take a conflict of two writers for an object that exists, and do
//! not repeat a write whose answer was lost. All requests here may be repeated: a write creates or finds the object.

use std::error::Error;
use std::fmt;

use async_trait::async_trait;
use http::StatusCode;
use http_body_util::{BodyExt, Limited};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};

use tokio::time::timeout;

use super::{ATTEMPT_TIMEOUT, time_for};
use crate::aws::AwsRequests;
use crate::aws::denial::denied_action;
use crate::aws::requests::s3_action;

/// Bytes of the answer that are read for its code; the rest is not worth waiting for.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;
/// Letters of a code that are kept; S3's longest has about 50.
const MAX_CODE: usize = 80;

/// What S3 says when it does not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// S3's name for it, such as `SlowDown`; empty when there is none.
    pub(super) code: String,
    /// The action that a policy does not allow, where S3 names it, such as `kms:GenerateDataKey`.
    pub(super) action: Option<String>,
}

impl Refusal {
    /// Whether another attempt may fare better at once: the server's own trouble, throttling, or a conflict with
    /// another writer of the key.
    fn is_passing(&self) -> bool {
        self.status.is_server_error()
            || matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3 answered {}", self.status.as_u16())?;
        if self.code.is_empty() { Ok(()) } else { write!(f, " {}", self.code) }
    }
}

impl Error for Refusal {}

/// No answer at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silence {
    /// Nothing listens there, or its name is not known.
    Unreachable,
    /// Not in time.
    TimedOut,
    /// The connection ended.
    Broken,
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "S3 cannot be reached",
            Self::TimedOut => "S3 did not answer in time",
            Self::Broken => "the connection to S3 broke",
        })
    }
}

impl Error for Silence {}

/// The usual connector, its requests counted and its answers sorted.
#[derive(Debug)]
pub(super) struct SortedConnector(pub(super) AwsRequests);

impl HttpConnector for SortedConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Sorted { client, requests: self.0.clone() }))
    }
}

#[derive(Debug)]
struct Sorted {
    client: HttpClient,
    requests: AwsRequests,
}

#[async_trait]
impl HttpService for Sorted {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let action = s3_action(request.method(), request.uri());
        let patience = ATTEMPT_TIMEOUT + time_for(request.body().content_length() as u64);
        let response = timeout(patience, self.client.execute(request)).await;
        let response = response.map_or_else(|_| Err(timed_out()), |response| response.map_err(|error| silence(&error)));
        self.requests.count_s3(action, response.as_ref().ok().map(HttpResponse::status));
        let response = response?;
        let status = response.status();
        // The client knows what these mean: the object is there already, or it is not there.
        if status.is_success() || status == StatusCode::PRECONDITION_FAILED {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MAX_REFUSAL_BYTES).collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        let refusal = refusal(status, &String::from_utf8_lossy(&body));
        if status == StatusCode::NOT_FOUND && refusal.code != "NoSuchBucket" {
            return Ok(HttpResponse::from_parts(parts, body.into()));
        }
        let kind = if refusal.is_passing() { HttpErrorKind::Request } else { HttpErrorKind::Unknown };
        Err(HttpError::new(kind, refusal))
    }
}

fn timed_out() -> HttpError {
    HttpError::new(HttpErrorKind::Request, Silence::TimedOut)
}

/// `Request` is the kind that the client repeats.
fn silence(error: &HttpError) -> HttpError {
    let silence = match error.kind() {
        HttpErrorKind::Connect => Silence::Unreachable,
        HttpErrorKind::Timeout => Silence::TimedOut,
        _ => Silence::Broken,
    };
    HttpError::new(HttpErrorKind::Request, silence)
}

fn refusal(status: StatusCode, body: &str) -> Refusal {
    let code: String = element(body, "Code").chars().filter(char::is_ascii_graphic).take(MAX_CODE).collect();
    let message = element(body, "Message");
    Refusal { status, code, action: denied_action(message).map(str::to_owned) }
}

/// The text of an element without children. S3's errors are flat.
fn element<'a>(body: &'a str, name: &str) -> &'a str {
    let after = body.split_once(&format!("<{name}>")).map(|(_, after)| after);
    let text = after.and_then(|after| after.split_once(&format!("</{name}>")));
    text.map_or("", |(text, _)| text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_the_code_and_the_action_and_nothing_else() {
        let body = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>User: arn:aws:sts::1:x is not \
                    authorized to perform: kms:GenerateDataKey on resource: arn:aws:kms:1 </Message>\
                    <AWSAccessKeyId>AKIDEXAMPLE</AWSAccessKeyId><StringToSign>secret</StringToSign></Error>";
        let found = refusal(StatusCode::FORBIDDEN, body);
        assert_eq!((found.code.as_str(), found.action.as_deref()), ("AccessDenied", Some("kms:GenerateDataKey")));
        assert_eq!(found.to_string(), "S3 answered 403 AccessDenied");
        assert!(!format!("{found:?}").contains("AKID"));
    }

    #[test]
    fn a_body_that_is_no_error_of_s3_leaves_the_status() {
        for body in ["", "<html>gateway</html>", "<Code>", "not authorized to perform: <script>"] {
            assert_eq!(refusal(StatusCode::BAD_GATEWAY, body).to_string(), "S3 answered 502");
        }
        let long = refusal(StatusCode::BAD_REQUEST, &format!("<Code>{}\u{1b}[31m</Code>", "x".repeat(500)));
        assert_eq!(long.code.len(), MAX_CODE);
    }

    #[test]
    fn conflicts_and_the_servers_own_trouble_pass() {
        let passes = |status| refusal(status, "").is_passing();
        for status in [409, 408, 429, 500, 503] {
            assert!(passes(StatusCode::from_u16(status).unwrap()), "{status}");
        }
        for status in [301, 400, 403, 404, 413] {
            assert!(!passes(StatusCode::from_u16(status).unwrap()), "{status}");
        }
    }
}
