//! The indexes of the collection of events, ensured at each start.

use mongodb::bson::{Document, doc};
use mongodb::options::IndexOptions;
use mongodb::{Collection, IndexModel, error};

/// Makes those that are not there; safe to do by many at once.
pub(super) async fn ensure(events: &Collection<Document>) -> error::Result<()> {
    events.create_indexes(all()).await.map(|_| ())
}

/// One that says which request is done, and those that counts read alone: documents are not looked at.
fn all() -> [IndexModel; 4] {
    let once = IndexOptions::builder().unique(true).sparse(true);
    [
        model(doc! { "request_id": 1 }, once.name("events_by_request".to_owned()).build()),
        model(doc! { "created_micros": 1, "event_type": 1 }, named("events_by_time")),
        model(doc! { "event_type": 1, "created_micros": 1 }, named("events_by_type")),
        model(doc! { "user_id": 1, "created_micros": 1, "event_type": 1 }, named("events_by_user")),
    ]
}

fn named(name: &str) -> IndexOptions {
    IndexOptions::builder().name(name.to_owned()).build()
}

fn model(keys: Document, options: IndexOptions) -> IndexModel {
    IndexModel::builder().keys(keys).options(options).build()
}
