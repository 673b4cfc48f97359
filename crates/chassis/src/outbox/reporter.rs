//! What rooms report with.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;
use tracing::warn;
use uuid::Uuid;

use super::Shared;
use crate::ports::outbox::Event;

/// How long a caller waits for the record of what it did. A store that hangs must not make people wait for statistics.
const RECORD_TIMEOUT: Duration = Duration::from_millis(500);

/// Makes events, and tells the relay of them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reporter {
    shared: Arc<Shared>,
}

impl Reporter {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// An event of this moment, to be written together with the change that it reports; `None` where nobody is told.
    #[must_use]
    pub fn event(&self, entity: Uuid, event_type: &str, body: impl FnOnce() -> Value) -> Option<Event> {
        self.shared.sink.as_ref()?;
        let context = &self.shared.context;
        Some(Event::now(&context.ids, &*context.clock, entity, event_type, body().to_string()))
    }

    /// The store has written one: it is delivered soon.
    pub fn written(&self) {
        self.shared.woken.notify_one();
    }

    /// Records an event that comes with no change, such as a login. What is not recorded, or not in time, is counted and
    /// logged: the caller is not refused for that.
    pub async fn record(&self, event: Option<Event>) {
        let Some(event) = event else { return };
        let (id, event_type) = (event.id, event.event_type.clone());
        let cause = match timeout(RECORD_TIMEOUT, self.shared.outbox.record(event)).await {
            Ok(Ok(())) => return self.written(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {RECORD_TIMEOUT:?}"),
        };
        self.shared.metrics.unrecorded.inc();
        warn!(cause, event.id = %id, event.event_type = %event_type, "an event may not be recorded, and then is lost");
    }
}
