//! Who may operate a service: the bearer of the operator's token. Without one nobody may.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use axum::routing::Route;
use secrecy::SecretString;
use tower::{Layer, Service};

use super::access::guard;
use super::bearer::bearer;
use crate::auth::is_same;
use crate::error::{Error, Kind};

/// The operator's token, if there is one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Operator(pub(crate) Option<SecretString>);

impl Operator {
    fn admits(&self, request: &Request) -> Result<(), Error> {
        let Some(token) = bearer(request.headers()) else {
            return Err(Error::new(Kind::Unauthorized, "Access token is missing"));
        };
        match &self.0 {
            Some(known) if is_same(known, token) => Ok(()),
            _ => Err(Error::new(Kind::Unauthorized, "Invalid or expired token")),
        }
    }
}

/// Lets the operator through to the routes that it is put around.
pub(super) fn require_operator(
    operator: Arc<Operator>,
) -> impl Layer<
    Route,
    Service: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync,
> + Clone
+ Send
+ Sync {
    guard(move |request| operator.admits(request))
}
