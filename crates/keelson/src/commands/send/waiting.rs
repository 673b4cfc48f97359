//! The queue of a system that does not run: messages wait in it until one is started.

use std::sync::Arc;

use chassis::ids::Ids;
use chassis::ports::QueueError;
use chassis::telemetry::correlation::{CorrelationId, Scope, TraceContext, in_scope};
use pipeline::ingest::{self, WORK_TIMEOUT, enqueue};
use pipeline::model::names::Source;

use super::checks::{queue_body, too_large};
use super::post::Reply;
use super::target::folder_name;
use crate::commands::system::Stopped;
use crate::wire::StoppedQueue;

/// Takes messages as ingest does, in its name.
#[derive(Debug)]
pub(super) struct Waiting {
    queue: StoppedQueue,
    ids: Arc<Ids>,
    /// The folder, as the same system has it when it runs.
    pub(super) name: String,
}

impl Waiting {
    pub(super) fn new(stopped: Stopped) -> Self {
        let name = folder_name(&stopped.settings.data);
        Self { queue: stopped.queue, ids: stopped.context.ids, name }
    }

    pub(super) async fn send(&self, data: &str) -> Reply {
        let body = match queue_body(data) {
            Ok(body) => body,
            Err(reason) => return Reply::Refused(reason),
        };
        let scope = Scope {
            correlation_id: Some(CorrelationId::generate(&self.ids)),
            trace: Some(TraceContext::generate(&self.ids)),
            ..Scope::service(ingest::IDENTITY.name)
        };
        match in_scope(scope, enqueue(&*self.queue.queue, Source::ApiMessage, body, None, WORK_TIMEOUT)).await {
            Ok(id) => Reply::Accepted(id.0),
            Err(QueueError::TooLarge { .. }) => Reply::Refused(too_large()),
            Err(error @ QueueError::Invalid(_)) => Reply::Refused(error.to_string()),
            Err(error) => Reply::Later(None, error.to_string()),
        }
    }
}
