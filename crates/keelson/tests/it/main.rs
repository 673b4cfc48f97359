//! End-to-end tests: the real binary with embedded stores, one file per subject.
#![cfg(test)]

mod analytics;
mod analytics_contract;
mod archive;
mod archive_command;
mod aws;
mod aws_chaos;
mod aws_outage;
mod aws_pipeline;
mod aws_requests;
mod aws_rights;
mod aws_token;
mod calls;
mod cli;
mod cloud;
mod contract;
mod damage;
mod development;
mod dice;
mod disk_full;
mod disks;
mod dlq;
mod doctor;
mod durability;
#[path = "../../../backends/tests/it/emulators/server.rs"]
mod emulators;
mod encryption;
mod failures;
mod follow;
mod gateway;
mod hostile;
mod launch;
mod layering;
mod message;
mod migrate;
mod migrate_kill;
mod migrate_new;
mod migrate_postgres;
#[path = "../../../backends/tests/it/mongo/server.rs"]
mod mongo_server;
mod orders;
mod orders_contract;
mod orders_outbox;
mod outbox;
mod postgres;
mod postgres_chaos;
#[path = "../../../backends/tests/it/postgres/server.rs"]
mod postgres_server;
mod production;
mod replicas;
mod restart;
mod retention;
mod rollup;
mod schema;
mod send;
mod send_faults;
mod stopped;
mod submit;
mod sync_failures;
mod system;
mod token;
mod turned_clock;
mod users;
mod users_chaos;
mod users_contract;
mod users_disks;
