//! The wait for the message, in an object of its own or in a roll-up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chassis::ports::MessageId;
use jiff::SignedDuration;
use jiff::civil::Date;
use pipeline::archive::{Archive, ArchiveError, Lookout, Sighting};
use pipeline::model::record::day_of;
use tokio::time::sleep;

use super::target::Target;
use crate::failure::Failure;
use crate::output::print_line;

/// How often a line says that the wait goes on.
const SAY_INTERVAL: Duration = Duration::from_secs(5);
/// How often roll-ups are looked for: a list of those there are is no small request.
const ROLLUP_INTERVAL: Duration = Duration::from_millis(500);

pub(super) struct Waiting<'a> {
    target: &'a Target,
    lookout: Result<Lookout, String>,
    archive: Archive,
    /// When roll-ups were looked for last.
    looked: Option<Instant>,
}

impl<'a> Waiting<'a> {
    /// Notes which roll-ups there are before the message is sent.
    pub(super) async fn new(target: &'a Target) -> Self {
        let archive = Archive::new(Arc::clone(&target.objects));
        let lookout = archive.lookout(&days(target)).await.map_err(|error| error.to_string());
        Self { target, lookout, archive, looked: None }
    }

    pub(super) async fn wait(
        &mut self,
        id: &MessageId,
        begun: Instant,
        patience: Duration,
    ) -> Result<Sighting, Failure> {
        let mut said = Duration::ZERO;
        loop {
            let trouble = match self.look(id).await {
                Ok(Some(sighting)) => return Ok(sighting),
                Ok(None) => None,
                // Without s3:ListBucket S3 says 403 of an object that is not there yet.
                Err(error) => Some(error),
            };
            let waited = begun.elapsed();
            if waited >= patience {
                return Err(match trouble {
                    Some(cause) => {
                        Failure::unavailable(format!("message {id} was not seen within {patience:?}: {cause}"))
                    }
                    None => Failure::failed(format!(
                        "message {id} was not stored within {patience:?}: is the archiver running? `keelson healthcheck` tells. With ARCHIVE_ROLLUP, --timeout must be longer than its age"
                    )),
                });
            }
            if waited >= said + SAY_INTERVAL {
                said += SAY_INTERVAL;
                print_line(&format!("      Waiting... ({}s / {}s)", said.as_secs(), patience.as_secs()));
            }
            sleep(self.target.look_interval).await;
        }
    }

    async fn look(&mut self, id: &MessageId) -> Result<Option<Sighting>, String> {
        let days = days(self.target);
        let text = |error: ArchiveError| error.to_string();
        if let Some(found) = self.archive.look_for_single(id, &days).await.map_err(text)? {
            return Ok(Some(found));
        }
        if self.looked.is_some_and(|looked| looked.elapsed() < ROLLUP_INTERVAL) {
            return Ok(None);
        }
        self.looked = Some(Instant::now());
        match &mut self.lookout {
            Ok(lookout) => lookout.look_into_rollups(id, &days).await.map_err(text),
            Err(error) => Err(error.clone()),
        }
    }
}

/// Today, and yesterday in case the message was sent before midnight.
fn days(target: &Target) -> [Date; 2] {
    let now = target.clock.now();
    [now, now - SignedDuration::from_hours(24)].map(day_of)
}
