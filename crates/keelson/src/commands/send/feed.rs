//! The way from the thread that reads files to the tasks that send: bounded in messages and in bytes.

use std::ops::ControlFlow;
use std::sync::Arc;

use indicatif::ProgressBar;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::source::{Found, Sink};
use crate::failure::Failure;

/// What messages between their file and their answer may hold, in KiB.
const BUDGET_KIB: u32 = 64 << 10;

/// A message on its way, and its share of the memory.
#[derive(Debug)]
pub(super) struct Fed {
    pub(super) found: Found,
    pub(super) share: OwnedSemaphorePermit,
}

/// Where the reader puts what it finds.
#[derive(Debug)]
struct Feed {
    sender: mpsc::Sender<Fed>,
    budget: Arc<Semaphore>,
    runtime: Handle,
    bar: ProgressBar,
}

/// The other end. Dropping it ends the reading.
#[derive(Debug)]
pub(super) struct Fodder {
    receiver: mpsc::Receiver<Fed>,
    budget: Arc<Semaphore>,
    reader: JoinHandle<()>,
}

/// Starts the thread that reads; `ahead` messages wait at most.
pub(super) fn start(ahead: usize, bar: ProgressBar, read: impl FnOnce(&mut dyn Sink) + Send + 'static) -> Fodder {
    let (sender, receiver) = mpsc::channel(ahead);
    let budget = Arc::new(Semaphore::new(BUDGET_KIB as usize));
    let mut feed = Feed { sender, budget: Arc::clone(&budget), runtime: Handle::current(), bar };
    let reader = tokio::task::spawn_blocking(move || read(&mut feed));
    Fodder { receiver, budget, reader }
}

impl Sink for Feed {
    fn found(&mut self, found: Found) -> ControlFlow<()> {
        let bytes = found.content.as_ref().map_or(0, |content| content.data.len());
        let share = u32::try_from(bytes >> 10).unwrap_or(u32::MAX).saturating_add(1).min(BUDGET_KIB);
        let Ok(share) = self.runtime.block_on(Arc::clone(&self.budget).acquire_many_owned(share)) else {
            return ControlFlow::Break(());
        };
        match self.sender.blocking_send(Fed { found, share }) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    fn read(&mut self, bytes: u64) {
        self.bar.inc(bytes);
    }
}

impl Fodder {
    /// The next message; `None` when everything was read.
    pub(super) async fn next(&mut self) -> Option<Fed> {
        self.receiver.recv().await
    }

    /// After the last message: whether the reading broke off.
    pub(super) async fn fault(&mut self) -> Option<Failure> {
        let error = (&mut self.reader).await.err()?;
        Some(Failure::failed(format!("the reading broke off: {error}")))
    }

    /// Ends the reading and answers what was read in vain.
    pub(super) fn end(&mut self) -> Vec<Found> {
        self.budget.close();
        self.receiver.close();
        std::iter::from_fn(|| self.receiver.try_recv().ok()).map(|fed| fed.found).collect()
    }
}
