//! Users as rows.

use chassis::ports::Event;
use secrecy::{ExposeSecret as _, SecretString};
use users::model::{Credentials, Email, NewUser, User, UserId, UsernameKey, Version};

use crate::sql::SqlError;
use crate::sql::answers::{of_answer, read_time};
use crate::sql::outbox::of_event;
use crate::sql::value::{Columns, Row, Value};

/// As [`CREATE`](super::statements::CREATE) takes it.
pub(super) fn of_new(NewUser { user, password, .. }: &NewUser) -> Vec<Value> {
    vec![
        user.id.0.into(),
        user.name.as_str().into(),
        username_key(user.username_key()),
        user.email.as_str().into(),
        user.email.key().as_str().into(),
        Value::Int(user.age.map(i64::from)),
        user.is_active.into(),
        Value::Text(password.as_ref().map(|hash| hash.expose_secret().to_owned())),
        user.version.0.into(),
        user.created_at.as_microsecond().into(),
        user.updated_at.as_microsecond().into(),
    ]
}

/// As [`CREATE_WITH`](super::statements::CREATE_WITH) takes it.
pub(super) fn of_new_with(new: &NewUser) -> Vec<Value> {
    let mut values = of_new(new);
    values.extend(of_answer(new.answer.as_ref()));
    values.extend(of_event(new.event.as_ref()));
    values
}

/// As [`DELETE`](super::statements::DELETE) takes it.
pub(super) fn of_gone(id: UserId, known: Option<Version>, event: Option<&Event>) -> Vec<Value> {
    let mut values = vec![id.0.into(), Value::Int(known.map(|version| version.0))];
    values.extend(of_event(event));
    values
}

/// As [`REPLACE`](super::statements::REPLACE) takes it, which knows whether the user is registered.
pub(super) fn of_changed(user: &User, known: Version) -> Vec<Value> {
    vec![
        user.id.0.into(),
        user.name.as_str().into(),
        username_key(Some(UsernameKey::of(&user.name))),
        user.email.as_str().into(),
        user.email.key().as_str().into(),
        Value::Int(user.age.map(i64::from)),
        user.is_active.into(),
        user.version.0.into(),
        user.updated_at.as_microsecond().into(),
        known.0.into(),
    ]
}

/// As [`FIND_TAKEN`](super::statements::FIND_TAKEN) takes it.
pub(super) fn of_keys(user: &User) -> Vec<Value> {
    vec![user.id.0.into(), user.email.key().as_str().into(), username_key(user.username_key())]
}

fn username_key(key: Option<UsernameKey>) -> Value {
    Value::Text(key.map(|key| key.as_str().to_owned()))
}

pub(super) fn read_user(row: Row) -> Result<User, SqlError> {
    let mut columns = row.read();
    let id = columns.uuid()?;
    read_user_after(UserId(id), &mut columns)
}

/// The rest of a user whose id was read.
pub(super) fn read_user_after(id: UserId, columns: &mut Columns) -> Result<User, SqlError> {
    Ok(User {
        id,
        name: columns.text()?,
        email: Email::known(columns.text()?),
        age: columns.optional_int()?.and_then(|age| u8::try_from(age).ok()),
        is_active: columns.bool()?,
        is_registered: columns.bool()?,
        version: Version(columns.int()?),
        created_at: read_time(columns)?,
        updated_at: read_time(columns)?,
    })
}

pub(super) fn read_credentials(row: Row) -> Result<Credentials, SqlError> {
    let mut columns = row.read();
    Ok(Credentials {
        id: UserId(columns.uuid()?),
        username: columns.text()?,
        password: SecretString::from(columns.text()?),
        is_active: columns.bool()?,
    })
}
