//! Integration tests of the backends, one file per adapter.
#![cfg(test)]

mod aws_inspect;
mod aws_permissions;
mod aws_secrets;
mod data_folder;
mod emulators;
mod events;
mod events_mongo;
mod file_objects;
mod file_secrets;
mod mongo;
mod open;
mod orders_postgres;
mod orders_sqlite;
mod postgres;
mod postgres_faults;
mod postgres_lines;
mod postgres_processes;
mod postgres_queue;
mod s3_answers;
mod s3_objects;
mod secret_files;
mod sqlite_queue;
mod sqs_queue;
mod users;
mod users_migrations;
mod users_postgres;
mod users_postgres_faults;
mod users_processes;
mod users_sqlite;
