//! What all tests of the wire contract work with: rows, who walks through them and on which database, and what is the
//! same in every service.

pub(crate) mod access;
pub(crate) mod people;
pub(crate) mod place;
pub(crate) mod row;
mod values;
pub(crate) mod walk;
