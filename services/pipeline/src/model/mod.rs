//! The rules of the pipeline: what is a message, what is an instant, what may be stored. No I/O, no axum.
//!
//! [`message`] and [`submit`] are the two requests that ingest takes, [`error`] their answers, [`timestamp`] the
//! instants in them. [`record`] is what the archiver makes of a message, [`rollup`] how it puts many into one object,
//! [`compression`] how small, [`retention`] for how long it is kept; [`names`] is what both agree on.
//!
//! A message is the user's own JSON text from the request to the object. It is cut and extended as text and never
//! parsed and printed again: a number such as `12345678901234567890123` or `1.0` would come out as another one.

pub mod compression;
pub mod error;
pub mod json_object;
pub mod message;
pub mod names;
pub mod record;
pub mod retention;
pub mod rollup;
pub mod submit;
pub mod timestamp;
