//! The queue's statements. Each is one statement, so one way there and back and one transaction.
//!
//! A message is written once, into `messages`. Its small row in `deliveries` says that it is on the main queue and when
//! it can be received; its row in `dead_letters` that it is on the other one. Times are microseconds since 1970 by the
//! server's clock, which all processes share: whole numbers are compared and added without a zone or a precision in
//! the way, and are the same in every backend.

pub(super) use crate::postgres::LOCK_SPACE;
use crate::postgres::session_bounds;

/// The second half of our advisory locks: held while the schema is made.
pub(super) const SCHEMA_LOCK: i32 = -1;
/// Held by whoever looks for dead workers.
pub(super) const SWEEP_LOCK: i32 = -2;

/// Where it is said that something may be visible sooner than receivers know.
pub(super) const CHANNEL: &str = "keelson_queue";
pub(super) const NOTIFY: &str = "SELECT set_config('synchronous_commit', 'off', true), pg_notify('keelson_queue', '')";

macro_rules! now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000000)::int8"
    };
}

/// Of each session; answers the server's time and whether it only reads. The plans are those of an index at any number
/// of rows: what the server has counted of a table that fills and empties by the minute is wrong most of the time. The lock is
/// shared by all connections of a process: while any of them lives, so does the worker.
pub(super) const PREPARE_SESSION: &str = concat!(
    "SELECT set_config('search_path', 'pg_catalog', false), set_config('enable_seqscan', 'off', false), ",
    "set_config('enable_bitmapscan', 'off', false), set_config('enable_hashjoin', 'off', false), ",
    "set_config('enable_mergejoin', 'off', false), set_config('plan_cache_mode', 'force_generic_plan', false), ",
    "set_config('jit', 'off', false), set_config('work_mem', '16MB', false), ",
    "CASE WHEN $2 > 0 THEN pg_try_advisory_lock_shared($1, $2) END, ",
    session_bounds!(),
    ", ",
    now!(),
    " AS now"
);

pub(super) const NEW_WORKER: &str =
    "INSERT INTO keelson_queue.workers (id) VALUES (nextval('keelson_queue.worker_ids')) RETURNING id";
pub(super) const REGISTER_WORKER: &str = "
INSERT INTO keelson_queue.workers AS w (id) VALUES ($1)
ON CONFLICT (id) DO UPDATE SET gone_since = NULL WHERE w.gone_since IS NOT NULL";

