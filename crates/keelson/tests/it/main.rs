//! End-to-end tests: the real binary with embedded stores, one file per subject.
#![cfg(test)]

mod message;
mod submit;
mod system;
