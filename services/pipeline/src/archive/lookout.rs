//! Waiting for one message to be stored.

use std::collections::HashSet;
use std::future::ready;

use bytes::Bytes;
use chassis::ports::{MessageId, ObjectError, ObjectKey};
use futures_util::TryStreamExt as _;
use jiff::civil::Date;

use super::entries::within;
use super::rollups::{Parts, load, parts};
use super::{Archive, ArchiveError, Entry, Place, Span};
use crate::model::record::key_on;
use crate::model::rollup::ROLLUPS;

/// Looks for messages that are to come, and reads each roll-up once.
#[derive(Debug)]
pub struct Lookout {
    archive: Archive,
    /// What was there before, or was read already.
    known: HashSet<ObjectKey>,
}

/// A message that was waited for.
#[derive(Debug)]
pub struct Sighting {
    /// Where it lies.
    pub object: ObjectKey,
    /// Its record.
    pub record: Bytes,
    /// The objects that hold it and nothing else.
    pub own_objects: Vec<ObjectKey>,
}

impl Archive {
    /// A look-out for messages that are sent from now on, and on these days. Roll-ups that are there hold none of them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn lookout(&self, days: &[Date]) -> Result<Lookout, ObjectError> {
        let mut lookout = Lookout { archive: self.clone(), known: HashSet::new() };
        for &day in days {
            let there = lookout.unknown(day).await?;
            lookout.known.extend(there.into_iter().map(|(index, _)| index));
        }
        Ok(lookout)
    }

    /// Whether it has an object of its own by now.
    ///
    /// # Errors
    /// [`ArchiveError`], of its object or of the store.
    pub async fn look_for_single(&self, id: &MessageId, days: &[Date]) -> Result<Option<Sighting>, ArchiveError> {
        for &day in days {
            let object = key_on(id, day)?;
            let entry = Entry { id: id.clone(), day, sent_at: None, size_bytes: 0, object, place: Place::Whole };
            if let Some(record) = self.read(&entry).await? {
                return Ok(Some(Sighting { own_objects: vec![entry.object.clone()], object: entry.object, record }));
            }
        }
        Ok(None)
    }
}

impl Lookout {
    /// Whether it is in a roll-up by now. One without an index is still being written.
    ///
    /// # Errors
    /// [`ArchiveError`], of a roll-up or of the store.
    pub async fn look_into_rollups(&mut self, id: &MessageId, days: &[Date]) -> Result<Option<Sighting>, ArchiveError> {
        for &day in days {
            for (index, parts) in self.unknown(day).await? {
                let loaded = load(&*self.archive.objects, parts).await?;
                let is_alone = loaded.entries.len() == 1;
                for entry in loaded.entries {
                    let entry = entry?;
                    if entry.id != *id {
                        continue;
                    }
                    let Some(record) = self.archive.read(&entry).await? else { continue };
                    let own_objects = if is_alone { vec![index, entry.object.clone()] } else { Vec::new() };
                    return Ok(Some(Sighting { object: entry.object, record, own_objects }));
                }
                self.known.insert(index);
            }
        }
        Ok(None)
    }

    /// The roll-ups of the day that have an index, by its key, and are not known.
    async fn unknown(&self, day: Date) -> Result<Vec<(ObjectKey, Parts)>, ObjectError> {
        let with_index = |parts: Parts| {
            let index = parts.index.as_ref().map(|index| index.key.clone()).filter(|index| !self.known.contains(index));
            ready(Ok(index.map(|index| (index, parts))))
        };
        parts(within(&self.archive.objects, Span::day(day), ROLLUPS)).try_filter_map(with_index).try_collect().await
    }
}
