//! The system of a data folder, as commands work with it: one that runs, or the queue that a stopped one has left.

use chassis::config::Layers;
use chassis::service::Context;

use super::http_client::{client_of, tls_cause};
use super::process::context;
use crate::failure::Failure;
use crate::run_file::{RunFile, nothing_runs};
use crate::settings::{Mode, Settings, data_folder};
use crate::wire::{self, Left, StoppedQueue};

/// What was found.
pub(super) enum System {
    /// Through HTTP alone.
    Running(RunFile),
    /// None can start while this lives.
    Stopped(Box<Stopped>),
}

/// A system that does not run, and what it would run with.
#[derive(Debug)]
pub(super) struct Stopped {
    pub(super) settings: Settings,
    pub(super) context: Context,
    pub(super) queue: StoppedQueue,
}

/// Finds the system of the data folder. Who owns the folder decides: the run file of a process that was killed does not.
pub(super) async fn find(layers: &Layers) -> Result<System, Failure> {
    let data = data_folder(layers);
    let running = match RunFile::look(&data)? {
        Some(running) if listens(&running, layers).await? => return Ok(System::Running(running)),
        other => other,
    };
    let settings = Settings::read(layers, Mode::Up, &[])?;
    let context = context(&settings);
    match (wire::open_left(&settings, &context).await?, running) {
        (Left::Queue(queue), _) => {
            RunFile::remove(&data);
            Ok(System::Stopped(Box::new(Stopped { settings, context, queue })))
        }
        // Whoever calls it learns why it does not answer.
        (_, Some(running)) => Ok(System::Running(running)),
        (Left::InUse(error), None) => Err(error.into()),
        (Left::Nothing, None) => Err(nothing_runs(&data)),
    }
}

/// Whether anything listens where a service of this system did.
async fn listens(running: &RunFile, layers: &Layers) -> Result<bool, Failure> {
    let client = client_of(layers)?;
    for address in running.services.values() {
        match client.get(format!("{address}/health")).send().await {
            Err(error) if error.is_connect() && tls_cause(&error).is_none() => {}
            _ => return Ok(true),
        }
    }
    Ok(false)
}
