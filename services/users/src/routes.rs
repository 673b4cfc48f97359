//! All URLs of users, and who may call them.

use std::sync::Arc;

use chassis::auth::Access;
use chassis::http::Routes;
use utoipa_axum::routes;

use super::Users;
use super::handlers::accounts::{
    __path_count_users, __path_get_profile, __path_log_in, __path_register, count_users, get_profile, log_in, register,
};
use super::handlers::keys::{__path_get_keys, get_keys};
use super::handlers::service_tokens::{__path_issue_service_token, issue_service_token};
use super::handlers::users::{
    __path_create_user, __path_delete_user, __path_get_user, __path_list_users, __path_update_user, create_user,
    delete_user, get_user, list_users, update_user,
};

/// Sees users other than oneself.
pub(super) const READ: &str = "users:read";
/// Makes, changes and deletes them.
pub(super) const WRITE: &str = "users:write";

pub(super) fn routes() -> Routes<Arc<Users>> {
    Routes::new()
        .route(Access::Scope(WRITE), routes!(create_user))
        .route(Access::Scope(READ), routes!(list_users))
        .route(Access::Own(READ), routes!(get_user))
        .route(Access::Own(WRITE), routes!(update_user))
        .route(Access::Scope(WRITE), routes!(delete_user))
        .encrypted_route(Access::Public, routes!(register))
        .route(Access::Public, routes!(log_in))
        .route(Access::Bearer, routes!(get_profile))
        .route(Access::Public, routes!(count_users))
        .route(Access::Public, routes!(get_keys))
        // The proof is the credential.
        .route(Access::Public, routes!(issue_service_token))
}
