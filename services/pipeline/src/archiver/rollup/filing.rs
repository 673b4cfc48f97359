//! The way of one message into a roll-up.

use chassis::lifecycle::Lifecycle;
use chassis::ports::Message;
use chassis::telemetry::correlation::CorrelationId;
use tracing::{info, warn};

use super::{Filed, Line, Rollups};
use crate::archiver::leases::Held;
use crate::archiver::metrics::Outcome;
use crate::archiver::work::lost;
use crate::archiver::worker::Archiver;
use crate::model::names::CORRELATION_ID;
use crate::model::record::{object_key, on_one_line, record};

impl Archiver {
    /// Waits until the message is durable in a roll-up; `None` when it is to be stored by itself, or not at all.
    pub(in crate::archiver) async fn roll_up(
        &self,
        message: &Message,
        held: &Held,
        rollups: &Rollups,
        lifecycle: &Lifecycle,
    ) -> Option<Outcome> {
        let line = self.line(message)?;
        let (key, closed_at, outcome) = match rollups.file(line).await {
            Some(Filed::Stored { key, closed_at }) => (key, closed_at, Outcome::Stored),
            Some(Filed::Duplicate { key, closed_at }) => (key, closed_at, Outcome::Duplicate),
            Some(Filed::Alone) => return None,
            Some(Filed::Down(error)) => {
                // Thousands may have waited, and each one is a call.
                let _place = self.places.acquire().await;
                let is_lost = self.is_lost(held);
                return Some(if is_lost {
                    lost(message)
                } else {
                    self.hand_back(&message.receipt, &error, lifecycle).await
                });
            }
            None => {
                warn!(message.id = %message.id, "the roll-up of message {} was lost: it comes back", message.id);
                return Some(Outcome::Failed);
            }
        };
        self.metrics.process_seconds.observe(closed_at.elapsed().as_secs_f64());
        info!(message.id = %message.id, object.key = %key, outcome = outcome.as_str(), "archived message {}", message.id);
        Some(outcome)
    }

    /// `None` for what cannot be stored: the way of single messages finds out why.
    fn line(&self, message: &Message) -> Option<Line> {
        let record = on_one_line(record(message, self.context.clock.now()).ok()?);
        let correlation_id = message.attributes.get(CORRELATION_ID);
        Some(Line {
            id: message.id.clone(),
            sent_at: message.sent_at,
            correlation_id: correlation_id.filter(|id| CorrelationId::parse(id.as_bytes()).is_some()).cloned(),
            record,
            single: object_key(&message.id, message.sent_at).ok()?,
        })
    }
}
