//! The connection that listens, and the one voice with which a process tells others of its changes.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use chassis::ports::QueueError;
use sqlx::Executor as _;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::time::{sleep, timeout};

use super::core::Core;
use super::session::prepare;
use super::{error, sql};
use crate::postgres::connections::CONNECT_TIMEOUT;

/// The pauses between tries to listen again. A process that is missed for longer than the last of them may be taken for
/// dead, so that is short.
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(50))
    .with_max_delay(Duration::from_millis(500))
    .without_max_times();
/// How long nothing is heard until the connection is asked: one that is half open would be silent for ever.
const SILENCE: Duration = Duration::from_secs(5);
/// The pause between two notifications of this process. However much it sends, others need to hear of it only so often;
/// and each one takes a lock that all notifying transactions of the server share.
const NOTIFY_PAUSE: Duration = Duration::from_millis(20);

/// Listens for ever, and keeps the worker registered.
pub(super) async fn listen(core: Arc<Core>, options: PgConnectOptions) {
    let mut pauses = PAUSES.with_jitter().build();
    let mut is_away = false;
    loop {
        match open(&core, &options).await {
            Ok(mut listener) => {
                if is_away {
                    tracing::info!("PostgreSQL can be reached again");
                }
                is_away = false;
                pauses = PAUSES.with_jitter().build();
                // What was told meanwhile was not heard.
                core.rewind();
                core.heard();
                hear(&core, &mut listener).await;
            }
            Err(cause) => {
                if !is_away {
                    tracing::warn!(cause = %cause, "PostgreSQL cannot be reached; the queue goes on by itself when it is back");
                }
                is_away = true;
            }
        }
        sleep(pauses.next().unwrap_or(SILENCE)).await;
    }
}

/// sqlx listens on a pool only; this one has a single connection.
async fn open(core: &Arc<Core>, options: &PgConnectOptions) -> Result<PgListener, QueueError> {
    let worker = core.connections.worker();
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_TIMEOUT);
    let pool = pool.max_lifetime(None).idle_timeout(None).test_before_acquire(false);
    let pool =
        pool.after_connect(move |connection, _| Box::pin(async move { prepare(connection, worker).await.map(drop) }));
    let pool = pool.connect_lazy_with(options.clone());
    let opening = async {
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.ignore_pool_close_event(true);
        listener.eager_reconnect(false);
        listener.listen(sql::CHANNEL).await?;
        listener.execute(sqlx::query(sql::REGISTER_WORKER).bind(worker)).await?;
        Ok(listener)
    };
    let opened: Result<_, sqlx::Error> = timeout(CONNECT_TIMEOUT * 2, opening)
        .await
        .map_err(|_| QueueError::Unavailable("PostgreSQL takes no connection in time".into()))?;
    opened.map_err(|error| error::sort(&error))
}

/// Until the connection is lost.
async fn hear(core: &Core, listener: &mut PgListener) {
    loop {
        match timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(_))) => {
                // Several that came together are one.
                while listener.next_buffered().is_some() {}
                core.heard();
            }
            Ok(Ok(None) | Err(_)) => return,
            Err(_) => match timeout(CONNECT_TIMEOUT, listener.execute("SELECT 1")).await {
                Ok(Ok(_)) => {}
                _ => return,
            },
        }
    }
}

/// Tells other processes of changes, the first at once and many as one. In a transaction of its own that waits for no
/// disk: a notification in the transaction of a send would make all sends of the server commit one after another.
pub(super) async fn notify(core: Arc<Core>) {
    loop {
        core.outgoing.notified().await;
        if let Ok(mut lent) = core.connections.lend().await {
            // One that is lost is made up for by the look that every receiver takes each second.
            let _lost = lent.rows(sqlx::query(sql::NOTIFY)).await;
        }
        sleep(NOTIFY_PAUSE).await;
    }
}
