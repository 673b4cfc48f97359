//! What a running service tells about itself: logs, metrics, and the ids that tie them to one request.

pub mod correlation;
pub mod logs;
pub mod metrics;
pub mod storage;
