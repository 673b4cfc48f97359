//! From a service that gave no answer to what callers are told.

use chassis::client::{CallError, CallFailure};
use chassis::error::{Error, Kind};

/// 504 where the service took too long, 503 where nothing else is known.
pub(crate) fn unanswered(error: CallError) -> Error {
    match error.failure() {
        CallFailure::Timeout(_) => {
            let text = format!("Timeout calling {}", error.service());
            Error::new(Kind::GatewayTimeout, text).caused_by(error)
        }
        // Nothing else can be wrong with a target that came in.
        CallFailure::Unaddressable(_) => {
            Error::new(Kind::UriTooLong, "The request target is too long").caused_by(error)
        }
        _ => error.into(),
    }
}
