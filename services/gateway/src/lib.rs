//! One port for the whole system: passes each request on to the service that it is for, and the answer back as it
//! comes.
//!
//! `model` holds the rules, without I/O: which targets are passed on, and what changes in the headers. Who may call
//! what is for the services behind to say: tokens go along as they came.

mod behind;
mod error;
mod handlers;
mod model;
mod routes;

use chassis::client::NoClient;
use chassis::service::{Context, Identity, Service};

use behind::Destinations;
pub use behind::Parts;

/// Who the gateway is.
pub const IDENTITY: Identity = Identity {
    name: "gateway",
    short_name: "gateway",
    about: "One port for the whole system: passes requests on to the services behind it.",
};

/// Builds the service.
///
/// # Errors
/// [`NoClient`]: a service behind the gateway cannot be called.
pub fn service(parts: Parts, context: &Context) -> Result<Service, NoClient> {
    // Clients of ingest look for its errors there, and those of the gateway are in the place of its own.
    let service = Service::new(IDENTITY, context).with_error_member();
    let destinations = Destinations::new(parts, context, &service)?;
    destinations.warn_of_unknown();
    let service = service.routes(routes::routes(&destinations));
    Ok(destinations.checks().fold(service, Service::check))
}
