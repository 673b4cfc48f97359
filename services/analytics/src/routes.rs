//! All URLs of analytics, and who may call them.

use std::sync::Arc;

use chassis::auth::Access;
use chassis::http::Routes;
use utoipa_axum::routes;

use super::Analytics;
use super::handlers::{__path_create_event, __path_get_stats, create_event, get_stats};

/// Sees the statistics.
const READ: &str = "analytics:read";
/// Adds events.
const WRITE: &str = "analytics:write";

pub(super) fn routes() -> Routes<Arc<Analytics>> {
    Routes::new()
        .encrypted_route(Access::Scope(WRITE), routes!(create_event))
        .route(Access::Scope(READ), routes!(get_stats))
}
