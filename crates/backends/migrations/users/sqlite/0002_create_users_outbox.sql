-- Events that were committed with the change that they report, until they are delivered. A position is never given twice.
CREATE TABLE users_outbox (
    position       INTEGER PRIMARY KEY AUTOINCREMENT,
    id             BLOB    NOT NULL CHECK (length(id) = 16),
    entity         BLOB    NOT NULL CHECK (length(entity) = 16),
    event_type     TEXT    NOT NULL,
    body           TEXT    NOT NULL,
    correlation_id TEXT,
    traceparent    TEXT,
    occurred_at    INTEGER NOT NULL
) STRICT;
