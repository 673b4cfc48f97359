//! Ingest and the archiver in process, on stores in memory that can be taken away.
#![cfg(test)]

mod archiver;
mod dead_letters;
mod distance;
mod faults;
mod faulty_objects;
mod faulty_queue;
mod heartbeat;
mod ingest;
mod kit;
mod openapi;
mod retention;
mod rollup;
