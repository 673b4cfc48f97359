//! The rules of a user. No I/O, no HTTP.

mod changes;
mod email;
mod rules;
mod user;
mod username;

pub use changes::{UserChanges, UserDraft};
pub use email::{Email, EmailKey};
pub use rules::MAX_USERNAME_CHARS;
pub use user::{Credentials, NewUser, User, UserCounts, UserId, Version};
pub use username::UsernameKey;
