//! HTTP as services see it: the edge that every request passes, extractors that answer with our errors, and the
//! routes that every service has.

mod access;
mod application;
mod bearer;
mod body;
mod call_path;
mod call_request;
mod calls;
mod client;
mod conditional;
mod docs;
mod edge;
mod encryption;
mod envelope;
mod expiry;
mod extract;
mod idempotency;
mod identify;
mod operator;
mod origin;
mod overload;
mod own_headers;
mod pagination;
mod problem;
mod rate_limit;
mod refusal;
mod router;
mod routes;
mod services;
mod standard;

pub(crate) use access::ENCRYPTION_REQUIRED;
pub use access::{Routes, lacks};
pub(crate) use application::{Application, Arrival};
pub use bearer::ShownToken;
pub use body::RawBody;
pub use client::ThroughProxy;
pub use conditional::{Conditions, EntityTag, changed_meanwhile};
pub(crate) use edge::Edge;
pub use envelope::Envelope;
pub(crate) use expiry::forget_expired;
pub use extract::{Json, Path, Query};
pub use idempotency::{Idempotency, Keyed, RequestKey, StoredAnswer};
pub(crate) use operator::Operator;
pub use pagination::{MAX_LIMIT, Page, Paging};
pub(crate) use rate_limit::network_of;
pub(crate) use refusal::Refusal;
pub(crate) use router::{Routers, ServiceState, Shared, build_routers};

/// The API document of a service, as `/openapi.json` serves it.
#[must_use]
pub fn openapi(service: crate::service::Service) -> utoipa::openapi::OpenApi {
    docs::document(service)
}
