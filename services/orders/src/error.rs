//! From the errors of orders to the chassis'.

use chassis::error::{Error, FieldError, Kind};

use crate::model::{Illegal, UnknownStatus};
use crate::store::StoreError;

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Timeout => {
                Self::new(Kind::Unavailable, "Order store unavailable").caused_by(error)
            }
            StoreError::PageTooLarge => {
                let expected = "The orders of this page are too large together: ask for fewer";
                Self::invalid(vec![FieldError::new(&["query", "limit"], expected, "too_large")])
            }
            StoreError::Other(_) => Self::internal(error),
        }
    }
}

impl From<Illegal> for Error {
    fn from(illegal: Illegal) -> Self {
        Self::new(Kind::Conflict, illegal.to_string())
    }
}

impl From<UnknownStatus> for Error {
    fn from(unknown: UnknownStatus) -> Self {
        Self::new(Kind::BadRequest, unknown.to_string())
    }
}

/// 404, the same for those who may not see an order.
pub(crate) fn not_found() -> Error {
    Error::new(Kind::NotFound, "Order not found")
}

/// 404 for whoever is no user, or is not to be seen.
pub(crate) fn user_not_found() -> Error {
    Error::new(Kind::NotFound, "User not found")
}
