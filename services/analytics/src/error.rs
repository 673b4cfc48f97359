//! From the errors of analytics to the chassis'.

use chassis::error::{Error, Kind};

use crate::store::StoreError;

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Timeout => {
                Self::new(Kind::Unavailable, "Event store unavailable").caused_by(error)
            }
            StoreError::Other(_) => Self::internal(error),
        }
    }
}
