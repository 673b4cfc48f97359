//! The conformance suite of [`ObjectStore`]: what every adapter and decorator must do.
//!
//! `chassis::object_conformance!(make_harness)` in a test module makes one named test per case.
#![expect(missing_docs, reason = "the name of a case is a sentence")]
#![expect(clippy::unwrap_used, reason = "test code: a panic is the failure report")]

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::ports::objects::{Listed, MAX_KEY_BYTES, ObjectError, ObjectKey, ObjectStore, Put};

/// A fresh, empty store. Owns whatever must outlive it, such as a folder.
#[async_trait]
pub trait ObjectHarness: Send + Sync {
    /// The store under test.
    fn store(&self) -> Arc<dyn ObjectStore>;
}

fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}

async fn put(harness: &impl ObjectHarness, key_text: &str, body: &[u8]) -> Result<Put, ObjectError> {
    harness.store().put_if_absent(&key(key_text), Bytes::copy_from_slice(body), "application/json").await
}

async fn get(harness: &impl ObjectHarness, key_text: &str) -> Option<Bytes> {
    harness.store().get(&key(key_text)).await.unwrap()
}

pub async fn a_created_object_reads_back(harness: &impl ObjectHarness) {
    assert_eq!(put(harness, "one.json", b"{\"a\": 1}").await.unwrap(), Put::Created);
    assert_eq!(get(harness, "one.json").await.unwrap(), "{\"a\": 1}");
}

pub async fn a_second_put_changes_nothing(harness: &impl ObjectHarness) {
    put(harness, "one.json", b"first").await.unwrap();
    for _ in 0..2 {
        assert_eq!(put(harness, "one.json", b"second").await.unwrap(), Put::AlreadyExists);
    }
    assert_eq!(get(harness, "one.json").await.unwrap(), "first");
}

pub async fn of_50_concurrent_writers_exactly_one_creates(harness: &impl ObjectHarness) {
    let writer = |number: usize| async move {
        let body = number.to_string().repeat(1000);
        (put(harness, "a/new/folder/one.json", body.as_bytes()).await.unwrap(), body)
    };
    let outcomes = join_all((0..50).map(writer)).await;
    let created: Vec<_> = outcomes.into_iter().filter(|(put, _)| *put == Put::Created).collect();
    assert_eq!(created.len(), 1, "{} writers created the object", created.len());
    assert_eq!(get(harness, "a/new/folder/one.json").await.unwrap(), created[0].1);
}

pub async fn concurrent_writers_of_different_keys_all_create(harness: &impl ObjectHarness) {
    let keys: Vec<String> = (0..50).map(|number| format!("day{}/{number}.json", number % 3)).collect();
    let outcomes = join_all(keys.iter().map(|key| put(harness, key, key.as_bytes()))).await;
    assert!(outcomes.into_iter().all(|outcome| outcome.unwrap() == Put::Created));
    for key in &keys {
        assert_eq!(get(harness, key).await.unwrap(), key.as_bytes());
    }
}

pub async fn a_missing_object_is_none(harness: &impl ObjectHarness) {
    assert_eq!(get(harness, "missing").await, None);
    assert_eq!(get(harness, "missing/folder/object").await, None);
}

pub async fn delete_says_whether_there_was_an_object(harness: &impl ObjectHarness) {
    put(harness, "folder/one", b"x").await.unwrap();
    assert!(harness.store().delete(&key("folder/one")).await.unwrap());
    assert!(!harness.store().delete(&key("folder/one")).await.unwrap());
    assert!(!harness.store().delete(&key("never/there")).await.unwrap());
    assert_eq!(get(harness, "folder/one").await, None);
}

pub async fn a_deleted_key_can_be_created_again(harness: &impl ObjectHarness) {
    put(harness, "one", b"first").await.unwrap();
    harness.store().delete(&key("one")).await.unwrap();
    assert_eq!(put(harness, "one", b"second").await.unwrap(), Put::Created);
    assert_eq!(get(harness, "one").await.unwrap(), "second");
}

pub async fn an_empty_object_is_kept(harness: &impl ObjectHarness) {
    assert_eq!(put(harness, "empty", b"").await.unwrap(), Put::Created);
    assert_eq!(get(harness, "empty").await, Some(Bytes::new()));
    assert_eq!(put(harness, "empty", b"x").await.unwrap(), Put::AlreadyExists);
}

pub async fn five_mebibytes_read_back(harness: &impl ObjectHarness) {
    let body: Vec<u8> = (0..5 << 20).map(|at: u32| (at % 251) as u8).collect();
    put(harness, "large", &body).await.unwrap();
    assert!(get(harness, "large").await.unwrap() == body, "the body changed");
}

pub async fn unicode_and_odd_keys_are_kept(harness: &impl ObjectHarness) {
    let keys = ["Grüße/世界 🚀.json", "with space", "a+b=c&d?e#f", "percent%20", "a..b", "-dash", "~", "quote\"'"];
    for key in keys {
        assert_eq!(put(harness, key, key.as_bytes()).await.unwrap(), Put::Created, "{key}");
    }
    for key in keys {
        assert_eq!(get(harness, key).await.unwrap(), key.as_bytes());
    }
}

pub async fn the_longest_segment_and_key_are_kept(harness: &impl ObjectHarness) {
    let longest_segment = "s".repeat(255);
    let longest_key = ["k".repeat(204).as_str(); 5].join("/");
    assert_eq!(longest_key.len(), MAX_KEY_BYTES);
    for key in [longest_segment, longest_key] {
        assert_eq!(put(harness, &key, b"long").await.unwrap(), Put::Created);
        assert_eq!(get(harness, &key).await.unwrap(), "long");
    }
}

