//! The public keys with which others verify our tokens.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use chassis::http::Json;
use http::header;
use utoipa::ToSchema;

use crate::Users;

/// How long others may keep the keys, in seconds. A rotation overlaps for longer.
const CACHE: &str = "public, max-age=300";

/// Public keys (RFC 7517, section 5).
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the answer in the API document; the chassis makes it")]
struct KeySet {
    /// Each with `kty`, `use`, `alg`, `kid` and its public numbers.
    #[schema(value_type = Vec<Object>)]
    keys: (),
}

/// Publishes the keys that sign tokens (RFC 7517).
///
/// Empty where tokens are signed with a shared secret.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "accounts", responses((status = 200, body = KeySet)))]
pub(crate) async fn get_keys(State(users): State<Arc<Users>>) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, CACHE)], Json(users.keys.jwks()))
}
