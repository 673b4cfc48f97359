//! Who may do what: today the API token of ingest.

mod api_token;

pub use api_token::{ApiToken, Verdict};