pub async fn nested_keys_are_kept_apart(harness: &impl ObjectHarness) {
    for key in ["messages/2025/06/09/1.json", "messages/2025/06/10/1.json", "messages/2025/06/09/2.json"] {
        assert_eq!(put(harness, key, key.as_bytes()).await.unwrap(), Put::Created);
    }
    assert_eq!(get(harness, "messages/2025/06/10/1.json").await.unwrap(), "messages/2025/06/10/1.json");
    assert_eq!(get(harness, "messages/2025/06").await, None);
    assert!(!harness.store().delete(&key("messages/2025/06")).await.unwrap());
}

pub async fn an_object_below_another_is_kept_or_refused(harness: &impl ObjectHarness) {
    for (first, second) in [("a", "a/b"), ("c/d/e", "c/d")] {
        put(harness, first, b"first").await.unwrap();
        match put(harness, second, b"second").await {
            Ok(outcome) => {
                assert_eq!(outcome, Put::Created);
                assert_eq!(get(harness, second).await.unwrap(), "second");
            }
            Err(error) => {
                assert!(matches!(error, ObjectError::InvalidKey(_)), "{error:?}");
                assert_eq!(get(harness, second).await, None);
                assert!(!harness.store().delete(&key(second)).await.unwrap());
            }
        }
        assert_eq!(get(harness, first).await.unwrap(), "first");
    }
}

/// The keys are the port's; an adapter cannot weaken them.
pub async fn keys_that_could_leave_the_store_do_not_exist(_harness: &impl ObjectHarness) {
    let long = "x".repeat(MAX_KEY_BYTES + 1);
    let long_segment = "x".repeat(256);
    let texts = [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "../a",
        "a/..",
        "a/../b",
        "a/./b",
        ".tmp/a",
        "a/.hidden",
        "a\\b",
        "a\0b",
        "a\nb",
        "a\u{7f}",
        "a\u{85}b",
        &long,
        &long_segment,
    ];
    for text in texts {
        let outcome = text.parse::<ObjectKey>();
        assert!(matches!(outcome, Err(ObjectError::InvalidKey(_))), "{text:?} was accepted");
    }
}

async fn listed(harness: &impl ObjectHarness, folder: &str) -> Vec<(String, u64)> {
    let folder = (!folder.is_empty()).then(|| key(folder));
    let listed: Vec<_> = harness.store().list(folder.as_ref()).try_collect().await.unwrap();
    listed.into_iter().map(|Listed { key, size_bytes, .. }| (key.to_string(), size_bytes)).collect()
}

pub async fn a_list_has_what_is_below_a_folder_in_order(harness: &impl ObjectHarness) {
    assert_eq!(listed(harness, "").await, []);
    let keys = ["a.json", "a/b", "a/b.json", "a/c/d", "a0", "ab/c", "b/Grüße 🚀", "b/percent%20"];
    for (size, key) in keys.iter().enumerate().rev() {
        put(harness, key, &vec![b'x'; size]).await.unwrap();
    }
    let all: Vec<_> = keys.iter().zip(0..).map(|(key, size)| ((*key).to_owned(), size)).collect();
    assert_eq!(listed(harness, "").await, all);
    assert_eq!(listed(harness, "a").await, all[1..4]);
    assert_eq!(listed(harness, "a/c").await, all[3..4]);
    assert_eq!(listed(harness, "b").await, all[6..]);
    for nothing in ["a.json", "a/b", "nowhere", "nowhere/else"] {
        assert_eq!(listed(harness, nothing).await, [], "{nothing}");
    }
}

pub async fn a_list_of_many_is_whole_and_may_be_dropped(harness: &impl ObjectHarness) {
    const MANY: usize = 1_100;
    let keys: Vec<String> = (0..MANY).map(|number| format!("many/{number:04}")).collect();
    for some in keys.chunks(50) {
        join_all(some.iter().map(|key| put(harness, key, b"x"))).await;
    }
    let found = listed(harness, "many").await;
    assert!(found.iter().map(|(key, _)| key).eq(&keys), "{} of {MANY}", found.len());
    let first = harness.store().list(Some(&key("many"))).next().await.unwrap().unwrap();
    assert_eq!(first.key.as_str(), keys[0]);
}

pub async fn a_working_store_answers_pings(harness: &impl ObjectHarness) {
    harness.store().ping().await.unwrap();
    put(harness, "one", b"x").await.unwrap();
    harness.store().ping().await.unwrap();
}

/// One named test per case of the object store's contract; see [`object_suite`](crate::testing::object_suite).
#[macro_export]
macro_rules! object_conformance {
    ($make:path) => {
        $crate::conformance_cases!(
            $make,
            object_suite,
            [
                a_created_object_reads_back,
                a_second_put_changes_nothing,
                of_50_concurrent_writers_exactly_one_creates,
                concurrent_writers_of_different_keys_all_create,
                a_missing_object_is_none,
                delete_says_whether_there_was_an_object,
                a_deleted_key_can_be_created_again,
                an_empty_object_is_kept,
                five_mebibytes_read_back,
                unicode_and_odd_keys_are_kept,
                the_longest_segment_and_key_are_kept,
                nested_keys_are_kept_apart,
                an_object_below_another_is_kept_or_refused,
                keys_that_could_leave_the_store_do_not_exist,
                a_list_has_what_is_below_a_folder_in_order,
                a_list_of_many_is_whole_and_may_be_dropped,
                a_working_store_answers_pings,
            ]
        );
    };
}
