//! The connections of one process: a few, kept open, each used by one statement at a time.
//!
//! Not sqlx's own pool: that asks a connection whether it is well each time it comes back, which doubles the ways there
//! and back, and waits for the answer without a limit, so that a server that stands still would use up the pool. Here
//! a connection whose statement has not ended well is closed, and one that has rested is asked before it is used.

use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chassis::ports::QueueError;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{Connection as _, Postgres, Row as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::{error, sql};

/// Connections of one process, beside the one that listens. A server has a hundred by default.
pub(super) const CONNECTIONS: usize = 6;
/// How long a call may take with all its parts.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(4);
/// How long it may take until a connection is there and prepared.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_500);
/// Beyond it a connection is asked before it is used: the server may have closed it meanwhile.
const FRESH: Duration = Duration::from_secs(1);
const PING_TIMEOUT: Duration = Duration::from_millis(700);
/// Beyond it a connection that is not used is closed.
const IDLE: Duration = Duration::from_secs(60);
/// Beyond it a connection is made anew: our idea of the server's time drifts.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// What is kept open, and how more is made.
#[derive(Debug)]
pub(super) struct Connections {
    options: PgConnectOptions,
    /// Of the process, for the lock that each connection shares; zero while there is none.
    worker: AtomicI32,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Session>>,
    /// Counts what was found dead, so that all that is as old is closed.
    losses: AtomicU64,
}

#[derive(Debug)]
struct Session {
    connection: PgConnection,
    made: Instant,
    used: Instant,
    losses: u64,
    /// The server's time when it was made.
    server_time: i64,
}

/// A connection on loan. It goes back when its last statement has ended well.
#[derive(Debug)]
pub(super) struct Lent {
    home: Arc<Connections>,
    session: Option<Session>,
    deadline: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    pub(super) fn new(options: PgConnectOptions) -> Arc<Self> {
        Arc::new(Self {
            options,
            worker: AtomicI32::new(0),
            permits: Arc::new(Semaphore::new(CONNECTIONS)),
            idle: Mutex::default(),
            losses: AtomicU64::new(0),
        })
    }

    /// Whose connections these are, from now on.
    pub(super) fn set_worker(&self, worker: i32) {
        self.worker.store(worker, Ordering::Relaxed);
        self.lock().clear();
    }

    pub(super) fn worker(&self) -> i32 {
        self.worker.load(Ordering::Relaxed)
    }

    /// A connection for one call, which has [`CALL_TIMEOUT`] from now on.
    pub(super) async fn lend(self: &Arc<Self>) -> Result<Lent, QueueError> {
        self.lend_until(Instant::now() + CALL_TIMEOUT).await
    }

    /// The same for a call that began before.
    pub(super) async fn lend_until(self: &Arc<Self>, deadline: Instant) -> Result<Lent, QueueError> {
        let waiting = timeout_at(deadline, Arc::clone(&self.permits).acquire_owned()).await;
        let Ok(Ok(permit)) = waiting else {
            return Err(QueueError::Unavailable("every connection to PostgreSQL is in use".into()));
        };
        let session = match self.rested().await {
            Some(session) => session,
            None => self.connect(deadline).await?,
        };
        Ok(Lent { home: Arc::clone(self), session: Some(session), deadline, _permit: permit })
    }

    /// One that is open and answers.
    async fn rested(&self) -> Option<Session> {
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

    async fn connect(&self, deadline: Instant) -> Result<Session, QueueError> {
        let losses = self.losses();
        let deadline = deadline.min(Instant::now() + CONNECT_TIMEOUT);
        let connecting = async {
            let mut connection = PgConnection::connect_with(&self.options).await?;
            let worker = self.worker();
            let server_time = prepare(&mut connection, worker).await?;
            Ok((connection, server_time))
        };
        let connected: Result<_, sqlx::Error> = timeout_at(deadline, connecting)
            .await
            .map_err(|_| QueueError::Unavailable("PostgreSQL takes no connection in time".into()))?;
        let (connection, server_time) = connected.map_err(|error| error::sort(&error))?;
        let server_time =
            server_time.ok_or_else(|| QueueError::Unavailable("this server of PostgreSQL only reads".into()))?;
        let now = Instant::now();
        Ok(Session { connection, made: now, used: now, losses, server_time })
    }

    /// Closes what has not been used for long.
    pub(super) fn close_idle(&self) {
        self.lock().retain(|session| session.used.elapsed() < IDLE);
    }

    fn losses(&self) -> u64 {
        self.losses.load(Ordering::Relaxed)
    }

    /// Where one connection is dead, the others of its time most likely are.
    fn lose(&self, known: u64) {
        let _later = self.losses.compare_exchange(known, known + 1, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Settings, and the lock that says that the worker lives. Answers the server's time, `None` when it takes no writes.
pub(super) async fn prepare(connection: &mut PgConnection, worker: i32) -> Result<Option<i64>, sqlx::Error> {
    let query = sqlx::query(sql::PREPARE_SESSION).persistent(false).bind(sql::LOCK_SPACE).bind(worker);
    let row = query.fetch_one(connection).await?;
    Ok(if row.try_get("reads_only")? { None } else { Some(row.try_get("now")?) })
}

impl Lent {
    /// Executes one statement and reads all that it answers, up to its commit: the first row of an `INSERT …
    /// RETURNING` comes before that.
    pub(super) async fn rows(&mut self, query: Query<'_, Postgres, PgArguments>) -> Result<Vec<PgRow>, QueueError> {
        let Some(mut session) = self.session.take() else {
            return Err(QueueError::Unavailable("the connection to PostgreSQL is closed".into()));
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
                Err(QueueError::Timeout)
            }
        }
    }

    /// The one row of a statement that always answers one.
    pub(super) async fn row(&mut self, query: Query<'_, Postgres, PgArguments>) -> Result<PgRow, QueueError> {
        self.rows(query).await?.pop().ok_or_else(|| QueueError::Other("PostgreSQL answered no row".into()))
    }

    /// The server's time in `ahead`, or a little before that, as our idea of it is as old as its answer was.
    pub(super) fn server_time_in(&self, ahead: Duration) -> i64 {
        let Some(session) = &self.session else { return 0 };
        let passed = session.made.elapsed() + ahead;
        session.server_time.saturating_add(i64::try_from(passed.as_micros()).unwrap_or(i64::MAX))
    }

    /// What is left of the call's time.
    pub(super) fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Closes it: its server's time is not what we think.
    pub(super) fn discard(mut self) {
        self.session = None;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(session) = self.session.take()
            && session.losses == self.home.losses()
        {
            self.home.lock().push(session);
        }
    }
}
