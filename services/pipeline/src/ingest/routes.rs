//! All URLs of ingest, and who may call them.

use std::sync::Arc;

use chassis::auth::Access;
use chassis::http::Routes;
use utoipa_axum::routes;

use super::Ingest;
use super::handlers::{__path_post_message, __path_post_submit, post_message, post_submit};

/// The token is in the body.
pub(super) fn routes() -> Routes<Arc<Ingest>> {
    Routes::new().route(Access::Public, routes!(post_message)).route(Access::Public, routes!(post_submit))
}
