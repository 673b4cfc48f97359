//! Roll-ups as readers see them: an index and its data, or data alone where a crash came between.

use std::sync::Arc;

use bytes::Bytes;
use chassis::ports::{List, Listed, ObjectError, ObjectKey, ObjectStore};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream, Peekable};
use jiff::civil::Date;
use tokio::task::spawn_blocking;

use super::data::{Source, fetch};
use super::{ArchiveError, Entry, Place};
use crate::model::record::{day_of_key, stored};
use crate::model::rollup::{Index, MAX_BYTES, Part, part_of};

/// Indexes that are fetched before they are asked for. One without an index is read whole, so they are few.
const AHEAD: usize = 4;

/// Lines that are read of data without an index, ten times as many as the archiver puts there: a few bytes of damaged
/// data may decompress to a billion of them.
const MAX_LINES: usize = 100_000;

/// What a list tells of a roll-up.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) day: Date,
    stem: String,
    pub(super) index: Option<Listed>,
    pub(super) data: Option<(Listed, Part)>,
}

/// The messages of a roll-up, and what could not be read.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) day: Date,
    pub(super) entries: Vec<Result<Entry, ArchiveError>>,
}

/// The roll-ups of a list, with what is in them; in their order.
pub(super) fn load_all(
    objects: &Arc<dyn ObjectStore>,
    listed: List,
) -> BoxStream<'static, Result<Loaded, ObjectError>> {
    let objects = Arc::clone(objects);
    let load = move |parts: Result<Parts, ObjectError>| {
        let objects = Arc::clone(&objects);
        async move { load(&*objects, parts?).await }
    };
    parts(listed).map(load).buffered(AHEAD).boxed()
}

/// Puts what belongs together into one: in the order of keys the index comes right before its data. Other keys are
/// somebody else's.
pub(super) fn parts(listed: List) -> BoxStream<'static, Result<Parts, ObjectError>> {
    stream::unfold(listed.peekable(), async |mut listed| Some((next_parts(&mut listed).await?, listed))).boxed()
}

async fn next_parts(listed: &mut Peekable<List>) -> Option<Result<Parts, ObjectError>> {
    let mut parts = loop {
        match listed.next().await? {
            Err(error) => return Some(Err(error)),
            Ok(found) => {
                if let Some(parts) = Parts::of(found) {
                    break parts;
                }
            }
        }
    };
    let is_same = |next: &Result<Listed, ObjectError>| {
        next.as_ref().is_ok_and(|next| part_of(&next.key).is_some_and(|(stem, _)| stem == parts.stem))
    };
    if let Some(Ok(more)) = std::pin::Pin::new(&mut *listed).next_if(is_same).await {
        let more = Parts::of(more);
        parts.index = parts.index.or(more.as_ref().and_then(|more| more.index.clone()));
        parts.data = parts.data.or(more.and_then(|more| more.data));
    }
    Some(Ok(parts))
}

impl Parts {
    fn of(found: Listed) -> Option<Self> {
        let day = day_of_key(&found.key)?;
        let (stem, part) = part_of(&found.key).map(|(stem, part)| (stem.to_owned(), part))?;
        Some(match part {
            Part::Index => Self { day, stem, index: Some(found), data: None },
            Part::Data(_) => Self { day, stem, index: None, data: Some((found, part)) },
        })
    }
}

/// What is in a roll-up.
pub(super) async fn load(objects: &dyn ObjectStore, parts: Parts) -> Result<Loaded, ObjectError> {
    let day = parts.day;
    let mut entries = Vec::new();
    match by_index(objects, &parts).await {
        Ok(Some(found)) => return Ok(Loaded { day, entries: found.into_iter().map(Ok).collect() }),
        Ok(None) => {}
        Err(ArchiveError::Store(error)) => return Err(error),
        Err(damaged) => entries.push(Err(damaged)),
    }
    if let Some((listed, Part::Data(compression))) = parts.data {
        let source = Source { key: listed.key, compression, limit: MAX_BYTES };
        match fetch(objects, &source).await {
            Ok(Some(data)) => entries.extend(scan(day, Arc::new(source), data).await),
            Ok(None) => {}
            Err(ArchiveError::Store(error)) => return Err(error),
            Err(damaged) => entries.push(Err(damaged)),
        }
    }
    Ok(Loaded { day, entries })
}

