//! The API document and its page, both served without internet.

use http::StatusCode;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{Components, ContentBuilder, InfoBuilder, OpenApi, PathItem, Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::standard;
use crate::error::Problem;
use crate::ops;
use crate::service::{Identity, Service};

/// The name of the scheme of users' tokens.
pub(super) const USER: &str = "user";
/// The name of the scheme that `/ops/v1` asks for.
const OPERATOR: &str = "operator";
/// Tags of the routes that every service has, which stand behind a service's own.
const STANDARD_TAGS: [&str; 3] = ["operations", "health", "service"];

/// Completes a generated document with what stands at no single route: who this is, what errors look like, what
/// operators show.
pub(super) fn describe(mut document: OpenApi, identity: &Identity, name: &str, version: &str) -> OpenApi {
    document.info = InfoBuilder::new().title(name).version(version).description(Some(identity.about)).build();
    let components = document.components.get_or_insert_with(Components::new);
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    let bearer = || SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.add_security_scheme(OPERATOR, bearer());
    components.add_security_scheme(USER, bearer());
    let mut tags = Vec::new();
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            describe_answers(operation);
            if path.starts_with(ops::PREFIX) {
                operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>(OPERATOR, [])]);
            }
            tags.extend(operation.tags.iter().flatten().cloned());
        }
    }
    tags.sort_by_key(|tag| STANDARD_TAGS.iter().position(|standard| standard == tag).map_or(0, |place| place + 1));
    tags.dedup();
    document.tags = Some(tags.into_iter().map(|tag| TagBuilder::new().name(tag).build()).collect());
    document
}

pub(super) fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

/// Every failed answer has the same body; an answer that documents one of its own keeps it. The document must
/// describe every answer, in the status's own words if in no others.
fn describe_answers(operation: &mut Operation) {
    let problem = || ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if status.starts_with(['4', '5']) && response.content.is_empty() {
            response.content.insert("application/problem+json".into(), RefOr::T(problem()));
        }
        if response.description.is_empty() {
            let reason = status.parse().ok().and_then(|status: StatusCode| status.canonical_reason());
            response.description = reason.unwrap_or("An answer").to_owned();
        }
    }
}

/// The whole document of a service: its own routes and those that every service has.
pub(super) fn document(service: Service) -> OpenApi {
    let (_, mut document) = standard::public_routes().merge(standard::internal_routes(true)).split_for_parts();
    let (_, chassis) = ops::routes().split_for_parts();
    let (_, own) = service.routes.guarded(true).split_for_parts();
    let (_, operator) = service.operator_routes.split_for_parts();
    for part in [chassis, own, operator] {
        document.merge(part);
    }
    describe(document, &service.identity, &service.name, &service.version)
}

/// The routes of [`page`], which are in no document.
pub(super) const PATHS: [&str; 4] = ["/docs", "/docs/", "/docs/{*rest}", "/openapi.json"];

/// `/docs` and `/openapi.json`.
pub(super) fn page(document: OpenApi) -> SwaggerUi {
    let config = Config::default().try_it_out_enabled(true).display_request_duration(true);
    SwaggerUi::new("/docs").url("/openapi.json", document).config(config)
}
