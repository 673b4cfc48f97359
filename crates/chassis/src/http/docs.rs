//! The API document and its page, both served without internet.

use utoipa::openapi::{InfoBuilder, OpenApi};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::standard;
use crate::service::{Identity, Service};

/// Completes a generated document with what the routes do not know.
pub(super) fn describe(mut document: OpenApi, identity: &Identity, name: &str, version: &str) -> OpenApi {
    document.info = InfoBuilder::new().title(name).version(version).description(Some(identity.about)).build();
    document
}

/// The whole document of a service: its own routes and those that every service has.
pub(super) fn document(service: Service) -> OpenApi {
    let (_, mut document) = standard::public_routes().merge(standard::internal_routes(true)).split_for_parts();
    let (_, own) = service.routes.split_for_parts();
    let (_, operator) = service.internal_routes.split_for_parts();
    document.merge(own);
    document.merge(operator);
    describe(document, &service.identity, &service.name, &service.version)
}

/// `/docs` and `/openapi.json`.
pub(super) fn page(document: OpenApi) -> SwaggerUi {
    let config = Config::default().try_it_out_enabled(true).display_request_duration(true);
    SwaggerUi::new("/docs").url("/openapi.json", document).config(config)
}
