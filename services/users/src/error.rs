//! From the errors of users to the chassis'.

use chassis::error::{Error, Kind};

use crate::store::{StoreError, Unique};

impl From<StoreError> for Error {
    /// The texts are those of changes; a create or a registration has its own for [`StoreError::Taken`].
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Taken(Unique::Email) => Self::new(Kind::Conflict, "Email already in use"),
            StoreError::Taken(Unique::Username) => Self::new(Kind::Conflict, "Username already in use"),
            StoreError::Unavailable(_) | StoreError::Timeout => {
                Self::new(Kind::Unavailable, "User store unavailable").caused_by(error)
            }
            StoreError::Other(_) => Self::internal(error),
        }
    }
}

/// 404, the same for those who may not see a user.
pub(crate) fn not_found() -> Error {
    Error::new(Kind::NotFound, "User not found")
}
