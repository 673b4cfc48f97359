//! One request to the service, and what its answer means.

use std::sync::Arc;
use std::time::Duration;

use chassis::clock::{Clock, SystemClock};
use chassis::config::TlsConfig;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::post::Reply;
use super::target::Target;
use crate::commands::http_client::{client, short_cause};
use crate::failure::Failure;

/// A service that takes messages.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) target: Target,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
}

impl Service {
    /// Finds out whether it is there, before anything is read.
    pub(super) async fn reach(target: Target, tls: &TlsConfig) -> Result<Self, Failure> {
        let client = client(tls)?;
        target.reach(&client).await?;
        Ok(Self { target, client, clock: SystemClock::shared() })
    }

    pub(super) async fn send(&self, data: &str) -> Reply {
        let body = body(data, &self.target.token);
        let request = self.client.post(&self.target.url).header(CONTENT_TYPE, "application/json").body(body);
        match request.send().await {
            Ok(answer) => read(answer, self.clock.now()).await,
            Err(error) => Reply::Later(None, short_cause(&error)),
        }
    }
}

fn body(data: &str, token: &SecretString) -> String {
    format!(r#"{{"data":{data},"token":{}}}"#, Value::from(token.expose_secret()))
}

async fn read(answer: Response, now: Timestamp) -> Reply {
    let status = answer.status();
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let asked = header(RETRY_AFTER).and_then(|text| pause(text, now));
    let location = header(reqwest::header::LOCATION).unwrap_or("nowhere").to_owned();
    let body = answer.json().await.unwrap_or(Value::Null);
    let reason = format!("{} {}", status.as_u16(), detail(status, &body));
    match status {
        _ if status.is_success() => match body["message_id"].as_str() {
            Some(id) => Reply::Accepted(id.to_owned()),
            None => Reply::WrongTarget(format!("{reason}, without a message id: this is not ingest")),
        },
        _ if status.is_redirection() => Reply::WrongTarget(format!("{reason}: it leads to {location}")),
        StatusCode::UNAUTHORIZED => Reply::WrongTarget(format!("{reason}: set API_TOKEN to the service's token")),
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Reply::WrongTarget(reason),
        StatusCode::TOO_MANY_REQUESTS => Reply::TooMany(asked, reason),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => Reply::Later(asked, reason),
        _ if status.is_client_error() => Reply::Refused(reason),
        _ => Reply::Later(asked, reason),
    }
}

/// The service's own words, with what is wrong where.
fn detail(status: StatusCode, body: &Value) -> String {
    let text = body["detail"].as_str().or(status.canonical_reason()).unwrap_or("no reason");
    let errors = body["errors"].as_array().into_iter().flatten();
    let named = errors.filter_map(|error| {
        let place = error["loc"].as_array()?.last()?.as_str()?;
        Some(format!("{place}: {}", error["msg"].as_str()?))
    });
    let named: Vec<_> = named.collect();
    if named.is_empty() { text.to_owned() } else { format!("{text} ({})", named.join("; ")) }
}

/// `Retry-After`: seconds, or a date.
fn pause(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = rfc2822::parse(text.trim()).ok()?.timestamp();
    Some(until.duration_since(now).try_into().unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &Value) -> Response {
        let mut answer = http::Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        answer.body(body.to_string()).unwrap().into()
    }

    #[tokio::test]
    async fn every_answer_has_one_meaning() {
        let later = |seconds, reason: &str| Reply::Later(Some(Duration::from_secs(seconds)), reason.into());
        let unprocessable = json!({"detail": "Validation failed", "errors": [
            {"loc": ["body", "data", "email_subject"], "msg": "String should have at least 1 character"}]});
        for (status, headers, body, expected) in [
            (200, &[][..], json!({"message_id": "m"}), Reply::Accepted("m".into())),
            (413, &[], json!({"detail": "Payload too large"}), Reply::Refused("413 Payload too large".into())),
            (
                422,
                &[],
                unprocessable,
                Reply::Refused("422 Validation failed (email_subject: String should have at least 1 character)".into()),
            ),
            (
                429,
                &[("retry-after", "7")],
                json!({}),
                Reply::TooMany(Some(Duration::from_secs(7)), "429 Too Many Requests".into()),
            ),
            (503, &[("retry-after", "Thu, 01 Jan 1970 00:00:09 GMT")], json!({}), later(9, "503 Service Unavailable")),
            (503, &[("retry-after", "Wed, 31 Dec 1969 23:00:00 GMT")], json!({}), later(0, "503 Service Unavailable")),
            (502, &[], Value::Null, Reply::Later(None, "502 Bad Gateway".into())),
        ] {
            assert_eq!(read(answer(status, headers, &body), Timestamp::UNIX_EPOCH).await, expected);
        }
        for (status, part) in [(200, "not ingest"), (301, "leads to"), (401, "API_TOKEN"), (404, "404 Not Found")] {
            let reply = read(answer(status, &[], &json!({})), Timestamp::UNIX_EPOCH).await;
            assert!(matches!(&reply, Reply::WrongTarget(reason) if reason.contains(part)), "{reply:?}");
        }
    }

    #[test]
    fn the_body_keeps_data_as_written() {
        let text = body(r#"{"a":1.0}"#, &"to\"ken".into());
        assert_eq!(text, r#"{"data":{"a":1.0},"token":"to\"ken"}"#);
    }
}
