//! The connections of one process: a few, kept open, each used by one statement at a time.
//!
//! Not sqlx's own pool: that asks a connection whether it is well each time it comes back, which doubles the ways there
//! and back, and waits for the answer without a limit, so that a server that stands still would use up the pool. Here
//! a connection whose statement has not ended well is closed, and one that has rested is asked before it is used.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{Connection as _, Postgres};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::error;
use crate::gather::CALL_TIMEOUT;
use crate::sql::SqlError;

/// Connections of one process, beside the one that listens. A server has a hundred by default.
pub(crate) const CONNECTIONS: usize = 6;
/// How long it may take until a connection is there and prepared.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_500);
/// Beyond it a connection is asked before it is used: the server may have closed it meanwhile.
const FRESH: Duration = Duration::from_secs(1);
const PING_TIMEOUT: Duration = Duration::from_millis(700);
/// Beyond it a connection that is not used is closed.
const IDLE: Duration = Duration::from_secs(60);
/// Beyond it a connection is made anew: our idea of the server's time drifts.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// What is done with a connection before it is used.
#[async_trait]
pub(crate) trait Setup: Debug + Send + Sync + 'static {
    /// What is known of the session then.
    type Facts: Debug + Send + Sync;

    /// Makes the settings of the session; `None` when the server takes no writes.
    async fn prepare(&self, connection: &mut PgConnection) -> Result<Option<Self::Facts>, sqlx::Error>;
}

/// What is kept open, and how more is made.
#[derive(Debug)]
pub(crate) struct Connections<S: Setup> {
    options: PgConnectOptions,
    setup: S,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Session<S::Facts>>>,
    /// Counts what was found dead, so that all that is as old is closed.
    losses: AtomicU64,
}

#[derive(Debug)]
struct Session<F> {
    connection: PgConnection,
    made: Instant,
    used: Instant,
    losses: u64,
    facts: F,
}

/// A connection on loan. It goes back when its last statement has ended well.
#[derive(Debug)]
pub(crate) struct Lent<S: Setup> {
    home: Arc<Connections<S>>,
    session: Option<Session<S::Facts>>,
    deadline: Instant,
    _permit: OwnedSemaphorePermit,
}

impl<S: Setup> Connections<S> {
    pub(crate) fn new(options: PgConnectOptions, setup: S) -> Arc<Self> {
        Arc::new(Self {
            options,
            setup,
            permits: Arc::new(Semaphore::new(CONNECTIONS)),
            idle: Mutex::default(),
            losses: AtomicU64::new(0),
        })
    }

    pub(crate) fn setup(&self) -> &S {
        &self.setup
    }

    /// Closes what is open and not in use.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// A connection for one call, which has [`CALL_TIMEOUT`] from now on.
    pub(crate) async fn lend(self: &Arc<Self>) -> Result<Lent<S>, SqlError> {
        self.lend_until(Instant::now() + CALL_TIMEOUT).await
    }

    /// The same for a call that began before.
    pub(crate) async fn lend_until(self: &Arc<Self>, deadline: Instant) -> Result<Lent<S>, SqlError> {
        let waiting = timeout_at(deadline, Arc::clone(&self.permits).acquire_owned()).await;
        let Ok(Ok(permit)) = waiting else {
            return Err(SqlError::Unavailable("every connection to PostgreSQL is in use".into()));
        };
        let session = match self.rested().await {
            Some(session) => session,
            None => self.connect(deadline).await?,
        };
        Ok(Lent { home: Arc::clone(self), session: Some(session), deadline, _permit: permit })
    }

    /// One that is open and answers.
    async fn rested(&self) -> Option<Session<S::Facts>> {
        loop {
            let mut session = self.lock().pop()?;
            if session.losses != self.losses() || session.made.elapsed() > LIFETIME {
                continue;
            }
            if session.used.elapsed() < FRESH {
                return Some(session);
            }
            if let Ok(Ok(())) = timeout(PING_TIMEOUT, session.connection.ping()).await {
                return Some(session);
            }
            self.lose(session.losses);
        }
    }

    async fn connect(&self, deadline: Instant) -> Result<Session<S::Facts>, SqlError> {
        let losses = self.losses();
        let deadline = deadline.min(Instant::now() + CONNECT_TIMEOUT);
        let connecting = async {
            let mut connection = PgConnection::connect_with(&self.options).await?;
            let facts = self.setup.prepare(&mut connection).await?;
            Ok((connection, facts))
        };
        let connected: Result<_, sqlx::Error> = timeout_at(deadline, connecting)
            .await
            .map_err(|_| SqlError::Unavailable("PostgreSQL takes no connection in time".into()))?;
        let (connection, facts) = connected.map_err(|error| error::sort(&error))?;
        let facts = facts.ok_or_else(|| SqlError::Unavailable("this server of PostgreSQL only reads".into()))?;
        let now = Instant::now();
        Ok(Session { connection, made: now, used: now, losses, facts })
    }

    /// Closes what has not been used for long.
    pub(crate) fn close_idle(&self) {
        self.lock().retain(|session| session.used.elapsed() < IDLE);
    }

    fn losses(&self) -> u64 {
        self.losses.load(Ordering::Relaxed)
    }

    /// Where one connection is dead, the others of its time most likely are.
    fn lose(&self, known: u64) {
        let _later = self.losses.compare_exchange(known, known + 1, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Session<S::Facts>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Setup> Lent<S> {
    /// Executes one statement and reads all that it answers, up to its commit: the first row of an `INSERT …
    /// RETURNING` comes before that.
    pub(crate) async fn rows(&mut self, query: Query<'_, Postgres, PgArguments>) -> Result<Vec<PgRow>, SqlError> {
        let Some(mut session) = self.session.take() else {
            return Err(SqlError::Unavailable("the connection to PostgreSQL is closed".into()));
        };
        // While it is out of its place, a caller that leaves drops it, which closes it.
        let outcome = timeout_at(self.deadline, query.fetch_all(&mut session.connection)).await;
        match outcome {
            Ok(Ok(rows)) => {
                session.used = Instant::now();
                self.session = Some(session);
                Ok(rows)
            }
            Ok(Err(error)) => {
                if error::keeps_session(&error) {
                    self.session = Some(session);
                } else {
                    self.home.lose(session.losses);
                }
                Err(error::sort(&error))
            }
            Err(_) => {
                self.home.lose(session.losses);
                Err(SqlError::Timeout)
            }
        }
    }

    /// The one row of a statement that always answers one.
    pub(crate) async fn row(&mut self, query: Query<'_, Postgres, PgArguments>) -> Result<PgRow, SqlError> {
        self.rows(query).await?.pop().ok_or_else(|| SqlError::Other("PostgreSQL answered no row".into()))
    }

    /// What is known of the session, and for how long it has been.
    pub(crate) fn facts(&self) -> Option<(&S::Facts, Duration)> {
        self.session.as_ref().map(|session| (&session.facts, session.made.elapsed()))
    }

    /// What is left of the call's time.
    pub(crate) fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Closes it: the facts are not what we think.
    pub(crate) fn discard(mut self) {
        self.session = None;
    }
}

impl<S: Setup> Drop for Lent<S> {
    fn drop(&mut self) {
        if let Some(session) = self.session.take()
            && session.losses == self.home.losses()
        {
            self.home.lock().push(session);
        }
    }
}
