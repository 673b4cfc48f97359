//! Who may do what: today the API token of ingest.

mod api_token;
mod compare;

pub use api_token::{ApiToken, Verdict};
pub(crate) use compare::is_same;
