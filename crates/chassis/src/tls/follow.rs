//! The files while the process runs.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::Tls;

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_secs(2);

impl Tls {
    /// Takes new certificates when the files change. Whoever replaces them may do it in any order: what does not fit
    /// together does not count, and what did before stays.
    pub async fn follow(self: Arc<Self>) -> Infallible {
        loop {
            sleep(INTERVAL).await;
            let this = Arc::clone(&self);
            // A file system may hang.
            let looking = tokio::task::spawn_blocking(move || this.look());
            // A look that panics has said why, and the next one may do better.
            let _ = looking.await;
        }
    }

    /// Takes what the files hold now. Blocks.
    pub(crate) fn look(&self) {
        self.current.look(&self.config);
    }
}
