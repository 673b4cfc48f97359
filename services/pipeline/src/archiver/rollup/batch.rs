//! A roll-up in memory: its lines in one piece, and who waits for each.

use std::collections::HashMap;
use std::collections::hash_map;

use bytes::Bytes;
use chassis::ports::{MessageId, ObjectKey};
use jiff::Timestamp;
use jiff::civil::Date;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Filed, Line};
use crate::model::compression::Compression;
use crate::model::rollup::{Index, Indexed, VERSION};

/// One that is being filled.
#[derive(Debug)]
pub(super) struct Batch {
    day: Date,
    begun: Instant,
    data: Vec<u8>,
    lines: Vec<Placed>,
    /// A queue may deliver a message twice.
    places: HashMap<MessageId, usize>,
}

/// One that takes no more.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) day: Date,
    pub(super) data: Bytes,
    closed_at: Instant,
    lines: Vec<Placed>,
}

/// A line in its place.
#[derive(Debug)]
struct Placed {
    id: MessageId,
    sent_at: Timestamp,
    correlation_id: Option<String>,
    single: ObjectKey,
    offset: usize,
    length: usize,
    /// Of each delivery, the first one first.
    replies: Vec<oneshot::Sender<Filed>>,
}

impl Batch {
    pub(super) fn new(day: Date) -> Self {
        Self { day, begun: Instant::now(), data: Vec::new(), lines: Vec::new(), places: HashMap::new() }
    }

    pub(super) fn day(&self) -> Date {
        self.day
    }

    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.data.len()
    }

    pub(super) fn messages(&self) -> usize {
        self.lines.len()
    }

    /// Whether the line fits; a first one always does.
    pub(super) fn has_room_for(&self, line: &Line, size_bytes: usize) -> bool {
        self.lines.is_empty() || self.data.len() + line.record.len() < size_bytes
    }

    pub(super) fn add(&mut self, line: Line, reply: oneshot::Sender<Filed>) {
        let place = match self.places.entry(line.id.clone()) {
            hash_map::Entry::Occupied(known) => return self.lines[*known.get()].replies.push(reply),
            hash_map::Entry::Vacant(place) => place,
        };
        place.insert(self.lines.len());
        let (offset, length) = (self.data.len(), line.record.len());
        self.data.extend_from_slice(line.record.as_bytes());
        self.data.push(b'\n');
        let Line { id, sent_at, correlation_id, single, .. } = line;
        self.lines.push(Placed { id, sent_at, correlation_id, single, offset, length, replies: vec![reply] });
    }

    pub(super) fn close(self) -> Closed {
        Closed { day: self.day, data: self.data.into(), closed_at: Instant::now(), lines: self.lines }
    }
}

impl Closed {
    pub(super) fn messages(&self) -> usize {
        self.lines.len()
    }

    /// The first message, as it would be stored by itself.
    pub(super) fn first(&self) -> Option<(&ObjectKey, Bytes)> {
        let first = self.lines.first()?;
        Some((&first.single, self.data.slice(first.offset..first.offset + first.length)))
    }

    /// Two of half the messages each.
    pub(super) fn halves(mut self) -> (Self, Self) {
        let mut lines = self.lines.split_off(self.lines.len() / 2);
        let at = lines.first().map_or(self.data.len(), |line| line.offset);
        for line in &mut lines {
            line.offset -= at;
        }
        let data = self.data.split_off(at);
        let second = Self { day: self.day, data, closed_at: self.closed_at, lines };
        (self, second)
    }

    pub(super) fn index(&self, data: &ObjectKey, compression: Compression, stored_bytes: usize) -> Index {
        let indexed = |line: &Placed| Indexed {
            id: line.id.clone(),
            sent_at: line.sent_at,
            correlation_id: line.correlation_id.clone(),
            offset: line.offset as u64,
            length: line.length as u64,
        };
        Index {
            version: VERSION,
            data: data.to_string(),
            compression,
            bytes: self.data.len() as u64,
            stored_bytes: stored_bytes as u64,
            messages: self.lines.iter().map(indexed).collect(),
        }
    }

    /// Tells whoever waits that it is durable.
    pub(super) fn stored(self, key: &ObjectKey) {
        let closed_at = self.closed_at;
        for line in self.lines {
            let mut filed = Filed::Stored { key: key.clone(), closed_at };
            for reply in line.replies {
                // Whoever has gone does not want to know.
                let _gone = reply.send(filed);
                filed = Filed::Duplicate { key: key.clone(), closed_at };
            }
        }
    }

    /// Tells whoever waits that it is not.
    pub(super) fn not_stored(self, why: &Filed) {
        for reply in self.lines.into_iter().flat_map(|line| line.replies) {
            let _gone = reply.send(why.clone());
        }
    }
}
