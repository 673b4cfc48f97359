//! Integration tests of analytics, one file per subject.
#![cfg(test)]

mod events;
mod kit;
mod memory_store;
mod openapi;
mod stats;
