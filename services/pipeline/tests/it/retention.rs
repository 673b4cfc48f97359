//! `ARCHIVE_RETENTION`: what has expired is counted, and deleted where that is allowed; archiving goes on whatever happens.

use std::time::Duration;

use bytes::Bytes;
use chassis::ports::ObjectStore;
use chassis::testing::{TestApp, check_exposition, eventually};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::kit::Stores;

const EXPIRED: &str = "messages/2025/06/01/01a1fcc5-807f-74c1-b15c-d5dc53c430a1.json";
const YOUNG: &str = "messages/2025/06/08/01a1fcc5-807f-74c1-b15c-d5dc53c430a2.json";

/// The time is 2025-06-09T10:30:45Z.
async fn start(settings: &[(&'static str, &str)]) -> (TestApp, Stores) {
    let mut stores = None;
    let settings = [settings, &[("ARCHIVE_RETENTION", "7d")]].concat();
    let app = TestApp::start(|context| stores.insert(Stores::new(context)).archiver(context, &settings));
    let stores = stores.unwrap();
    for key in [EXPIRED, YOUNG] {
        let body = Bytes::from_static(b"0123456789");
        stores.objects.put_if_absent(&key.parse().unwrap(), body, "application/json").await.unwrap();
        stores.objects.set_modified(key, "2025-06-01T12:00:00Z".parse().unwrap());
    }
    (app, stores)
}

async fn status(app: &TestApp) -> Value {
    app.get("/status").await.expect(200).json()["archive_retention"].take()
}

async fn passed(app: &TestApp) -> Value {
    eventually("a pass", || async { Some(status(app).await).filter(|status| !status["last_pass"].is_null()) }).await
}

async fn has_metric(app: &TestApp, name: &str, value: &str) {
    let page = app.get("/metrics").await.expect(200).text();
    check_exposition(&page);
    let is_it = |line: &str| line.starts_with(name) && line.ends_with(&format!(" {value}"));
    assert!(page.lines().any(is_it), "{name} {value}: {page}");
}

#[tokio::test(start_paused = true)]
async fn a_retention_alone_counts_what_it_would_delete_and_says_so() {
    let (app, stores) = start(&[]).await;
    let expected = json!({
        "kept": "7d", "deletes": false,
        "note": "nothing is deleted: ARCHIVE_RETENTION_DELETE=true deletes them for good",
        "last_pass": {
            "ended_at": "2025-06-09T10:30:45Z", "failure": null,
            "expired": { "objects": 1, "bytes": 10 }, "deleted": { "objects": 0, "bytes": 0 },
            "oldest_day": "2025-06-01", "newest_day": "2025-06-01",
        },
    });
    assert_eq!(passed(&app).await, expected);
    assert_eq!(stores.objects.keys(), [EXPIRED, YOUNG]);
    has_metric(&app, "archive_expired_left{unit=\"bytes\"", "10").await;
    has_metric(&app, "archive_expired_objects_total", "0").await;
    app.shut_down().await;
}

#[tokio::test(start_paused = true)]
async fn what_expires_is_deleted_each_hour_where_that_is_allowed() {
    let (app, stores) = start(&[("ARCHIVE_RETENTION_DELETE", "true")]).await;
    let status = passed(&app).await;
    assert_eq!((&status["note"], &status["last_pass"]["deleted"]["objects"]), (&Value::Null, &json!(1)));
    assert_eq!(stores.objects.keys(), [YOUNG]);
    app.clock.advance(Duration::from_secs(8 * 86_400));
    sleep(Duration::from_secs(3700)).await;
    assert_eq!(stores.objects.keys(), Vec::<String>::new());
    has_metric(&app, "archive_expired_objects_total", "2").await;
    has_metric(&app, "archive_expired_bytes_total", "20").await;
    has_metric(&app, "archive_retention_passes_total{outcome=\"done\"", "2").await;
    has_metric(&app, "archive_retention_last_success_timestamp_seconds", "1750156245").await;
    app.shut_down().await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_deleted_stops_nothing_and_is_tried_again() {
    let (app, stores) = start(&[("ARCHIVE_RETENTION_DELETE", "true")]).await;
    stores.objects.fail_key(EXPIRED);
    let failure = passed(&app).await["last_pass"]["failure"].take();
    assert!(failure.as_str().is_some_and(|text| text.contains("was made to fail")), "{failure}");
    app.get("/ready").await.expect(200);
    let id = stores.send("{}", &[]).await;
    eventually("a message is archived", || stores.stored(&id)).await;
    has_metric(&app, "archive_retention_passes_total{outcome=\"failed\"", "1").await;
    stores.objects.heal_key(EXPIRED);
    sleep(Duration::from_secs(3700)).await;
    assert_eq!(status(&app).await["last_pass"]["failure"], Value::Null);
    assert!(!stores.objects.keys().contains(&EXPIRED.to_owned()));
    app.shut_down().await;
}

#[tokio::test]
async fn without_a_retention_there_is_nothing_of_it() {
    let app = TestApp::start(|context| Stores::new(context).archiver(context, &[]));
    let page = app.get("/status").await.expect(200).json();
    assert_eq!(page.get("archive_retention"), None);
    assert!(!app.get("/metrics").await.expect(200).text().contains("archive_expired"));
    app.shut_down().await;
}
