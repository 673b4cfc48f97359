//! What is measured, a file for each row.

mod archiver;
mod archiver_s3;
mod beside;
mod encrypted_post;
mod envelope;
mod events_sqlite;
mod events_stats;
mod exact;
mod gateway;
mod get;
mod ingest;
mod ingest_sqs;
mod latency;
mod login_flood;
mod logins;
mod memory;
mod month;
mod orders_post;
mod overload;
mod rounds;
mod slow;
mod start;
mod telemetry;
mod users_get;
mod users_store;

use anyhow::Result;

use crate::bench::Bench;

/// One row: how it is called, what it is about, and what runs it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&mut Bench) -> Result<()>,
}

/// All rows, in the order in which they run.
pub(crate) const ROWS: &[Row] = &[
    Row { name: "get", about: "GET with the full edge against a bare hyper, FastAPI and nginx", run: get::run },
    Row { name: "telemetry", about: "log, metrics and ids on against off", run: telemetry::run },
    Row { name: "exact", about: "instructions, allocations and system calls of one request", run: exact::run },
    Row { name: "ingest", about: "durable ingest against one commit for each row, 64 connections", run: ingest::run },
    Row { name: "archiver", about: "objects per second against a bare loop of create and fsync", run: archiver::run },
    Row { name: "ingest-sqs", about: "ingest on SQS against Flask and boto3, at a fake of AWS", run: ingest_sqs::run },
    Row {
        name: "archiver-s3",
        about: "SQS to S3 against a bare loop of PUTs, at a fake of AWS",
        run: archiver_s3::run,
    },
    Row {
        name: "users-get",
        about: "a user by id from PostgreSQL against FastAPI, SQLAlchemy and asyncpg",
        run: users_get::run,
    },
    Row {
        name: "users-postgres",
        about: "users on PostgreSQL against pgbench, 64 callers",
        run: users_store::postgres,
    },
    Row {
        name: "users-sqlite",
        about: "users in a file against one commit for each row, 64 callers",
        run: users_store::sqlite,
    },
    Row {
        name: "orders-post",
        about: "an order for a user of another service against FastAPI and httpx",
        run: orders_post::run,
    },
    Row { name: "gateway", about: "a hop to one upstream against nginx and HAProxy", run: gateway::run },
    Row {
        name: "events-sqlite",
        about: "durable events against one commit for each row, 64 connections",
        run: events_sqlite::run,
    },
    Row { name: "events-stats", about: "statistics over a million events: time, and memory", run: events_stats::run },
    Row { name: "encrypted-post", about: "a POST of 1 KiB encrypted against in plain text", run: encrypted_post::run },
    Row {
        name: "envelope",
        about: "encrypted bodies against the library alone and Python's cryptography",
        run: envelope::run,
    },
    Row { name: "logins", about: "logins per second against hashes per second", run: logins::run },
    Row { name: "login-flood", about: "health beside a flood of logins", run: login_flood::run },
    Row { name: "latency", about: "from the POST to the object", run: latency::run },
    Row { name: "start", about: "from the start of the process to the first 200", run: start::run },
    Row { name: "memory", about: "idle, and for each idle connection", run: memory::run },
    Row { name: "overload", about: "an open loop at five times the capacity", run: overload::run },
    Row { name: "slow", about: "silent and byte-dripping connections beside healthy ones", run: slow::run },
];
