//! The API document, whole: a change of a route shows here.

use chassis::http::openapi;
use chassis::service::Context;

use crate::kit::service;

#[test]
fn the_document_of_analytics_is_as_recorded() {
    let context = Context { version: "1.2.3".into(), ..Context::system() };
    insta::assert_json_snapshot!(openapi(service(&context)));
}
