//! The rules of what is passed on.

mod headers;
mod target;

pub(crate) use headers::{Asked, Hop, rewrite_answer, rewrite_request};
pub(crate) use target::target;
