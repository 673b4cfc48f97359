//! Logs that end up in memory, for tests.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::{LogError, LogSettings, Logs};
use crate::clock::Clock;

/// Lines that were written to memory.
#[derive(Debug, Clone, Default)]
pub struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// Everything written so far. [`Logs::flush`] first.
    #[must_use]
    pub fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Logs {
    /// Logs that nothing is installed for: the stream is memory, and only events under [`Logs::dispatch`] arrive.
    ///
    /// # Errors
    /// As [`Logs::install`].
    pub fn captured(settings: LogSettings, clock: Arc<dyn Clock>) -> Result<(Arc<Self>, Captured), LogError> {
        let captured = Captured::default();
        let logs = Self::start(settings, clock, Box::new(captured.clone()))?;
        Ok((logs, captured))
    }
}
