//! A stored message as a line of a table, or of JSON.

use jiff::Unit;
use pipeline::archive::Entry;
use serde_json::json;

use super::out::{Halt, Out};
use crate::output::printable;

/// Shows entries as they are found.
#[derive(Debug)]
pub(super) struct Table {
    as_json: bool,
    pub(super) rows: u64,
}

impl Table {
    pub(super) fn new(as_json: bool) -> Self {
        Self { as_json, rows: 0 }
    }

    pub(super) async fn row(&mut self, entry: &Entry, out: &mut Out) -> Result<(), Halt> {
        self.rows += 1;
        if self.as_json {
            let line = json!({
                "id": entry.id, "day": entry.day.to_string(), "sent_at": entry.sent_at,
                "bytes": entry.size_bytes, "object": entry.object.as_str(),
            });
            return out.line(line.to_string()).await;
        }
        if self.rows == 1 {
            out.line(format!("{:<36}  {:<20}  {:>9}  OBJECT", "ID", "SENT", "BYTES")).await?;
        }
        out.line(format!(
            "{:<36}  {:<20}  {:>9}  {}",
            printable(&entry.id.0),
            sent(entry),
            entry.size_bytes,
            entry.object
        ))
        .await
    }
}

/// To the second; of an object that was not read its day is known alone.
fn sent(entry: &Entry) -> String {
    let second = entry
        .sent_at
        .and_then(|at| at.round(jiff::TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Trunc)).ok());
    second.map_or_else(|| entry.day.to_string(), |at| at.to_string())
}
