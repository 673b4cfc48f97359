//! What rooms report with.

use std::sync::Arc;

use serde_json::Value;
use tracing::warn;
use uuid::Uuid;

use super::Shared;
use crate::ports::outbox::Event;

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

    /// Records an event that comes with no change, such as a login. What cannot be recorded is counted and logged: the
    /// caller is not refused for that.
    pub async fn record(&self, event: Option<Event>) {
        let Some(event) = event else { return };
        let (id, event_type) = (event.id, event.event_type.clone());
        match self.shared.outbox.record(event).await {
            Ok(()) => self.written(),
            Err(error) => {
                self.shared.metrics.lost.inc();
                warn!(cause = %error, event.id = %id, event.event_type = %event_type, "an event was not recorded, and is lost");
            }
        }
    }
}
