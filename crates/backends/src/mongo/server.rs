//! A server at the start of a program: reached with some patience, and made ready.

use std::time::Duration;

use mongodb::bson::Document;
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::{Acknowledgment, ClientOptions, WriteConcern};
use mongodb::{Client, Collection};
use tokio::time::timeout;

use super::error::{
    AUTHENTICATION_FAILED, DUPLICATE_KEY, INDEX_KEYS_CONFLICT, INDEX_OPTIONS_CONFLICT, UNAUTHORIZED, code, describe,
};
use super::{Address, indexes};
use crate::OpenError;

/// The collection in the database.
const EVENTS: &str = "events";
/// As the server's log and `currentOp` show us.
const APPLICATION_NAME: &str = "keelson";

/// Less than a call may take, so that whoever waits hears why.
const SELECTION_TIMEOUT: Duration = Duration::from_secs(4);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a majority may take to have a write.
const WRITE_TIMEOUT: Duration = Duration::from_secs(4);
/// For all of the start: an index on what is already there may take its time.
const TIME_LIMIT: Duration = Duration::from_secs(60);
const MOST_CONNECTIONS: u32 = 32;

/// The events of a database, with their indexes.
pub(super) async fn open(kind: &'static str, address: Address) -> Result<Collection<Document>, OpenError> {
    let place = address.to_string();
    let signs_on = address.user().is_some();
    #[expect(
        clippy::disallowed_methods,
        reason = "the driver must not be interrupted, and the process ends if this does not"
    )]
    let opening = tokio::spawn(async move {
        let events = connect(address).await?;
        indexes::ensure(&events).await?;
        Ok(events)
    });
    let silent = || ("it does not answer".to_owned(), "look at what the server does");
    let opened = timeout(TIME_LIMIT, opening).await.ok().and_then(Result::ok).ok_or_else(silent);
    let opened = opened.and_then(|opened| opened.map_err(|error: Error| (describe(&error), remedy(&error, signs_on))));
    opened.map_err(|(problem, remedy)| OpenError::Database { kind, place, problem, remedy: remedy.to_owned() })
}

/// Connects to nobody yet; looks only for the servers behind a name.
async fn connect(address: Address) -> Result<Collection<Document>, Error> {
    let mut options = ClientOptions::parse(address.connection.clone()).await?;
    options.app_name.get_or_insert_with(|| APPLICATION_NAME.to_owned());
    options.server_selection_timeout = Some(SELECTION_TIMEOUT);
    options.connect_timeout = Some(CONNECT_TIMEOUT);
    options.max_pool_size = Some(MOST_CONNECTIONS);
    let durable = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).w_timeout(WRITE_TIMEOUT);
    options.write_concern = Some(durable.build());
    let client = Client::with_options(options)?;
    Ok(client.database(address.database()).collection(EVENTS))
}

fn remedy(error: &Error, signs_on: bool) -> &'static str {
    match code(error) {
        Some(UNAUTHORIZED) if signs_on => "give the user the role `readWrite` on this database",
        Some(UNAUTHORIZED) => "set MONGODB_USER and MONGODB_PASSWORD, or name a user in the URL",
        Some(AUTHENTICATION_FAILED) => AUTHENTICATE,
        Some(INDEX_OPTIONS_CONFLICT | INDEX_KEYS_CONFLICT) => {
            "the collection `events` has another index of that name or on those fields: drop it, or name another database"
        }
        Some(DUPLICATE_KEY) => "two documents of the collection `events` have one `request_id`: remove one of them",
        _ => match &*error.kind {
            ErrorKind::Authentication { .. } => AUTHENTICATE,
            ErrorKind::InvalidTlsConfig { .. } => FILES,
            ErrorKind::Io(io) if io.kind() == std::io::ErrorKind::NotFound => FILES,
            ErrorKind::Write(WriteFailure::WriteConcernError(_)) => {
                "a majority of the set must have each write: start the other members"
            }
            _ => "the store of events needs a MongoDB server that can be reached and takes writes",
        },
    }
}

const AUTHENTICATE: &str = "check user and password, and `authSource`, the database where the user is known";
const FILES: &str = "look at the files that `tlsCAFile` and `tlsCertificateKeyFile` name";
