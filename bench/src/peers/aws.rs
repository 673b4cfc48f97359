//! The fake of AWS that tests use, as a process of its own, with what the rows ask for in it.

use anyhow::Result;
use testkit::aws::{Fake, Settings};

use crate::bench::API_TOKEN;

/// The queue.
pub(crate) const QUEUE: &str = "messages";
/// The bucket.
pub(crate) const BUCKET: &str = "archive";
/// The parameter that holds the token of ingest.
pub(crate) const PARAMETER: &str = "/bench/api-token";

/// Deliveries before a message counts as dead; none is to come that far.
const MAX_RECEIVES: u64 = 5;

/// Serves until it is ended, on a thread of its own.
pub(super) async fn serve(port: u16) -> Result<()> {
    let fake = Fake::bind(port, Settings::default()).await?;
    fake.create_queue_with_dead_letters(QUEUE, 30, MAX_RECEIVES);
    fake.create_bucket(BUCKET);
    fake.set_parameter(PARAMETER, API_TOKEN);
    std::future::pending().await
}
