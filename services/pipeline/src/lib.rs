//! The message pipeline: ingest takes messages over HTTP and puts them on the queue, the archiver takes them off and
//! stores each as an object.
//!
//! Both live in one crate because the message between them is theirs alone: what ingest promises is what the archiver
//! checks. [`model`] holds those rules, without I/O. [`archive`] reads what is stored.

pub mod archive;
pub mod archiver;
pub mod config;
pub mod dead_letters;
mod error;
pub mod ingest;
pub mod model;
