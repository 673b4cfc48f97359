//! Users in an SQL database: one body for all of them.

mod rows;
mod statements;

use std::sync::Arc;

use async_trait::async_trait;
use chassis::http::Page;
use chassis::ports::Event;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use users::model::{Credentials, NewUser, User, UserCounts, UserId, UsernameKey, Version};
use users::store::{Created, StoreError, Unique, UserList, UserStore, Written};

use self::rows::{of_changed, of_gone, of_keys, of_new, of_new_with, read_credentials, read_user, read_user_after};
use super::SqlError;
use super::answers::{AnswerStatements, answer_statements};
use super::database::{Database, Statement};
use super::outbox::{OutboxStatements, SqlOutbox, outbox_statements};
use super::store::StoreDatabase;
use super::value::{Row, Value};
use crate::migrations::{Migration, Migrations};

/// The tables of users.
pub static USERS: Migrations = Migrations {
    service: "users",
    kind: "store of users",
    schema: "keelson_users",
    history: "users_migrations",
    lock: -11,
    sqlite: &[
        Migration {
            version: 1,
            name: "create_users",
            sql: include_str!("../../../migrations/users/sqlite/0001_create_users.sql"),
        },
        Migration {
            version: 2,
            name: "create_users_outbox",
            sql: include_str!("../../../migrations/users/sqlite/0002_create_users_outbox.sql"),
        },
    ],
    postgres: &[
        Migration {
            version: 1,
            name: "create_users",
            sql: include_str!("../../../migrations/users/postgres/0001_create_users.sql"),
        },
        Migration {
            version: 2,
            name: "create_users_outbox",
            sql: include_str!("../../../migrations/users/postgres/0002_create_users_outbox.sql"),
        },
    ],
};

static OUTBOX: OutboxStatements = outbox_statements!("users_outbox");
static ANSWERS: AnswerStatements = answer_statements!("idempotency_keys");

/// How often a write is tried again when whoever was in its way is gone.
const TRIES: usize = 3;

/// All users of a database.
#[derive(Debug)]
pub(crate) struct SqlUsers {
    database: StoreDatabase,
}

impl SqlUsers {
    /// The statements that PostgreSQL executes for many at once.
    pub(crate) fn shared() -> [&'static Statement; 6] {
        let [record, remove] = OUTBOX.shared();
        [&statements::FIND, &statements::CREATE, &statements::CREATE_WITH, &statements::FIND_TAKEN, record, remove]
    }

    /// On tables that are up to date.
    pub(crate) fn new(database: Arc<dyn Database>) -> Arc<Self> {
        Arc::new(Self { database: StoreDatabase::new(database) })
    }

    /// The events that are written with the users.
    pub(crate) fn outbox(&self) -> Arc<SqlOutbox> {
        SqlOutbox::new(self.database.database(), &OUTBOX)
    }

