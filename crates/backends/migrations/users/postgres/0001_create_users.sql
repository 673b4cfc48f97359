-- Users, as they are read one by one. Times are microseconds since 1970. Keys are compared byte by byte: what makes no
-- difference was taken out of them before.
CREATE TABLE users (
    id            uuid    PRIMARY KEY,
    name          text    NOT NULL,
    -- Of the registered alone, who have a password.
    username_key  text    COLLATE "C" UNIQUE,
    email         text    NOT NULL,
    email_key     text    COLLATE "C" NOT NULL UNIQUE,
    age           int2,
    is_active     bool    NOT NULL,
    password_hash text,
    version       int8    NOT NULL,
    created_at    int8    NOT NULL,
    updated_at    int8    NOT NULL
);
-- The order of pages.
CREATE INDEX users_in_order ON users (created_at, id);
-- Answers to requests with an Idempotency-Key, until they expire. Ids and fingerprints are digests.
CREATE TABLE idempotency_keys (
    id          text COLLATE "C" PRIMARY KEY,
    fingerprint text NOT NULL,
    answer      text NOT NULL,
    expires_at  int8 NOT NULL
);
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);
