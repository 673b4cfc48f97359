//! Events in databases: the conformance suite, and what other programs wrote.

use std::sync::Arc;

use analytics::store::EventStore;
use analytics::testing::EventHarness;
use async_trait::async_trait;
use backends::{OpenError, open_events};
use tempfile::TempDir;

use crate::postgres::{execute, fresh_database};
use crate::users::context;

struct Harness {
    url: String,
    store: Arc<dyn EventStore>,
    _folder: Option<TempDir>,
}

impl Harness {
    async fn new(url: String, folder: Option<TempDir>) -> Self {
        let store = open(&url).await;
        Self { url, store, _folder: folder }
    }
}

#[async_trait]
impl EventHarness for Harness {
    fn store(&self) -> Arc<dyn EventStore> {
        self.store.clone()
    }

    async fn other_process(&self) -> Arc<dyn EventStore> {
        open(&self.url).await
    }
}

async fn open(url: &str) -> Arc<dyn EventStore> {
    open_events(url, context()).await.unwrap()
}

fn file() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("events.db").display());
    (folder, url)
}

mod sqlite {
    use super::{Harness, file};

    async fn harness() -> Option<Harness> {
        let (folder, url) = file();
        Some(Harness::new(url, Some(folder)).await)
    }

    analytics::event_conformance!(harness);
}

mod postgres {
    use super::{Harness, fresh_database};

    async fn harness() -> Option<Harness> {
        Some(Harness::new(fresh_database().await?, None).await)
    }

    analytics::event_conformance!(harness);
}

mod mongodb {
    use super::Harness;
    use crate::mongo::fresh_url;

    async fn harness() -> Option<Harness> {
        Some(Harness::new(fresh_url()?, None).await)
    }

    analytics::event_conformance!(harness);
}

#[tokio::test]
async fn a_type_of_a_newer_program_is_counted_by_its_name() {
    let Some(url) = fresh_database().await else { return };
    let store = open(&url).await;
    let insert = "INSERT INTO keelson_analytics.events (id, event_type, event_name, created_at) \
                  VALUES (gen_random_uuid(), 'party', 'x', 1)";
    execute(&url, insert).await;
    let counts = store.count(&analytics::model::EventFilter::default()).await.unwrap();
    assert_eq!(counts, [("party".to_owned(), 1)].into());
}

#[tokio::test]
async fn a_scheme_that_is_not_known_is_refused_without_its_password() {
    let text = open_events("mysql://user:hunter2@host/events", context()).await.unwrap_err().to_string();
    assert!(text.contains("unknown store of events scheme `mysql`") && !text.contains("hunter2"), "{text}");
    let error = open_events("sqlite:", context()).await.unwrap_err();
    assert!(matches!(error, OpenError::Malformed { kind: "store of events", .. }), "{error}");
    assert!(text.contains("`mongodb://USER:PASSWORD@HOST/DATABASE`"), "{text}");
}
