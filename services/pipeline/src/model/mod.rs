//! The rules of the pipeline: what is a message, what is an instant, what may be stored. No I/O, no axum.
//!
//! A message is the user's own JSON text from the request to the object. It is cut and extended as text and never
//! parsed and printed again: a number such as `12345678901234567890123` or `1.0` would come out as another one.

pub mod json_object;
pub mod timestamp;