async fn get_index(objects: &dyn ObjectStore, key: &ObjectKey) -> Result<Option<Bytes>, ArchiveError> {
    objects.get(key).await.map_err(|error| ArchiveError::of(key, error))
}

/// What the index tells; `None` where there is none.
async fn by_index(objects: &dyn ObjectStore, parts: &Parts) -> Result<Option<Vec<Entry>>, ArchiveError> {
    let Some(Listed { key, .. }) = &parts.index else { return Ok(None) };
    let Some(text) = get_index(objects, key).await? else { return Ok(None) };
    let index = Index::parse(&text).map_err(|problem| ArchiveError::damaged(key, problem))?;
    let data = format!("{}{}", parts.stem, index.compression.extension());
    let data: ObjectKey = data.parse().map_err(|error| ArchiveError::of(key, error))?;
    let stored_bytes = match &parts.data {
        Some((listed, _)) if listed.key == data => Some(listed.size_bytes),
        // A list that is made while they are written may show the index alone.
        _ => objects.get(&data).await.map_err(|error| ArchiveError::of(&data, error))?.map(|body| body.len() as u64),
    };
    match stored_bytes {
        // Both were deleted meanwhile, the index first: the roll-up has expired.
        None if get_index(objects, key).await?.is_none() => return Ok(Some(Vec::new())),
        None => return Err(ArchiveError::damaged(key, format!("its data {data} is not there"))),
        Some(found) if found != index.stored_bytes => {
            return Err(ArchiveError::damaged(
                &data,
                format!("it has {found} bytes, its index says {}", index.stored_bytes),
            ));
        }
        Some(_) => {}
    }
    let source = Arc::new(Source { key: data, compression: index.compression, limit: index.bytes });
    let entry = |message: crate::model::rollup::Indexed| Entry {
        id: message.id,
        day: parts.day,
        sent_at: Some(message.sent_at),
        size_bytes: message.length,
        object: source.key.clone(),
        place: Place::Part {
            source: Arc::clone(&source),
            offset: message.offset,
            correlation_id: message.correlation_id,
        },
    };
    Ok(Some(index.messages.into_iter().map(entry).collect()))
}

/// What the data itself tells, line by line.
async fn scan(day: Date, source: Arc<Source>, data: Bytes) -> Vec<Result<Entry, ArchiveError>> {
    let key = source.key.clone();
    let scanned = spawn_blocking(move || scan_lines(day, &source, &data));
    scanned.await.unwrap_or_else(|error| vec![Err(ArchiveError::damaged(&key, error.to_string()))])
}

/// Damaged lines that follow each other are told together.
fn scan_lines(day: Date, source: &Arc<Source>, data: &[u8]) -> Vec<Result<Entry, ArchiveError>> {
    let mut entries = Vec::new();
    let mut offset = 0;
    // The first and the last line of damage, counted from 1.
    let mut damage: Option<(usize, usize)> = None;
    for (number, line) in (1..).zip(data.split_inclusive(|byte| *byte == b'\n')) {
        if number > MAX_LINES {
            entries.extend(damage.take().map(|lines| Err(damaged_lines(source, lines))));
            entries.push(Err(ArchiveError::damaged(&source.key, format!("it has more than {MAX_LINES} lines"))));
            break;
        }
        match entry_of_line(day, source, offset, line) {
            Some(entry) => {
                entries.extend(damage.take().map(|lines| Err(damaged_lines(source, lines))));
                entries.push(Ok(entry));
            }
            None => damage = Some((damage.map_or(number, |(first, _)| first), number)),
        }
        offset += line.len() as u64;
    }
    entries.extend(damage.map(|lines| Err(damaged_lines(source, lines))));
    entries
}

fn damaged_lines(source: &Source, (first, last): (usize, usize)) -> ArchiveError {
    let problem = match last - first {
        0 => format!("line {first} is no whole record"),
        _ => format!("lines {first} to {last} are no whole records"),
    };
    ArchiveError::damaged(&source.key, problem)
}

/// `None` when it is no whole record.
fn entry_of_line(day: Date, source: &Arc<Source>, offset: u64, line: &[u8]) -> Option<Entry> {
    let line = line.strip_suffix(b"\n")?;
    let found = stored(line)?;
    let place = Place::Part { source: Arc::clone(source), offset, correlation_id: found.correlation_id };
    let (id, size_bytes) = (found.message_id, line.len() as u64);
    Some(Entry { id, day, sent_at: Some(found.sent_at), size_bytes, object: source.key.clone(), place })
}
