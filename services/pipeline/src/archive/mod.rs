//! Reads what the archiver has stored: objects of their own (`messages/…`) and roll-ups (`rollups/…`), each message once.
//!
//! [`Archive::entries`] goes through days in their order, [`Archive::find`] looks for one message, [`Archive::read`]
//! fetches a record. What is damaged is told and passed over; a store that fails ends the look. Nothing is written, and
//! nothing deleted but by [`Archive::expire`].
//!
//! Memory is bounded by one day: the ids of its messages in roll-ups, by which a second copy is known, and by the roll-up
//! that is being read.

mod data;
mod entries;
mod expiry;
mod find;
mod lookout;
mod rollups;
mod span;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use chassis::ports::{MessageId, ObjectError, ObjectKey, ObjectStore};
use jiff::Timestamp;
use jiff::civil::Date;
use thiserror::Error;

use self::data::{Data, Source};
pub use self::entries::Entries;
pub use self::expiry::{Batch, Expiry, Volume};
pub use self::find::Found;
pub use self::lookout::{Lookout, Sighting};
pub use self::span::Span;

/// The stored messages of one object store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Archive {
    objects: Arc<dyn ObjectStore>,
    /// The data of the roll-up that was read last: its messages are read one after the other.
    data: Arc<Data>,
}

/// A stored message.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The message.
    pub id: MessageId,
    /// The UTC day on which it was sent.
    pub day: Date,
    /// When it was sent; of an object of its own the record alone tells that.
    pub sent_at: Option<Timestamp>,
    /// Bytes of its record.
    pub size_bytes: u64,
    /// The object that holds it.
    pub object: ObjectKey,
    place: Place,
}

/// Where in its object a message lies.
#[derive(Debug, Clone)]
enum Place {
    /// It is the object.
    Whole,
    /// Some bytes of a roll-up's data.
    Part { source: Arc<Source>, offset: u64, correlation_id: Option<String> },
}

/// Why a look found less than there may be.
#[derive(Debug, Clone, Error)]
pub enum ArchiveError {
    /// One object; others can be read.
    #[error("{object}: {problem}")]
    Damaged {
        /// Its key.
        object: ObjectKey,
        /// What is wrong with it, for an operator.
        problem: String,
    },
    /// The store does not answer, and the look ends.
    #[error(transparent)]
    Store(#[from] ObjectError),
}

impl ArchiveError {
    fn damaged(object: &ObjectKey, problem: impl Into<String>) -> Self {
        Self::Damaged { object: object.clone(), problem: problem.into() }
    }

    /// Sorts the failure to read an object: others may be read where it is its own.
    fn of(object: &ObjectKey, error: ObjectError) -> Self {
        match error {
            ObjectError::Unavailable(_) | ObjectError::Timeout => Self::Store(error),
            ObjectError::InvalidKey(_) | ObjectError::Other(_) => Self::damaged(object, error.to_string()),
        }
    }
}

impl Entry {
    /// The correlation id; `None` where only the record tells it.
    #[must_use]
    pub fn correlation_id(&self) -> Option<Option<&str>> {
        match &self.place {
            Place::Whole => None,
            Place::Part { correlation_id, .. } => Some(correlation_id.as_deref()),
        }
    }

    /// Whether it shares its object with others.
    #[must_use]
    pub fn is_in_rollup(&self) -> bool {
        matches!(self.place, Place::Part { .. })
    }
}

impl Archive {
    /// The archive in this store.
    #[must_use]
    pub fn new(objects: Arc<dyn ObjectStore>) -> Self {
        let data = Arc::new(Data::new(Arc::clone(&objects)));
        Self { objects, data }
    }

    /// The messages of these days, the oldest day first: those in roll-ups in the order in which they were stored, then
    /// the others by their ids.
    #[must_use]
    pub fn entries(&self, span: &Span) -> Entries {
        Entries::new(self, span)
    }

    /// The record of a message, as it is stored; `None` when its object is gone meanwhile.
    ///
    /// # Errors
    /// [`ArchiveError`], of this object or of the store.
    pub async fn read(&self, entry: &Entry) -> Result<Option<Bytes>, ArchiveError> {
        match &entry.place {
            Place::Whole => {
                self.objects.get(&entry.object).await.map_err(|error| ArchiveError::of(&entry.object, error))
            }
            Place::Part { source, offset, .. } => self.data.read(source, *offset, entry).await,
        }
    }
}
