-- Orders, as they are read one by one: the rows lie in the tree of their ids, which grow with time. Times are microseconds
-- since 1970. Items never change and are read whole, so they are one JSON text; their prices are in it to the last digit.
CREATE TABLE orders (
    id               BLOB    PRIMARY KEY CHECK (length(id) = 16),
    -- Users are elsewhere: another service knows which there are.
    user_id          TEXT    NOT NULL,
    status           TEXT    NOT NULL,
    items            TEXT    NOT NULL,
    shipping_address TEXT    NOT NULL,
    version          INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- The order of pages, of all orders, of those of a user and of those that stand somewhere.
CREATE INDEX orders_in_order ON orders (created_at, id);
CREATE INDEX orders_of_user ON orders (user_id, created_at, id);
CREATE INDEX orders_by_status ON orders (status, created_at, id);
-- Answers to requests with an Idempotency-Key, until they expire. Ids and fingerprints are digests.
CREATE TABLE orders_idempotency_keys (
    id          TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    answer      TEXT NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX orders_idempotency_keys_by_expiry ON orders_idempotency_keys (expires_at);
-- Events that were committed with the change that they report, until they are delivered. A position is never given twice.
CREATE TABLE orders_outbox (
    position       INTEGER PRIMARY KEY AUTOINCREMENT,
    id             BLOB    NOT NULL CHECK (length(id) = 16),
    entity         BLOB    NOT NULL CHECK (length(entity) = 16),
    event_type     TEXT    NOT NULL,
    body           TEXT    NOT NULL,
    correlation_id TEXT,
    traceparent    TEXT,
    occurred_at    INTEGER NOT NULL
) STRICT;
