//! The API documents, whole: a change of a route shows here.

use chassis::http::openapi;
use chassis::service::Context;

use crate::kit::Stores;

#[test]
fn the_document_of_ingest_is_as_recorded() {
    let context = Context { version: "1.2.3".into(), ..Context::system() };
    insta::assert_json_snapshot!(openapi(Stores::new(&context).ingest(&context)));
}

#[test]
fn the_document_of_the_archiver_is_as_recorded() {
    let context = Context { version: "1.2.3".into(), ..Context::system() };
    insta::assert_json_snapshot!(openapi(Stores::new(&context).archiver(&context, &[])));
}