/// The workers of which a connection lives.
macro_rules! alive {
    () => {
        "SELECT l.objid::int8 FROM pg_locks l WHERE l.locktype = 'advisory' AND l.classid = 1262830924 \
         AND l.objsubid = 2 AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    };
}

/// Notes who is gone and who is back; answers who is gone for `$1`. One process at a time looks.
pub(super) const SWEEP: &str = concat!(
    "WITH clock AS MATERIALIZED (SELECT ",
    now!(),
    " AS now, pg_try_advisory_xact_lock($2, $3) AS is_mine), alive AS MATERIALIZED (",
    alive!(),
    "), back AS (UPDATE keelson_queue.workers w SET gone_since = NULL FROM clock WHERE clock.is_mine ",
    "AND w.gone_since IS NOT NULL AND w.id IN (SELECT objid FROM alive)), ",
    "missing AS (UPDATE keelson_queue.workers w SET gone_since = clock.now FROM clock WHERE clock.is_mine ",
    "AND w.gone_since IS NULL AND w.id NOT IN (SELECT objid FROM alive)) ",
    "SELECT w.id FROM keelson_queue.workers w, clock WHERE clock.is_mine AND w.gone_since <= clock.now - $1 ",
    "AND w.id NOT IN (SELECT objid FROM alive)"
);

/// Gives back what a dead worker holds, uncounted and in its place, and forgets the worker.
pub(super) const BURY_WORKER: &str = concat!(
    "WITH dead AS MATERIALIZED (SELECT w.id, ",
    now!(),
    " AS now FROM keelson_queue.workers w WHERE w.id = $1 AND w.gone_since IS NOT NULL AND w.id NOT IN (",
    alive!(),
    ") FOR UPDATE), freed AS (UPDATE keelson_queue.deliveries d SET due_at = least(d.due_at, d.sent_at, dead.now), ",
    "receive_count = d.receive_count - 1, nonce = NULL, received_at = NULL, owner = NULL ",
    "FROM dead WHERE d.due_at > dead.now AND d.owner = dead.id RETURNING d.seq), ",
    "forgotten AS (DELETE FROM keelson_queue.workers w USING dead WHERE w.id = dead.id) ",
    "SELECT count(*) FROM freed"
);

/// Nothing is sent after `$5`: a statement that lay in the socket of a server that stood still would be executed when
/// its sender has long been told that it failed.
pub(super) const SEND: &str = concat!(
    "WITH clock AS MATERIALIZED (SELECT ",
    now!(),
    " AS now), places AS MATERIALIZED (SELECT array_agg(nextval('keelson_queue.message_places')) AS seqs ",
    "FROM clock, generate_series(1, cardinality($1)) WHERE clock.now < $5), ",
    "written AS (INSERT INTO keelson_queue.messages (seq, id, sent_at, attributes, body) ",
    "SELECT t.seq, t.id, clock.now, t.attributes, t.body FROM clock, places, ",
    "unnest(places.seqs, $1::uuid[], $2::text[], $3::bytea[]) AS t (seq, id, attributes, body) ",
    "WHERE t.seq IS NOT NULL), ",
    "placed AS (INSERT INTO keelson_queue.deliveries (seq, due_at, sent_at, receive_count) ",
    "SELECT t.seq, clock.now + t.delay, clock.now, 0 FROM clock, places, ",
    "unnest(places.seqs, $4::int8[]) AS t (seq, delay) WHERE t.seq IS NOT NULL RETURNING 1) ",
    "SELECT count(*) AS sent FROM placed"
);

/// Takes what is due from `$1` on, for as long as it is not later than `$2`. What was delivered often enough goes to
/// the dead letters. The lease of a worker that is dead does not count. A receive need not survive a power cut, so it
/// does not wait for the disk: what is lost with it is a lease.
pub(super) const RECEIVE: &str = concat!(
    "WITH clock AS MATERIALIZED (SELECT ",
    now!(),
    " AS now, set_config('synchronous_commit', 'off', true)), picked AS MATERIALIZED (",
    "SELECT d.seq, d.due_at, d.receive_count, d.owner FROM keelson_queue.deliveries d ",
    "WHERE d.due_at >= $1 AND d.due_at <= (SELECT now FROM clock) AND (SELECT now FROM clock) < $2 ",
    "ORDER BY d.due_at, d.seq LIMIT $3 FOR UPDATE OF d SKIP LOCKED), ",
    "judged AS MATERIALIZED (SELECT p.seq, p.due_at, p.receive_count - CASE WHEN p.owner IS NULL THEN 0 ",
    "WHEN p.owner IN (",
    alive!(),
    ") THEN 0 ELSE 1 END AS receive_count FROM picked p), ",
    "delivered AS (UPDATE keelson_queue.deliveries d SET due_at = clock.now + $4, ",
    "receive_count = j.receive_count + 1, nonce = $5, received_at = clock.now, owner = $6 FROM judged j, clock ",
    "WHERE d.seq = j.seq AND j.receive_count < $7 RETURNING d.seq, j.due_at, d.receive_count), ",
    "spent AS (DELETE FROM keelson_queue.deliveries d USING judged j ",
    "WHERE d.seq = j.seq AND j.receive_count >= $7 RETURNING d.seq, j.receive_count), ",
    "buried AS (INSERT INTO keelson_queue.dead_letters (seq, id, receive_count, reason, dead_at) ",
    "SELECT m.seq, m.id, s.receive_count, 'delivered ' || s.receive_count || ' times and never deleted', clock.now ",
    "FROM spent s JOIN keelson_queue.messages m USING (seq), clock) ",
    "SELECT (SELECT count(*) FROM spent) AS spent, CASE WHEN NOT EXISTS (SELECT FROM delivered) THEN ",
    "(SELECT d.due_at - clock.now FROM keelson_queue.deliveries d WHERE d.due_at > clock.now ",
    "ORDER BY d.due_at LIMIT 1) END AS next_due, clock.now, x.due_at, x.seq, x.receive_count, ",
    "m.id, m.body, m.attributes, m.sent_at FROM clock LEFT JOIN (delivered x JOIN keelson_queue.messages m USING (seq)) ",
    "ON true ORDER BY x.due_at, x.seq"
);

/// Gives back what receives took whose answer never came.
pub(super) const UNDO_RECEIVES: &str = concat!(
    "WITH clock AS MATERIALIZED (SELECT ",
    now!(),
    " AS now) UPDATE keelson_queue.deliveries d SET due_at = least(d.due_at, d.sent_at, clock.now), ",
    "receive_count = d.receive_count - 1, nonce = NULL, received_at = NULL, owner = NULL FROM clock ",
    "WHERE d.due_at > clock.now AND d.owner = $1 AND d.nonce = ANY($2)"
);

/// Begins each statement on receipts: `$1` are the places, `$2` the nonces.
macro_rules! asked {
    () => {
        concat!(
            "WITH clock AS MATERIALIZED (SELECT ",
            now!(),
            " AS now), asked AS MATERIALIZED (SELECT DISTINCT t.seq, t.nonce ",
            "FROM unnest($1::int8[], $2::int8[]) AS t (seq, nonce) ORDER BY t.seq), "
        )
    };
}

/// Ends it: what each place held before, and whether it was `done`. A place that is not there has no row.
macro_rules! answers {
    ($too_long:literal) => {
        concat!(
            "SELECT d.seq, d.nonce, d.seq IN (SELECT seq FROM done) AS done, ",
            $too_long,
            " AS too_long FROM keelson_queue.deliveries d, clock WHERE d.seq = ANY($1)"
        )
    };
}

pub(super) const DELETE: &str = concat!(
    asked!(),
    "done AS (DELETE FROM keelson_queue.deliveries d USING asked a WHERE d.seq = a.seq AND d.nonce = a.nonce ",
    "RETURNING d.seq), bodies AS (DELETE FROM keelson_queue.messages m USING done WHERE m.seq = done.seq) ",
    answers!("false")
);

/// `$3` is the visibility, `$4` the longest since the receive.
macro_rules! hide {
    ($due_at:literal, $more:literal) => {
        concat!(
            asked!(),
            "done AS (UPDATE keelson_queue.deliveries d SET due_at = ",
            $due_at,
            $more,
            " FROM asked a, clock WHERE d.seq = a.seq AND d.nonce = a.nonce ",
            "AND clock.now + $3 <= d.received_at + $4 RETURNING d.seq) ",
            answers!("coalesce(clock.now + $3 > d.received_at + $4, false)")
        )
    };
}

pub(super) const HIDE: &str = hide!("clock.now + $3", "");
/// Ends the lease too: what waits for another attempt is held by nobody.
pub(super) const RETRY: &str = hide!("clock.now + $3", ", nonce = NULL, received_at = NULL, owner = NULL");
/// Without a pause a message has the place again that it had before it was received.
pub(super) const RELEASE: &str = hide!(
    "CASE WHEN $3 = 0 THEN least(clock.now, d.sent_at) ELSE clock.now + $3 END",
    ", receive_count = d.receive_count - 1, nonce = NULL, received_at = NULL, owner = NULL"
);

pub(super) const DEAD_LETTER: &str = concat!(
    "WITH gone AS (DELETE FROM keelson_queue.deliveries d WHERE d.seq = $1 AND d.nonce = $2 ",
    "RETURNING d.seq, d.receive_count) ",
    "INSERT INTO keelson_queue.dead_letters (seq, id, receive_count, reason, dead_at) SELECT m.seq, m.id, ",
    "gone.receive_count, $3, ",
    now!(),
    " FROM gone JOIN keelson_queue.messages m USING (seq) RETURNING seq"
);
