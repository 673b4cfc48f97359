//! Integration tests of the backends, one file per adapter.
#![cfg(test)]

mod file_objects;
mod sqlite_queue;
