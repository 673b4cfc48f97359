//! Takes messages like ingest, with one commit for each row, as a service does that writes when it is asked.
//!
//! SQLite is set as in the product. Everything else is less than there: no edge, no log, one table without an index,
//! an id that is a number. So the comparison is kind to this side.

use std::path::Path;
use std::sync::mpsc;

use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::bare;
use crate::bench::API_TOKEN;

const SCHEMA: &str = "
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA wal_autocheckpoint = 4000;
PRAGMA journal_size_limit = 67108864;
PRAGMA cache_size = -16384;
CREATE TABLE messages (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
";

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

/// A row that waits for its commit, and who waits for it.
type Row = (String, oneshot::Sender<i64>);

/// Answers each message when its row is committed. `GET` says that it serves.
pub(super) async fn serve(port: u16, file: &Path) -> Result<()> {
    let connection = Connection::open(file)?;
    connection.execute_batch(SCHEMA)?;
    let (rows, inbox) = mpsc::channel();
    std::thread::spawn(move || write(&connection, &inbox));
    bare::serve_with(port, move |request| {
        let rows = rows.clone();
        async move { if request.method() == http::Method::GET { answer(0) } else { take(request, &rows).await } }
    })
    .await
}

/// A thread of its own: cheaper than a lock that blocking threads fight for.
fn write(connection: &Connection, inbox: &mpsc::Receiver<Row>) {
    while let Ok((body, caller)) = inbox.recv() {
        let inserted = connection
            .prepare_cached("INSERT INTO messages (body) VALUES (?1)")
            .and_then(|mut statement| statement.insert([body]));
        if let Ok(id) = inserted {
            let _caller_left = caller.send(id);
        }
    }
}

async fn take(request: Request<Incoming>, rows: &mpsc::Sender<Row>) -> Response<Full<Bytes>> {
    let Ok(body) = request.into_body().collect().await else { return refuse() };
    let body = body.to_bytes();
    let Ok(message) = serde_json::from_slice::<Message<'_>>(&body) else { return refuse() };
    if message.token != API_TOKEN || serde_json::from_str::<Data<'_>>(message.data.get()).is_err() {
        return refuse();
    }
    let (caller, committed) = oneshot::channel();
    if rows.send((message.data.get().to_owned(), caller)).is_err() {
        return refuse();
    }
    committed.await.map_or_else(|_| refuse(), answer)
}

/// As long as the product's answer, whatever the number.
fn answer(id: i64) -> Response<Full<Bytes>> {
    let body = format!(r#"{{"message":"Message sent to queue","message_id":"{id:036}","status":"success"}}"#);
    Response::new(Full::new(body.into()))
}

fn refuse() -> Response<Full<Bytes>> {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}
