-- Events, as they came. Times are microseconds since 1970.
CREATE TABLE events (
    id          uuid PRIMARY KEY,
    event_type  text COLLATE "C" NOT NULL,
    event_name  text NOT NULL,
    user_id     text COLLATE "C",
    -- The text of a JSON object. It may hold what `jsonb` cannot, such as the character NUL.
    properties  text,
    created_at  int8 NOT NULL,
    -- Of requests with an Idempotency-Key; digests.
    request_id  text COLLATE "C",
    fingerprint text
);
-- To be counted without a look at the rows.
CREATE INDEX events_by_type ON events (event_type, created_at);
CREATE INDEX events_by_user ON events (user_id, event_type, created_at) WHERE user_id IS NOT NULL;
-- Most events come without a key, and need no place here.
CREATE UNIQUE INDEX events_by_request ON events (request_id) WHERE request_id IS NOT NULL;
