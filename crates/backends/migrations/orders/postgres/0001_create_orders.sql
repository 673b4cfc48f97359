-- Orders, as they are read one by one. Times are microseconds since 1970. Items never change and are read whole, so they
-- are one JSON text; their prices are in it to the last digit. Texts are compared byte by byte.
CREATE TABLE orders (
    id               uuid PRIMARY KEY,
    -- Users are elsewhere: another service knows which there are.
    user_id          text COLLATE "C" NOT NULL,
    status           text COLLATE "C" NOT NULL,
    items            text NOT NULL,
    shipping_address text NOT NULL,
    version          int8 NOT NULL,
    created_at       int8 NOT NULL,
    updated_at       int8 NOT NULL
);
-- The order of pages, of all orders, of those of a user and of those that stand somewhere.
CREATE INDEX orders_in_order ON orders (created_at, id);
CREATE INDEX orders_of_user ON orders (user_id, created_at, id);
CREATE INDEX orders_by_status ON orders (status, created_at, id);
-- Answers to requests with an Idempotency-Key, until they expire. Ids and fingerprints are digests.
CREATE TABLE orders_idempotency_keys (
    id          text COLLATE "C" PRIMARY KEY,
    fingerprint text NOT NULL,
    answer      text NOT NULL,
    expires_at  int8 NOT NULL
);
CREATE INDEX orders_idempotency_keys_by_expiry ON orders_idempotency_keys (expires_at);
-- Events that were committed with the change that they report, until they are delivered.
CREATE TABLE orders_outbox (
    position       int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id             uuid NOT NULL,
    entity         uuid NOT NULL,
    event_type     text NOT NULL,
    body           text NOT NULL,
    correlation_id text,
    traceparent    text,
    occurred_at    int8 NOT NULL
);
-- Which of many processes delivers them: one row.
CREATE TABLE orders_outbox_lead (
    is_only   bool        PRIMARY KEY DEFAULT true CHECK (is_only),
    relay     uuid        NOT NULL,
    ends_at   timestamptz NOT NULL
);
