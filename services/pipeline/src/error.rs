//! From the pipeline's errors to the chassis': which kind each is.

use chassis::error::{Error, FieldError, Kind};

use crate::model::error::{ErrorKind, IngestError};

impl From<IngestError> for Error {
    fn from(error: IngestError) -> Self {
        let kind = match error.kind() {
            ErrorKind::BadRequest => Kind::BadRequest,
            ErrorKind::Unauthorized => Kind::Unauthorized,
            ErrorKind::Forbidden => Kind::Forbidden,
            ErrorKind::Unprocessable => {
                let fields = error.errors().iter().map(|field| FieldError::new(&field.loc, field.msg, field.kind));
                return Self::invalid(fields.collect());
            }
            ErrorKind::TooLarge => Kind::PayloadTooLarge,
            ErrorKind::Unavailable => Kind::Unavailable,
        };
        Self::new(kind, error.text())
    }
}
