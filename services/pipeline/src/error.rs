//! From the pipeline's errors to the chassis'.

use chassis::error::{Error, FieldError};

use crate::model::error::IngestError;

impl From<IngestError> for Error {
    fn from(error: IngestError) -> Self {
        if let IngestError::Invalid(wrong) = error {
            let fields = wrong.iter().map(|field| FieldError::new(&field.loc, field.msg, field.kind));
            return Self::invalid(fields.collect());
        }
        Self::new(error.kind(), error.text())
    }
}
