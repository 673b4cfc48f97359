//! The API document and its page, both served without internet.

use http::StatusCode;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, Content, ContentBuilder, HeaderBuilder, InfoBuilder, Object, OpenApi, PathItem, Ref, RefOr, Response,
    ResponseBuilder, Type,
};
use utoipa::{PartialSchema, ToSchema};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::access::Guards;
use super::routes::UNLIMITED;
use super::{calls, services, standard};
use crate::error::Problem;
use crate::ops;
use crate::service::{Identity, Service};

/// The name of the scheme of users' tokens.
pub(super) const USER: &str = "user";
/// The name of the scheme that `/ops/v1` asks for.
const OPERATOR: &str = "operator";
/// The content type of every failed answer (RFC 9457).
const PROBLEM_TYPE: &str = "application/problem+json";
/// Tags of the routes that every service has, which stand behind a service's own.
const STANDARD_TAGS: [&str; 3] = ["operations", "health", "service"];

/// What the edge may answer in front of any route: the status, the name in the document, and why. What a route says of
/// the same status itself stands in its place.
const EDGE_ANSWERS: [(&str, &str, &str); 8] = [
    ("400", "BadRequest", "The request or one of its headers is malformed"),
    ("408", "RequestTimeout", "The request body took too long"),
    ("413", "PayloadTooLarge", "The request body is over the limit"),
    ("414", "UriTooLong", "The path and the query are over the limit"),
    (RATE_LIMITED, "TooManyRequests", "The client is over the rate limit"),
    ("431", "HeadersTooLarge", "The headers are over the limit"),
    ("500", "InternalServerError", "A fault of the service; its log has the cause under the correlation id"),
    ("503", "Unavailable", "The service is overloaded, or something that it needs is down"),
];
/// Of these, the one that load balancers and scrapers never get.
const RATE_LIMITED: &str = "429";
/// Those that say when to come again.
const RETRIED: [&str; 2] = [RATE_LIMITED, "503"];

/// Completes a generated document with what stands at no single route: who this is, what errors look like, what
/// operators show.
pub(super) fn describe(mut document: OpenApi, identity: &Identity, name: &str, version: &str) -> OpenApi {
    document.info = InfoBuilder::new().title(name).version(version).description(Some(identity.about)).build();
    let components = document.components.get_or_insert_with(Components::new);
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    components.responses.extend(EDGE_ANSWERS.map(|(status, name, text)| (name.to_owned(), edge_answer(status, text))));
    let bearer = || SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.add_security_scheme(OPERATOR, bearer());
    components.add_security_scheme(USER, bearer());
    let mut tags = Vec::new();
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            if path.starts_with(ops::PREFIX) {
                operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>(OPERATOR, [])]);
                add_answer(operation, "401", || Response::new("The operator's token is missing or wrong").into());
            }
            describe_answers(operation);
            let is_unlimited = UNLIMITED.contains(&path.as_str());
            for (status, name, _) in EDGE_ANSWERS {
                if !(is_unlimited && status == RATE_LIMITED) {
                    add_answer(operation, status, || Ref::from_response_name(name).into());
                }
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

/// Adds an answer that the operation does not describe itself.
pub(super) fn add_answer(operation: &mut Operation, status: &str, answer: impl FnOnce() -> RefOr<Response>) {
    operation.responses.responses.entry(status.to_owned()).or_insert_with(answer);
}

fn edge_answer(status: &str, text: &str) -> RefOr<Response> {
    let answer = ResponseBuilder::new().description(text).content(PROBLEM_TYPE, problem());
    if !RETRIED.contains(&status) {
        return answer.into();
    }
    let seconds = HeaderBuilder::new().schema(Some(Object::with_type(Type::Integer)));
    answer.header("Retry-After", seconds.description(Some("Seconds to wait")).build()).into()
}

fn problem() -> Content {
    ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build()
}

/// Every failed answer has the same body; an answer that documents one of its own keeps it. The document must
/// describe every answer, in the status's own words if in no others.
fn describe_answers(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if status.starts_with(['4', '5']) && response.content.is_empty() {
            response.content.insert(PROBLEM_TYPE.into(), RefOr::T(problem()));
        }
        if response.description.is_empty() {
            let reason = status.parse().ok().and_then(|status: StatusCode| status.canonical_reason());
            response.description = reason.unwrap_or("An answer").to_owned();
        }
    }
}

/// The whole document of a service: its own routes and those that every service has.
pub(super) fn document(service: Service) -> OpenApi {
    let guards = Guards::OF_PRODUCTION;
    let routes = standard::public_routes().merge(standard::internal_routes(true));
    let routes = routes.merge(services::public_routes().guarded(guards)).merge(calls::routes().guarded(guards));
    let (_, mut document) = routes.split_for_parts();
    let (_, chassis) = ops::routes().split_for_parts();
    let (_, own) = service.routes.guarded(guards).split_for_parts();
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
