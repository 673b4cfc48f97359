-- Users, as they are read one by one: the rows lie in the tree of their ids, which grow with time. Times are microseconds
-- since 1970. Keys are compared byte by byte: what makes no difference was taken out of them before.
CREATE TABLE users (
    id            BLOB    PRIMARY KEY CHECK (length(id) = 16),
    name          TEXT    NOT NULL,
    -- Of the registered alone, who have a password.
    username_key  TEXT    UNIQUE,
    email         TEXT    NOT NULL,
    email_key     TEXT    NOT NULL UNIQUE,
    age           INTEGER,
    is_active     INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    password_hash TEXT,
    version       INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- The order of pages.
CREATE INDEX users_in_order ON users (created_at, id);
-- Answers to requests with an Idempotency-Key, until they expire. Ids and fingerprints are digests.
CREATE TABLE idempotency_keys (
    id          TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    answer      TEXT NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);
