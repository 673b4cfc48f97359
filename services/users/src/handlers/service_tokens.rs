//! Tokens for services that prove who they are.

use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chassis::auth::{IDENTITY_HEADER, SERVICE_TOKEN_LIFETIME, ServiceIdentity, Unverified};
use chassis::error::Error;
use chassis::http::Json;
use http::{HeaderMap, header};
use secrecy::ExposeSecret;
use serde::Serialize;
use tracing::{info, warn};
use utoipa::ToSchema;

use crate::Users;

/// A token of a service, for `Authorization: Bearer` (RFC 6749, section 5.1).
#[derive(Serialize, ToSchema)]
pub(crate) struct ServiceToken {
    access_token: String,
    #[schema(example = "bearer")]
    token_type: &'static str,
    /// Seconds.
    #[schema(example = 300)]
    expires_in: u64,
}

impl fmt::Debug for ServiceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceToken").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

/// Gives a service a token for a proof of who it is.
///
/// On AWS that is a signed `sts:GetCallerIdentity` of its role for `user-service`, good once. The token has the scopes
/// that `SERVICE_IDENTITIES` names for the identity.
#[utoipa::path(
    post, path = "/api/v1/service-tokens", tag = "service tokens",
    params(("X-Service-Identity" = Option<String>, Header, nullable = false, description = "The proof. A request without one is refused")),
    responses(
        (status = 200, body = ServiceToken),
        (status = 401, description = "Invalid service identity, whatever the reason"),
        (status = 503, description = "Nobody can tell at present whose proof it is"),
    )
)]
pub(crate) async fn issue_service_token(
    State(users): State<Arc<Users>>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let identity = users.identify(&headers).await.inspect_err(|unverified| {
        // What nobody can tell is a failure, which the edge logs.
        if let Unverified::Refused(_) = unverified {
            warn!(cause = %unverified, "a service gets no token");
        }
    })?;
    let token = identity.token(&users.issuer).map_err(Error::internal)?;
    info!(service.identity = %identity.subject, "issued a token to the service {}", identity.subject);
    let expires_in = SERVICE_TOKEN_LIFETIME.as_secs();
    let token = ServiceToken { access_token: token.expose_secret().to_owned(), token_type: "bearer", expires_in };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(token)).into_response())
}

impl Users {
    async fn identify(&self, headers: &HeaderMap) -> Result<ServiceIdentity, Unverified> {
        let refused = |why: &str| Unverified::Refused(why.to_owned());
        let authenticator = self.authenticator.as_ref();
        let authenticator = authenticator.ok_or_else(|| refused("no identities are allowed (SERVICE_IDENTITIES)"))?;
        let mut shown = headers.get_all(IDENTITY_HEADER).iter();
        let proof = shown.next().ok_or_else(|| refused("it shows no proof"))?;
        if shown.next().is_some() {
            return Err(refused("it shows several proofs"));
        }
        authenticator.authenticate(proof.as_bytes()).await
    }
}
