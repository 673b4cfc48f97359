//! One message by its id.

use bytes::Bytes;
use chassis::ports::{MessageId, ObjectError};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;

use super::entries::within;
use super::rollups::load_all;
use super::{Archive, ArchiveError, Entry, Place, Span};
use crate::model::record::{MESSAGES, day_of, day_of_key, key_on, stored};
use crate::model::rollup::ROLLUPS;

/// Days that are looked at together.
const DAYS_AT_ONCE: usize = 16;

/// What a look for a message has found.
#[derive(Debug, Default)]
pub struct Found {
    /// The message, and its record.
    pub message: Option<(Entry, Bytes)>,
    /// What was damaged on the way, where it might be too.
    pub damaged: Vec<ArchiveError>,
}

impl Archive {
    /// Looks for a message: on the day that its id tells (a UUIDv7), then on all days, the newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn find(&self, id: &MessageId, span: &Span, today: Date) -> Result<Found, ObjectError> {
        let mut found = Found::default();
        let likely = likely_days(id);
        for day in likely.iter().copied().filter(|day| span.contains(*day)) {
            if self.find_on(id, day, &mut found).await? {
                return Ok(found);
            }
        }
        let Some(earliest) = self.earliest(span).await? else { return Ok(found) };
        let latest = span.until().unwrap_or_else(|| today.tomorrow().unwrap_or(today));
        let others = stream::iter(backwards(latest, earliest).filter(|day| !likely.contains(day)));
        let mut looks = others
            .map(|day| async move {
                let mut found = Found::default();
                self.find_on(id, day, &mut found).await.map(|_| found)
            })
            .buffered(DAYS_AT_ONCE);
        while let Some(look) = looks.try_next().await? {
            found.damaged.extend(look.damaged);
            if look.message.is_some() {
                found.message = look.message;
                break;
            }
        }
        Ok(found)
    }

    /// Looks on one day; answers whether it is there.
    async fn find_on(&self, id: &MessageId, day: Date, found: &mut Found) -> Result<bool, ObjectError> {
        if let Ok(key) = key_on(id, day) {
            let size_bytes = 0;
            let entry = Entry { id: id.clone(), day, sent_at: None, size_bytes, object: key, place: Place::Whole };
            if self.take(entry, found).await? {
                return Ok(true);
            }
        }
        let mut rollups = load_all(&self.objects, within(&self.objects, Span::day(day), ROLLUPS));
        while let Some(loaded) = rollups.try_next().await? {
            for entry in loaded.entries {
                match entry {
                    Ok(entry) if entry.id == *id => {
                        if self.take(entry, found).await? {
                            return Ok(true);
                        }
                    }
                    Ok(_) => {}
                    Err(damaged) => found.damaged.push(damaged),
                }
            }
        }
        Ok(false)
    }

    async fn take(&self, entry: Entry, found: &mut Found) -> Result<bool, ObjectError> {
        match self.read(&entry).await {
            Ok(Some(record)) => {
                let sent_at = stored(&record).map(|stored| stored.sent_at);
                found.message = Some((Entry { sent_at, size_bytes: record.len() as u64, ..entry }, record));
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(ArchiveError::Store(error)) => Err(error),
            Err(damaged) => {
                found.damaged.push(damaged);
                Ok(false)
            }
        }
    }

    /// The first day that there is.
    async fn earliest(&self, span: &Span) -> Result<Option<Date>, ObjectError> {
        let mut earliest: Option<Date> = None;
        for root in [MESSAGES, ROLLUPS] {
            let mut listed = within(&self.objects, *span, root);
            while let Some(found) = listed.try_next().await? {
                if let Some(day) = day_of_key(&found.key) {
                    earliest = Some(earliest.map_or(day, |other| other.min(day)));
                    break;
                }
            }
        }
        Ok(earliest)
    }
}

/// A UUIDv7 has the time at which it was made, a moment before the message was sent.
fn likely_days(id: &MessageId) -> Vec<Date> {
    let millis = || {
        let uuid = Uuid::parse_str(&id.0).ok().filter(|uuid| uuid.get_version_num() == 7)?;
        i64::try_from(uuid.as_u128() >> 80).ok()
    };
    let Some(made_at) = millis().and_then(|millis| Timestamp::from_millisecond(millis).ok()) else { return Vec::new() };
    let day = day_of(made_at);
    [Ok(day), day.tomorrow(), day.yesterday()].into_iter().flatten().collect()
}

fn backwards(latest: Date, earliest: Date) -> impl Iterator<Item = Date> {
    std::iter::successors(Some(latest), |day| day.yesterday().ok()).take_while(move |day| *day >= earliest)
}
