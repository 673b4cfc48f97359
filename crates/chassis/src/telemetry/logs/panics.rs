//! Panics become log lines, so that they carry ids and cannot forge lines of their own.

use std::panic::{self, Location, PanicHookInfo};
use std::sync::Arc;

use super::layer::Pipeline;

/// The target of lines that report a panic.
const PANIC: &str = "keelson::panic";

/// Replaces the hook that prints to the standard error, until the logs are closed.
pub(super) fn install_hook(pipeline: Arc<Pipeline>) {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if pipeline.sink.is_closed() {
            return previous(info);
        }
        report(message_of(info), info.location());
        // Elsewhere the panic ends a task; here it ends the process, and nobody else will write the line.
        if std::thread::current().name() == Some("main") {
            pipeline.sink.flush();
        }
    }));
}

fn message_of<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    info.payload_as_str().unwrap_or("no message")
}

pub(super) fn report(message: &str, location: Option<&Location<'_>>) {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let location = location.map(tracing::field::display);
    tracing::error!(target: PANIC, thread, location, "panicked: {message}");
}
