//! A fake of AWS with what the pipeline needs: a queue with dead letters, a bucket, a token.

use std::collections::BTreeSet;

use serde_json::Value;
use testkit::aws::{Fake, StoredMessage};
use testkit::proxy::Proxy;

use crate::launch::{Launch, STRONG_TOKEN};
use crate::production;

pub(crate) const QUEUE: &str = "messages";
pub(crate) const BUCKET: &str = "archive";
pub(crate) const PARAMETER: &str = "/keelson/api-token";

/// Deliveries before SQS gives a message up, far above what any test causes.
const MAX_RECEIVES: u64 = 1000;

pub(crate) struct Cloud {
    pub(crate) fake: Fake,
    queue_url: String,
}

impl Cloud {
    pub(crate) async fn start() -> Self {
        Self::with_max_receives(MAX_RECEIVES).await
    }

    /// SQS gives a message up after so many deliveries.
    pub(crate) async fn with_max_receives(max_receives: u64) -> Self {
        let fake = Fake::start().await;
        fake.create_bucket(BUCKET);
        fake.set_parameter(PARAMETER, STRONG_TOKEN);
        let queue_url = fake.create_queue_with_dead_letters(QUEUE, 30, max_receives);
        Self { fake, queue_url }
    }

    /// Services in production, on this cloud alone.
    pub(crate) fn serve(&self, services: &[&str]) -> Launch {
        let launch = production::serve(services).unset("API_TOKEN").env("SSM_PARAMETER_NAME", PARAMETER);
        let launch = launch.env("SQS_QUEUE_URL", &self.queue_url).env("S3_BUCKET_NAME", BUCKET);
        let launch = launch.env("RATE_LIMIT", "0").env("VISIBILITY_TIMEOUT", "2s");
        self.fake.environment().iter().fold(launch, |launch, (name, value)| launch.env(name, value))
    }

    /// The same, with all of AWS behind this proxy.
    pub(crate) fn serve_through(&self, services: &[&str], proxy: &Proxy) -> Launch {
        let queue_url = self.queue_url.replace(&self.fake.url(), &proxy.url());
        self.serve(services).env("AWS_ENDPOINT_URL", &proxy.url()).env("SQS_QUEUE_URL", &queue_url)
    }

    /// The ids of all objects, each of which is whole and names its own message.
    pub(crate) fn stored_ids(&self) -> BTreeSet<String> {
        let object = |(key, object): (String, testkit::aws::Object)| {
            let stored: Value = serde_json::from_slice(&object.body).unwrap();
            let id = stored["_metadata"]["message_id"].as_str().unwrap().to_owned();
            assert!(key.ends_with(&format!("/{id}.json")), "{key} holds {id}");
            id
        };
        let objects = self.fake.objects(BUCKET);
        let count = objects.len();
        let ids: BTreeSet<_> = objects.into_iter().map(object).collect();
        assert_eq!(ids.len(), count, "a message has two objects");
        ids
    }

    pub(crate) fn dead_letters(&self) -> Vec<StoredMessage> {
        self.fake.dead_letters(QUEUE)
    }
}
