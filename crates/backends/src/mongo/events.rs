//! Events in MongoDB: a document each.

use std::sync::Arc;
use std::time::Duration;

use analytics::model::{EventFilter, EventId, NewEvent};
use analytics::store::{EventCounts, EventStore, Recorded, StoreError};
use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use mongodb::Collection;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::ReadConcern;
use serde::Deserialize;

use super::error::{DUPLICATE_KEY, code, store_error};
use super::{Address, document, server};
use crate::OpenError;
use crate::calls::Calls;

/// The server stops a count that nobody waits for any more.
const COUNT_LIMIT: Duration = Duration::from_secs(4);
/// Calls at once; more is refused. Each may hold a document that is some times larger than its request.
const MOST_CALLS: usize = 1024;

/// All events of a database.
#[derive(Debug)]
pub(crate) struct MongoEvents {
    events: Events,
    calls: Calls,
}

/// What a call works with.
#[derive(Debug, Clone)]
struct Events(Collection<Document>);

/// What is kept of the request that brought an event.
#[derive(Deserialize)]
struct Request {
    #[serde(rename = "_id")]
    id: String,
    event_type: String,
    fingerprint: String,
}

#[derive(Deserialize)]
struct Count {
    #[serde(rename = "_id")]
    event_type: Bson,
    count: i64,
}

impl MongoEvents {
    /// Opens them, and ensures their indexes.
    pub(crate) async fn open(kind: &'static str, url: &str) -> Result<Arc<Self>, OpenError> {
        let address = Address::of(kind, url)?;
        let events = Events(server::open(kind, address).await?);
        Ok(Arc::new(Self { events, calls: Calls::at_most(MOST_CALLS) }))
    }

    /// The driver must not be interrupted: <https://jira.mongodb.org/browse/RUST-937>.
    async fn call<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.calls.run_to_its_end(work).await?
    }
}

impl Events {
    async fn record(self, event: NewEvent) -> Result<Recorded, StoreError> {
        let request_id = event.key.as_ref().map(|key| key.id.clone());
        match (self.0.insert_one(document::of_event(event)).await, request_id) {
            (Ok(_), _) => Ok(Recorded::Done),
            (Err(error), Some(request_id)) if code(&error) == Some(DUPLICATE_KEY) => {
                self.find_before(&request_id).await
            }
            (Err(error), _) => Err(store_error(&error)),
        }
    }

    /// The event of a request, as a majority has it: one that is there and may yet be rolled back was not done before.
    async fn find_before(&self, request_id: &str) -> Result<Recorded, StoreError> {
        let requests = self.0.clone_with_type::<Request>();
        let finding = requests
            .find_one(doc! { "request_id": request_id })
            .projection(doc! { "event_type": 1, "fingerprint": 1 })
            .read_concern(ReadConcern::majority());
        let before = finding.await.map_err(|error| store_error(&error))?;
        let Request { id, event_type, fingerprint } = before.ok_or(StoreError::Timeout)?;
        let id = id.parse().map_err(|_| StoreError::Other(format!("the document `{id}` is none of an event")))?;
        Ok(Recorded::Before { id: EventId(id), event_type, fingerprint })
    }

    async fn count(self, pipeline: [Document; 3]) -> Result<EventCounts, StoreError> {
        let failed = |error| store_error(&error);
        let counting = self.0.aggregate(pipeline).max_time(COUNT_LIMIT).with_type::<Count>();
        let counts: Vec<Count> = counting.await.map_err(failed)?.try_collect().await.map_err(failed)?;
        // What others put into the collection has no type that is a text.
        let named = |it: Count| Some((it.event_type.as_str()?.to_owned(), it.count.unsigned_abs()));
        Ok(counts.into_iter().filter_map(named).collect())
    }

    async fn ping(self) -> Result<(), StoreError> {
        let asked = self.0.client().database("admin").run_command(doc! { "ping": 1 }).await;
        asked.map(|_| ()).map_err(|error| store_error(&error))
    }
}

/// Fields of one index alone, and a group by a plain one of them: what every server that speaks the protocol does right.
fn count_pipeline(filter: &EventFilter) -> [Document; 3] {
    let (first, end) = filter.bounds_micros();
    let mut matching = doc! { "created_micros": { "$gte": first, "$lt": end } };
    if let Some(event_type) = filter.event_type {
        matching.insert("event_type", event_type.as_str());
    }
    if let Some(user_id) = &filter.user_id {
        matching.insert("user_id", user_id);
    }
    [
        doc! { "$match": matching },
        doc! { "$project": { "_id": 0, "event_type": 1 } },
        doc! { "$group": { "_id": "$event_type", "count": { "$sum": Bson::Int64(1) } } },
    ]
}

#[async_trait]
impl EventStore for MongoEvents {
    async fn record(&self, event: NewEvent) -> Result<Recorded, StoreError> {
        self.call(self.events.clone().record(event)).await
    }

    async fn count(&self, filter: &EventFilter) -> Result<EventCounts, StoreError> {
        self.call(self.events.clone().count(count_pipeline(filter))).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.call(self.events.clone().ping()).await
    }
}
