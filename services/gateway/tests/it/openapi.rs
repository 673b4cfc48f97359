//! The API document, whole: a change of a route shows here.

use chassis::http::openapi;
use chassis::service::Context;
use gateway::Parts;

#[test]
fn the_document_of_the_gateway_is_as_recorded() {
    let context = Context { version: "1.2.3".into(), ..Context::system() };
    insta::assert_json_snapshot!(openapi(gateway::service(Parts::default(), &context).unwrap()));
}
