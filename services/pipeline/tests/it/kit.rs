//! The pipeline's stores in memory, and the messages that the tests send.

use std::sync::Arc;
use std::time::Duration;

use chassis::auth::ApiToken;
use chassis::config::{Layers, Reader};
use chassis::ports::queue::Attributes;
use chassis::ports::secrets::SecretRef;
use chassis::ports::{
    MemoryObjects, MemoryQueue, MemorySecrets, Message, MessageId, NewMessage, ObjectKey, ObjectStore, Queue, Receive,
};
use chassis::service::{Context, Service};
use pipeline::config::ArchiverConfig;
use pipeline::model::record::object_key;
use pipeline::{archiver, ingest};
use serde_json::{Value, json};

pub(crate) const TOKEN: &str = "the-api-token-of-this-test";

/// Filled in when the service is built, because its clock and ids come with it.
pub(crate) struct Stores {
    pub(crate) queue: Arc<MemoryQueue>,
    pub(crate) objects: Arc<MemoryObjects>,
    pub(crate) secrets: Arc<MemorySecrets>,
    token: Arc<ApiToken>,
}

impl Stores {
    pub(crate) fn new(context: &Context) -> Self {
        let secrets = Arc::new(MemorySecrets::default());
        secrets.set("api_token", TOKEN);
        let reference = SecretRef { scheme: "memory".into(), name: "api_token".into() };
        let token = ApiToken::fetched(Arc::clone(&secrets) as _, reference, Arc::clone(&context.clock));
        let queue = MemoryQueue::new(Arc::clone(&context.clock), Arc::clone(&context.ids), 3);
        Self { queue, objects: MemoryObjects::new(), secrets, token }
    }

    pub(crate) fn ingest(&self, context: &Context) -> Service {
        let queue: Arc<dyn Queue> = Arc::clone(&self.queue) as _;
        ingest::service(&queue, &self.token, context)
    }

    pub(crate) fn archiver(&self, context: &Context, settings: &[(&'static str, &str)]) -> Service {
        archiver_on(&(Arc::clone(&self.queue) as _), &(Arc::clone(&self.objects) as _), context, settings)
    }

    /// The messages that are visible, which are then hidden for 30 s.
    pub(crate) async fn receive(&self) -> Vec<Message> {
        let request = Receive { max: 10, wait: Duration::ZERO, visibility: Duration::from_secs(30) };
        self.queue.receive(request).await.unwrap()
    }

    pub(crate) async fn send(&self, body: &str, attributes: &[(&str, &str)]) -> MessageId {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let attributes: Attributes = attributes.iter().map(pair).collect();
        self.queue.send(NewMessage::new(body, attributes)).await.unwrap()
    }

    /// The stored object of a message that was sent while the clock stood at its start.
    pub(crate) async fn stored(&self, id: &MessageId) -> Option<Value> {
        let body = self.objects.get(&self.key(id)).await.ok()??;
        Some(serde_json::from_slice(&body).unwrap())
    }

    /// Where a message is stored that was sent while the clock stood at its start.
    pub(crate) fn key(&self, id: &MessageId) -> ObjectKey {
        object_key(id, "2025-06-09T10:30:45Z".parse().unwrap()).unwrap()
    }
}

pub(crate) fn archiver_on(
    queue: &Arc<dyn Queue>,
    objects: &Arc<dyn ObjectStore>,
    context: &Context,
    settings: &[(&'static str, &str)],
) -> Service {
    let layers = Layers::of(settings);
    let config = ArchiverConfig::read(&mut Reader::new(&layers));
    archiver::service(config, queue, objects, context)
}

pub(crate) fn message() -> Value {
    json!({
        "token": TOKEN,
        "data": {
            "email_subject": "Happy new year!", "email_sender": "John Doe",
            "email_timestream": "1693561101", "email_content": "Just want to say... Happy new year!!!",
        },
    })
}
