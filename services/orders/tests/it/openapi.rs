//! The API document, whole: a change of a route shows here.

use chassis::http::openapi;
use chassis::service::Context;
use orders::MemoryOrders;

use crate::kit::service_on;

#[test]
fn the_document_of_orders_is_as_recorded() {
    let context = Context { version: "1.2.3".into(), ..Context::system() };
    let service = service_on(MemoryOrders::new(), "http://127.0.0.1:8002", &context);
    insta::assert_json_snapshot!(openapi(service));
}
