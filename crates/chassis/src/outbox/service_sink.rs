//! Another service as the sink.

use async_trait::async_trait;
use http::{Method, StatusCode};
use serde_json::value::RawValue;

use super::{Sink, SinkError};
use crate::client::{CallError, CallFailure, ServiceClient};
use crate::ports::outbox::Event;

/// Posts each event to a route of a service, with the event's id as `Idempotency-Key`.
#[derive(Debug)]
pub struct ServiceSink {
    name: &'static str,
    client: ServiceClient,
    route: &'static [&'static str],
}

impl ServiceSink {
    /// To the route of these segments, at the service that the client calls and operators know as `name`. Its calls may
    /// take two seconds at most, as those of every client do unless told otherwise.
    #[must_use]
    pub fn new(name: &'static str, client: ServiceClient, route: &'static [&'static str]) -> Self {
        Self { name, client, route }
    }
}

#[async_trait]
impl Sink for ServiceSink {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn deliver(&self, event: &Event) -> Result<(), SinkError> {
        let body: &RawValue = serde_json::from_str(&event.body)
            .map_err(|error| SinkError::Refused(format!("the event's body is no JSON: {error}")))?;
        let call = self.client.call(Method::POST, self.route).idempotency_key(&event.id.to_string()).json(&body);
        let status = call.send().await?.status();
        if status.is_success() {
            return Ok(());
        }
        let answered = format!("it answered {status}");
        Err(if is_of_the_event(status) { SinkError::Refused(answered) } else { SinkError::Unavailable(answered) })
    }

    async fn ping(&self) -> Result<(), SinkError> {
        Ok(self.client.ping().await?)
    }
}

/// Whether another event may fare better. One that makes the service fail must not keep all others; where nobody knows
/// us, or the route, all fare the same.
fn is_of_the_event(status: StatusCode) -> bool {
    const OF_ALL: [StatusCode; 5] = [
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
        StatusCode::NOT_FOUND,
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    (status.is_client_error() && !OF_ALL.contains(&status)) || status == StatusCode::INTERNAL_SERVER_ERROR
}

impl From<CallError> for SinkError {
    fn from(error: CallError) -> Self {
        let cause = error.failure().to_string();
        match error.failure() {
            CallFailure::Unaddressable(_) | CallFailure::Unsendable(_) => Self::Refused(cause),
            // Too large or not to be read, it is an answer all the same; but of what, nobody knows.
            CallFailure::Unavailable(_)
            | CallFailure::Timeout(_)
            | CallFailure::TooLarge(_)
            | CallFailure::Malformed(_) => Self::Unavailable(cause),
        }
    }
}
