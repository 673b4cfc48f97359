//! Dead letters, wherever they are.

use async_trait::async_trait;
use chassis::ports::{DeadLetter, DeadLetterSummary, DeadLetters};

use super::ops::Ops;
use super::stopped::StoppedLetters;
use crate::cli::{Common, DlqArgs, ListenArgs};
use crate::commands::system::{self, System};
use crate::failure::Failure;
use crate::settings;

/// What a command can do with them.
#[async_trait]
pub(super) trait Letters: Send + Sync {
    /// How many there are.
    async fn count(&self) -> Result<Option<u64>, Failure>;

    /// The first `limit`, the oldest death first.
    async fn list(&self, limit: usize) -> Result<Vec<DeadLetterSummary>, Failure>;

    /// One, if it is there.
    async fn find(&self, id: &str) -> Result<Option<DeadLetter>, Failure>;

    /// Sends some back to the queue; answers how many.
    async fn redrive(&self, which: DeadLetters) -> Result<u64, Failure>;

    /// Deletes some for good; answers how many.
    async fn purge(&self, which: DeadLetters) -> Result<u64, Failure>;
}

/// Those of the address that is named, of the system that runs on the data folder, or of the one that has stopped.
pub(super) async fn open(common: &Common, args: &DlqArgs) -> Result<Box<dyn Letters>, Failure> {
    let layers = settings::load(common, &ListenArgs::default(), None)?;
    if let (Some(url), Some(file)) = (&args.url, &args.token_file) {
        let token = std::fs::read_to_string(file)
            .map_err(|error| Failure::usage(format!("{} cannot be read: {error}", file.display())))?;
        return Ok(Box::new(Ops::at(url, token.trim().into(), &layers)?));
    }
    Ok(match system::find(&layers).await? {
        System::Running(running) => {
            Box::new(Ops::at(running.operators_address("archiver")?, running.operator_token.clone().into(), &layers)?)
        }
        System::Stopped(stopped) => Box::new(StoppedLetters::new(*stopped)?),
    })
}
