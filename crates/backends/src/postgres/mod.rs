//! PostgreSQL: where many processes share one queue.

mod address;
pub(crate) mod connections;
pub(crate) mod error;
mod queue;
pub(crate) mod server;

pub use address::Address;
pub use queue::{PostgresQueue, inspect};

/// The first half of our advisory locks, "KEEL".
pub(crate) const LOCK_SPACE: i32 = 0x4b45_454c;

/// What every session has: an end to each statement, wait and silence. A `synchronous_commit` that would lose confirmed
/// rows is raised, a stricter one stays. The last column, `reads_only`, says whether the server takes no writes.
macro_rules! session_bounds {
    () => {
        "set_config('statement_timeout', '5s', false), set_config('lock_timeout', '3s', false), \
         set_config('idle_in_transaction_session_timeout', '10s', false), \
         set_config('tcp_keepalives_idle', '5', false), set_config('tcp_keepalives_interval', '3', false), \
         set_config('tcp_keepalives_count', '3', false), \
         set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' \
         ELSE current_setting('synchronous_commit') END, false), \
         pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS reads_only"
    };
}
pub(crate) use session_bounds;
