-- Events that were committed with the change that they report, until they are delivered.
CREATE TABLE users_outbox (
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
CREATE TABLE users_outbox_lead (
    is_only   bool        PRIMARY KEY DEFAULT true CHECK (is_only),
    relay     uuid        NOT NULL,
    ends_at   timestamptz NOT NULL
);
