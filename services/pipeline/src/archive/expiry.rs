//! Counts what has expired, and deletes it where that is asked for.
//!
//! Days come in their order, first those of single objects, then those of roll-ups. Of a roll-up the index is deleted
//! first: data without an index is read itself, so that no reader ever misses a part, whenever this ends. Several may
//! do it at once; what another one has deleted is no failure.
//!
//! An object is judged by what the list says of it. It may be written again between that and its deletion, by a
//! redelivery of a message that was stored before it expired: then that copy goes as the first one would have.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use chassis::ports::{Listed, ObjectError, ObjectKey, ObjectStore};
use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::civil::Date;
use serde::Serialize;

use super::entries::{Found, within};
use super::rollups::{Parts, parts};
use super::{Archive, Span};
use crate::model::record::{MESSAGES, day_of_key, folder_of};
use crate::model::retention::Expiration;
use crate::model::rollup::ROLLUPS;

/// Messages or roll-ups of one batch.
const BATCH: usize = 64;
/// Deletions at once: less than a file store works on, so that writers find their turn.
const DELETIONS: usize = 16;

/// Objects and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// How many.
    pub objects: u64,
    /// Of their bodies.
    pub bytes: u64,
}

impl Volume {
    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.objects += other.objects;
        self.bytes += other.bytes;
    }

    fn of(object: &Listed) -> Self {
        Self { objects: 1, bytes: object.size_bytes }
    }
}

/// Some objects of one day that have expired.
#[derive(Debug)]
pub struct Batch {
    /// The day of sending.
    pub day: Date,
    /// All of them.
    pub expired: Volume,
    /// Those that were deleted here.
    pub deleted: Volume,
    /// Why others were not; the first failure stands for all.
    pub failure: Option<ObjectError>,
}

/// A look for what has expired. Stopped by dropping it, at any moment.
pub struct Expiry {
    objects: Arc<dyn ObjectStore>,
    deletes: bool,
    walks: VecDeque<Walk>,
}

/// What goes together, in the order in which it is deleted.
#[derive(Debug)]
struct Unit {
    day: Date,
    objects: Vec<Listed>,
}

struct Walk {
    root: &'static str,
    units: Found<Unit>,
    /// A day in whose folder nothing can be deleted; what is wrong with the folder is wrong for all in it.
    blocked: Option<Date>,
}

impl Archive {
    /// Looks for what has expired, and deletes it where `deletes`.
    #[must_use]
    pub fn expire(&self, expiration: Expiration, deletes: bool) -> Expiry {
        let span = Span::between(None, Some(expiration.last_day()), expiration.last_day());
        let listed = |root| within(&self.objects, span, root);
        let single = move |found: Result<Listed, ObjectError>| async move {
            found.map(|object| Unit::single(object, &expiration)).transpose()
        };
        let rollup = move |found: Result<Parts, ObjectError>| async move {
            found.map(|parts| Unit::rollup(parts, &expiration)).transpose()
        };
        let singles = listed(MESSAGES).filter_map(single).boxed().peekable();
        let rollups = parts(listed(ROLLUPS)).filter_map(rollup).boxed().peekable();
        let walk = |(root, units)| Walk { root, units, blocked: None };
        let walks = [(MESSAGES, singles), (ROLLUPS, rollups)].map(walk).into();
        Expiry { objects: Arc::clone(&self.objects), deletes, walks }
    }
}

impl Unit {
    fn single(object: Listed, expiration: &Expiration) -> Option<Self> {
        let day = day_of_key(&object.key)?;
        expiration.covers(&object).then(|| Self { day, objects: vec![object] })
    }

    /// Only as a whole, since an index without its data would be taken for damage.
    fn rollup(parts: Parts, expiration: &Expiration) -> Option<Self> {
        let objects: Vec<_> = parts.index.into_iter().chain(parts.data.map(|(data, _)| data)).collect();
        objects.iter().all(|object| expiration.covers(object)).then_some(Self { day: parts.day, objects })
    }

    fn volume(&self) -> Volume {
        self.objects.iter().fold(Volume::default(), |mut all, object| {
            all.add(Volume::of(object));
            all
        })
    }
}

impl Expiry {
    /// The next ones; `None` at the end.
    ///
    /// # Errors
    /// When the store cannot be listed. What it could not list is passed over.
    pub async fn next(&mut self) -> Option<Result<Batch, ObjectError>> {
        loop {
            let walk = self.walks.front_mut()?;
            match walk.take().await {
                Some(Ok(units)) => return Some(Ok(walk.work(&*self.objects, self.deletes, units).await)),
                Some(Err(error)) => {
                    self.walks.pop_front();
                    return Some(Err(error));
                }
                None => {
                    self.walks.pop_front();
                }
            }
        }
    }
}

impl Walk {
    /// As many of one day as there are, up to a batch.
    async fn take(&mut self) -> Option<Result<(Date, Vec<Unit>), ObjectError>> {
        let first = match self.units.next().await? {
            Ok(first) => first,
            Err(error) => return Some(Err(error)),
        };
        let (day, mut units) = (first.day, vec![first]);
        while units.len() < BATCH
            && let Some(Ok(unit)) = Pin::new(&mut self.units).next_if(|next| is_of(next, day)).await
        {
            units.push(unit);
        }
        Some(Ok((day, units)))
    }

    async fn work(&mut self, objects: &dyn ObjectStore, deletes: bool, (day, units): (Date, Vec<Unit>)) -> Batch {
        let mut batch = Batch { day, expired: Volume::default(), deleted: Volume::default(), failure: None };
        for unit in &units {
            batch.expired.add(unit.volume());
        }
        if !deletes || self.blocked == Some(day) {
            return batch;
        }
        let mut deletions = stream::iter(units).map(|unit| delete(objects, unit)).buffer_unordered(DELETIONS);
        while let Some((deleted, failure)) = deletions.next().await {
            batch.deleted.add(deleted);
            if matches!(failure, Some(ObjectError::Unavailable(_) | ObjectError::Timeout)) {
                self.blocked = Some(day);
            }
            batch.failure = batch.failure.or(failure);
        }
        drop(deletions);
        let is_done = Pin::new(&mut self.units).peek().await.is_none_or(|next| !is_of(next, day) && next.is_ok());
        if is_done && batch.failure.is_none() {
            batch.failure = remove_folder(objects, self.root, day).await.err();
        }
        batch
    }
}

fn is_of(unit: &Result<Unit, ObjectError>, day: Date) -> bool {
    unit.as_ref().is_ok_and(|unit| unit.day == day)
}

/// One after the other, and no further after a failure.
async fn delete(objects: &dyn ObjectStore, unit: Unit) -> (Volume, Option<ObjectError>) {
    let mut deleted = Volume::default();
    for object in &unit.objects {
        match objects.delete(&object.key).await {
            Ok(true) => deleted.add(Volume::of(object)),
            Ok(false) => {}
            Err(error) => return (deleted, Some(error)),
        }
    }
    (deleted, None)
}

/// A folder that had many names stays large when it is empty.
async fn remove_folder(objects: &dyn ObjectStore, root: &str, day: Date) -> Result<(), ObjectError> {
    let folder: ObjectKey = folder_of(root, day).parse()?;
    objects.remove_empty_folder(&folder).await.map(drop)
}

impl fmt::Debug for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expiry").field("deletes", &self.deletes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
