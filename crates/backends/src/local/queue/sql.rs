//! The queue's schema and statements.
//!
//! A message is written once, into `messages`. Its row in `deliveries` says that it is on the main queue and when it
//! can be received; its row in `dead_letters` that it is on the other one. So no receive, heartbeat or redrive
//! rewrites a body of up to 1 MiB. Times are microseconds since 1970.

/// "KEEL": tells our files from other people's SQLite databases.
pub(super) const APPLICATION_ID: i64 = 0x4b45_454c;
/// Of [`SCHEMA`]; a file with a higher one comes from a newer program.
pub(super) const SCHEMA_VERSION: i64 = 1;

/// `deliveries_due` is in the order of receiving, as SQLite ends each index with the row's key. `deliveries_held`
/// counts what is in flight without looking at the rest.
pub(super) const SCHEMA: &str = "
CREATE TABLE messages (
    seq        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL,
    sent_at    INTEGER NOT NULL,
    attributes TEXT NOT NULL,
    body       TEXT NOT NULL
) STRICT;

CREATE TABLE deliveries (
    seq           INTEGER PRIMARY KEY,
    due_at        INTEGER NOT NULL,
    receive_count INTEGER NOT NULL,
    nonce         INTEGER,
    received_at   INTEGER
) STRICT;
CREATE INDEX deliveries_due ON deliveries (due_at);
CREATE INDEX deliveries_held ON deliveries (due_at) WHERE nonce IS NOT NULL;

CREATE TABLE dead_letters (
    number        INTEGER PRIMARY KEY,
    seq           INTEGER NOT NULL,
    id            TEXT NOT NULL,
    receive_count INTEGER NOT NULL,
    reason        TEXT NOT NULL,
    dead_at       INTEGER NOT NULL
) STRICT;
CREATE INDEX dead_letters_id ON dead_letters (id);
";

pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";
pub(super) const COMMIT: &str = "COMMIT";
pub(super) const ROLLBACK: &str = "ROLLBACK";
/// Moves the log into the file and keeps its room for what comes next.
pub(super) const MOVE_LOG: &str = "PRAGMA wal_checkpoint(PASSIVE)";
/// Moves the log into the file and gives its room back.
pub(super) const EMPTY_LOG: &str = "PRAGMA wal_checkpoint(TRUNCATE)";

/// Lets pages be given back in steps. A file has it from its beginning, or from [`REWRITE`] on.
pub(super) const VACUUM_STEPS: &str = "PRAGMA auto_vacuum = INCREMENTAL";
pub(super) const VACUUM_MODE: &str = "PRAGMA auto_vacuum";
/// `INCREMENTAL`.
pub(super) const VACUUM_IN_STEPS: i64 = 2;
/// Some pages: for each of them SQLite may go through the list of all free ones.
pub(super) const GIVE_BACK: &str = "PRAGMA incremental_vacuum(8)";
/// How many.
pub(super) const GIVEN_BACK_PAGES: i64 = 8;
pub(super) const REWRITE: &str = "PRAGMA auto_vacuum = INCREMENTAL; VACUUM";
pub(super) const ALL_PAGES: &str = "PRAGMA page_count";
pub(super) const FREE_PAGES: &str = "PRAGMA freelist_count";

pub(super) const SAVEPOINT: &str = "SAVEPOINT job";
pub(super) const SAVEPOINT_RELEASE: &str = "RELEASE job";
pub(super) const SAVEPOINT_ROLLBACK: &str = "ROLLBACK TO job";

/// The places in use, the dead letters' included: a redriven message keeps its own.
pub(super) const LAST_SEQ: &str = "SELECT coalesce(max(seq), 0) FROM messages";
pub(super) const COUNT_MESSAGES: &str = "SELECT count(*) FROM deliveries";
pub(super) const COUNT_DEAD: &str = "SELECT count(*) FROM dead_letters";
pub(super) const GIVE_BACK_LEASES: &str = "
UPDATE deliveries SET due_at = min(due_at, ?1), receive_count = receive_count - 1, nonce = NULL, received_at = NULL
WHERE nonce IS NOT NULL";

