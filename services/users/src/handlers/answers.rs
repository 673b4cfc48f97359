//! What callers see of users.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::model::User;

/// A user, whole.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserAnswer {
    /// A UUIDv7.
    #[schema(example = "01975408-5f35-7000-8000-000000000000")]
    id: Uuid,
    #[schema(example = "John Doe")]
    name: String,
    #[schema(example = "john.doe@example.com")]
    email: String,
    /// Years; `null` when it is not known.
    #[schema(required = true, example = 30)]
    age: Option<u8>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<User> for UserAnswer {
    fn from(user: User) -> Self {
        Self {
            id: user.id.0,
            name: user.name,
            email: user.email.as_str().to_owned(),
            age: user.age,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}
