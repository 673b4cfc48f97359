use std::time::Duration;

use bytes::Bytes;
use chassis::ports::MemoryObjects;
use jiff::Timestamp;

use super::*;
use crate::model::compression::Compression;
use crate::model::retention::Retention;
use crate::model::rollup::{Part, part_key};

const OLD: &str = "2025-06-09T12:00:00Z";
const LATE: &str = "2025-07-01T12:00:00Z";

fn id(number: usize) -> String {
    format!("01a1fcc5-807f-74c1-b15c-{number:012}")
}

fn message(day: &str, number: usize) -> String {
    format!("messages/2025/06/{day}/{}.json", id(number))
}

struct Kit(Arc<MemoryObjects>);

impl Kit {
    fn new() -> Self {
        Self(MemoryObjects::new())
    }

    async fn put(&self, key: &str, modified_at: &str) {
        let body = Bytes::from_static(b"0123456789");
        self.0.put_if_absent(&key.parse().unwrap(), body, "application/json").await.unwrap();
        self.0.set_modified(key, modified_at.parse().unwrap());
    }

    /// Answers the keys of its index and data.
    async fn rollup(&self, day: &str, number: usize, [index_at, data_at]: [&str; 2]) -> [String; 2] {
        let key = |part| part_key(format!("2025-06-{day}").parse().unwrap(), &id(number), part).unwrap().to_string();
        let (index, data) = (key(Part::Index), key(Part::Data(Compression::Zstd)));
        self.put(&data, data_at).await;
        self.put(&index, index_at).await;
        [index, data]
    }

    fn expire(&self, deletes: bool) -> Expiry {
        let now: Timestamp = "2025-07-01T23:00:00Z".parse().unwrap();
        let kept = Retention(Duration::from_secs(20 * 86_400));
        Archive::new(Arc::clone(&self.0) as _).expire(Expiration::at(now, kept), deletes)
    }

    /// Everything, by day; and what went wrong.
    async fn all(&self, deletes: bool) -> (Vec<(String, u64, u64)>, Vec<String>) {
        let (mut days, mut failures) = (Vec::new(), Vec::new());
        let mut expiry = self.expire(deletes);
        while let Some(batch) = expiry.next().await {
            match batch {
                Ok(batch) => {
                    assert_eq!(batch.expired.bytes, batch.expired.objects * 10);
                    days.push((batch.day.to_string(), batch.expired.objects, batch.deleted.objects));
                    failures.extend(batch.failure.map(|failure| failure.to_string()));
                }
                Err(error) => failures.push(error.to_string()),
            }
        }
        (days, failures)
    }
}

fn of(day: &str, expired: u64, deleted: u64) -> (String, u64, u64) {
    (format!("2025-06-{day}"), expired, deleted)
}

#[tokio::test]
async fn what_has_expired_is_counted_first_and_deleted_when_asked_for() {
    let kit = Kit::new();
    for number in 0..3 {
        kit.put(&message("09", number), OLD).await;
    }
    kit.put(&message("10", 3), OLD).await;
    kit.rollup("09", 4, [OLD, OLD]).await;
    let kept = [message("09", 5), message("11", 6), "messages/2025/06/09/notes.json".into(), "notes.txt".into()];
    for (key, at) in kept.iter().zip([LATE, OLD, OLD, OLD]) {
        kit.put(key, at).await;
    }
    let before = kit.0.keys();
    assert_eq!(kit.all(false).await.0, [of("09", 3, 0), of("10", 1, 0), of("09", 2, 0)]);
    assert_eq!(kit.0.keys(), before, "a count has deleted something");
    assert_eq!(kit.all(true).await.0, [of("09", 3, 3), of("10", 1, 1), of("09", 2, 2)]);
    let mut kept = kept.to_vec();
    kept.sort();
    assert_eq!(kit.0.keys(), kept);
    assert_eq!(kit.all(true).await, (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn a_roll_up_goes_as_a_whole_its_index_first() {
    let kit = Kit::new();
    for times in [[OLD, LATE], [LATE, OLD]] {
        kit.rollup("09", 1, times).await;
        assert_eq!(kit.all(true).await.0, [], "a part of it is young");
        assert_eq!(kit.0.keys().len(), 2);
        for key in kit.0.keys() {
            kit.0.delete(&key.parse().unwrap()).await.unwrap();
        }
    }
    let [index, data] = kit.rollup("09", 1, [OLD, OLD]).await;
    kit.0.fail_key(&index);
    let (days, failures) = kit.all(true).await;
    assert_eq!((days, failures.len(), kit.0.keys().len()), (vec![of("09", 2, 0)], 1, 2), "data without its index");
    kit.0.heal_key(&index);
    kit.0.fail_key(&data);
    assert_eq!(kit.all(true).await.0, [of("09", 2, 1)]);
    assert_eq!(kit.0.keys(), std::slice::from_ref(&data));
    kit.0.heal_key(&data);
    assert_eq!(kit.all(true).await, (vec![of("09", 1, 1)], Vec::new()), "what a crash left goes too");
}

#[tokio::test]
async fn what_cannot_be_deleted_keeps_nothing_else() {
    let kit = Kit::new();
    let many = 2 * BATCH + 1;
    for number in 0..many {
        kit.put(&message("08", number), OLD).await;
    }
    kit.put(&message("09", 999), OLD).await;
    kit.0.fail_key(&message("08", 7));
    let (days, failures) = kit.all(true).await;
    let sum = |of: fn(&(String, u64, u64)) -> u64| days.iter().map(of).sum::<u64>();
    assert_eq!((sum(|day| day.1), sum(|day| day.2)), (many as u64 + 1, many as u64));
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(kit.0.keys(), [message("08", 7)]);
}

#[tokio::test]
async fn a_store_that_is_down_is_a_failure_of_each_look() {
    let kit = Kit::new();
    kit.put(&message("08", 1), OLD).await;
    let mut expiry = kit.expire(true);
    kit.0.set_unavailable(true);
    let mut failures = 0;
    while let Some(batch) = expiry.next().await {
        assert!(matches!(batch, Err(ObjectError::Unavailable(_))));
        failures += 1;
    }
    assert_eq!(failures, 2);
}
