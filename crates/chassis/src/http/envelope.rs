//! The form in which some routes answer: `{"success":true,"message":…,"data":…}`.

use serde::Serialize;
use utoipa::ToSchema;

use super::extract::Json;

/// An answer with a message for people around its data.
#[derive(Debug, Serialize, ToSchema)]
pub struct Envelope<T> {
    #[schema(example = true)]
    success: bool,
    message: &'static str,
    data: T,
}

impl<T> Envelope<T> {
    /// An answer of something that was done.
    pub fn of(message: &'static str, data: T) -> Json<Self> {
        Json(Self { success: true, message, data })
    }
}
