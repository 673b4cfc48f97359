//! From request to answer.

pub(crate) mod accounts;
pub(crate) mod answers;
pub(crate) mod keys;
pub(crate) mod service_tokens;
pub(crate) mod users;
