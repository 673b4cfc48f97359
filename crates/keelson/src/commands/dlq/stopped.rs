//! The dead letters of a system that does not run, in its own queue.

use std::sync::Arc;

use async_trait::async_trait;
use chassis::ports::{DeadLetter, DeadLetterSummary, DeadLetters, MessageId};
use chassis::telemetry::logs::Logs;
use pipeline::dead_letters;

use super::letters::Letters;
use crate::commands::process::install_logs;
use crate::commands::system::Stopped;
use crate::failure::Failure;
use crate::settings::Mode;
use crate::wire::StoppedQueue;

/// Changes go to the audit log, where the system's own would be.
pub(super) struct StoppedLetters {
    stopped: StoppedQueue,
    logs: Arc<Logs>,
}

impl StoppedLetters {
    pub(super) fn new(stopped: Stopped) -> Result<Self, Failure> {
        let logs = install_logs(&stopped.settings, Mode::Up, &[])?;
        Ok(Self { stopped: stopped.queue, logs })
    }
}

impl Drop for StoppedLetters {
    fn drop(&mut self) {
        self.logs.close();
    }
}

#[async_trait]
impl Letters for StoppedLetters {
    async fn count(&self) -> Result<Option<u64>, Failure> {
        Ok(self.stopped.queue.stats().await?.dead)
    }

    async fn list(&self, limit: usize) -> Result<Vec<DeadLetterSummary>, Failure> {
        Ok(self.stopped.queue.dead_letters(limit).await?)
    }

    async fn find(&self, id: &str) -> Result<Option<DeadLetter>, Failure> {
        Ok(self.stopped.queue.find_dead_letter(&MessageId(id.to_owned())).await?)
    }

    async fn redrive(&self, which: DeadLetters) -> Result<u64, Failure> {
        Ok(dead_letters::redrive(&*self.stopped.queue, which).await?)
    }

    async fn purge(&self, which: DeadLetters) -> Result<u64, Failure> {
        Ok(dead_letters::purge(&*self.stopped.queue, which).await?)
    }
}
