//! Integration tests of the chassis, one file per subject.
#![cfg(test)]

mod access;
mod calls;
mod configuration;
mod edge;
mod encryption;
mod envelope;
mod jwt_attacks;
mod memory_objects;
mod memory_outbox;
mod memory_queue;
mod memory_secrets;
mod services;
mod standard;
