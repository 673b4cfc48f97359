//! All URLs that are passed on, and to whom.

use std::sync::Arc;

use axum::extract::Request;
use axum::routing::{MethodRouter, any};
use chassis::http::{Routes, ThroughProxy};
use utoipa::openapi::path::{HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, Paths};
use utoipa::openapi::{Object, Required, ResponseBuilder, Type};
use utoipa_axum::router::UtoipaMethodRouter;

use crate::behind::{Destination, Destinations};
use crate::handlers::pass_on;

/// The rest of a path.
const REST: &str = "*path";
/// Of all of them in the document: what a service answers stands in its own.
const TAG: &str = "services";

/// The routes, which are public here: who may call what, the service that answers knows.
///
/// Any method is passed on. The document names one of each, by which the edge knows the route.
pub(crate) fn routes(to: &Destinations) -> Routes {
    let Destinations { users, orders, analytics, ingest } = to;
    let table = [
        // With it, who verifies tokens of this system needs no other address.
        (HttpMethod::Get, "/.well-known/jwks.json", "pass_on_keys", users),
        (HttpMethod::Get, "/api/v1/users", "pass_on_users", users),
        (HttpMethod::Get, "/api/v1/users/{*path}", "pass_on_below_users", users),
        (HttpMethod::Get, "/api/v1/orders", "pass_on_orders", orders),
        (HttpMethod::Get, "/api/v1/orders/{*path}", "pass_on_below_orders", orders),
        (HttpMethod::Get, "/api/v1/analytics", "pass_on_analytics", analytics),
        (HttpMethod::Get, "/api/v1/analytics/{*path}", "pass_on_below_analytics", analytics),
        (HttpMethod::Post, "/api/message", "pass_on_message", ingest),
        (HttpMethod::Post, "/submit", "pass_on_submission", ingest),
    ];
    table.into_iter().fold(Routes::new(), |routes, (method, path, id, to)| {
        let documented = document(method, path, id, to.name());
        let route: UtoipaMethodRouter = (Vec::new(), documented, handler(to));
        routes.passed_on(route)
    })
}

fn handler(to: &Arc<Destination>) -> MethodRouter {
    let to = Arc::clone(to);
    any(move |proxy: ThroughProxy, request: Request| {
        let to = Arc::clone(&to);
        async move { pass_on(&to, proxy, request).await }
    })
}

fn document(method: HttpMethod, path: &str, id: &str, service: &str) -> Paths {
    let operation = OperationBuilder::new()
        .operation_id(Some(id))
        .tag(TAG)
        .summary(Some(format!("Passes on to {service}")))
        .description(Some(format!(
            "Whatever the method: `/docs` of {service} says what there is. All of the request goes along as it came."
        )))
        .response("default", ResponseBuilder::new().description(format!("The answer of {service}")))
        .response("504", ResponseBuilder::new().description(format!("{service} did not answer in time")));
    let operation = if path.ends_with("{*path}") { operation.parameter(rest()) } else { operation };
    let mut paths = Paths::new();
    paths.add_path_operation(path, vec![method], operation.build());
    paths
}

fn rest() -> Parameter {
    ParameterBuilder::new()
        .name(REST)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some("The rest of the path, one segment or several"))
        .schema(Some(Object::with_type(Type::String)))
        .build()
}
