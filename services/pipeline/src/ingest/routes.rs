//! All URLs of ingest.

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Ingest;
use super::handlers::{__path_post_message, __path_post_submit, post_message, post_submit};

pub(super) fn routes() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::new().routes(routes!(post_message)).routes(routes!(post_submit))
}
