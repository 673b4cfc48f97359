//! Forgets answers to requests with a key ([`Idempotency`](super::Idempotency)) when they have expired.

use std::convert::Infallible;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;
use tracing::debug;

use crate::service::Context;

/// The pause between two looks for answers that have expired.
const INTERVAL: Duration = Duration::from_secs(600);

/// Looks now and then. Where the store fails, the next time will do.
pub(crate) async fn forget_expired<F>(context: Context, forget: impl Fn(Timestamp) -> F + Send) -> Infallible
where
    F: Future<Output = Result<u64, String>> + Send,
{
    loop {
        sleep(INTERVAL).await;
        loop {
            match forget(context.now()).await {
                Ok(0) => break,
                Ok(forgotten) => debug!(answers = forgotten, "forgot answers that have expired"),
                Err(cause) => {
                    debug!(cause, "expired answers are not forgotten yet");
                    break;
                }
            }
        }
    }
}
