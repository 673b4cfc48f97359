//! Takes messages like ingest, or events like analytics, with one commit for each row, as a service does that writes
//! when it is asked.
//!
//! SQLite is set as in the product. Everything else is less than there: no edge, no log, an id that is a number.
//! Messages have one table without an index; events have the product's own, and of a request for one its shape alone
//! is looked at, and no token. So the comparison is kind to this side.

use std::path::Path;
use std::sync::mpsc;

use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use rusqlite::{Connection, params};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::bare;
use crate::bench::API_TOKEN;
use crate::machine::now;

/// As the product has them for the queue.
const QUEUE_SETTINGS: &str = "
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA wal_autocheckpoint = 4000;
PRAGMA journal_size_limit = 67108864;
PRAGMA cache_size = -16384;
";
const MESSAGE_TABLE: &str = "CREATE TABLE messages (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT";
const INSERT_MESSAGE: &str = "INSERT INTO messages (body) VALUES (?1)";

/// The same for the stores of services.
const STORE_SETTINGS: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA wal_autocheckpoint = 4000;
PRAGMA journal_size_limit = 67108864;
PRAGMA cache_size = -16384;
PRAGMA temp_store = MEMORY;
";
const EVENT_TABLE: &str = include_str!("../../../crates/backends/migrations/analytics/sqlite/0001_create_events.sql");
const INSERT_EVENT: &str = "INSERT INTO events (id, event_type, event_name, user_id, properties, created_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

/// What is taken.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rows {
    Messages,
    Events,
}

/// What is written for a request.
enum Row {
    Message(String),
    Event(Event),
}

#[derive(Deserialize)]
struct Message<'a> {
    token: &'a str,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "that they are there is what is checked")]
struct Data<'a> {
    email_subject: &'a str,
    email_sender: &'a str,
    email_timestream: &'a str,
    email_content: &'a str,
}

#[derive(Deserialize)]
struct Event {
    event_type: String,
    event_name: String,
    user_id: Option<String>,
    properties: Option<Box<RawValue>>,
}

/// A row that waits for its commit, and who waits for it; it comes back with its number.
type Waiting = (Row, oneshot::Sender<(Row, i64)>);

/// Answers each request when its row is committed. `GET` says that it serves.
pub(super) async fn serve(port: u16, file: &Path, rows: Rows) -> Result<()> {
    let connection = Connection::open(file)?;
    for sql in rows.schema() {
        connection.execute_batch(sql)?;
    }
    let (writer, inbox) = mpsc::channel();
    std::thread::spawn(move || write(&connection, &inbox));
    bare::serve_with(port, move |request| {
        let writer = writer.clone();
        async move {
            if request.method() == http::Method::GET { Response::default() } else { take(request, rows, &writer).await }
        }
    })
    .await
}

/// A thread of its own: cheaper than a lock that blocking threads fight for.
fn write(connection: &Connection, inbox: &mpsc::Receiver<Waiting>) {
    for number in 1.. {
        let Ok((row, caller)) = inbox.recv() else { return };
        if row.insert(connection, number).is_ok() {
            let _caller_left = caller.send((row, number));
        }
    }
}

async fn take(request: Request<Incoming>, rows: Rows, writer: &mpsc::Sender<Waiting>) -> Response<Full<Bytes>> {
    let Ok(body) = request.into_body().collect().await else { return refuse() };
    let Some(row) = rows.read(&body.to_bytes()) else { return refuse() };
    let (caller, committed) = oneshot::channel();
    if writer.send((row, caller)).is_err() {
        return refuse();
    }
    committed.await.map_or_else(|_| refuse(), |(row, number)| row.answer(number))
}

impl Rows {
    fn schema(self) -> [&'static str; 2] {
        match self {
            Self::Messages => [QUEUE_SETTINGS, MESSAGE_TABLE],
            Self::Events => [STORE_SETTINGS, EVENT_TABLE],
        }
    }

    /// The row of a body; `None` for one that is to be refused.
    fn read(self, body: &[u8]) -> Option<Row> {
        match self {
            Self::Messages => {
                let message: Message<'_> = serde_json::from_slice(body).ok()?;
                let data = message.data.get();
                let is_right = message.token == API_TOKEN && serde_json::from_str::<Data<'_>>(data).is_ok();
                is_right.then(|| Row::Message(data.to_owned()))
            }
            Self::Events => serde_json::from_slice(body).ok().map(Row::Event),
        }
    }
}

impl Row {
    fn insert(&self, connection: &Connection, number: i64) -> rusqlite::Result<usize> {
        match self {
            Self::Message(body) => connection.prepare_cached(INSERT_MESSAGE)?.execute([body]),
            Self::Event(Event { event_type, event_name, user_id, properties }) => {
                // It grows, as the product's ids do.
                let id = i128::from(number).to_be_bytes();
                let (properties, now) = (properties.as_ref().map(|object| object.get()), now().as_microsecond());
                let mut insert = connection.prepare_cached(INSERT_EVENT)?;
                insert.execute(params![id, event_type, event_name, user_id, properties, now])
            }
        }
    }

    /// As long as the product's answer, whatever the number.
    fn answer(&self, number: i64) -> Response<Full<Bytes>> {
        let body = match self {
            Self::Message(_) => {
                format!(r#"{{"message":"Message sent to queue","message_id":"{number:036}","status":"success"}}"#)
            }
            Self::Event(Event { event_type, .. }) => {
                let data = format!(r#"{{"event_id":"{number:036}","event_type":"{event_type}"}}"#);
                format!(r#"{{"success":true,"message":"Event created successfully","data":{data}}}"#)
            }
        };
        Response::new(Full::new(body.into()))
    }
}

fn refuse() -> Response<Full<Bytes>> {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_either_kind_fits_its_table() {
        let message = crate::bench::message();
        let event = r#"{"event_type":"page_view","event_name":"x","user_id":"ann","properties":{"path":"/"}}"#;
        for (rows, body, count) in [
            (Rows::Messages, message.as_str(), "SELECT count(*) FROM messages WHERE json_valid(body)"),
            (
                Rows::Events,
                event,
                r#"SELECT count(*) FROM events WHERE user_id = 'ann' AND properties = '{"path":"/"}'"#,
            ),
        ] {
            let connection = Connection::open_in_memory().unwrap();
            rows.schema().into_iter().for_each(|sql| connection.execute_batch(sql).unwrap());
            for number in [1, 2] {
                rows.read(body.as_bytes()).unwrap().insert(&connection, number).unwrap();
            }
            let counted: i64 = connection.query_row(count, [], |row| row.get(0)).unwrap();
            assert_eq!(counted, 2, "{count}");
            assert!(rows.read(b"{}").is_none());
        }
    }
}
