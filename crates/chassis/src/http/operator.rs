//! Who may operate a service: the bearer of the operator's token. Without one nobody may.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::Route;
use futures_util::future::{Either, ready};
use secrecy::SecretString;
use tower::layer::layer_fn;
use tower::{Layer, Service, service_fn};

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
    layer_fn(move |mut inner: Route| {
        let operator = Arc::clone(&operator);
        service_fn(move |request: Request| match operator.admits(&request) {
            // A route is always ready.
            Ok(()) => Either::Left(inner.call(request)),
            Err(error) => Either::Right(ready(Ok::<_, Infallible>(error.into_response()))),
        })
    })
}