pub(super) const INSERT_MESSAGE: &str =
    "INSERT INTO messages (seq, id, sent_at, attributes, body) VALUES (?1, ?2, ?3, ?4, ?5)";
pub(super) const INSERT_DELIVERY: &str = "INSERT INTO deliveries (seq, due_at, receive_count) VALUES (?1, ?2, 0)";

/// Bounded, so that a pile of worn-out messages cannot make one receive endless.
pub(super) const READY: &str =
    "SELECT seq, receive_count FROM deliveries WHERE due_at <= ?1 ORDER BY due_at, seq LIMIT 256";
pub(super) const DELIVER: &str = "
UPDATE deliveries SET due_at = ?2, nonce = ?3, received_at = ?4, receive_count = receive_count + 1 WHERE seq = ?1";
pub(super) const READ_MESSAGE: &str = "SELECT id, body, attributes, sent_at FROM messages WHERE seq = ?1";
pub(super) const NEXT_DUE: &str = "SELECT min(due_at) FROM deliveries";

pub(super) const READ_DELIVERY: &str = "SELECT nonce, received_at, receive_count FROM deliveries WHERE seq = ?1";
pub(super) const HIDE: &str = "UPDATE deliveries SET due_at = ?2 WHERE seq = ?1";
pub(super) const END_LEASE: &str = "UPDATE deliveries SET nonce = NULL, received_at = NULL WHERE seq = ?1";
pub(super) const UNCOUNT: &str = "UPDATE deliveries SET receive_count = receive_count - 1 WHERE seq = ?1";
/// Back to the place it had before it was received.
pub(super) const OWN_PLACE: &str = "
UPDATE deliveries SET due_at = min(due_at, (SELECT sent_at FROM messages WHERE messages.seq = ?1)) WHERE seq = ?1";
pub(super) const DELETE_DELIVERY: &str = "DELETE FROM deliveries WHERE seq = ?1";
pub(super) const DELETE_MESSAGE: &str = "DELETE FROM messages WHERE seq = ?1";

pub(super) const INSERT_DEAD: &str = "
INSERT INTO dead_letters (seq, id, receive_count, reason, dead_at)
SELECT seq, id, ?2, ?3, ?4 FROM messages WHERE seq = ?1";
/// `octet_length` reads no body: the length stands in the row's header.
pub(super) const LIST_DEAD: &str = "
SELECT d.id, octet_length(m.body), m.attributes, m.sent_at, d.receive_count, d.reason, d.dead_at
FROM dead_letters d JOIN messages m USING (seq) ORDER BY d.number LIMIT ?1";
pub(super) const FIND_DEAD: &str = "
SELECT d.id, m.body, m.attributes, m.sent_at, d.receive_count, d.reason, d.dead_at
FROM dead_letters d JOIN messages m USING (seq) WHERE d.id = ?1";
pub(super) const FIND_DEAD_SEQ: &str = "SELECT number, seq FROM dead_letters WHERE id = ?1";
pub(super) const LAST_DEAD: &str = "SELECT coalesce(max(number), 0) FROM dead_letters";
pub(super) const SOME_DEAD: &str = "SELECT number, seq FROM dead_letters WHERE number <= ?1 ORDER BY number LIMIT ?2";
pub(super) const DELETE_DEAD: &str = "DELETE FROM dead_letters WHERE number = ?1";
pub(super) const SOME_MESSAGES: &str = "SELECT seq FROM deliveries WHERE seq <= ?1 ORDER BY seq LIMIT ?2";

pub(super) const COUNT_IN_FLIGHT: &str = "SELECT count(*) FROM deliveries WHERE nonce IS NOT NULL AND due_at > ?1";
pub(super) const COUNT_HIDDEN: &str = "SELECT count(*) FROM deliveries WHERE due_at > ?1";
/// The lowest place is the first send.
pub(super) const OLDEST: &str = "SELECT sent_at FROM messages WHERE seq = (SELECT min(seq) FROM deliveries)";
pub(super) const PING: &str = "SELECT seq FROM deliveries LIMIT 1";
