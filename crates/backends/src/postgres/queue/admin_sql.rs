//! The statements of operators: dead letters, and how full the queue is.
//!
//! Whatever may touch a million rows goes in slices that begin where the last one ended, so that no slice passes over
//! the remains of those before it.

macro_rules! now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000000)::int8"
    };
}

/// `octet_length` reads no body: the length stands in the row.
pub(super) const LIST_DEAD: &str = "
SELECT d.id, octet_length(m.body)::int8 AS size_bytes, m.attributes, m.sent_at, d.receive_count, d.reason, d.dead_at
FROM keelson_queue.dead_letters d JOIN keelson_queue.messages m USING (seq) ORDER BY d.number LIMIT $1";
pub(super) const FIND_DEAD: &str = "
SELECT d.id, m.body, m.attributes, m.sent_at, d.receive_count, d.reason, d.dead_at
FROM keelson_queue.dead_letters d JOIN keelson_queue.messages m USING (seq) WHERE d.id = $1 ORDER BY d.number LIMIT 1";

pub(super) const LAST_DEAD: &str = "SELECT coalesce(max(number), 0) FROM keelson_queue.dead_letters";
pub(super) const LAST_MESSAGE: &str = "SELECT coalesce(max(seq), 0) FROM keelson_queue.deliveries";

/// Of the letters from `$1` (excluded) to `$2` (included), `$3` at most.
macro_rules! some_dead {
    () => {
        "WITH part AS MATERIALIZED (SELECT d.number, d.seq FROM keelson_queue.dead_letters d \
         WHERE d.number > $1 AND d.number <= $2 ORDER BY d.number LIMIT $3 FOR UPDATE), "
    };
}
/// Of the letters with the ids `$1`.
macro_rules! these_dead {
    () => {
        "WITH part AS MATERIALIZED (SELECT d.number, d.seq FROM keelson_queue.dead_letters d \
         WHERE d.id = ANY($1) ORDER BY d.number FOR UPDATE), "
    };
}
macro_rules! revive {
    () => {
        concat!(
            "gone AS (DELETE FROM keelson_queue.dead_letters d USING part WHERE d.number = part.number), ",
            "back AS (INSERT INTO keelson_queue.deliveries (seq, due_at, sent_at, receive_count) SELECT m.seq, ",
            now!(),
            ", m.sent_at, 0 FROM part JOIN keelson_queue.messages m USING (seq)) ",
            "SELECT count(*) AS done, max(number) AS last FROM part"
        )
    };
}
macro_rules! purge_dead {
    () => {
        "gone AS (DELETE FROM keelson_queue.dead_letters d USING part WHERE d.number = part.number), \
         bodies AS (DELETE FROM keelson_queue.messages m USING part WHERE m.seq = part.seq) \
         SELECT count(*) AS done, max(number) AS last FROM part"
    };
}

pub(super) const REDRIVE_SOME: &str = concat!(some_dead!(), revive!());
pub(super) const REDRIVE_THESE: &str = concat!(these_dead!(), revive!());
pub(super) const PURGE_SOME_DEAD: &str = concat!(some_dead!(), purge_dead!());
pub(super) const PURGE_THESE_DEAD: &str = concat!(these_dead!(), purge_dead!());
pub(super) const PURGE_SOME: &str = "
WITH part AS MATERIALIZED (SELECT d.seq FROM keelson_queue.deliveries d
    WHERE d.seq > $1 AND d.seq <= $2 ORDER BY d.seq LIMIT $3 FOR UPDATE),
gone AS (DELETE FROM keelson_queue.deliveries d USING part WHERE d.seq = part.seq),
bodies AS (DELETE FROM keelson_queue.messages m USING part WHERE m.seq = part.seq)
SELECT count(*) AS done, max(seq) AS last FROM part";

/// The lowest place is the first send.
pub(super) const STATS: &str = concat!(
    "WITH clock AS MATERIALIZED (SELECT ",
    now!(),
    " AS now) SELECT (SELECT count(*) FROM keelson_queue.deliveries d WHERE d.due_at <= clock.now) AS visible, ",
    "(SELECT count(*) FROM keelson_queue.deliveries d WHERE d.due_at > clock.now) AS hidden, ",
    "(SELECT count(*) FROM keelson_queue.deliveries d WHERE d.due_at > clock.now AND d.nonce IS NOT NULL) AS in_flight, ",
    "(SELECT count(*) FROM keelson_queue.dead_letters) AS dead, ",
    "(SELECT (clock.now - d.sent_at) / 1000000 FROM keelson_queue.deliveries d ORDER BY d.seq LIMIT 1) AS oldest ",
    "FROM clock"
);

/// What the server knows of the numbers of rows, where counting them takes too long.
pub(super) const ESTIMATE: &str = concat!(
    "WITH clock AS MATERIALIZED (SELECT ",
    now!(),
    " AS now) SELECT greatest(pg_stat_get_live_tuples('keelson_queue.deliveries'::regclass), ",
    "(SELECT c.reltuples::int8 FROM pg_class c WHERE c.oid = 'keelson_queue.deliveries'::regclass), 0) AS visible, ",
    "0::int8 AS hidden, 0::int8 AS in_flight, ",
    "greatest(pg_stat_get_live_tuples('keelson_queue.dead_letters'::regclass), 0) AS dead, ",
    "(SELECT (clock.now - d.sent_at) / 1000000 FROM keelson_queue.deliveries d ORDER BY d.seq LIMIT 1) AS oldest ",
    "FROM clock"
);

/// Whether the tables can be read, and the server takes writes.
pub(super) const PING: &str = "
SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS reads_only,
    (SELECT d.seq FROM keelson_queue.deliveries d ORDER BY d.seq LIMIT 1)";
