-- Events, as they came: the rows lie in the tree of their ids, which grow with time. Times are microseconds since 1970.
CREATE TABLE events (
    id          BLOB    PRIMARY KEY CHECK (length(id) = 16),
    event_type  TEXT    NOT NULL,
    event_name  TEXT    NOT NULL,
    user_id     TEXT,
    -- A JSON object.
    properties  TEXT,
    created_at  INTEGER NOT NULL,
    -- Of requests with an Idempotency-Key; digests.
    request_id  TEXT,
    fingerprint TEXT
) STRICT, WITHOUT ROWID;
-- To be counted without a look at the rows.
CREATE INDEX events_by_type ON events (event_type, created_at);
CREATE INDEX events_by_user ON events (user_id, event_type, created_at) WHERE user_id IS NOT NULL;
-- Most events come without a key, and need no place here.
CREATE UNIQUE INDEX events_by_request ON events (request_id) WHERE request_id IS NOT NULL;
