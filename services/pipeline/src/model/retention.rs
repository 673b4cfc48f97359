//! Which objects are older than they are to be kept.
//!
//! Only what the archiver has written can expire, known by the form of its key. Two times must be old: the day in the
//! key, which is the day of sending, and that of the last write. A message that was stored late, such as a dead letter
//! that was redriven, has an old day and is new here all the same.

use std::time::Duration;

use chassis::config::FromText;
use chassis::ports::objects::{Listed, ObjectKey};
use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;

use super::record::{day_of, day_of_key, id_of_key};
use super::rollup::{part_key, part_of};

/// How long objects are kept: a day at least, since a key tells no more than a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention(pub Duration);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl FromText for Retention {
    const EXPECTED: &'static str = "a time from 1d to 10000d, such as `90d`";

    fn from_text(text: &str) -> Option<Self> {
        Duration::from_text(text).filter(|kept| *kept >= DAY).map(Self)
    }
}

impl std::fmt::Display for Retention {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.0.as_secs();
        if seconds.is_multiple_of(DAY.as_secs()) {
            write!(f, "{}d", seconds / DAY.as_secs())
        } else {
            write!(f, "{seconds}s")
        }
    }
}

/// The moment before which everything has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiration {
    before: Timestamp,
}

impl Expiration {
    /// For objects that are kept for so long.
    #[must_use]
    pub fn at(now: Timestamp, Retention(kept): Retention) -> Self {
        Self { before: now.checked_sub(kept).unwrap_or(Timestamp::MIN) }
    }

    /// The last day that is over as a whole.
    #[must_use]
    pub fn last_day(&self) -> Date {
        day_of(self.before).yesterday().unwrap_or(Date::MIN)
    }

    /// Whether an object has expired. One whose last write is not known has not.
    #[must_use]
    pub fn covers(&self, object: &Listed) -> bool {
        let is_old = |at: Timestamp| at < self.before;
        day_of_own(&object.key).is_some_and(|day| day <= self.last_day()) && object.modified_at.is_some_and(is_old)
    }
}

/// The day of a key that only the archiver makes: of a message or of a part of a roll-up, named by a UUID as all
/// queues and the archiver itself name them. Everything else in the store belongs to somebody else.
fn day_of_own(key: &ObjectKey) -> Option<Date> {
    let day = day_of_key(key)?;
    let is_own = match part_of(key) {
        Some((stem, part)) => {
            let name = stem.rsplit_once('/')?.1;
            is_uuid(name) && part_key(day, name, part).is_ok_and(|made| made == *key)
        }
        None => is_uuid(&id_of_key(key)?.0),
    };
    is_own.then_some(day)
}

fn is_uuid(name: &str) -> bool {
    Uuid::try_parse(name).is_ok_and(|id| id.hyphenated().to_string() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01a1fcc5-807f-74c1-b15c-d5dc53c430a1";

    fn object(key: &str, modified_at: Option<&str>) -> Listed {
        let modified_at = modified_at.map(|at| at.parse().unwrap());
        Listed { key: key.parse().unwrap(), size_bytes: 1, modified_at }
    }

    fn has_expired(key: &str, modified_at: Option<&str>) -> bool {
        let now = "2025-06-11T12:00:00Z".parse().unwrap();
        Expiration::at(now, Retention(2 * DAY)).covers(&object(key, modified_at))
    }

    #[test]
    fn an_object_has_expired_when_its_day_and_its_last_write_are_old() {
        let on = |day: &str| format!("messages/2025/06/{day}/{ID}.json");
        let (old, young) = (Some("2025-06-09T11:59:59Z"), Some("2025-06-09T12:00:00Z"));
        assert!(has_expired(&on("08"), old));
        assert!(!has_expired(&on("09"), old), "the day was not over two days ago");
        assert!(!has_expired(&on("08"), young), "it was written late");
        assert!(!has_expired(&on("08"), None), "nobody knows when it was written");
        assert!(!has_expired("messages/2999/01/01/01a1fcc5-807f-74c1-b15c-d5dc53c430a1.json", old));
    }

    #[test]
    fn what_the_archiver_has_not_written_never_expires() {
        let expires = |key: String| has_expired(&key, Some("2020-01-01T00:00:00Z"));
        for ours in [
            "messages/2020/01/01/ID.json",
            "rollups/2020/01/01/ID.ndjson",
            "rollups/2020/01/01/ID.ndjson.zst",
            "rollups/2020/01/01/ID.index.json",
        ] {
            assert!(expires(ours.replace("ID", ID)), "{ours}");
        }
        for other in [
            "messages/2020/01/01/notes.json",
            "messages/2020/01/01/ID.txt",
            "messages/2020/01/01/ID.json.bak",
            "messages/2020/01/01/ID",
            "messages/2020/01/01/old/ID.json",
            "messages/2020/1/1/ID.json",
            "messages/2020/02/30/ID.json",
            "messages/ID.json",
            "messages/2020/01/01/ID.ndjson",
            "rollups/2020/01/01/ID.json",
            "rollups/2020/01/01/notes.ndjson",
            "rollups/2020/01/01/old/ID.ndjson",
            "copies/messages/2020/01/01/ID.json",
            "2020/01/01/ID.json",
        ] {
            assert!(!expires(other.replace("ID", ID)), "{other}");
            assert!(!expires(other.replace("ID", &ID.to_uppercase())), "{other}");
        }
        assert!(!expires("messages/2020/01/01/ID.json".replace("ID", &ID.to_uppercase())));
    }

    #[test]
    fn a_retention_is_a_day_at_least() {
        for (text, expected) in
            [("90d", Some("90d")), ("1d", Some("1d")), ("36h", Some("129600s")), ("24h", Some("1d"))]
        {
            assert_eq!(Retention::from_text(text).map(|kept| kept.to_string()).as_deref(), expected);
        }
        for wrong in ["23h", "0", "off", "", "10001d", "-1d", "three months"] {
            assert_eq!(Retention::from_text(wrong), None, "{wrong}");
        }
    }
}
