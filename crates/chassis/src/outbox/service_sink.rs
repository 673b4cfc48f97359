//! Another service as the sink.

use std::sync::Arc;

use async_trait::async_trait;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Sink, SinkError};
use crate::auth::{NoToken, ServiceToken, ServiceTokens};
use crate::client::{Answer, CallError, CallFailure, CallLimits, NoClient, ServiceClient, ServiceUrls};
use crate::http::ENCRYPTION_REQUIRED;
use crate::ports::outbox::Event;
use crate::service::Service;

/// Posts each event to a route of a service, with the event's id as `Idempotency-Key`. The service answers in an
/// [`Envelope`](crate::http::Envelope).
#[derive(Debug)]
pub struct ServiceSink {
    name: &'static str,
    client: ServiceClient,
    route: &'static [&'static str],
    token: Option<ServiceToken>,
}

/// Where a service takes events.
#[derive(Debug, Clone, Copy)]
pub struct EventRoute {
    /// The service, as operators and others know it.
    pub service: &'static str,
    /// Of the path.
    pub segments: &'static [&'static str],
    /// What a token needs there.
    pub scope: &'static str,
}

/// What was taken says so. Something else may listen at that address, and answer 200 to everything.
#[derive(Deserialize)]
struct Taken {
    success: bool,
}

/// Why nothing was taken.
#[derive(Deserialize)]
struct Problem {
    detail: String,
}

impl ServiceSink {
    /// Lets a service report to another one, which is at this address, and which its callers can reach then too. It
    /// shows a token where it has one; issued here, with the scope that the route asks for.
    ///
    /// # Errors
    /// [`NoClient`].
    pub fn connect(
        route: &EventRoute,
        url: ServiceUrls,
        tokens: Option<&ServiceTokens>,
        service: &Service,
    ) -> Result<Arc<dyn Sink>, NoClient> {
        let EventRoute { service: name, segments, scope } = *route;
        let client = service.callees().client(name, url, CallLimits::default())?;
        service.callees().share(&client);
        let token = tokens.map(|tokens| tokens.of(service.identity.name, &[scope]));
        Ok(Arc::new(Self { name, client, route: segments, token }))
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
        let Some(token) = &self.token else { return judge(&call.send().await?) };
        let shown = token.show().await?;
        let answer = call.bearer(&shown).send().await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            token.refused(&shown);
        }
        judge(&answer)
    }

    async fn ping(&self) -> Result<(), SinkError> {
        Ok(self.client.ping().await?)
    }
}

fn judge(answer: &Answer) -> Result<(), SinkError> {
    let status = answer.status();
    let wants_encryption = || answer.json::<Problem>().is_ok_and(|problem| problem.detail == ENCRYPTION_REQUIRED);
    if is_of_the_event(status) && !wants_encryption() {
        return Err(SinkError::Refused(format!("it answered {status}")));
    }
    let is_taken = status.is_success() && answer.json::<Taken>().is_ok_and(|taken| taken.success);
    let other = || SinkError::Unavailable(format!("it answered {status}, and not as one that took the event"));
    if is_taken { Ok(()) } else { Err(other()) }
}

/// Whether another event may fare better. One that makes the service fail must not keep all others; where nobody knows
/// us, or the route, all fare the same.
fn is_of_the_event(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST
            | StatusCode::CONFLICT
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNPROCESSABLE_ENTITY
            | StatusCode::INTERNAL_SERVER_ERROR
    )
}

impl From<NoToken> for SinkError {
    fn from(error: NoToken) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<CallError> for SinkError {
    fn from(error: CallError) -> Self {
        let cause = error.failure().to_string();
        match error.failure() {
            CallFailure::Unaddressable(_) | CallFailure::Unsendable(_) => Self::Refused(cause),
            CallFailure::NoEndpoint(_)
            | CallFailure::Unavailable(_)
            | CallFailure::Timeout(_)
            | CallFailure::TooLarge(_)
            | CallFailure::Malformed(_) => Self::Unavailable(cause),
        }
    }
}
