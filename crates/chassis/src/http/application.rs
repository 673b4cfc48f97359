//! What the server hands an application with each request, and what it wants back.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;

use super::refusal::Refusal;
use crate::auth::Claims;

/// What the server knows of a request that the request does not say.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    /// The other end of the connection.
    pub(crate) peer: SocketAddr,
    /// Why it is none: it stands for bytes that are to be refused.
    pub(crate) refusal: Option<Refusal>,
    /// It waited so long to be read, since the processor is the limit, that it is to be refused.
    pub(crate) is_late: bool,
    /// Which service the certificate of the connection is of.
    pub(crate) identity: Option<Arc<Claims>>,
}

/// What a listener serves: the edge with the routes behind it. Its future has no name, so that it needs no box.
pub(crate) trait Application: Clone + Send + Sync + 'static {
    /// Answers a request.
    fn answer(self, request: Request, arrival: Arrival) -> impl Future<Output = Response> + Send;
}