    /// One call, with its end in time.
    async fn call<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        self.database.call(work).await
    }

    async fn execute(&self, statement: &'static Statement, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        Ok(self.database.execute(statement, values).await?)
    }

    /// What of this user another one has.
    async fn find_taken(&self, user: &User) -> Result<Option<Unique>, StoreError> {
        let Some(row) = self.execute(&statements::FIND_TAKEN, of_keys(user)).await?.into_iter().next() else {
            return Ok(None);
        };
        let mut columns = row.read();
        columns.uuid()?;
        let (has_email, has_username) = (columns.bool()?, columns.bool()?);
        Ok(has_email.then_some(Unique::Email).or(has_username.then_some(Unique::Username)))
    }

    async fn create_now(&self, new: NewUser) -> Result<Created, StoreError> {
        let (statement, values) = match (&new.answer, &new.event) {
            (None, None) => (&statements::CREATE, of_new(&new)),
            _ => (&statements::CREATE_WITH, of_new_with(&new)),
        };
        for _ in 0..TRIES {
            match self.database.execute(statement, values.clone()).await {
                Ok(rows) if !rows.is_empty() => return Ok(Created::Done),
                Ok(_) | Err(SqlError::Taken) => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(answer) = &new.answer
                && let Some(before) = self.database.find_answer(&ANSWERS, &answer.key.id).await?
            {
                return Ok(Created::Before(before));
            }
            if let Some(unique) = self.find_taken(&new.user).await? {
                return Err(StoreError::Taken(unique));
            }
        }
        Err(StoreError::Other("the user was not added, and no other has the same address or username".into()))
    }

    async fn replace_now(&self, user: User, known: Version) -> Result<Written, StoreError> {
        for _ in 0..TRIES {
            match self.database.execute(&statements::REPLACE, of_changed(&user, known)).await {
                Err(SqlError::Taken) => {}
                outcome => return self.written(user.id, outcome?).await,
            }
            if let Some(unique) = self.find_taken(&user).await? {
                return Err(StoreError::Taken(unique));
            }
        }
        Err(StoreError::Other("the user was not changed, and no other has the same address or username".into()))
    }

    /// What a write did that answers the rows that it changed.
    async fn written(&self, id: UserId, rows: Vec<Row>) -> Result<Written, StoreError> {
        if !rows.is_empty() {
            return Ok(Written::Done);
        }
        let is_there = !self.execute(&statements::EXISTS, vec![id.0.into()]).await?.is_empty();
        Ok(if is_there { Written::Changed } else { Written::Missing })
    }
}

#[async_trait]
impl UserStore for SqlUsers {
    async fn create(&self, user: NewUser) -> Result<Created, StoreError> {
        self.call(self.create_now(user)).await
    }

    async fn forget_answers(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.call(async { Ok(self.database.forget_answers(&ANSWERS, now).await?) }).await
    }

    async fn find(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let rows = self.call(self.execute(&statements::FIND, vec![id.0.into()])).await?;
        Ok(rows.into_iter().next().map(read_user).transpose()?)
    }

    async fn find_credentials(&self, username: &UsernameKey) -> Result<Option<Credentials>, StoreError> {
        let rows = self.call(self.execute(&statements::FIND_CREDENTIALS, vec![username.as_str().into()])).await?;
        Ok(rows.into_iter().next().map(read_credentials).transpose()?)
    }

    async fn list(&self, page: Page) -> Result<UserList, StoreError> {
        let values = vec![to_i64(page.limit).into(), to_i64(page.skip).into()];
        let mut list = UserList::default();
        for row in self.call(self.execute(&statements::LIST, values)).await? {
            let mut columns = row.read();
            list.total = columns.int()?.unsigned_abs();
            if let Some(id) = columns.optional_uuid()? {
                list.users.push(read_user_after(UserId(id), &mut columns)?);
            }
        }
        Ok(list)
    }

    async fn replace(&self, user: User, known: Version) -> Result<Written, StoreError> {
        self.call(self.replace_now(user, known)).await
    }

    async fn replace_password(
        &self,
        id: UserId,
        known: SecretString,
        new: SecretString,
    ) -> Result<Written, StoreError> {
        let values = vec![id.0.into(), known.expose_secret().into(), new.expose_secret().into()];
        self.call(async { self.written(id, self.execute(&statements::REPLACE_PASSWORD, values).await?).await }).await
    }

    async fn delete(&self, id: UserId, known: Option<Version>, event: Option<Event>) -> Result<Written, StoreError> {
        let values = of_gone(id, known, event.as_ref());
        self.call(async { self.written(id, self.execute(&statements::DELETE, values).await?).await }).await
    }

    async fn count(&self) -> Result<UserCounts, StoreError> {
        let mut columns = self.call(async { Ok(self.database.row(&statements::COUNT).await?) }).await?.read();
        Ok(UserCounts { total: columns.int()?.unsigned_abs(), active: columns.int()?.unsigned_abs() })
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.call(async { Ok(self.database.ping().await?) }).await
    }
}

impl From<SqlError> for StoreError {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::Unavailable(cause) | SqlError::Undone(cause) => Self::Unavailable(cause),
            SqlError::Timeout => Self::Timeout,
            SqlError::Taken | SqlError::Other(_) => Self::Other(error.to_string()),
        }
    }
}

fn to_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
