//! What a user is.

use std::fmt;
use std::str::FromStr;

use chassis::http::StoredAnswer;
use chassis::ports::Event;
use jiff::Timestamp;
use secrecy::SecretString;
use uuid::Uuid;

use super::{Email, UsernameKey};

/// Names a user for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(pub Uuid);

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for UserId {
    type Err = ();

    /// Takes the form that we write and no other, so that a user has one URL.
    fn from_str(text: &str) -> Result<Self, ()> {
        let id = Uuid::try_parse(text).map_err(|_| ())?;
        let mut canonical = Uuid::encode_buffer();
        if *id.hyphenated().encode_lower(&mut canonical) == *text { Ok(Self(id)) } else { Err(()) }
    }
}

/// Counts the changes of one user, from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub i64);

impl Version {
    /// Of a user that was never changed.
    pub const FIRST: Self = Self(1);

    /// After one more change.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// One user. Its password is elsewhere: see [`Credentials`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// A UUIDv7.
    pub id: UserId,
    /// 1 to 200 characters; that of a registered user is the username, 3 to 50.
    pub name: String,
    /// Nobody else has the same, whatever its case.
    pub email: Email,
    /// 0 to 150 years, if it is known.
    pub age: Option<u8>,
    /// Who is not may not log in.
    pub is_active: bool,
    /// Registered users have a password; their name is their username, and nobody else registered has it.
    pub is_registered: bool,
    /// Tells whether somebody changed the user meanwhile.
    pub version: Version,
    /// To the microsecond.
    pub created_at: Timestamp,
    /// Of the last change, to the microsecond.
    pub updated_at: Timestamp,
}

impl User {
    /// What nobody else registered may have; `None` for users without a password.
    #[must_use]
    pub fn username_key(&self) -> Option<UsernameKey> {
        self.is_registered.then(|| UsernameKey::of(&self.name))
    }
}

/// A user who is to be added.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// In its first version.
    pub user: User,
    /// The hash of the password as a PHC string, for those who register.
    pub password: Option<SecretString>,
    /// The answer to the request, where that may be sent again.
    pub answer: Option<StoredAnswer>,
    /// Tells others, where somebody wants to know.
    pub event: Option<Event>,
}

impl NewUser {
    /// Without a password, an answer or an event.
    #[must_use]
    pub fn new(user: User) -> Self {
        Self { user, password: None, answer: None, event: None }
    }
}

/// What a login is checked against.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Whose they are.
    pub id: UserId,
    /// As it was registered, or renamed to.
    pub username: String,
    /// The hash of the password as a PHC string.
    pub password: SecretString,
    /// Who is not may not log in.
    pub is_active: bool,
}

/// How many users there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UserCounts {
    /// All.
    pub total: u64,
    /// Those who are active.
    pub active: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_one_id_in_one_form() {
        let id = "0197a1b2-0000-7000-8000-0000000000ab";
        assert_eq!(id.parse::<UserId>().unwrap().to_string(), id);
        let upper = id.to_uppercase();
        let braced = format!("{{{id}}}");
        let plain = id.replace('-', "");
        for other in ["", "42", "../../../health", &upper, &braced, &plain] {
            assert!(other.parse::<UserId>().is_err(), "{other}");
        }
    }
}
