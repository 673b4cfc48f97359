-- The queue's tables, version 1. Runs once, in one transaction, as whoever may create the schema `keelson_queue`, or as
-- its owner. Afterwards a process needs: USAGE on the schema and its sequences; SELECT, INSERT, UPDATE and DELETE on its
-- tables.
CREATE TABLE keelson_queue.schema_version (version int4 NOT NULL);
INSERT INTO keelson_queue.schema_version (version) VALUES (1);

-- A body is written once and never touched again. It is bytea, as text cannot hold every character of JSON's strings,
-- and the database need not be UTF-8 for it.
CREATE SEQUENCE keelson_queue.message_places AS int8;
CREATE TABLE keelson_queue.messages (
    seq        int8  PRIMARY KEY,
    id         uuid  NOT NULL,
    sent_at    int8  NOT NULL,
    attributes text  NOT NULL,
    body       bytea NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

-- What is written again with each delivery is small, and holds all that a receive decides by. Where a queue is long,
-- a fifth of it (the default) would be much to leave lying about before it is cleaned up.
CREATE TABLE keelson_queue.deliveries (
    seq           int8 PRIMARY KEY,
    due_at        int8 NOT NULL,
    sent_at       int8 NOT NULL,
    received_at   int8,
    nonce         int8,
    owner         int4,
    receive_count int4 NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
-- In the order of receiving. A row is not written in place anyway when its time changes, so no room is left for that.
CREATE INDEX deliveries_due ON keelson_queue.deliveries (due_at, seq);

CREATE TABLE keelson_queue.dead_letters (
    number        int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    seq           int8 NOT NULL,
    id            uuid NOT NULL,
    receive_count int4 NOT NULL,
    reason        text NOT NULL,
    dead_at       int8 NOT NULL
);
CREATE INDEX dead_letters_id ON keelson_queue.dead_letters (id);

-- A row for each process, which says since when it is missed. That it lives, its advisory lock says.
CREATE SEQUENCE keelson_queue.worker_ids AS int4 CYCLE;
CREATE TABLE keelson_queue.workers (
    id         int4 PRIMARY KEY,
    gone_since int8
);
