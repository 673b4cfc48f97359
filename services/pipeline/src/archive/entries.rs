//! The messages of many days, one after the other.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use chassis::ports::{List, MessageId, ObjectError, ObjectKey, ObjectStore};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream, Peekable};
use jiff::civil::Date;

use super::rollups::{Loaded, load_all};
use super::{Archive, ArchiveError, Entry, Place, Span};
use crate::model::record::{MESSAGES, day_of_key, id_of_key};
use crate::model::rollup::ROLLUPS;

pub(super) type Found<T> = Peekable<BoxStream<'static, Result<T, ObjectError>>>;

/// A look through the archive. Stopped by dropping it.
pub struct Entries {
    rollups: Found<Loaded>,
    singles: Found<Entry>,
    /// Of the roll-up that was read last.
    ready: VecDeque<Result<Entry, ArchiveError>>,
    /// The messages of the day so far that are in roll-ups: they may be elsewhere too.
    seen: HashSet<MessageId>,
    day: Option<Date>,
    ended: bool,
}

impl Entries {
    pub(super) fn new(archive: &Archive, span: &Span) -> Self {
        let (objects, span) = (&archive.objects, *span);
        let rollups = load_all(objects, within(objects, span, ROLLUPS)).peekable();
        let single = |found: Result<chassis::ports::Listed, ObjectError>| async move {
            match found {
                Ok(listed) => single(listed.key, listed.size_bytes).map(Ok),
                Err(error) => Some(Err(error)),
            }
        };
        let singles = within(objects, span, MESSAGES).filter_map(single).boxed().peekable();
        Self { rollups, singles, ready: VecDeque::new(), seen: HashSet::new(), day: None, ended: false }
    }

    /// The next one; `None` when all were there, or after a failure of the store.
    pub async fn next(&mut self) -> Option<Result<Entry, ArchiveError>> {
        while !self.ended {
            match self.ready.pop_front() {
                Some(Ok(entry)) if !self.seen.insert(entry.id.clone()) => continue,
                Some(ready) => return Some(ready),
                None => {}
            }
            match self.advance().await {
                Ok(None) => {}
                Ok(Some(single)) => return Some(Ok(single)),
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error.into()));
                }
            }
        }
        None
    }

    /// Takes what comes next in time: a roll-up, or the single object that it answers. Roll-ups go first, so that only
    /// their messages need to be remembered.
    async fn advance(&mut self) -> Result<Option<Entry>, ObjectError> {
        let rolled_up = day_of_next(&mut self.rollups, |loaded| loaded.day).await;
        let single = day_of_next(&mut self.singles, |entry| entry.day).await;
        let Some(day) = [rolled_up, single].into_iter().flatten().min() else {
            self.ended = true;
            return Ok(None);
        };
        if self.day != Some(day) {
            self.day = Some(day);
            self.seen.clear();
        }
        if rolled_up == Some(day) {
            let loaded = self.rollups.next().await.transpose()?;
            self.ready.extend(loaded.into_iter().flat_map(|loaded| loaded.entries));
            return Ok(None);
        }
        let single = self.singles.next().await.transpose()?;
        Ok(single.filter(|entry| !self.seen.contains(&entry.id)))
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries").field("day", &self.day).field("ended", &self.ended).finish_non_exhaustive()
    }
}

/// A failure comes first.
async fn day_of_next<T>(found: &mut Found<T>, day: impl Fn(&T) -> Date) -> Option<Date> {
    let next = Pin::new(found).peek().await?;
    Some(next.as_ref().map_or(Date::MIN, day))
}

/// The objects of these days.
pub(super) fn within(objects: &Arc<dyn ObjectStore>, span: Span, root: &str) -> List {
    let folders = match span.folders(root) {
        Ok(folders) => folders,
        Err(error) => return stream::iter([Err(error)]).boxed(),
    };
    let objects = Arc::clone(objects);
    let all = stream::iter(folders).flat_map(move |folder| objects.list(Some(&folder)));
    let is_over = move |found: &Result<chassis::ports::Listed, ObjectError>| {
        found.as_ref().is_ok_and(|found| day_of_key(&found.key).is_some_and(|day| span.is_before(day)))
    };
    all.take_while(move |found| std::future::ready(!is_over(found))).boxed()
}

fn single(key: ObjectKey, size_bytes: u64) -> Option<Entry> {
    let (id, day) = (id_of_key(&key)?, day_of_key(&key)?);
    Some(Entry { id, day, sent_at: None, size_bytes, object: key, place: Place::Whole })
}
