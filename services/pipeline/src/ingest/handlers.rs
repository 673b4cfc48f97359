//! The two ways to hand in a message. The order of the checks is part of the contract.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use chassis::auth::Verdict;
use chassis::error::Error;
use chassis::http::{Json, RawBody};
use chassis::ports::queue::{MessageId, QueueError};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{Object, ObjectBuilder, Type};

use super::Ingest;
use super::enqueue::{WORK_TIMEOUT, enqueue};
use crate::model::error::IngestError;
use crate::model::message::{MessageRequest, check_content_type};
use crate::model::names::Source;
use crate::model::submit::Submission;

/// What `POST /api/message` takes.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body in the API document; the handler keeps the text as it came")]
struct Message {
    /// The message; further members pass through.
    data: MessageData,
    /// The API token.
    token: String,
}

/// The members that every message has, each a non-empty string.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body in the API document; the handler keeps the text as it came")]
struct MessageData {
    #[schema(example = "Happy new year!", min_length = 1)]
    email_subject: String,
    #[schema(example = "John Doe", min_length = 1)]
    email_sender: String,
    #[schema(example = "1693561101", min_length = 1)]
    email_timestream: String,
    #[schema(example = "Just want to say... Happy new year!!!", min_length = 1)]
    email_content: String,
}

/// What `POST /submit` takes; further members pass through.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body in the API document; the handler keeps the text as it came")]
struct Submit {
    /// The API token.
    #[schema(min_length = 1)]
    token: String,
    #[schema(schema_with = timestream)]
    email_timestream: (),
}

fn timestream() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Number]))
        .description(Some("ISO 8601, or ticks as a number or digits."))
        .min_length(Some(1))
        .examples(["2025-06-09T10:30:45.123Z"])
        .build()
}

/// A message that the queue has.
#[derive(Serialize, ToSchema)]
pub(super) struct Sent {
    #[schema(example = "Message sent to queue")]
    message: &'static str,
    #[schema(value_type = String, example = "01975408-5f35-7000-8000-000000000000")]
    message_id: MessageId,
    #[schema(example = "success")]
    status: &'static str,
}

/// A payload that the queue has.
#[derive(Serialize, ToSchema)]
pub(super) struct Accepted {
    #[schema(example = "Payload accepted and queued.")]
    message: &'static str,
    #[schema(value_type = String, example = "01975408-5f35-7000-8000-000000000000")]
    message_id: MessageId,
}

/// Takes an e-mail message.
#[utoipa::path(
    post, path = "/api/message", tag = "messages", request_body = Message,
    responses(
        (status = 200, body = Sent, description = "The queue has the message durably"),
        (status = 400, description = "Not JSON, or something is missing"),
        (status = 401, description = "The token is wrong"),
        (status = 413, description = "Over the queue's size limit"),
        (status = 422, description = "A field is of the wrong kind"),
        (status = 503, description = "The queue or the source of the token is unreachable"),
    )
)]
pub(super) async fn post_message(
    State(ingest): State<Arc<Ingest>>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Json<Sent>, Error> {
    let began = Instant::now();
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    check_content_type(content_type, &body)?;
    let request = MessageRequest::parse(&body)?;
    ingest.check_token(request.token(), IngestError::WrongMessageToken).await?;
    let message_id = ingest.send(Source::ApiMessage, request.into_queue_body()?, None, began).await?;
    Ok(Json(Sent { message: "Message sent to queue", message_id, status: "success" }))
}

/// Takes a payload with a timestamp.
#[utoipa::path(
    post, path = "/submit", tag = "messages", request_body = Submit,
    responses(
        (status = 200, body = Accepted, description = "The queue has the payload durably"),
        (status = 400, description = "Not JSON, something is missing, or the timestamp is invalid"),
        (status = 403, description = "The token is wrong"),
        (status = 413, description = "Over the queue's size limit"),
        (status = 422, description = "A member has a reserved name"),
        (status = 503, description = "The queue or the source of the token is unreachable"),
    )
)]
pub(super) async fn post_submit(
    State(ingest): State<Arc<Ingest>>,
    RawBody(body): RawBody,
) -> Result<Json<Accepted>, Error> {
    let began = Instant::now();
    let submission = Submission::parse(&body)?;
    ingest.check_token(submission.token(), IngestError::WrongSubmitToken).await?;
    let queued = submission.into_queued()?;
    let email_instant = queued.email_instant.to_string();
    let message_id = ingest.send(Source::Submit, queued.body, Some(email_instant), began).await?;
    Ok(Json(Accepted { message: "Payload accepted and queued.", message_id }))
}

impl Ingest {
    /// A token that is no string cannot be right, but while the source is down nobody can say even that.
    async fn check_token(&self, token: Option<&SecretString>, wrong: IngestError) -> Result<(), IngestError> {
        let offered = token.map_or("", |token| token.expose_secret());
        match self.token.judge(offered).await {
            Verdict::Right => Ok(()),
            Verdict::Wrong => Err(wrong),
            Verdict::Unknown => Err(IngestError::TokenUnavailable),
        }
    }

    /// The source of the token may have taken a part of the time.
    async fn send(
        &self,
        source: Source,
        body: String,
        email_instant: Option<String>,
        began: Instant,
    ) -> Result<MessageId, Error> {
        let within = WORK_TIMEOUT.saturating_sub(began.elapsed());
        let timer = self.metrics.send_seconds.start_timer();
        let sent = enqueue(&*self.queue, source, body, email_instant, within).await;
        timer.observe_duration();
        match sent {
            Ok(message_id) => {
                self.metrics.sent(source).inc();
                Ok(message_id)
            }
            Err(QueueError::TooLarge { .. }) => Err(IngestError::TooLarge.into()),
            Err(cause) => {
                self.metrics.send_failures.inc();
                Err(Error::from(IngestError::SendFailed).caused_by(cause))
            }
        }
    }
}
