//! From request to answer.

pub(crate) mod answers;
pub(crate) mod changes;
pub(crate) mod orders;
