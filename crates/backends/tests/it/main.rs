//! Integration tests of the backends, one file per adapter.
#![cfg(test)]

mod sqlite_queue;
