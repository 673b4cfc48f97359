//! Changes of the tables of each service: which there are, which were made in a database, and how they are made.
//!
//! A service's migrations are embedded, one folder for each kind of database. What was made is written into a table of its
//! own, so that a database may hold several services and other people's tables. A published migration is never changed,
//! and each works while processes of the version before still run: what is needed is added first, and what is not needed
//! any more is taken away a version later. So a history may be newer than the program.
//!
//! A start looks first, without a lock; only where something is to be made does it wait for its turn.

mod history;
pub(crate) mod postgres;
pub(crate) mod sqlite;

use chassis::clock::Clock;
use jiff::Timestamp;
use secrecy::ExposeSecret;

pub(crate) use self::history::Migration;
use self::history::{History, Recorded};
use crate::postgres::Address;
use crate::{DatabasePlace, OpenError};

/// The migrations of one service.
#[derive(Debug)]
pub struct Migrations {
    pub(crate) service: &'static str,
    /// What is opened, in messages.
    pub(crate) kind: &'static str,
    /// In PostgreSQL.
    pub(crate) schema: &'static str,
    /// The table of what was made.
    pub(crate) history: &'static str,
    /// The second half of the advisory lock, of PostgreSQL, of whoever makes them.
    pub(crate) lock: i32,
    pub(crate) sqlite: &'static [Migration],
    pub(crate) postgres: &'static [Migration],
}

/// One migration in one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationState {
    /// Whose tables it changes.
    pub service: &'static str,
    /// They are made in this order.
    pub version: i64,
    /// What it does, in a few words.
    pub name: String,
    /// Whether it was made.
    pub progress: Progress,
}

/// Whether a migration was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It was, then.
    Applied(Timestamp),
    /// It was not; this is what it would execute.
    Pending(&'static str),
    /// It was, then, and this program does not know it: a newer one made it.
    Newer(Timestamp),
}

impl Migrations {
    /// Whose they are.
    #[must_use]
    pub fn service(&self) -> &'static str {
        self.service
    }

    fn state(&self, migration: &Migration, progress: Progress) -> MigrationState {
        let Migration { version, name, .. } = migration;
        MigrationState { service: self.service, version: *version, name: (*name).to_owned(), progress }
    }

    /// One that is made now; as it will be read, to the microsecond.
    fn made(&self, migration: &Migration, now: Timestamp) -> MigrationState {
        let applied_at = Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now);
        self.state(migration, Progress::Applied(applied_at))
    }

    fn states(&self, history: History, known: &[Migration]) -> Vec<MigrationState> {
        let recorded = history.recorded.into_iter().map(|Recorded { version, name, applied_at, .. }| {
            let is_known = known.iter().any(|migration| migration.version == version);
            let progress = if is_known { Progress::Applied(applied_at) } else { Progress::Newer(applied_at) };
            MigrationState { service: self.service, version, name, progress }
        });
        let mut states: Vec<_> = recorded.collect();
        states.extend(history.pending.iter().map(|migration| self.state(migration, Progress::Pending(migration.sql))));
        states.sort_by_key(|state| state.version);
        states
    }
}

/// What was made in the database that `url` names, and what was not, by version. Those of a newer program are there too.
/// Changes nothing, and makes no file; the log of a process that was killed stays as it is.
///
/// # Errors
/// When the URL is not understood, the database cannot be read, or one that was made is not the one that is known.
pub async fn status(migrations: &'static Migrations, url: &str) -> Result<Vec<MigrationState>, OpenError> {
    Ok(match DatabasePlace::of(migrations.kind, url)? {
        DatabasePlace::Memory => Vec::new(),
        DatabasePlace::File(path) => migrations.states(sqlite::look(migrations, &path).await?, migrations.sqlite),
        DatabasePlace::Postgres(rest) => {
            let address = Address::of(migrations.kind, rest.expose_secret())?;
            migrations.states(postgres::look(migrations, &address).await?, migrations.postgres)
        }
    })
}

/// What [`apply`] would make, in this order.
///
/// # Errors
/// Those of [`status`].
pub async fn plan(migrations: &'static Migrations, url: &str) -> Result<Vec<MigrationState>, OpenError> {
    let mut states = status(migrations, url).await?;
    states.retain(|state| matches!(state.progress, Progress::Pending(_)));
    Ok(states)
}

/// Makes what was not made, and answers it. Each is one transaction; safe to run by many at once, and to be killed in the
/// middle. Makes the file where there is none.
///
/// # Errors
/// Those of [`status`]; and when the database refuses, such as for want of rights.
pub async fn apply(
    migrations: &'static Migrations,
    url: &str,
    clock: &dyn Clock,
) -> Result<Vec<MigrationState>, OpenError> {
    match DatabasePlace::of(migrations.kind, url)? {
        DatabasePlace::Memory => Ok(Vec::new()),
        DatabasePlace::File(path) => sqlite::open(migrations, &path, clock.now()).await.map(|(_, applied)| applied),
        DatabasePlace::Postgres(rest) => {
            let address = Address::of(migrations.kind, rest.expose_secret())?;
            postgres::apply(migrations, &address, clock.now()).await
        }
    }
}
